//! The watchdog: sees that the store's background work has failed.
//!
//! A commit of the engine waits, without looking at anything else, for a background worker to
//! write out what is in memory; when that worker has died, it waits for ever. And when nothing is
//! committed, nobody is told of a worker that has died. So the watchdog looks once a second while
//! a commit is under way or something is left to write out, and sleeps otherwise.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{error, warn};

use super::board::Board;
use super::command::Answer;
use super::inbox::{Inbox, Reply, refuse};
use crate::clock::monotonic;
use crate::drain::{Cause, Drain};
use crate::store::Store;

/// The pause between two looks. What has failed is seen within three of them.
const LOOK: Duration = Duration::from_secs(1);

/// A commit that takes longer is told of, and again after each such time.
const SLOW_COMMIT: Duration = Duration::from_secs(20);

/// Looks without background work after which there is none: between the writing out of a memtable
/// and the merging of tables that follows there is a moment without any.
const QUIET_LOOKS: u32 = 2;

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
    /// What is to be told when it is done.
    answers: Vec<(Reply, Answer)>,
    /// Looks that are left while the store may have background work.
    looks_left: u32,
    /// Whether the watchdog looks at the clock, or sleeps until something begins.
    is_awake: bool,
    has_ended: bool,
}

impl Watch {
    /// A commit begins. `answers` are what is told when it is done.
    pub(super) fn begin(&self, answers: Vec<(Reply, Answer)>) {
        let mut state = self.lock();
        state.committing_since = Some(monotonic());
        state.answers = answers;
        // A watchdog that is awake stays so for a while: one wake-up serves many commits.
        if !state.is_awake {
            self.changed.notify_one();
        }
    }

    /// The commit is done. Gives its answers back, unless they were refused meanwhile.
    pub(super) fn done(&self) -> Vec<(Reply, Answer)> {
        let mut state = self.lock();
        state.committing_since = None;
        std::mem::take(&mut state.answers)
    }

    /// The store has background work.
    pub(super) fn expect_work(&self) {
        let mut state = self.lock();
        state.looks_left = QUIET_LOOKS;
        if !state.is_awake {
            self.changed.notify_one();
        }
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
    pub(super) board: Arc<Board>,
    pub(super) drain: Drain,
}

impl Watchdog {
    pub(super) fn run(self) {
        let mut told = 0;
        let mut state = self.watch.lock();
        // The engine may write out at once what it found in its journals.
        state.looks_left = QUIET_LOOKS;
        loop {
            if state.has_ended {
                return;
            }
            if state.committing_since.is_none() && state.looks_left == 0 {
                state.is_awake = false;
                state = self.wait(state, None);
                state.is_awake = true;
                continue;
            }
            state = self.wait(state, Some(LOOK));
            let waited = state
                .committing_since
                .map(|since| monotonic().saturating_duration_since(since));
            let is_long = waited.is_some_and(|waited| waited >= LOOK);
            let slow = waited.map_or(0, |waited| waited.as_secs() / SLOW_COMMIT.as_secs());
            if slow > told {
                warn!(
                    "a commit has taken {} s so far: the disk is slow",
                    waited.unwrap_or_default().as_secs()
                );
            }
            told = slow;
            if !is_long && state.looks_left == 0 {
                continue;
            }
            drop(state);
            if self.store.is_poisoned() {
                self.fail();
                return;
            }
            let is_busy = self.store.has_background_work();
            state = self.watch.lock();
            state.looks_left = if is_busy {
                QUIET_LOOKS
            } else {
                state.looks_left.saturating_sub(1)
            };
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, WatchState>,
        patience: Option<Duration>,
    ) -> MutexGuard<'a, WatchState> {
        let changed = &self.watch.changed;
        match patience {
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                changed
                    .wait_timeout(state, patience)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        }
    }

    fn fail(&self) {
        error!("the store's background work failed, the server stops");
        self.inbox.fail(|| self.drain.begin(Cause::StoreFailed));
        // The commit under way may never return.
        for (reply, _) in self.watch.done() {
            refuse(reply);
        }
        self.board.fail();
    }
}
