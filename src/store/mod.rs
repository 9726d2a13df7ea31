//! Rows on disk: the only room that names fjall.
//!
//! [`Store::open`] checks and opens a data directory. One thread writes, through [`Batch`]: it
//! sees its own changes, and `commit` makes them durable and visible in one step. Everybody else
//! reads through [`Snapshot`], which shows one moment.
//!
//! DURABILITY: when `Batch::commit` returns `Ok`, its rows survive `kill -9` and power loss.
//! Every commit is synced before the next one is written, so at most the last batch of a journal
//! can be torn; `journal` builds its check on that.

mod ahead;
mod attempts;
mod batch;
pub mod check;
mod creation;
#[cfg(test)]
mod damage;
mod directory;
mod engine;
mod error;
mod events;
mod export;
#[cfg(test)]
pub(crate) mod faults;
mod import;
mod journal;
pub mod keys;
mod memtables;
mod merged;
mod payload;
mod place;
pub mod properties;
mod reclaim;
pub mod record;
mod snapshot;
mod tables;
mod text;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Slice};

pub use attempts::{
    ATTEMPTS_BYTES_MAX, ATTEMPTS_MAX, AttemptsRecord, ERROR_BYTES_MAX, EndedAttempt, Ending,
};
pub use batch::Batch;
pub use error::Error;
pub use events::{EventListing, ListedEvents};
pub use export::{Export, ExportedRow};
pub use import::{ImportError, Imported, import};
pub use payload::Payload;
pub use snapshot::{Listed, Listing, Snapshot};

use self::ahead::Ahead;
use self::engine::{index_options, opening, row_options, text_options};
use crate::footprint::Footprint;
use crate::id::Id;

/// The schema that is written; a higher one is refused.
pub(crate) const SCHEMA_VERSION: u32 = 6;

/// The keyspace that a data directory has since this version of the schema.
const EVENTS_SINCE: (&str, u32) = ("events", 2);

/// Every keyspace. A backup has its rows in this order, in which the last are the most bytes.
const SPACES: [Space; 5] = [
    Space::Meta,
    Space::Tasks,
    Space::Events,
    Space::Index,
    Space::Texts,
];

/// Which keyspace a row is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    Tasks,
    Texts,
    Index,
    Meta,
    Events,
}

impl Space {
    /// The keyspace's name.
    fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Texts => "texts",
            Self::Index => "index",
            Self::Meta => "meta",
            Self::Events => "events",
        }
    }
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
    footprint: Footprint,
    /// While a commit is under way, the rows before it.
    before_commit: Arc<Mutex<Option<fjall::Snapshot>>>,
    /// A commit holds it.
    ahead: Arc<Mutex<Ahead>>,
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
        Self::open_within(dir, Footprint::default())
    }

    /// Like [`Store::open`], with so much in memory.
    pub fn open_within(dir: &Path, footprint: Footprint) -> Result<Self, Error> {
        let rows = dir.join("store");
        directory::prepare(dir, &rows)?;
        let lock = journal::lock(dir)?;
        creation::check(&rows)?;
        tables::check(&rows)?;
        let has_batches = journal::check(&rows)?;
        let mut store = Self::open_engine(&rows, dir, has_batches, (1, footprint), lock)?;
        store.begin_run()?;
        Ok(store)
    }

    /// Opens `mirror`, a copy of the data directory `dir` that nobody else has, to be read alone:
    /// nothing is written out in the background.
    fn open_mirror(mirror: &Path, dir: &Path) -> Result<Self, Error> {
        let rows = mirror.join("store");
        let has_batches = journal::check(&rows)?;
        let alone = (0, Footprint::default());
        Self::open_engine(&rows, dir, has_batches, alone, journal::lock(mirror)?)
    }

    /// Opens the engine over `rows`, with so many background workers and so much in memory. Messages name
    /// `dir`.
    fn open_engine(
        rows: &Path,
        dir: &Path,
        has_batches: bool,
        (workers, footprint): (usize, Footprint),
        lock: File,
    ) -> Result<Self, Error> {
        let db = engine::open(rows, dir, workers, footprint.cache)?;
        let (present, missing): (Vec<_>, Vec<_>) = SPACES
            .into_iter()
            .map(Space::name)
            .partition(|name| db.keyspace_exists(name));
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
        Self::over(db, (rows, dir), lock, footprint)
    }

    /// A store of the engine's keyspaces, which are made where they are missing. No run has begun.
    fn over(
        db: Database,
        (rows, dir): (&Path, &Path),
        lock: File,
        footprint: Footprint,
    ) -> Result<Self, Error> {
        let keyspace = |space: Space, options: fn() -> KeyspaceCreateOptions| {
            db.keyspace(space.name(), options)
                .map_err(|error| opening(error, dir))
        };
        Ok(Self {
            tasks: keyspace(Space::Tasks, row_options)?,
            texts: keyspace(Space::Texts, text_options)?,
            index: keyspace(Space::Index, index_options)?,
            meta: keyspace(Space::Meta, row_options)?,
            events: keyspace(Space::Events, row_options)?,
            db,
            dir: dir.to_owned(),
            run: 0,
            footprint,
            before_commit: Arc::default(),
            ahead: Arc::new(Mutex::new(Ahead::new(rows)?)),
            #[cfg(test)]
            faults: faults::Faults::default(),
            lock: Arc::new(lock),
        })
    }

    /// How often this data directory has been opened, this time included.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// What the rows are now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self)
    }

    /// The rows of one moment, between two commits. The engine alone does not see to that: what its
    /// worker writes out while a commit puts its rows in place, one by one, moves the moment of new snapshots
    /// past that commit (`upgrade_version` of lsm-tree 3.1), and they show what is there of it by then. So whoever
    /// reads during a commit reads what was before it.
    fn rows(&self) -> fjall::Snapshot {
        match &*self.lock_before_commit() {
            Some(before) => before.clone(),
            None => self.db.snapshot(),
        }
    }

    fn lock_before_commit(&self) -> MutexGuard<'_, Option<fjall::Snapshot>> {
        self.before_commit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty set of changes. BOUND: one at a time, by the writer alone.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    /// The highest id that a task or an event has.
    pub fn newest_id(&self) -> Result<Id, Error> {
        let mut newest = Id::FIRST;
        let snapshot = self.rows();
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

    fn spaces(&self) -> [&Keyspace; SPACES.len()] {
        SPACES.map(|space| self.space(space))
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

    /// The schema version of the rows; `None` where there are none yet.
    fn schema(&self) -> Result<Option<u32>, Error> {
        let found = self.meta.get(keys::SCHEMA)?;
        match found.as_deref().map(<[u8; 4]>::try_from) {
            None => Ok(None),
            Some(Ok(bytes)) => Ok(Some(u32::from_be_bytes(bytes))),
            Some(Err(_)) => Err(Error::damaged(
                "the row of the schema version",
                "not 4 bytes",
            )),
        }
    }

    fn begin_run(&mut self) -> Result<(), Error> {
        if let Some(version) = self.schema()?
            && version > SCHEMA_VERSION
        {
            return Err(Error::Newer {
                dir: self.dir.clone(),
                version,
            });
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
