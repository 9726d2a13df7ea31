//! What has changed, for those who follow: the last changes of tasks and events, and which workers
//! changed since.
//!
//! Changes get numbers that rise, whatever they are of. Those of tasks and events are kept in a ring and
//! given to each reader one by one. A worker's changes are not kept: it only carries the number of its
//! last one, and who follows looks at the worker as it is then. In memory alone: a start begins anew, and
//! a [`Position`] of an earlier run is known as such by its epoch.
//!
//! BOUND: [`CHANGES_MAX`] changes, [`LEFT_BYTES_MAX`] for workers that left, [`READERS_MAX`] readers, and nothing that is kept for a reader: who
//! does not keep up with the ring has lost what left it, and is told so. Publishing takes a lock for
//! as long as it takes to copy the changes; where nobody follows, nobody is woken.

mod left;
mod position;
mod ring;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::{Event, EventListener};

pub use left::WorkerLeft;
pub use position::{NotAPosition, Position};
pub use ring::Batch;

use self::ring::Ring;
use crate::clock::Timestamp;
use crate::event::{self, EventId};
use crate::task::{self, TaskId};

/// BOUND: changes in the ring, of 104 bytes each: 832 KiB, once there were as many. The names of workers
/// beside those of tasks are shared with the queue; an event has its own, of 80 bytes at most: 640 KiB more.
pub const CHANGES_MAX: usize = 8_192;

/// BOUND: bytes that workers that left take beside the ring's own. The oldest changes go where it would
/// be more: room for a thousand workers with addresses of the usual length.
pub const LEFT_BYTES_MAX: usize = 256 << 10;

/// BOUND: readers at once.
pub const READERS_MAX: usize = 64;

/// One change, as it was when it was made.
#[derive(Clone, Debug)]
pub enum Change {
    /// A task is new or in another state.
    Task(TaskChange),
    /// An event is new or in another state.
    Event(EventChange),
    /// A worker has left the roster.
    WorkerLeft(Arc<WorkerLeft>),
}

/// A task behind a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskChange {
    /// Its id.
    pub id: TaskId,
    /// The worker it is for.
    pub worker: Arc<str>,
    /// Where it stands.
    pub state: task::State,
    /// Attempts ever started.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last attempt started.
    pub dispatched_at: Option<Timestamp>,
    /// When it completed or failed.
    pub completed_at: Option<Timestamp>,
    /// The event that it was made for.
    pub event: Option<EventId>,
}

/// What may change of an event, behind a change. The rest is in its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventChange {
    /// Its id.
    pub id: EventId,
    /// Where it stands.
    pub state: event::State,
    /// The worker of the rule that matched.
    pub worker: Option<Arc<str>>,
    /// Its task.
    pub task: Option<TaskId>,
    /// When its state changed; `None` where its row alone tells.
    pub updated_at: Option<Timestamp>,
    /// Whether it is an attempt of the task that changed it: then it is of no account once the event has
    /// another task.
    pub is_of_attempt: bool,
}

/// What a reader has lost: it must look at everything anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its position is one of another run of the server, or none that was given out.
    Restarted,
    /// Changes behind its position have left the ring.
    Overrun,
}

/// What a reader finds behind its position.
#[derive(Clone, Debug)]
pub enum Look {
    /// It has lost something, and stands at the newest change now.
    Lost(Loss),
    /// The next changes, of which there may be none.
    Found(Batch),
}

/// The changes; clones share them.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: u64,
    ring: Mutex<Ring>,
    readers: AtomicUsize,
    changed: Event,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                epoch: fastrand::u64(..=Position::EPOCH_MAX),
                ring: Mutex::default(),
                readers: AtomicUsize::new(0),
                changed: Event::new(),
            }),
        }
    }
}

impl Feed {
    /// Adds changes in their order.
    pub fn publish(&self, changes: impl IntoIterator<Item = Change>) {
        let mut ring = self.lock();
        let before = ring.newest();
        for change in changes {
            ring.push(change);
        }
        let is_change = ring.newest() != before;
        drop(ring);
        if is_change {
            self.shared.changed.notify(usize::MAX);
        }
    }

    /// A worker has changed: `stamp`, which is the worker's own, gets the number of the change.
    pub fn stamp(&self, stamp: &AtomicU64) {
        let mut ring = self.lock();
        // Under the lock, so that a reader who sees the number finds it at the worker, too.
        stamp.store(ring.stamp_worker(), Ordering::SeqCst);
        drop(ring);
        self.shared.changed.notify(usize::MAX);
    }

    /// A reader of what changes behind `from`, or from now on; `None` where there are
    /// [`READERS_MAX`].
    pub fn follow(&self, from: Option<Position>) -> Option<Reader> {
        let more = |readers| (readers < READERS_MAX).then_some(readers + 1);
        self.shared
            .readers
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .ok()?;
        let newest = self.lock().newest();
        let (at, has_restarted) = match from {
            None => (newest, false),
            Some(from) if from.epoch == self.shared.epoch && from.number <= newest => {
                (from.number, false)
            }
            Some(_) => (newest, true),
        };
        Some(Reader {
            feed: self.clone(),
            at,
            has_restarted,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.shared
            .ring
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who follows; its place is free again when it is dropped.
#[derive(Debug)]
pub struct Reader {
    feed: Feed,
    at: u64,
    has_restarted: bool,
}

impl Reader {
    /// Wakes at the next change. Listen first, then look.
    pub fn listen(&self) -> EventListener {
        self.feed.shared.changed.listen()
    }

    /// The changes behind the position, up to `most` of the ring's. They stay there until the reader
    /// has gone past them.
    pub fn look(&mut self, most: usize) -> Look {
        let ring = self.feed.lock();
        let (found, newest) = (ring.behind(self.at, most), ring.newest());
        drop(ring);
        let loss = match found {
            _ if std::mem::take(&mut self.has_restarted) => Loss::Restarted,
            None => Loss::Overrun,
            Some(batch) => return Look::Found(batch),
        };
        self.at = newest;
        Look::Lost(loss)
    }

    /// Whether the change of that number is behind the position.
    pub fn is_behind(&self, number: u64) -> bool {
        number > self.at
    }

    /// Goes on to the change of that number.
    pub fn go_past(&mut self, number: u64) {
        self.at = self.at.max(number);
    }

    /// Where it stands. One that has not been told yet that it has lost something must not come back
    /// with this.
    pub fn position(&self) -> Position {
        self.position_of(self.at)
    }

    /// Whether it is to be told that the server was started anew.
    pub fn has_restarted(&self) -> bool {
        self.has_restarted
    }

    /// Where it stands behind the change of that number.
    pub fn position_of(&self, number: u64) -> Position {
        Position {
            epoch: self.feed.shared.epoch,
            number,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.feed.shared.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
