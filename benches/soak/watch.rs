//! What the server holds, seen every few seconds.

#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mecha::clock::monotonic;

/// One look at the server.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Time since the begin.
    pub(crate) at: Duration,
    /// Which life of the process this is, counted from 0.
    pub(crate) life: u32,
    /// Bytes in memory.
    pub(crate) memory: u64,
    /// Open files; absent where they are hidden: the server hides them from its own user.
    pub(crate) files: Option<u64>,
    /// Threads.
    pub(crate) threads: u64,
    /// Bytes on disk below the data directory.
    pub(crate) disk: u64,
    /// Processor time used in this life, in ticks of 10 ms.
    pub(crate) ticks: u64,
}

/// All looks.
pub(crate) struct Watch {
    data: PathBuf,
    began: Instant,
    life: u32,
    /// The looks, in order. BOUND: one for each five seconds.
    pub(crate) samples: Vec<Sample>,
    /// How long each start took, in order.
    pub(crate) starts: Vec<Duration>,
}

impl Watch {
    /// Nothing has been seen yet.
    pub(crate) fn new(data: PathBuf, began: Instant) -> Self {
        Self {
            data,
            began,
            life: 0,
            samples: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// The server was started again.
    pub(crate) fn next_life(&mut self, started_in: Duration) {
        self.life += 1;
        self.starts.push(started_in);
    }

    /// Looks at the server, and prints it once a minute.
    pub(crate) fn look(&mut self, process: &crate::process::Process) -> io::Result<()> {
        let id = process.id();
        let sample = Sample {
            at: monotonic().duration_since(self.began),
            life: self.life,
            memory: process.memory()?,
            files: open_files(id)?,
            threads: fs::read_dir(format!("/proc/{id}/task"))?.count() as u64,
            disk: disk(&self.data)?,
            ticks: process.processor_ticks()?,
        };
        let before = self.samples.last().map_or(Duration::ZERO, |last| last.at);
        if before.as_secs() / 60 != sample.at.as_secs() / 60 {
            print(&sample.to_string())?;
        }
        self.samples.push(sample);
        Ok(())
    }
}

impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>4} min, life {:>2}: {:>6.1} MiB memory, {:>3} files, {:>2} threads, {:>6.1} MiB disk, {:>5.1} s processor",
            self.at.as_secs() / 60,
            self.life,
            crate::report::mebibytes(self.memory),
            self.files.unwrap_or(0),
            self.threads,
            crate::report::mebibytes(self.disk),
            self.ticks as f64 / 100.0,
        )
    }
}

/// Prints one line of text.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

fn open_files(id: u32) -> io::Result<Option<u64>> {
    match fs::read_dir(format!("/proc/{id}/fd")) {
        Ok(entries) => Ok(Some(entries.count() as u64)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

/// Bytes on disk below `dir`; what goes away meanwhile does not count.
fn disk(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries.flatten() {
            if let Ok(metadata) = entry.metadata() {
                bytes += metadata.blocks() * 512;
                if metadata.is_dir() {
                    directories.push(entry.path());
                }
            }
        }
    }
    Ok(bytes)
}
