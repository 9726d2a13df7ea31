//! The workers there are, whether each takes attempts, and whose turn it is.
//!
//! In memory alone: what must survive a restart is kept by the configuration file or the queue.
//! Who comes and goes is told of in the feed while the roster is locked, so that nobody is told that a
//! worker left when its successor is there already. LOCKS: the roster, then an entry, then the feed.
//!
//! `dispatch` writes availability and running attempts, `api` reads them and adds and removes
//! workers, and neither knows the other. An entry lives as long as its name is in the roster: a
//! changed configuration changes the entry, so running attempts stay counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_io::Timer;
use event_listener::{Event, EventListener};
use smol::future::FutureExt;

use crate::clock::Timestamp;
use crate::feed::{Change, Feed, WorkerLeft};
use crate::worker::{Availability, Worker, WorkerName};

/// How long [`Roster::pick`] waits for workers that have not been asked yet.
const FIRST_PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// Workers at most, from the file and the API together.
pub const WORKERS_MAX: usize = 1_000;

/// Who declared a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file.
    File,
    /// `PUT /worker/{name}`.
    Api,
}

/// What the last look at a worker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether it takes attempts, its slots left aside.
    pub availability: Availability,
    /// Why it is not online, or what went wrong last.
    pub last_error: Option<String>,
    /// When it was looked at; absent before the first time.
    pub checked_at: Option<Timestamp>,
}

/// One worker of the roster.
#[derive(Debug)]
pub struct Entry {
    name: WorkerName,
    settings: RwLock<(Arc<Worker>, Origin)>,
    condition: Mutex<Condition>,
    running: AtomicU32,
    removed: AtomicBool,
    changed: Event,
    /// The number of its last change in the feed.
    change: AtomicU64,
    feed: Feed,
}

impl Entry {
    fn new(worker: Worker, origin: Origin, feed: Feed) -> Self {
        Self {
            name: worker.name.clone(),
            settings: RwLock::new((Arc::new(worker), origin)),
            condition: Mutex::new(Condition {
                availability: Availability::Offline,
                last_error: None,
                checked_at: None,
            }),
            running: AtomicU32::new(0),
            removed: AtomicBool::new(false),
            changed: Event::new(),
            change: AtomicU64::new(0),
            feed,
        }
    }

    /// The worker's name.
    pub fn name(&self) -> &WorkerName {
        &self.name
    }

    /// The worker as it is configured now.
    pub fn worker(&self) -> Arc<Worker> {
        Arc::clone(
            &self
                .settings
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .0,
        )
    }

    /// Who declared it.
    pub fn origin(&self) -> Origin {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .1
    }

    /// What the last look at it found.
    pub fn condition(&self) -> Condition {
        self.lock_condition().clone()
    }

    /// Attempts that run now.
    pub fn running(&self) -> u32 {
        self.running.load(Ordering::SeqCst)
    }

    /// Whether it takes attempts, its slots included: an online worker without a free slot is
    /// busy.
    pub fn availability(&self) -> Availability {
        let found = self.lock_condition().availability;
        if found == Availability::Online && self.running() >= self.worker().concurrency {
            return Availability::Busy;
        }
        found
    }

    /// Records what a look at the worker found, and says whether its availability changed.
    pub fn observe(&self, found: Availability, error: Option<String>, at: Timestamp) -> bool {
        let mut condition = self.lock_condition();
        let is_change = condition.availability != found || condition.checked_at.is_none();
        let is_told = is_change || condition.last_error != error;
        *condition = Condition {
            availability: found,
            last_error: error,
            checked_at: Some(at),
        };
        drop(condition);
        if is_told {
            self.tell();
        }
        if is_change {
            self.notify();
        }
        is_change
    }

    /// Counts an attempt that starts now.
    pub fn attempt_started(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.tell();
    }

    /// Counts off an attempt that ended.
    pub fn attempt_ended(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.tell();
        self.notify();
    }

