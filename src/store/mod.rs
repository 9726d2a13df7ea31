//! Rows on disk: the only room that names fjall.
//!
//! [`Store::open`] checks and opens a data directory. One thread writes, through [`Batch`]: it
//! sees its own changes, and `commit` makes them durable and visible in one step. Everybody else
//! reads through [`Snapshot`], which shows one moment.
//!
//! DURABILITY: when `Batch::commit` returns `Ok`, its rows survive `kill -9` and power loss.
//! Every commit is synced before the next one is written, so at most the last batch of a journal
//! can be torn; `journal` builds its check on that.

mod batch;
mod creation;
mod error;
mod events;
#[cfg(test)]
pub(crate) mod faults;
mod journal;
pub mod keys;
mod payload;
pub mod record;
mod snapshot;
mod tables;

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::config::{BlockSizePolicy, CompressionPolicy};
use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Slice,
};

pub use batch::Batch;
pub use error::Error;
pub use events::{EventListing, ListedEvents};
pub use payload::Payload;
pub use snapshot::{Listed, Listing, Snapshot};

use crate::id::Id;

/// The schema that is written; a higher one is refused.
pub(crate) const SCHEMA_VERSION: u32 = 2;

/// The keyspace that a data directory has since this version of the schema.
const EVENTS_SINCE: (&str, u32) = ("events", 2);

/// A memtable is written out when it passes this: 5 keyspaces × (1 active + 1 being written)
/// stay under 40 MiB.
const MEMTABLE_BYTES_MAX: u64 = 4 << 20;

/// Cache of blocks and index blocks.
const CACHE_BYTES: u64 = 8 << 20;

/// Tables of this size are compacted without long pauses on a small disk.
const TABLE_BYTES: u64 = 8 << 20;

/// The smallest total of journal files that the engine takes.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// File handles that the engine keeps open.
const CACHED_FILES: usize = 64;

const KEYSPACES: [&str; 5] = ["tasks", "texts", "index", "meta", "events"];

/// Which keyspace a row is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    Tasks,
    Texts,
    Index,
    Meta,
    Events,
}

/// An open data directory; clones share it.
#[derive(Clone)]
pub struct Store {
    db: Database,
    tasks: Keyspace,
    texts: Keyspace,
    index: Keyspace,
    meta: Keyspace,
    events: Keyspace,
    dir: PathBuf,
    run: u64,
    #[cfg(test)]
    pub(crate) faults: faults::Faults,
    /// Keeps other processes out while any clone lives.
    lock: Arc<File>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.dir.display())
    }
}

