//! A store with many pending tasks, which takes long to make and is shared by the cases.

use std::io;
use std::path::PathBuf;

use mecha::clock::{Clock, Timestamp};
use tempfile::TempDir;

use crate::queue::Queue;
use crate::{Bench, directory};

/// A directory of a server, and how many tasks wait in it for `claude-reviewer`.
pub(crate) struct Filled {
    /// The directory.
    pub(crate) dir: TempDir,
    /// Tasks that wait.
    pub(crate) pending: u64,
    /// When the first of them was stored.
    pub(crate) since: Timestamp,
}

impl Filled {
    /// A new one.
    pub(crate) async fn new(pending: u64) -> io::Result<Self> {
        let filled = Self {
            dir: directory::on_disk()?,
            pending,
            since: Clock::system().now(),
        };
        filled.add(pending).await?;
        Ok(filled)
    }

    /// Stores `count` tasks more, as many as were taken.
    pub(crate) async fn add(&self, count: u64) -> io::Result<()> {
        Queue::open(&self.data())?.fill(count).await
    }

    /// Where the store is.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

impl Bench<'_> {
    /// The store with `MECHA_BENCH_PENDING` tasks.
    pub(crate) async fn filled(&mut self) -> io::Result<&Filled> {
        let filled = match self.filled.take() {
            Some(filled) => filled,
            None => Filled::new(self.settings.pending).await?,
        };
        Ok(self.filled.insert(filled))
    }
}