    /// Whether the worker has left the roster; its entry is of no more use then.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::SeqCst)
    }

    /// Wakes at the next change of settings, availability, running attempts or removal. Listen
    /// first, then look.
    pub fn listen(&self) -> EventListener {
        self.changed.listen()
    }

    /// The number that the feed gave to the last change of what is shown of it.
    pub fn last_change(&self) -> u64 {
        self.change.load(Ordering::SeqCst)
    }

    fn tell(&self) {
        self.feed.stamp(&self.change);
    }

    fn lock_condition(&self) -> MutexGuard<'_, Condition> {
        self.condition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changed.notify(usize::MAX);
    }
}

/// All workers, by name; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    feed: Feed,
    /// Wakes when entries come or go.
    changed: Event,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<WorkerName, Arc<Entry>>,
    /// The worker that [`Roster::pick`] gave last.
    last_picked: Option<WorkerName>,
}

/// The roster already holds [`WORKERS_MAX`] workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Roster {
    /// A roster without workers.
    pub fn new() -> Self {
        Self::default()
    }

    /// A roster without workers whose changes are told of in `feed`.
    pub fn told_of_in(feed: Feed) -> Self {
        Self {
            shared: Arc::new(Shared {
                feed,
                ..Shared::default()
            }),
        }
    }

    /// The worker of that name.
    pub fn find(&self, name: &WorkerName) -> Option<Arc<Entry>> {
        self.lock().entries.get(name).cloned()
    }

    /// All workers in the order of their names.
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.lock().entries.values().cloned().collect()
    }

    /// Adds a worker or replaces its settings; says whether it is new.
    pub fn put(&self, worker: Worker, origin: Origin) -> Result<bool, Full> {
        let mut state = self.lock();
        if let Some(entry) = state.entries.get(&worker.name) {
            let mut settings = entry
                .settings
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let moved = settings.0.target != worker.target;
            *settings = (Arc::new(worker), origin);
            drop(settings);
            if moved {
                *entry.lock_condition() = Condition {
                    availability: Availability::Offline,
                    last_error: None,
                    checked_at: None,
                };
            }
            entry.tell();
            entry.notify();
            return Ok(false);
        }
        if state.entries.len() >= WORKERS_MAX {
            return Err(Full);
        }
        let name = worker.name.clone();
        let entry = Arc::new(Entry::new(worker, origin, self.shared.feed.clone()));
        entry.tell();
        state.entries.insert(name, entry);
        drop(state);
        self.shared.changed.notify(usize::MAX);
        Ok(true)
    }

    /// Takes a worker out; its running attempts go on to their end.
    pub fn remove(&self, name: &WorkerName) -> Option<Arc<Entry>> {
        let mut state = self.lock();
        let entry = state.entries.remove(name)?;
        entry.removed.store(true, Ordering::SeqCst);
        let left = WorkerLeft::new(&entry.worker());
        self.shared
            .feed
            .publish([Change::WorkerLeft(Arc::new(left))]);
        drop(state);
        entry.notify();
        self.shared.changed.notify(usize::MAX);
        Some(entry)
    }

    /// The next worker in rotation that is online, busy ones included. Workers that were never
    /// looked at get 2 s to be.
    pub async fn pick(&self) -> Option<WorkerName> {
        if let Some(name) = self.pick_now() {
            return Some(name);
        }
        let all_looked_at = async {
            for entry in self.all() {
                loop {
                    let listener = entry.listen();
                    if entry.condition().checked_at.is_some() || entry.is_removed() {
                        break;
                    }
                    listener.await;
                }
            }
        };
        all_looked_at
            .or(async {
                Timer::after(FIRST_PROBE_PATIENCE).await;
            })
            .await;
        self.pick_now()
    }

    /// Wakes at the next worker that comes or goes. Listen first, then look.
    pub fn listen(&self) -> EventListener {
        self.shared.changed.listen()
    }

    fn pick_now(&self) -> Option<WorkerName> {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut state = self.lock();
        let is_online = |entry: &Arc<Entry>| entry.availability() != Availability::Offline;
        let after_last = match &state.last_picked {
            Some(last) => state
                .entries
                .range((Excluded(last.clone()), Unbounded))
                .find(|(_, entry)| is_online(entry)),
            None => None,
        };
        let (name, _) =
            after_last.or_else(|| state.entries.iter().find(|(_, entry)| is_online(entry)))?;
        let name = name.clone();
        state.last_picked = Some(name.clone());
        Some(name)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