impl Store {
    /// Opens the data directory `dir`, which is created with mode 0700 where it does not exist,
    /// and begins a new run.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let rows = dir.join("store");
        for dir in [dir, &rows] {
            create_private_dir(dir)?;
        }
        let lock = journal::lock(dir)?;
        creation::check(&rows)?;
        tables::check(&rows)?;
        let has_batches = journal::check(&rows)?;
        let builder = Database::builder(&rows)
            .cache_size(CACHE_BYTES)
            // BOUND: one worker cannot meet the full message channel that stalls it, because
            // `rotate` is called by the writer and not posted as a message.
            .worker_threads(1)
            .max_cached_files(Some(CACHED_FILES))
            .max_journaling_size(JOURNAL_BYTES_MAX);
        // The engine takes some kinds of damage for its own defects.
        let db = catch_unwind(AssertUnwindSafe(|| builder.open()))
            .map_err(|_| {
                Error::damaged(
                    format!("data directory {}", dir.display()),
                    "the storage engine panicked when it read it",
                )
            })?
            .map_err(|error| opening(error, dir))?;
        let (present, missing): (Vec<_>, Vec<_>) =
            KEYSPACES.iter().partition(|name| db.keyspace_exists(name));
        // Nothing is written before all of them are there.
        let is_older = || lacks_events_alone(&db, &missing);
        if let Some(name) = missing.first()
            && (has_batches || holds_rows(&db, &present).map_err(|error| opening(error, dir))?)
            && !is_older().map_err(|error| opening(error, dir))?
        {
            return Err(Error::damaged(
                format!("data directory {}", dir.display()),
                format!("keyspace {name} is missing"),
            ));
        }
        let keyspace = |name: &str, options: fn() -> KeyspaceCreateOptions| {
            db.keyspace(name, options)
                .map_err(|error| opening(error, dir))
        };
        let mut store = Self {
            tasks: keyspace("tasks", row_options)?,
            texts: keyspace("texts", text_options)?,
            index: keyspace("index", index_options)?,
            meta: keyspace("meta", row_options)?,
            events: keyspace("events", row_options)?,
            db,
            dir: dir.to_owned(),
            run: 0,
            #[cfg(test)]
            faults: faults::Faults::default(),
            lock: Arc::new(lock),
        };
        store.begin_run()?;
        Ok(store)
    }

    /// How often this data directory has been opened, this time included.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// What the rows are now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self)
    }

    /// An empty set of changes. BOUND: one at a time, by the writer alone.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    /// The highest id that a task or an event has.
    pub fn newest_id(&self) -> Result<Id, Error> {
        let mut newest = Id::FIRST;
        let snapshot = self.db.snapshot();
        for space in [&self.tasks, &self.events] {
            if let Some(row) = snapshot.last_key_value(space) {
                newest = newest.max(Id::from_bytes(&row.key()?).unwrap_or(Id::FIRST));
            }
        }
        Ok(newest)
    }

    /// The highest id of a task or an event that was deleted.
    pub fn deleted_id(&self) -> Result<Id, Error> {
        let found = self.meta.get(keys::DELETED_ID)?;
        Ok(found
            .and_then(|bytes| Id::from_bytes(&bytes))
            .unwrap_or(Id::FIRST))
    }

    /// Fails where the data directory is not at its place any more: what is written then goes to
    /// files that nobody can open again.
    pub fn check_place(&self) -> Result<(), Error> {
        let path = self.dir.join("lock");
        let action = || Error::io(format!("find {}", path.display()));
        let here = fs::metadata(&path).map_err(action())?;
        let held = self.lock.metadata().map_err(action())?;
        if (here.dev(), here.ino()) != (held.dev(), held.ino()) {
            return Err(Error::Moved {
                dir: self.dir.clone(),
            });
        }
        Ok(())
    }

    /// Free bytes on the disk of the data directory, for a user without special rights.
    pub fn free_bytes(&self) -> Result<u64, Error> {
        let found = rustix::fs::statvfs(&self.dir).map_err(|errno| Error::Io {
            action: format!("read the free space of {}", self.dir.display()),
            source: errno.into(),
        })?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Starts writing out memtables that are large. Called by the writer between commits. Says
    /// whether there were any.
    pub fn rotate(&self) -> Result<bool, Error> {
        #[cfg(test)]
        let failure = self.faults.meet(faults::Operation::Rotate)?;
        let mut has_begun = false;
        for space in self.spaces() {
            if space.tree.active_memtable().size() > MEMTABLE_BYTES_MAX {
                has_begun |= space.rotate_memtable()?;
            }
        }
        #[cfg(test)]
        if let Some(failure) = failure {
            return Err(failure);
        }
        Ok(has_begun)
    }

    /// Whether memtables wait to be written out, or tables are merged.
    pub fn has_background_work(&self) -> bool {
        self.db.outstanding_flushes() > 0
            || self.db.active_compactions() > 0
            || self
                .spaces()
                .iter()
                .any(|space| space.tree.sealed_memtable_count() > 0)
    }

    /// Whether the engine has given up writing because of an earlier failure.
    pub fn is_poisoned(&self) -> bool {
        matches!(
            self.db.persist(PersistMode::Buffer),
            Err(fjall::Error::Poisoned)
        )
    }

    fn spaces(&self) -> [&Keyspace; 5] {
        [
            &self.tasks,
            &self.texts,
            &self.index,
            &self.meta,
            &self.events,
        ]
    }

    /// The value of a row as the writer sees it.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, Error> {
        #[cfg(test)]
        self.faults.meet(faults::Operation::Read)?;
        Ok(self.space(space).get(key)?)
    }

    fn space(&self, space: Space) -> &Keyspace {
        match space {
            Space::Tasks => &self.tasks,
            Space::Texts => &self.texts,
            Space::Index => &self.index,
            Space::Meta => &self.meta,
            Space::Events => &self.events,
        }
    }

    fn begin_run(&mut self) -> Result<(), Error> {
        let found = self.meta.get(keys::SCHEMA)?;
        match found.as_deref().map(<[u8; 4]>::try_from) {
            None => {}
            Some(Ok(bytes)) => {
                let version = u32::from_be_bytes(bytes);
                if version > SCHEMA_VERSION {
                    return Err(Error::Newer {
                        dir: self.dir.clone(),
                        version,
                    });
                }
            }
            Some(Err(_)) => {
                return Err(Error::damaged(
                    "the row of the schema version",
                    "not 4 bytes",
                ));
            }
        }
        let last_run = match self
            .meta
            .get(keys::RUN)?
            .as_deref()
            .map(<[u8; 8]>::try_from)
        {
            None => 0,
            Some(Ok(bytes)) => u64::from_be_bytes(bytes),
            Some(Err(_)) => return Err(Error::damaged("the row of the run number", "not 8 bytes")),
        };
        self.run = last_run.saturating_add(1);
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
        batch.insert(&self.meta, keys::SCHEMA, SCHEMA_VERSION.to_be_bytes());
        batch.insert(&self.meta, keys::RUN, self.run.to_be_bytes());
        Ok(batch.commit()?)
    }
}

