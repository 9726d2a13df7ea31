//! A queue's core over a real store, driven in groups as the server's writer does it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mecha::clock::Clock;
use mecha::queue::Settings;
use mecha::queue::command::Command;
use mecha::queue::core::{Core, Effects};
use mecha::store::Store;
use mecha::task::NewTask;
use mecha::worker::WorkerName;
use smol::future::yield_now;

/// The worker that all tasks are for.
pub(crate) const WORKER: &str = "claude-reviewer";

/// Tasks in one commit while a store is filled.
const FILL_GROUP: u64 = 1_000;

/// Bytes of a prompt.
const PROMPT_BYTES: usize = 300;

/// A core and its store.
pub(crate) struct Queue {
    store: Store,
    core: Core,
    random: fastrand::Rng,
}

impl Queue {
    /// Opens the data directory `dir` as a server does.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let settings = Settings {
            queue: u64::MAX,
            retention: Duration::from_secs(30 * 86_400),
            disk_reserve: 0,
        };
        let store = Store::open(dir).map_err(io::Error::other)?;
        let random = fastrand::Rng::with_seed(1);
        let core = Core::open(store.clone(), Clock::system(), settings, random.clone())
            .map_err(io::Error::other)?;
        Ok(Self {
            store,
            core,
            random,
        })
    }

    /// Carries out `commands` in one synced commit. All of them must succeed.
    pub(crate) fn group(
        &mut self,
        commands: impl IntoIterator<Item = Command>,
    ) -> io::Result<Effects> {
        let mut batch = self.store.batch();
        for command in commands {
            let answer = self.core.apply(command, &mut batch);
            answer
                .map_err(io::Error::other)?
                .map_err(io::Error::other)?;
        }
        self.core.settle(&mut batch).map_err(io::Error::other)?;
        batch.commit().map_err(io::Error::other)?;
        let effects = self.core.take_effects();
        self.store.rotate().map_err(io::Error::other)?;
        Ok(effects)
    }

    /// Adds `count` tasks, many in one commit.
    pub(crate) async fn fill(&mut self, count: u64) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let group = left.min(FILL_GROUP);
            let submissions = self.submissions(group)?;
            self.group(submissions)?;
            left -= group;
            yield_now().await;
        }
        Ok(())
    }

    /// Prompts of random letters: they do not get smaller on disk.
    pub(crate) fn submissions(&mut self, count: u64) -> io::Result<Vec<Command>> {
        let worker = worker()?;
        let submission = |_| {
            let letters = std::iter::repeat_with(|| self.random.lowercase());
            Command::Submit(Arc::new(NewTask {
                worker: worker.clone(),
                prompt: letters.take(PROMPT_BYTES).collect(),
                context: None,
                idempotency: None,
            }))
        };
        Ok((0..count).map(submission).collect())
    }
}

/// [`WORKER`] as a name.
pub(crate) fn worker() -> io::Result<WorkerName> {
    WORKER
        .parse()
        .map_err(|_| io::Error::other(format!("{WORKER:?} is no worker's name")))
}
