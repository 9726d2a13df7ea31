//! How long pages of lists take where there are many tasks.

use std::io;
use std::time::Duration;

use mecha::clock::{Clock, Timestamp, monotonic};

use crate::client::Connection;
use crate::generator::percentile;
use crate::http;
use crate::report::{Series, milliseconds};
use crate::server::Server;

/// 36⁷, the ids of one millisecond; an id is a number of 16 digits in base 36.
const IDS_PER_MILLISECOND: u128 = 36_u128.pow(7);
const ID_DIGITS: usize = 16;

/// The lists: their names, and their targets without the place where the page begins.
const LISTS: [(&str, &str); 4] = [
    ("GET /tasks", "/tasks?limit=100"),
    ("of pending tasks", "/tasks?limit=100&state=pending"),
    (
        "of one worker's tasks",
        "/tasks?limit=100&worker=claude-reviewer",
    ),
    ("of completed tasks", "/tasks?limit=100&state=completed"),
];

/// The latencies of each list, in milliseconds.
pub(crate) struct Pages {
    random: fastrand::Rng,
    p50: [Series; LISTS.len()],
    p99: [Series; LISTS.len()],
}

impl Pages {
    pub(crate) fn new() -> Self {
        Self {
            random: fastrand::Rng::with_seed(7),
            p50: Default::default(),
            p99: Default::default(),
        }
    }

    /// Adds a round: pages of 100 tasks that begin anywhere among those stored since `since`, on
    /// one connection, for `time` in all.
    pub(crate) async fn measure(
        &mut self,
        server: &Server,
        since: Timestamp,
        time: Duration,
    ) -> io::Result<()> {
        server.process.quiet().await?;
        let mut connection = Connection::open(server.addr, http::framing).await?;
        let share = time / u32::try_from(LISTS.len()).map_err(io::Error::other)?;
        let now = Clock::system().now();
        for ((_, target), (p50, p99)) in LISTS.iter().zip(self.p50.iter_mut().zip(&mut self.p99)) {
            let mut latencies = Vec::new();
            let began = monotonic();
            while monotonic().duration_since(began) < share {
                let millis = self.random.u64(since.as_millis()..=now.as_millis());
                let path = format!("{target}&before={}", first_id(millis));
                let request = http::get(server.addr, &path);
                let sent = monotonic();
                connection.exchange(&request).await?;
                latencies.push(monotonic().duration_since(sent));
            }
            p50.push(milliseconds(percentile(&mut latencies, 50)));
            p99.push(milliseconds(percentile(&mut latencies, 99)));
        }
        Ok(())
    }

    /// Rows of a table: the list, p50, p99.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        LISTS
            .iter()
            .zip(self.p50.iter().zip(&self.p99))
            .map(|((name, _), (p50, p99))| vec![(*name).to_owned(), p50.cell(2), p99.cell(2)])
            .collect()
    }

    /// The p99 of the slowest list.
    pub(crate) fn slowest(&self) -> Series {
        let slowest = self
            .p99
            .iter()
            .max_by(|a, b| f64::total_cmp(&a.median().unwrap_or(0.0), &b.median().unwrap_or(0.0)));
        slowest.cloned().unwrap_or_default()
    }
}

/// The lowest id of that millisecond since the epoch.
fn first_id(millis: u64) -> String {
    let mut number = u128::from(millis) * IDS_PER_MILLISECOND;
    let mut digits = Vec::with_capacity(ID_DIGITS);
    for _ in 0..ID_DIGITS {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
    }
    digits.into_iter().rev().collect()
}
