//! One answer, from the writer to whoever asked.
//!
//! A channel of the executor's crate would do; this needs one block of memory instead of several, and
//! there is one for each command.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Both ends of one answer's way.
pub(super) fn pair<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Arc::new(Slot(Mutex::new(State::Open(None))));
    (Sender(Some(Arc::clone(&slot))), Receiver(slot))
}

/// Gives the answer; dropped without one, it tells that there will be none.
#[derive(Debug)]
pub(super) struct Sender<T>(Option<Arc<Slot<T>>>);

/// The answer when it is there; `None` where there will be none.
#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<Slot<T>>);

#[derive(Debug)]
struct Slot<T>(Mutex<State<T>>);

#[derive(Debug)]
enum State<T> {
    /// Nothing is said yet; who is to be woken.
    Open(Option<Waker>),
    /// What was said.
    Said(T),
    /// It was taken, or nothing will be said.
    Over,
}

impl<T> Sender<T> {
    /// Gives the answer. A receiver that is gone does not want to know.
    pub(super) fn send(mut self, answer: T) {
        if let Some(slot) = self.0.take() {
            slot.become_now(State::Said(answer));
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.become_now(State::Over);
        }
    }
}

impl<T> Slot<T> {
    fn become_now(&self, state: State<T>) {
        let before = std::mem::replace(&mut *self.lock(), state);
        if let State::Open(Some(waker)) = before {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        match &mut *state {
            State::Open(Some(waker)) => waker.clone_from(context.waker()),
            State::Open(waker) => *waker = Some(context.waker().clone()),
            _ => {
                let State::Said(answer) = std::mem::replace(&mut *state, State::Over) else {
                    return Poll::Ready(None);
                };
                return Poll::Ready(Some(answer));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use smol::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn an_answer_arrives_before_and_after_it_is_waited_for() {
        let (sender, receiver) = pair();
        sender.send(7);
        assert_eq!(block_on(receiver), Some(7));
        let (sender, mut receiver) = pair();
        assert_eq!(block_on(poll_once(&mut receiver)), None);
        let answering = thread::spawn(move || sender.send(8));
        assert_eq!(block_on(receiver), Some(8));
        answering.join().unwrap();
    }

    #[test]
    fn who_waits_is_told_that_there_will_be_none() {
        let (sender, mut receiver) = pair::<u8>();
        assert_eq!(block_on(poll_once(&mut receiver)), None);
        let going = thread::spawn(move || drop(sender));
        assert_eq!(block_on(receiver), None);
        going.join().unwrap();
    }

    #[test]
    fn an_answer_that_nobody_wants_is_dropped() {
        let (sender, receiver) = pair();
        let answer = Arc::new(());
        drop(receiver);
        sender.send(Arc::clone(&answer));
        assert_eq!(Arc::strong_count(&answer), 1);
    }
}
