//! How the queue's core scales with pending tasks: claims, completions, reopening and memory
//! with few and with many. Run it with `cargo bench --bench claims`.
//!
//! Both stores are on a disk and every group is one synced commit, as in the server. They are
//! measured in turn. What was claimed is replaced, outside of the measured time, so that the
//! number of pending tasks stays. `MECHA_BENCH_PENDING`, `MECHA_BENCH_ROUNDS` and
//! `MECHA_BENCH_SECONDS` set the size.

#[path = "support/directory.rs"]
mod directory;
#[path = "support/interrupt.rs"]
mod interrupt;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/queue.rs"]
mod queue;
#[path = "support/report.rs"]
mod report;
#[path = "support/settings.rs"]
mod settings;

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, ExitCode, Stdio};
use std::time::Duration;

use mecha::clock::monotonic;
use mecha::queue::Granted;
use mecha::queue::command::Command;
use smol::future::yield_now;
use tempfile::TempDir;

use crate::queue::Queue;
use crate::report::{Series, grouped, mebibytes, milliseconds, per_second};
use crate::settings::Settings;

/// Pending tasks in the small store.
const FEW: u64 = 1_000;

/// Tasks claimed in one commit: as many as 64 free slots of a worker ask for.
const GROUP: u32 = 64;

/// Groups that are measured at a stretch; with one more they fit into the small store.
const GROUPS: usize = 8;

/// The argument that makes this program reopen a store and say what that took.
const REOPEN: &str = "--reopen";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().collect();
    let ended = match arguments.as_slice() {
        [_, flag, dir] if flag == REOPEN => reopen(Path::new(dir)),
        _ => interrupt::run(async |_| measure(&Settings::read()?).await),
    };
    report::exit(ended)
}

/// A store and what was measured on it.
struct Subject {
    dir: TempDir,
    pending: u64,
    filled: Series,
    claimed: Series,
    completed: Series,
    reopened: Series,
    resident: Series,
}

async fn measure(settings: &Settings) -> io::Result<()> {
    report::machine()?;
    let mut few = Subject::new(FEW)?;
    let mut many = Subject::new(settings.pending)?;
    let mut queues = (few.fill().await?, many.fill().await?);
    for _ in 0..settings.rounds {
        few.claimed
            .push(claims(&mut queues.0, settings.time).await?);
        many.claimed
            .push(claims(&mut queues.1, settings.time).await?);
        few.completed
            .push(completions(&mut queues.0, settings.time).await?);
        many.completed
            .push(completions(&mut queues.1, settings.time).await?);
    }
    drop(queues);
    for _ in 0..settings.rounds {
        few.reopen()?;
        many.reopen()?;
        yield_now().await;
    }
    show(&few, &many)
}

fn show(few: &Subject, many: &Subject) -> io::Result<()> {
    let head = [
        "with tasks pending",
        &grouped(&few.pending.to_string()),
        &grouped(&many.pending.to_string()),
        "ratio",
    ];
    let row = |name: &str, decimals, of: fn(&Subject) -> &Series| {
        let (few, many) = (of(few), of(many));
        vec![
            name.to_owned(),
            few.cell(decimals),
            many.cell(decimals),
            many.over(few).cell(2),
        ]
    };
    report::table(
        &head,
        &[
            row("claims/s, 64 in a commit", 0, |subject| &subject.claimed),
            row("claims with completion/s, 64 in a commit", 0, |subject| {
                &subject.completed
            }),
            row("submissions/s, 1,000 in a commit", 0, |subject| {
                &subject.filled
            }),
            row("reopen, ms", 1, |subject| &subject.reopened),
            row("memory after it, MiB", 1, |subject| &subject.resident),
        ],
    )
}

impl Subject {
    fn new(pending: u64) -> io::Result<Self> {
        Ok(Self {
            dir: directory::on_disk()?,
            pending,
            filled: Series::default(),
            claimed: Series::default(),
            completed: Series::default(),
            reopened: Series::default(),
            resident: Series::default(),
        })
    }

    async fn fill(&mut self) -> io::Result<Queue> {
        let mut queue = Queue::open(self.dir.path())?;
        let began = monotonic();
        queue.fill(self.pending).await?;
        let count = usize::try_from(self.pending).map_err(io::Error::other)?;
        self.filled
            .push(per_second(count, monotonic().duration_since(began)));
        Ok(queue)
    }

    /// Reopens the store in a process of its own, so that its memory is its own.
    fn reopen(&mut self) -> io::Result<()> {
        let output = process::Command::new(env::current_exe()?)
            .arg(REOPEN)
            .arg(self.dir.path())
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<f64> = text
            .split(' ')
            .filter_map(|part| part.trim().parse().ok())
            .collect();
        let [time, memory] = figures.as_slice() else {
            return Err(io::Error::other(format!(
                "reopening ended with {}",
                output.status
            )));
        };
        self.reopened.push(*time);
        self.resident.push(*memory);
        Ok(())
    }
}

fn reopen(dir: &Path) -> io::Result<()> {
    let began = monotonic();
    let queue = Queue::open(dir)?;
    let time = monotonic().duration_since(began);
    let resident = memory::of(process::id(), memory::NOW)?;
    drop(queue);
    writeln!(
        io::stdout(),
        "{} {}",
        milliseconds(time),
        mebibytes(resident)
    )
}

/// Claims per second.
async fn claims(queue: &mut Queue, time: Duration) -> io::Result<f64> {
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
async fn completions(queue: &mut Queue, time: Duration) -> io::Result<f64> {
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
