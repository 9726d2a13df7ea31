//! How soon a task is with its worker when nothing else is to be done.

use std::io;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use crate::client::{Connection, patiently};
use crate::generator::percentile;
use crate::report::{Series, milliseconds};
use crate::server::Server;
use crate::summary::{Summary, Target};
use crate::worker::Worker;
use crate::{http, server};

/// The worker that these tasks are for.
const NAME: &str = "clock";

/// A task for it.
const TASK: &str = r#"{"prompt":"Review this code for security issues in the following diff please","worker":"clock"}"#;

/// The pause in front of a task that finds an idle server.
const IDLE_TIME: Duration = Duration::from_millis(10);

/// How long a task may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The worker's part of a configuration.
pub(crate) fn config(worker: &Worker) -> String {
    server::endpoint(NAME, worker.addr, 64)
}

/// Latencies of several rounds, in milliseconds.
#[derive(Default)]
pub(crate) struct Latencies {
    /// From the sending of the `POST` to the worker's receipt, so storing is part of it.
    from_post: Quantiles,
    /// From the receipt of the 202 to the worker's; zero where the worker was first.
    from_accepted: Quantiles,
}

#[derive(Default)]
struct Quantiles {
    p50: Series,
    p99: Series,
}

impl Quantiles {
    fn push(&mut self, mut latencies: Vec<Duration>) {
        self.p50.push(milliseconds(percentile(&mut latencies, 50)));
        self.p99.push(milliseconds(percentile(&mut latencies, 99)));
    }
}

impl Latencies {
    /// Adds a round: tasks that come one by one for `time`.
    pub(crate) async fn measure(
        &mut self,
        server: &Server,
        worker: &Worker,
        time: Duration,
    ) -> io::Result<()> {
        // What went before is done first.
        server.process.quiet().await?;
        let mut connection = Connection::open(server.addr, http::framing).await?;
        let post = http::post(server.addr, TASK);
        while worker.received.try_recv().is_ok() {}
        let (mut from_post, mut from_accepted) = <(Vec<_>, Vec<_>)>::default();
        let began = monotonic();
        while monotonic().duration_since(began) < time {
            Timer::after(IDLE_TIME).await;
            let sent = monotonic();
            connection.exchange(&post).await?;
            let accepted = monotonic();
            let received = async { worker.received.recv().await.map_err(io::Error::other) };
            let received = patiently(PATIENCE, received).await?;
            from_post.push(received.saturating_duration_since(sent));
            from_accepted.push(received.saturating_duration_since(accepted));
        }
        self.from_post.push(from_post);
        self.from_accepted.push(from_accepted);
        Ok(())
    }

    /// A row of the table of latencies.
    pub(crate) fn row(&self, name: &str) -> Vec<String> {
        let (post, accepted) = (&self.from_post, &self.from_accepted);
        let cells = [&post.p50, &post.p99, &accepted.p50, &accepted.p99];
        let cells = cells.map(|series| series.cell(2));
        [&[name.to_owned()], cells.as_slice()].concat()
    }

    /// Holds them against what is aimed at.
    pub(crate) fn judge(&self, summary: &mut Summary, when: &str) {
        let Quantiles { p50, p99 } = &self.from_accepted;
        for (quantile, bound, series) in [("p50", 1.0, p50), ("p99", 5.0, p99)] {
            let name = format!("from the 202 to the worker, {when}, {quantile}");
            summary.judge(&name, Target::AtMost(bound), " ms", series, 2);
        }
    }
}

/// The head of the table of latencies.
pub(crate) const HEAD: [&str; 5] = [
    "to the worker's receipt of a task",
    "from the POST, p50, ms",
    "p99, ms",
    "from the 202, p50, ms",
    "p99, ms",
];