fn holds_rows(db: &Database, keyspaces: &[&str]) -> Result<bool, fjall::Error> {
    for name in keyspaces {
        if !db.keyspace(name, row_options)?.is_empty()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the directory is one of an earlier schema, which has no events.
fn lacks_events_alone(db: &Database, missing: &[&str]) -> Result<bool, fjall::Error> {
    let (events, since) = EVENTS_SINCE;
    if missing != [events] {
        return Ok(false);
    }
    let schema = db.keyspace("meta", row_options)?.get(keys::SCHEMA)?;
    let version = schema.as_deref().map(<[u8; 4]>::try_from);
    Ok(matches!(version, Some(Ok(bytes)) if u32::from_be_bytes(bytes) < since))
}

fn create_private_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Error::io(format!(
            "create the data directory {}",
            dir.display()
        )))
}

fn opening(error: fjall::Error, dir: &Path) -> Error {
    match error {
        fjall::Error::Locked => Error::Locked {
            dir: dir.to_owned(),
        },
        fjall::Error::Io(source) => Error::Io {
            action: format!("open the data directory {}", dir.display()),
            source,
        },
        fjall::Error::JournalRecovery(_)
        | fjall::Error::Unrecoverable
        | fjall::Error::InvalidVersion(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::Storage(_) => Error::damaged(
            format!("data directory {}", dir.display()),
            error.to_string(),
        ),
        other => Error::Engine(other),
    }
}

fn row_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(64 << 20)
        .expect_point_read_hits(true)
        .compaction_strategy(Arc::new(
            Leveled::default().with_table_target_size(TABLE_BYTES),
        ))
}

/// Most keys that are looked up here (of deliveries, of idempotency) are new: a filter spares the
/// search for them.
fn index_options() -> KeyspaceCreateOptions {
    row_options().expect_point_read_hits(false)
}

fn text_options() -> KeyspaceCreateOptions {
    row_options()
        .data_block_size_policy(BlockSizePolicy::all(16 << 10))
        .data_block_compression_policy(CompressionPolicy::all(fjall::CompressionType::Lz4))
}
