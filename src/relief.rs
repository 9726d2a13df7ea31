//! Relief for a thread that serves and blocks: when that takes long, another one serves meanwhile.
//!
//! To block for a moment costs two locks that nobody waits for: who relieves looks from time to time whether somebody still is
//! where he was, and sleeps while nobody blocks.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};

/// The pause between two looks. Who blocks is relieved within two of them.
const LOOK: Duration = Duration::from_millis(10);

/// Looks without anybody who blocked, after which nobody is expected to.
const QUIET_LOOKS: u32 = 20;

/// Tells whether a thread blocks; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Relief {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_blocked: bool,
    /// How often a thread has blocked.
    times: u64,
    /// Whoever relieves the thread that blocks; dropped when it goes on.
    relieving: Option<Sender<()>>,
    /// Whether somebody looks from time to time, or sleeps until a thread blocks.
    is_awake: bool,
    has_ended: bool,
}

/// A thread blocks as long as this is there.
#[derive(Debug)]
pub struct Blocked<'a>(&'a Relief);

impl Relief {
    /// The calling thread blocks from now on. One at a time does.
    pub fn block(&self) -> Blocked<'_> {
        let mut state = self.lock();
        state.is_blocked = true;
        state.times = state.times.wrapping_add(1);
        if !state.is_awake {
            self.shared.changed.notify_one();
        }
        Blocked(self)
    }

    /// Waits, in the thread that relieves, until another one has blocked for long. What it gives is closed when that
    /// one goes on. `None` when nobody will need relief any more.
    pub fn wait(&self) -> Option<Receiver<()>> {
        let changed = &self.shared.changed;
        let mut state = self.lock();
        let mut seen = state.times;
        let mut quiet = 0;
        while !state.has_ended {
            state.is_awake = quiet < QUIET_LOOKS;
            state = if state.is_awake {
                let woken = changed.wait_timeout(state, LOOK);
                woken.unwrap_or_else(PoisonError::into_inner).0
            } else {
                quiet = 0;
                changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
            let was_awake = std::mem::replace(&mut state.is_awake, true);
            if state.times != seen {
                seen = state.times;
                quiet = 0;
            } else if state.is_blocked && was_awake {
                let (relieving, goes_on) = bounded(1);
                state.relieving = Some(relieving);
                return Some(goes_on);
            } else {
                quiet += 1;
            }
        }
        None
    }

    /// Nobody will need relief any more.
    pub fn end(&self) {
        self.lock().has_ended = true;
        self.shared.changed.notify_one();
    }

    /// Whether a thread blocks.
    pub fn is_needed(&self) -> bool {
        self.lock().is_blocked
    }

    /// How often a thread has blocked.
    #[cfg(test)]
    pub(crate) fn times(&self) -> u64 {
        self.lock().times
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_blocked = false;
        state.relieving = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use super::*;

    #[test]
    fn who_blocks_for_long_is_relieved_until_he_goes_on() {
        let relief = Relief::default();
        let (relieved, is_relieved) = sync_channel(1);
        thread::scope(|scope| {
            let relieving = scope.spawn(|| {
                let mut times = 0;
                while let Some(goes_on) = relief.wait() {
                    times += 1;
                    relieved.send(()).unwrap();
                    assert!(goes_on.recv_blocking().is_err());
                }
                times
            });
            for _ in 0..3 {
                let blocked = relief.block();
                is_relieved.recv().unwrap();
                drop(blocked);
            }
            relief.end();
            assert_eq!(relieving.join().unwrap(), 3);
        });
    }
}
