//! Reads a whole data directory and changes nothing of it: for `mecha check --data`.
//!
//! The files are read as they are: each batch of the journals, each list of tables, each table whole.
//! Then the engine opens a mirror of the directory, since it writes to what it opens: the journals
//! are copied, the tables are linked. Every row is read there and held against the others.
//!
//! BOUND: memory is that of a start; disk for the mirror is the journals' bytes, some 64 MiB at
//! most, in the directory for temporary files.

mod audit;
mod mirror;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use self::audit::Audit;
use self::mirror::Mirror;
use super::tables::Keyspace;
use super::{Error, Store, creation, journal, tables};

/// BOUND: problems that are told of one by one.
const PROBLEMS_MAX: usize = 50;

/// What is in a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The version of its schema; `None` where nothing was stored yet.
    pub schema: Option<u32>,
    /// How often it was opened.
    pub runs: u64,
    /// Its tasks.
    pub tasks: Tasks,
    /// Its events.
    pub events: Events,
    /// Workers registered over the API.
    pub workers: u64,
    /// Journals, and the bytes of their whole batches.
    pub journals: (u64, u64),
    /// Tables, and their bytes.
    pub tables: (u64, u64),
    /// A journal that ends in a batch that was never finished, and where that begins. A start cuts
    /// it off.
    pub torn: Option<(PathBuf, u64)>,
    /// What is wrong with it, and what to do.
    pub problems: Problems,
}

/// Tasks by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Pending, those counted whose attempt was under way.
    pub pending: u64,
    /// Those of them whose attempt was under way.
    pub running: u64,
    /// Completed.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
}

/// Events by state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Received, and not matched yet.
    pub received: u64,
    /// Matched: they wait to be approved, or their task has not ended.
    pub matched: u64,
    /// Completed.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Skipped.
    pub skipped: u64,
}

/// What is wrong with a data directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first of them, one sentence each.
    pub told: Vec<String>,
    /// How many more there are.
    pub more: u64,
}

impl Problems {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn add(&mut self, problem: String) {
        if self.told.len() < PROBLEMS_MAX {
            self.told.push(problem);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

/// Reads the data directory `dir`. What is wrong with it is in the report; an error means that it
/// cannot be read at all, or that a server has it open.
pub fn check(dir: &Path) -> Result<Report, Error> {
    let rows = dir.join("store");
    if let Err(source) = std::fs::read_dir(&rows) {
        return Err(Error::Io {
            action: format!("read the data directory {}", dir.display()),
            source,
        });
    }
    let lock = journal::lock_for_reading(dir)?;
    let mut report = Report::default();
    let found = files(&rows, &mut report);
    match found {
        // What the files are like decides whether their rows can be read.
        Ok(Some(_)) if !report.problems.is_empty() => {}
        Ok(Some(files)) => {
            let mirror = Mirror::of(&rows, &files.journals, &files.keyspaces)?;
            let read = AssertUnwindSafe(|| read_rows(mirror.dir(), dir, &mut report));
            let read = catch_unwind(read).unwrap_or_else(|_| {
                Err(Error::damaged(
                    format!("data directory {}", dir.display()),
                    "the storage engine panicked when it read it",
                ))
            });
            if let Err(failure) = read {
                report.problems.add(failure.to_string());
            }
        }
        Ok(None) => {}
        Err(failure @ Error::Damaged { .. }) => report.problems.add(failure.to_string()),
        Err(failure) => return Err(failure),
    }
    drop(lock);
    Ok(report)
}

struct Files {
    journals: journal::Journals,
    keyspaces: Vec<Keyspace>,
}

/// Reads every file; `None` where nothing was stored yet.
fn files(rows: &Path, report: &mut Report) -> Result<Option<Files>, Error> {
    if creation::unused(rows)?.is_some() {
        return Ok(None);
    }
    // Each is read, whatever the other is like.
    let lists = tables::lists(rows);
    let journals = journal::examine(rows);
    if let Ok(journals) = &journals {
        let bytes = journals.files.iter().map(|(_, whole)| *whole);
        report.journals = (journals.files.len() as u64, bytes.sum());
        report.torn = journals
            .torn
            .and_then(|torn| journals.files.get(torn).cloned());
    }
    let lists = lists.inspect_err(|_| {
        if let Err(other) = &journals {
            report.problems.add(other.to_string());
        }
    })?;
    let mut keyspaces = Vec::new();
    for list in lists {
        let keyspace = match list {
            Ok(keyspace) => keyspace,
            Err(failure @ Error::Damaged { .. }) => {
                report.problems.add(failure.to_string());
                continue;
            }
            Err(failure) => return Err(failure),
        };
        for table in &keyspace.tables {
            match tables::check_table(&keyspace.table(table), table) {
                Ok(bytes) => {
                    let (count, sum) = report.tables;
                    report.tables = (count.saturating_add(1), sum.saturating_add(bytes));
                }
                Err(failure) => report.problems.add(failure.to_string()),
            }
        }
        keyspaces.push(keyspace);
    }
    Ok(Some(Files {
        journals: journals?,
        keyspaces,
    }))
}

fn read_rows(mirror: &Path, dir: &Path, report: &mut Report) -> Result<(), Error> {
    let store = Store::open_mirror(mirror, dir)?;
    Audit::new(&store, report)?.run()
}
