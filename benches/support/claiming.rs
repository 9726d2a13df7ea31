//! Claims and completions of a queue's core, in groups as the server's writer does them.
//!
//! What was claimed is replaced, outside of the measured time, so that the number of pending tasks
//! stays.

use std::io;
use std::time::Duration;

use mecha::clock::monotonic;
use mecha::queue::Granted;
use mecha::queue::command::Command;

use crate::queue::{self, Queue};
use crate::report::per_second;

/// Tasks claimed in one commit: as many as 64 free slots of a worker ask for.
const GROUP: u32 = 64;

/// Groups that are measured at a stretch; with one more they fit into a store with 1,000 tasks.
const GROUPS: usize = 8;

/// Claims per second.
pub(crate) async fn claims(queue: &mut Queue, time: Duration) -> io::Result<f64> {
    let mut taken = Taken::default();
    let began = monotonic();
    while monotonic().duration_since(began) < time {
        let stretch = monotonic();
        let mut claimed = Vec::new();
        for _ in 0..GROUPS {
            claimed.extend(claim(queue, &[])?);
        }
        taken.add(claimed.len(), monotonic().duration_since(stretch));
        replace(queue, &claimed).await?;
    }
    Ok(taken.per_second())
}

/// Claims per second where each claimed task is also completed.
pub(crate) async fn completions(queue: &mut Queue, time: Duration) -> io::Result<f64> {
    let mut taken = Taken::default();
    let began = monotonic();
    while monotonic().duration_since(began) < time {
        let mut claimed = claim(queue, &[])?;
        let mut ended = claimed.len();
        let stretch = monotonic();
        for _ in 0..GROUPS {
            ended += claimed.len();
            claimed = claim(queue, &claimed)?;
        }
        taken.add(GROUPS * claimed.len(), monotonic().duration_since(stretch));
        queue.group(claimed.iter().map(completion))?;
        queue
            .fill(u64::try_from(ended).map_err(io::Error::other)?)
            .await?;
    }
    Ok(taken.per_second())
}

/// One commit that completes `claimed` and claims as many tasks again.
fn claim(queue: &mut Queue, claimed: &[Granted]) -> io::Result<Vec<Granted>> {
    let demand = Command::Demand {
        worker: queue::worker()?,
        ticket: 1,
        count: GROUP,
    };
    let commands = claimed.iter().map(completion).chain([demand]);
    let grants = queue.group(commands)?.grants;
    let granted: Vec<_> = grants
        .into_iter()
        .flat_map(|(_, granted)| granted)
        .collect();
    let wanted = usize::try_from(GROUP).map_err(io::Error::other)?;
    if granted.len() == wanted {
        Ok(granted)
    } else {
        let count = granted.len();
        Err(io::Error::other(format!(
            "{count} tasks were given for a demand of {GROUP}"
        )))
    }
}

/// Completes what was claimed and submits as many tasks again.
async fn replace(queue: &mut Queue, claimed: &[Granted]) -> io::Result<()> {
    let count = u64::try_from(claimed.len()).map_err(io::Error::other)?;
    queue.group(claimed.iter().map(completion))?;
    queue.fill(count).await
}

fn completion(granted: &Granted) -> Command {
    Command::Complete {
        attempt: granted.attempt,
        result: r#"{"output":"LGTM"}"#.to_owned(),
    }
}

/// Measured stretches of a measurement.
#[derive(Default)]
struct Taken {
    count: usize,
    time: Duration,
}

impl Taken {
    fn add(&mut self, count: usize, time: Duration) {
        self.count += count;
        self.time += time;
    }

    fn per_second(&self) -> f64 {
        per_second(self.count, self.time)
    }
}
