//! The watchdog: sees a commit that never returns.
//!
//! A commit of the engine waits, without looking at anything else, for a background worker to
//! write out what is in memory; when that worker has died, it waits for ever. The watchdog sleeps
//! while nothing is committed.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{error, warn};

use super::writer::Inbox;
use crate::clock::monotonic;
use crate::drain::{Cause, Drain};
use crate::store::Store;

/// A commit that takes longer is looked into, and again after each such time.
const SLOW_COMMIT: Duration = Duration::from_secs(20);

/// What the watchdog sees of the writer.
#[derive(Debug, Default)]
pub(super) struct Watch {
    state: Mutex<WatchState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct WatchState {
    /// When the commit under way began.
    committing_since: Option<Instant>,
    /// Whether the watchdog looks at the clock, or sleeps until a commit begins.
    is_awake: bool,
    has_ended: bool,
}

impl Watch {
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.committing_since = Some(monotonic());
        // A watchdog that is awake stays so for a while: one wake-up serves many commits.
        if !state.is_awake {
            self.changed.notify_one();
        }
    }

    pub(super) fn done(&self) {
        self.lock().committing_since = None;
    }

    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, WatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the writer from its own thread.
pub(super) struct Watchdog {
    pub(super) store: Store,
    pub(super) watch: Arc<Watch>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) drain: Drain,
}

impl Watchdog {
    pub(super) fn run(self) {
        let mut state = self.watch.lock();
        loop {
            if state.has_ended {
                return;
            }
            let Some(since) = state.committing_since else {
                state.is_awake = false;
                state = self
                    .watch
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.is_awake = true;
                continue;
            };
            let waited = monotonic().saturating_duration_since(since);
            if waited >= SLOW_COMMIT {
                drop(state);
                if self.store.is_poisoned() {
                    error!("the store's background work failed, the server stops");
                    self.inbox.fail();
                    self.drain.begin(Cause::StoreFailed);
                    return;
                }
                warn!(
                    "a commit has taken {} s so far: the disk is slow",
                    waited.as_secs()
                );
                state = self.watch.lock();
            }
            state = self
                .watch
                .changed
                .wait_timeout(state, SLOW_COMMIT)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
