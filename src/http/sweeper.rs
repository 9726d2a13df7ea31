//! Deadlines of all connections, kept by one task.
//!
//! Setting a deadline is an atomic store; a timer for each would cost a lock and a wake-up of the
//! reactor. The sweeper sleeps until the earliest deadline, and for good while there is none, so
//! an idle server makes no system calls. BOUND: it wakes at most once each [`TICK`], which is
//! also by how much a deadline can be late.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_io::Timer;
use atomic_waker::AtomicWaker;
use event_listener::Event;
use smol::future::FutureExt;

use crate::clock::{duration_millis, monotonic};

/// The sweeper wakes at most once in this time.
const TICK: Duration = Duration::from_millis(500);
/// How long a task that was told to end may take for it.
pub(super) const GIVEN_UP_AFTER: Duration = Duration::from_secs(1);
/// A deadline that never comes.
const NEVER: u64 = u64::MAX;
/// A deadline that has passed.
const EXPIRED: u64 = 0;

/// How far the server has come; each phase also cuts what the earlier ones cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// It serves.
    Running = 0,
    /// Each connection is closed behind its next answer.
    Draining = 1,
    /// Connections without a request are closed.
    Closing = 2,
    /// Every connection is dropped.
    Ended = 3,
}

/// Why a wait was cut short.
#[derive(Debug)]
pub(super) enum Cut {
    /// The deadline passed.
    Expired,
    /// The server's phase does not let it go on.
    Stopped,
    /// The connection broke.
    Broken(io::Error),
    /// The source of a streamed body failed.
    Unfinished,
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// All connections with their deadlines.
#[derive(Debug)]
pub(super) struct Sweeper {
    /// Deadlines count milliseconds from here.
    start: Instant,
    tick: Duration,
    phase: AtomicU8,
    /// When the sweeper wakes next. Who sets an earlier deadline wakes it.
    next: AtomicU64,
    /// An earlier deadline than `next` was set.
    earlier: Event,
    /// The last connection went.
    emptied: Event,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_id: HashMap<u64, Arc<Slot>>,
    next_id: u64,
}

#[derive(Debug)]
struct Slot {
    due: AtomicU64,
    waker: AtomicWaker,
}

impl Sweeper {
    pub(super) fn new() -> Arc<Self> {
        Self::with_tick(TICK)
    }

    /// A sweeper that is late by `tick` at most.
    pub(super) fn with_tick(tick: Duration) -> Arc<Self> {
        Arc::new(Self {
            start: monotonic(),
            tick,
            phase: AtomicU8::new(Phase::Running as u8),
            next: AtomicU64::new(NEVER),
            earlier: Event::new(),
            emptied: Event::new(),
            slots: Mutex::default(),
        })
    }

    /// A place for a new connection.
    pub(super) fn register(self: &Arc<Self>) -> Deadline {
        let slot = Arc::new(Slot {
            due: AtomicU64::new(NEVER),
            waker: AtomicWaker::new(),
        });
        let mut slots = self.lock();
        let id = slots.next_id;
        slots.next_id = id.wrapping_add(1);
        slots.by_id.insert(id, Arc::clone(&slot));
        drop(slots);
        Deadline {
            sweeper: Arc::clone(self),
            slot,
            id,
        }
    }

    /// How many connections there are.
    pub(super) fn connections(&self) -> usize {
        self.lock().by_id.len()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.phase.load(Ordering::SeqCst) >= Phase::Draining as u8
    }

    /// Goes on to `phase`, and cuts what does not outlast it.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::SeqCst);
        for slot in self.lock().by_id.values() {
            slot.waker.wake();
        }
    }

    /// Waits until there is no connection.
    pub(super) async fn emptied(&self) {
        loop {
            let listener = self.emptied.listen();
            if self.connections() == 0 {
                return;
            }
            listener.await;
        }
    }

    /// Wakes connections whose deadline has passed, for ever.
    pub(super) async fn run(&self) {
        loop {
            // Until the earliest deadline is known, every new one counts as earlier.
            self.next.store(NEVER, Ordering::SeqCst);
            let earlier = self.earlier.listen();
            let now = self.now();
            let earliest = self.sweep(now);
            // A quick succession of deadlines must not wake the sweeper for each.
            let soonest = now.saturating_add(duration_millis(self.tick));
            if earliest == NEVER {
                earlier.await;
                Timer::after(self.tick).await;
                continue;
            }
            let next = earliest.max(soonest);
            self.next.store(next, Ordering::SeqCst);
            let sleep = Duration::from_millis(next.saturating_sub(now));
            earlier
                .or(async {
                    Timer::after(sleep).await;
                })
                .await;
            if self.now() < soonest {
                Timer::after(self.tick).await;
            }
        }
    }

