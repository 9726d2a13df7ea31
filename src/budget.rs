//! The bytes of request bodies, prompts and results that may be in memory at once
//! (`limits.memory`).
//!
//! Whoever is about to hold bytes takes a [`Permit`] for them first and keeps it as long as the
//! bytes. BOUND: the permits given out never exceed the budget's size; waiters are served in
//! the order in which they came, so a large one is not starved by small newcomers. Those who hold bytes and need more to
//! come to their end, or have made something that is to be kept, come first, the last of them before the others: so one of them
//! comes to its end, and there are only as many as hold bytes. Who sends a body is none of them, however much of it has come.

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
    /// Bytes that are given out at most: all, or what is left beside a reserve.
    room: u64,
    /// Bytes that are given for one text at most, however large.
    most: u64,
    /// How often a text counts: with the copy that is made of it, or once.
    times: u64,
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
        Self::counting(size, size, size, 1)
    }

    /// A budget of `size` bytes in which a text counts twice: with the copy that is made of it, for the
    /// store or for an answer. Half of it is left for what counts nowhere, buffers and
    /// the copies of what is small. A text that would need them gets the rest but an eighth, so that it does not
    /// have to wait until nobody holds anything.
    pub fn with_copies(size: u64) -> Self {
        let room = size - size / 2;
        Self::counting(size, room, room - room / 8, 2)
    }

    fn counting(size: u64, room: u64, most: u64, times: u64) -> Self {
        let pool = Pool {
            free: room,
            waiters: VecDeque::new(),
            next_ticket: 0,
        };
        Self {
            shared: Arc::new(Shared {
                size,
                room,
                most,
                times,
                pool: Mutex::new(pool),
            }),
        }
    }

    /// All bytes there are.
    pub fn size(&self) -> u64 {
        self.shared.size
    }

    /// What a text of `bytes` bytes takes: as much, or twice as much where copies count, but never more
    /// than there is, if it fits once.
    pub fn counted(&self, bytes: u64) -> u64 {
        self.shared.counted(bytes)
    }

    /// Bytes that nobody holds, those of the reserve among them.
    pub fn free(&self) -> u64 {
        let reserve = self.shared.size.saturating_sub(self.shared.room);
        self.shared.lock().free.saturating_add(reserve)
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
        self.try_in(Place::Behind, self.shared.within_room(bytes))
    }

    /// A permit for `bytes`, waited for as long as it takes. `None` at once when the budget could
    /// never give so many.
    pub async fn acquire(&self, bytes: u64) -> Option<Permit> {
        self.acquire_in(Place::Behind, self.shared.within_room(bytes))
            .await
    }

    fn try_in(&self, place: Place, bytes: u64) -> Option<Permit> {
        let mut pool = self.shared.lock();
        let is_next = place == Place::Front || pool.waiters.is_empty();
        if is_next && pool.free >= bytes {
            pool.free -= bytes;
            drop(pool);
            return Some(Permit {
                shared: Arc::clone(&self.shared),
                bytes,
            });
        }
        None
    }

    async fn acquire_in(&self, place: Place, bytes: u64) -> Option<Permit> {
        if bytes > self.shared.size {
            return None;
        }
        if let Some(permit) = self.try_in(place, bytes) {
            return Some(permit);
        }
        let turn = Turn::take(&self.shared, place);
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
        self.acquire_in_within(Place::Behind, self.shared.within_room(bytes), patience)
            .await
    }

    async fn acquire_in_within(
        &self,
        place: Place,
        bytes: u64,
        patience: Duration,
    ) -> Option<Permit> {
        if let Some(permit) = self.try_in(place, bytes) {
            return Some(permit);
        }
        self.acquire_in(place, bytes)
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

    /// What is given for `bytes`, if they fit at all.
    fn within_room(&self, bytes: u64) -> u64 {
        if bytes <= self.size {
            bytes.min(self.most)
        } else {
            bytes
        }
    }

    fn counted(&self, bytes: u64) -> u64 {
        let all = bytes.saturating_mul(self.times);
        self.within_room(all.min(self.size.max(bytes)))
    }

    fn give_back(&self, bytes: u64) {
        let mut pool = self.lock();
        pool.free = pool.free.saturating_add(bytes).min(self.room);
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

/// Where somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In front of all others: who holds bytes and needs more. Were they served in turn, each could hold a part
    /// and none come to its end.
    Front,
    /// Behind all others.
    Behind,
}

/// A place among the waiters, given up on drop.
struct Turn<'a> {
    shared: &'a Shared,
    ticket: u64,
    event: Arc<Event>,
}

impl<'a> Turn<'a> {
    fn take(shared: &'a Shared, place: Place) -> Self {
        let event = Arc::new(Event::new());
        let mut pool = shared.lock();
        let ticket = pool.next_ticket;
        pool.next_ticket = pool.next_ticket.wrapping_add(1);
        let waiter = (ticket, Arc::clone(&event));
        match place {
            Place::Front => pool.waiters.push_front(waiter),
            Place::Behind => pool.waiters.push_back(waiter),
        }
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

    /// What a text of `bytes` bytes takes, as [`Budget::counted`] has it.
    pub fn counted(&self, bytes: u64) -> u64 {
        self.shared.counted(bytes)
    }

    /// Bytes of a text for which this permit is enough.
    pub fn covered(&self) -> u64 {
        if self.bytes >= self.shared.most {
            self.shared.size
        } else {
            self.bytes / self.shared.times
        }
    }

    /// As many of `bytes` as this permit can ever grow by.
    pub fn growth(&self, bytes: u64) -> u64 {
        bytes.min(self.shared.size.saturating_sub(self.bytes))
    }

    /// Adds `bytes`, waiting at most `patience`; `false` when they did not become free. Who holds bytes comes
    /// before those who hold none.
    pub async fn grow_within(&mut self, bytes: u64, patience: Duration) -> bool {
        let place = if self.bytes > 0 {
            Place::Front
        } else {
            Place::Behind
        };
        self.grow_in(place, bytes, patience).await
    }

    /// The same for what was made and would be lost, in front of all others.
    pub async fn grow_first_within(&mut self, bytes: u64, patience: Duration) -> bool {
        self.grow_in(Place::Front, bytes, patience).await
    }

    /// The same behind all others: for what somebody sends, who may be slow on purpose.
    pub async fn grow_last_within(&mut self, bytes: u64, patience: Duration) -> bool {
        self.grow_in(Place::Behind, bytes, patience).await
    }

    async fn grow_in(&mut self, place: Place, bytes: u64, patience: Duration) -> bool {
        let wanted = self.bytes.saturating_add(bytes);
        // Nobody is to wait behind what can never come.
        if wanted > self.shared.size {
            return false;
        }
        let bytes = self.shared.within_room(wanted).saturating_sub(self.bytes);
        // Who has all there is waits for nobody.
        if bytes == 0 {
            return true;
        }
        let budget = Budget {
            shared: Arc::clone(&self.shared),
        };
        match budget.acquire_in_within(place, bytes, patience).await {
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
mod tests;
