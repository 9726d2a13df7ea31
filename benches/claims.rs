//! How the queue's core scales with pending tasks: claims, completions, reopening and memory
//! with few and with many. Run it with `cargo bench --bench claims`.
//!
//! Both stores are on a disk and every group is one synced commit, as in the server. They are
//! measured in turn. What was claimed is replaced, outside of the measured time, so that the
//! number of pending tasks stays. `MECHA_BENCH_PENDING`, `MECHA_BENCH_ROUNDS` and
//! `MECHA_BENCH_SECONDS` set the size.

#[path = "support/claiming.rs"]
mod claiming;
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

use mecha::clock::monotonic;
use smol::future::yield_now;
use tempfile::TempDir;

use crate::claiming::{claims, completions};
use crate::queue::Queue;
use crate::report::{Series, grouped, mebibytes, milliseconds, per_second};
use crate::settings::Settings;

/// Pending tasks in the small store.
const FEW: u64 = 1_000;

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
