//! The reclaimer: a thread that gives disk space back after retention has deleted something.
//!
//! It may wait for the engine to merge tables, so it is neither the writer nor a reader. It sleeps
//! while nothing is deleted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use log::{error, warn};

use crate::clock::monotonic;
use crate::store::Store;

/// Between a deletion and the look for what it freed: one look serves many deletions.
const PAUSE: Duration = Duration::from_secs(10);

/// The writer's side. The thread ends when it is dropped.
#[derive(Debug)]
pub(super) struct Reclaimer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Something was deleted since the last look.
    is_due: bool,
    has_ended: bool,
}

impl Reclaimer {
    /// Starts the thread.
    pub(super) fn start(store: Store) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            // An earlier run may have left something.
            state: Mutex::new(State {
                is_due: true,
                has_ended: false,
            }),
            changed: Condvar::new(),
        });
        let seen = Arc::clone(&shared);
        thread::Builder::new()
            .name("reclaimer".to_owned())
            .spawn(move || seen.run(&store))?;
        Ok(Self { shared })
    }

    /// Something was deleted.
    pub(super) fn wake(&self) {
        let mut state = self.shared.lock();
        if !state.is_due {
            state.is_due = true;
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Reclaimer {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self, store: &Store) {
        while self.wait() {
            match catch_unwind(AssertUnwindSafe(|| store.reclaim())) {
                Ok(Ok(_)) => {}
                // It is tried again after the next deletion.
                Ok(Err(failure)) => warn!("disk space cannot be given back: {failure}"),
                Err(_) => {
                    error!("giving disk space back panicked; it is not tried again");
                    return;
                }
            }
        }
    }

    /// Waits until it is time for a look; `false` at the end.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        while !state.is_due && !state.has_ended {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let until = monotonic() + PAUSE;
        while !state.has_ended {
            let left = until.saturating_duration_since(monotonic());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_due = false;
        !state.has_ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