    /// Wakes who is late, and gives the earliest deadline of the others.
    fn sweep(&self, now: u64) -> u64 {
        let mut earliest = NEVER;
        for slot in self.lock().by_id.values() {
            let due = slot.due.load(Ordering::SeqCst);
            if due == EXPIRED {
                continue;
            }
            if due > now {
                earliest = earliest.min(due);
            } else if slot
                .due
                .compare_exchange(due, EXPIRED, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            {
                slot.waker.wake();
            } else {
                // A new deadline was set this very moment: look again at the next sweep.
                earliest = now;
            }
        }
        earliest
    }

    fn now(&self) -> u64 {
        duration_millis(monotonic().duration_since(self.start))
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's deadline; dropped with the connection.
#[derive(Debug)]
pub(super) struct Deadline {
    sweeper: Arc<Sweeper>,
    slot: Arc<Slot>,
    id: u64,
}

impl Deadline {
    /// The deadline is `after` from now.
    pub(super) fn set(&self, after: Duration) {
        // The present millisecond has begun already; a deadline must not pass early.
        let due = self
            .sweeper
            .now()
            .saturating_add(duration_millis(after))
            .saturating_add(1);
        self.slot.due.store(due, Ordering::SeqCst);
        if due < self.sweeper.next.load(Ordering::SeqCst) {
            self.sweeper.earlier.notify(1);
        }
    }

    /// There is no deadline.
    pub(super) fn clear(&self) {
        self.slot.due.store(NEVER, Ordering::SeqCst);
    }

    /// Waits for `future` until the deadline passes or the server reaches `phase`.
    pub(super) async fn guard<F: Future>(&self, phase: Phase, future: F) -> Result<F::Output, Cut> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            // Registered before the looks below: who changes what they see wakes afterwards.
            self.slot.waker.register(context.waker());
            if self.sweeper.phase.load(Ordering::SeqCst) >= phase as u8 {
                Poll::Ready(Err(Cut::Stopped))
            } else if self.slot.due.load(Ordering::SeqCst) == EXPIRED {
                Poll::Ready(Err(Cut::Expired))
            } else {
                Poll::Pending
            }
        })
        .await
    }

    pub(super) fn is_draining(&self) -> bool {
        self.sweeper.is_draining()
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut slots = self.sweeper.lock();
        slots.by_id.remove(&self.id);
        let is_last = slots.by_id.is_empty();
        drop(slots);
        if is_last {
            self.sweeper.emptied.notify(usize::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_sweeper<T>(act: impl AsyncFnOnce(&Arc<Sweeper>) -> T) -> T {
        let sweeper = Sweeper::with_tick(Duration::from_millis(5));
        smol::block_on(async {
            let running = async {
                sweeper.run().await;
                unreachable!("the sweeper runs for ever")
            };
            act(&sweeper).or(running).await
        })
    }

    #[test]
    fn a_deadline_cuts_its_own_connection_only() {
        with_sweeper(async |sweeper| {
            let (late, other) = (sweeper.register(), sweeper.register());
            other.set(Duration::from_secs(3_600));
            let start = monotonic();
            late.set(Duration::from_millis(20));
            let cut = late
                .guard(Phase::Ended, std::future::pending::<()>())
                .or(async {
                    let cut = other.guard(Phase::Ended, std::future::pending::<()>());
                    panic!("{:?}", cut.await);
                })
                .await;
            assert!(matches!(cut, Err(Cut::Expired)), "{cut:?}");
            assert!(monotonic() - start >= Duration::from_millis(20));
            // What is ready counts, however late it is.
            assert!(late.guard(Phase::Ended, async {}).await.is_ok());
        });
    }

    #[test]
    fn an_earlier_deadline_wakes_a_sleeping_sweeper() {
        with_sweeper(async |sweeper| {
            let deadline = sweeper.register();
            for _ in 0..3 {
                deadline.set(Duration::from_secs(3_600));
                // Gives the sweeper the time to fall asleep.
                Timer::after(Duration::from_millis(20)).await;
                deadline.set(Duration::from_millis(1));
                let cut = deadline.guard(Phase::Ended, std::future::pending::<()>());
                assert!(matches!(cut.await, Err(Cut::Expired)));
            }
        });
    }

    #[test]
    fn a_phase_cuts_what_does_not_outlast_it() {
        with_sweeper(async |sweeper| {
            let deadline = sweeper.register();
            sweeper.enter(Phase::Closing);
            let idle = deadline.guard(Phase::Closing, std::future::pending::<()>());
            assert!(matches!(idle.await, Err(Cut::Stopped)));
            let mut busy = Box::pin(deadline.guard(Phase::Ended, std::future::pending::<()>()));
            assert!(smol::future::poll_once(&mut busy).await.is_none());
            sweeper.enter(Phase::Ended);
            assert!(matches!(busy.await, Err(Cut::Stopped)));
            drop(deadline);
            sweeper.emptied().await;
        });
    }
}
