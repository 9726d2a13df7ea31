//! A new data directory, built of the rows of a backup.
//!
//! The rows go into tables at once, past the journal and the memtables, so a large backup takes
//! little memory and each byte is written once. The directory is then read back and compared with
//! what went in. DURABILITY: when [`import`] returns `Ok`, all of the directory is on disk. BOUND:
//! it holds a row, a block, and the keys' index of one table.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::{Error, SCHEMA_VERSION, SPACES, Space, Store, engine, journal};
use crate::backup::Row;
use crate::footprint::Footprint;

/// The longest key that the engine takes.
const KEY_BYTES_MAX: usize = 65_535;

/// Bytes of a file's block as the system counts them (`stat(2)`).
const BLOCK_BYTES: u64 = 512;

/// Why a backup makes no data directory.
#[derive(Debug)]
pub enum ImportError {
    /// A row stands where none can follow: of an unknown keyspace, or out of order.
    OutOfPlace {
        /// The keyspace that it names.
        space: String,
    },
    /// The rows are of a schema that is not known here, or of none.
    UnknownSchema {
        /// The schema's version.
        version: Option<u32>,
    },
    /// What was read back is not what was written.
    Differs,
    /// The directory cannot be written or read.
    Store(Error),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfPlace { space } => write!(
                f,
                "the backup is damaged: a row of the keyspace {space:?} stands where none can follow"
            ),
            Self::UnknownSchema { version: None } => {
                f.write_str("the backup is damaged: it names no schema version")
            }
            Self::UnknownSchema {
                version: Some(version),
            } => write!(
                f,
                "the backup has schema version {version} and this mecha knows up to \
                 {SCHEMA_VERSION}; use the mecha that the server runs"
            ),
            Self::Differs => {
                f.write_str("what was read back is not what was written: check the disk")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl<E: Into<Error>> From<E> for ImportError {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// What a new data directory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Tasks, whatever their state.
    pub tasks: u64,
    /// Events, whatever their state.
    pub events: u64,
    /// Rows of every kind.
    pub rows: u64,
    /// Bytes that the directory takes on the disk.
    pub disk_bytes: u64,
}

/// Builds a data directory in the empty directory `dir`: what [`Store::open`] opens. The rows come
/// keyspace after keyspace, each in the order of its keys; an error among them ends it.
pub fn import<E: From<ImportError>>(
    dir: &Path,
    rows: impl Iterator<Item = Result<Row, E>>,
) -> Result<Imported, E> {
    let mut imported = build(dir, rows)?;
    // The engine has ended: no file changes any more.
    sync(dir, &mut imported.disk_bytes).map_err(ImportError::from)?;
    Ok(imported)
}

fn build<E: From<ImportError>>(
    dir: &Path,
    mut rows: impl Iterator<Item = Result<Row, E>>,
) -> Result<Imported, E> {
    let store = create(dir).map_err(ImportError::from)?;
    let mut imported = Imported::default();
    let mut written = Digest::new();
    let mut missing = SPACES.to_vec();
    let mut next = rows.next().transpose()?;
    while let Some(first) = next {
        let space = missing
            .iter()
            .position(|space| space.name() == first.space)
            .map(|at| missing.remove(at))
            .ok_or_else(|| out_of_place(&first))?;
        let tables = store.space(space).start_ingestion();
        let mut tables = tables.map_err(ImportError::from)?;
        let mut last_key: Vec<u8> = Vec::new();
        let mut row = Some(first);
        next = loop {
            match row {
                Some(found) if found.space == space.name() => {
                    // The engine panics on keys that do not rise.
                    if found.key <= last_key || found.key.len() > KEY_BYTES_MAX {
                        return Err(out_of_place(&found).into());
                    }
                    written.add(space, &found.key, &found.value);
                    imported.count(space);
                    last_key.clone_from(&found.key);
                    let put = tables.write(found.key, found.value);
                    put.map_err(ImportError::from)?;
                }
                behind => break behind,
            }
            row = rows.next().transpose()?;
        };
        tables.finish().map_err(ImportError::from)?;
    }
    check(&store, &written)?;
    Ok(imported)
}

/// An empty store in the directory `dir`.
fn create(dir: &Path) -> Result<Store, Error> {
    let rows = dir.join("store");
    super::directory::create(&rows)?;
    let lock = journal::lock(dir)?;
    let footprint = Footprint::default();
    let db = engine::open(&rows, dir, 1, footprint.cache)?;
    Store::over(db, (&rows, dir), lock, footprint)
}

impl Imported {
    fn count(&mut self, space: Space) {
        self.rows = self.rows.saturating_add(1);
        match space {
            Space::Tasks => self.tasks = self.tasks.saturating_add(1),
            Space::Events => self.events = self.events.saturating_add(1),
            Space::Texts | Space::Index | Space::Meta => {}
        }
    }
}

fn out_of_place(row: &Row) -> ImportError {
    ImportError::OutOfPlace {
        space: row.space.chars().take(40).collect(),
    }
}

/// Reads the rows back: they are those that were written, of a schema that is known.
fn check(store: &Store, written: &Digest) -> Result<(), ImportError> {
    let version = store.schema()?;
    if !version.is_some_and(|version| (1..=SCHEMA_VERSION).contains(&version)) {
        return Err(ImportError::UnknownSchema { version });
    }
    let mut read = Digest::new();
    for row in store.snapshot().export()? {
        let row = row?;
        read.add(row.stored_in(), row.key(), row.value());
    }
    if read.sums() == written.sums() {
        Ok(())
    } else {
        Err(ImportError::Differs)
    }
}

/// A digest of the rows of each keyspace.
struct Digest([(Space, Xxh3); SPACES.len()]);

impl Digest {
    fn new() -> Self {
        Self(SPACES.map(|space| (space, Xxh3::new())))
    }

    fn add(&mut self, space: Space, key: &[u8], value: &[u8]) {
        if let Some((_, hash)) = self.0.iter_mut().find(|(other, _)| *other == space) {
            for part in [key, value] {
                hash.update(&(part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
    }

    fn sums(&self) -> Vec<u128> {
        self.0.iter().map(|(_, hash)| hash.digest128()).collect()
    }
}

/// Makes every file below `dir`, and `dir` itself, private and durable, and adds up what they
/// take.
fn sync(dir: &Path, disk_bytes: &mut u64) -> Result<(), Error> {
    let failed = |action: &str, path: &Path| Error::io(format!("{action} {}", path.display()));
    for entry in fs::read_dir(dir).map_err(failed("read", dir))? {
        let path = entry.map_err(failed("read", dir))?.path();
        if path.is_dir() {
            sync(&path, disk_bytes)?;
            continue;
        }
        let file = File::open(&path).map_err(failed("open", &path))?;
        let mode = Permissions::from_mode(0o600);
        file.set_permissions(mode)
            .map_err(failed("make private", &path))?;
        file.sync_all().map_err(failed("sync", &path))?;
        let blocks = file.metadata().map_err(failed("read", &path))?.blocks();
        *disk_bytes = disk_bytes.saturating_add(blocks.saturating_mul(BLOCK_BYTES));
    }
    let mode = Permissions::from_mode(0o700);
    let file = File::open(dir).map_err(failed("open", dir))?;
    file.set_permissions(mode)
        .map_err(failed("make private", dir))?;
    file.sync_all().map_err(failed("sync", dir))
}

#[cfg(test)]
mod tests;
