//! The bytes of request bodies, prompts and results that may be in memory at once
//! (`limits.memory`).
//!
//! Whoever is about to hold bytes takes a [`Permit`] for them first and keeps it as long as the
//! bytes. BOUND: the permits given out never exceed the budget's size; waiters are served in
//! the order in which they came, so a large one is not starved by small ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_io::Timer;
use event_listener::Event;
use smol::future::FutureExt;

/// A shared count of bytes; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    size: u64,
    pool: Mutex<Pool>,
}

#[derive(Debug)]
struct Pool {
    free: u64,
    /// Ticket and wake-up of each waiter, in order of arrival.
    waiters: VecDeque<(u64, Arc<Event>)>,
    next_ticket: u64,
}

impl Budget {
    /// A budget of `size` bytes.
    pub fn new(size: u64) -> Self {
        let pool = Pool {
            free: size,
            waiters: VecDeque::new(),
            next_ticket: 0,
        };
        Self {
            shared: Arc::new(Shared {
                size,
                pool: Mutex::new(pool),
            }),
        }
    }

    /// All bytes there are.
    pub fn size(&self) -> u64 {
        self.shared.size
    }

    /// Bytes that nobody holds.
    pub fn free(&self) -> u64 {
        self.shared.lock().free
    }

    /// A permit for nothing yet, to be grown as bytes come in.
    pub fn empty(&self) -> Permit {
        Permit {
            shared: Arc::clone(&self.shared),
            bytes: 0,
        }
    }

    /// A permit for `bytes`, or `None` when they are not free at the moment.
    pub fn try_acquire(&self, bytes: u64) -> Option<Permit> {
        let mut pool = self.shared.lock();
        if pool.waiters.is_empty() && pool.free >= bytes {
            pool.free -= bytes;
            drop(pool);
            return Some(Permit {
                shared: Arc::clone(&self.shared),
                bytes,
            });
        }
        None
    }

    /// A permit for `bytes`, waited for as long as it takes. `None` at once when the budget could
    /// never give so many.
    pub async fn acquire(&self, bytes: u64) -> Option<Permit> {
        if bytes > self.shared.size {
            return None;
        }
        if let Some(permit) = self.try_acquire(bytes) {
            return Some(permit);
        }
        let turn = Turn::take(&self.shared);
        loop {
            let listener = turn.event.listen();
            if turn.try_finish(bytes) {
                return Some(Permit {
                    shared: Arc::clone(&self.shared),
                    bytes,
                });
            }
            listener.await;
        }
    }

    /// A permit for `bytes`, waited for at most `patience`; `None` when they did not become free.
    pub async fn acquire_within(&self, bytes: u64, patience: Duration) -> Option<Permit> {
        if let Some(permit) = self.try_acquire(bytes) {
            return Some(permit);
        }
        self.acquire(bytes)
            .or(async {
                Timer::after(patience).await;
                None
            })
            .await
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, bytes: u64) {
        let mut pool = self.lock();
        pool.free = pool.free.saturating_add(bytes).min(self.size);
        pool.wake_first();
    }
}

impl Pool {
    fn wake_first(&self) {
        if let Some((_, event)) = self.waiters.front() {
            event.notify(1);
        }
    }
}

/// A place among the waiters, given up on drop.
struct Turn<'a> {
    shared: &'a Shared,
    ticket: u64,
    event: Arc<Event>,
}

impl<'a> Turn<'a> {
    fn take(shared: &'a Shared) -> Self {
        let event = Arc::new(Event::new());
        let mut pool = shared.lock();
        let ticket = pool.next_ticket;
        pool.next_ticket = pool.next_ticket.wrapping_add(1);
        pool.waiters.push_back((ticket, Arc::clone(&event)));
        drop(pool);
        Self {
            shared,
            ticket,
            event,
        }
    }

    /// Takes the bytes if it is this waiter's turn and they are free.
    fn try_finish(&self, bytes: u64) -> bool {
        let mut pool = self.shared.lock();
        let is_first = pool
            .waiters
            .front()
            .is_some_and(|(ticket, _)| *ticket == self.ticket);
        if is_first && pool.free >= bytes {
            pool.free -= bytes;
            return true;
        }
        false
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut pool = self.shared.lock();
        pool.waiters.retain(|(ticket, _)| *ticket != self.ticket);
        pool.wake_first();
    }
}

/// The right to hold some bytes, given back on drop.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Permit {
    /// Bytes this permit stands for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds `bytes`, waiting at most `patience`; `false` when they did not become free.
    pub async fn grow_within(&mut self, bytes: u64, patience: Duration) -> bool {
        let budget = Budget {
            shared: Arc::clone(&self.shared),
        };
        match budget.acquire_within(bytes, patience).await {
            Some(mut more) => {
                self.bytes += std::mem::take(&mut more.bytes);
                true
            }
            None => false,
        }
    }

    /// A permit of its own for `bytes` of these, or for all of them where they are fewer.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self {
            shared: Arc::clone(&self.shared),
            bytes,
        }
    }

    /// Gives back what is over `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        if let Some(surplus) = self.bytes.checked_sub(bytes) {
            self.bytes = bytes;
            self.shared.give_back(surplus);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.shared.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use smol::future::poll_once;

    use super::*;

    #[test]
    fn permits_never_exceed_the_budget_and_come_back() {
        let budget = Budget::new(10);
        let first = budget.try_acquire(6).unwrap();
        assert!(budget.try_acquire(5).is_none());
        let second = budget.try_acquire(4).unwrap();
        assert_eq!(budget.free(), 0);
        drop((first, second));
        assert_eq!(budget.free(), 10);
    }

    #[test]
    fn waiters_are_served_in_order() {
        smol::block_on(async {
            let budget = Budget::new(10);
            let held = budget.try_acquire(8).unwrap();
            let mut large = Box::pin(budget.acquire(9));
            let mut small = Box::pin(budget.acquire(1));
            assert!(poll_once(&mut large).await.is_none());
            assert!(
                poll_once(&mut small).await.is_none(),
                "it would overtake the large one"
            );
            drop(held);
            assert!(poll_once(&mut small).await.is_none());
            let large = poll_once(&mut large).await.flatten().unwrap();
            assert_eq!(large.bytes(), 9);
            assert!(poll_once(&mut small).await.flatten().is_some());
        });
    }

    #[test]
    fn a_waiter_that_gives_up_lets_the_next_one_pass() {
        smol::block_on(async {
            let budget = Budget::new(10);
            let held = budget.try_acquire(5).unwrap();
            assert!(
                budget
                    .acquire_within(9, Duration::from_millis(1))
                    .await
                    .is_none()
            );
            assert!(budget.try_acquire(5).is_some());
            drop(held);
            assert_eq!(budget.free(), 10);
        });
    }

    #[test]
    fn more_than_the_whole_budget_is_refused_at_once() {
        assert!(smol::block_on(Budget::new(10).acquire(11)).is_none());
    }

    #[test]
    fn a_permit_grows_and_shrinks() {
        smol::block_on(async {
            let budget = Budget::new(10);
            let mut permit = budget.empty();
            assert!(permit.grow_within(7, Duration::ZERO).await);
            assert!(!permit.grow_within(4, Duration::ZERO).await);
            let part = permit.split(3);
            assert_eq!((permit.bytes(), part.bytes(), budget.free()), (4, 3, 3));
            drop(part);
            permit.shrink_to(2);
            assert_eq!((permit.bytes(), budget.free()), (2, 8));
            drop(permit);
            assert_eq!(budget.free(), 10);
        });
    }
}
