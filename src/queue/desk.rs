//! Where the writer sits: on a thread of its own, and for a moment on that of who asks, where nobody else does.
//!
//! A command that is handed to another thread and answered from there wakes two threads, which takes as long as a
//! fifth of a sync. Where many ask, that is nothing beside what they save by one commit for all of them; who asks
//! alone has his command carried out where he is. Another thread relieves him when that takes long.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

use super::Error;
use super::command::{Command, Outcome};
use super::inbox::{Inbox, Reply, Request};
use super::oneshot;
use super::writer::Writer;
use crate::budget::Permit;
use crate::relief::Relief;

/// The writer's place.
#[derive(Debug)]
pub(super) struct Desk {
    inbox: Arc<Inbox>,
    /// Nobody when the writer has ended.
    writer: Mutex<Option<Writer>>,
    relief: OnceLock<Relief>,
}

impl Desk {
    /// The place of `writer`, who gets commands by `inbox`.
    pub(super) fn new(writer: Writer, inbox: Arc<Inbox>) -> Self {
        Self {
            inbox,
            writer: Mutex::new(Some(writer)),
            relief: OnceLock::new(),
        }
    }

    /// Lets commands be carried out on the thread of who asks alone, where `relief` relieves him.
    pub(super) fn relieve_with(&self, relief: Relief) {
        // The first one stays.
        let _ = self.relief.set(relief);
    }

    /// Has the writer carry out a command, for whose bytes `permit` stands until they are stored.
    pub(super) async fn ask(
        &self,
        command: Command,
        permit: Option<Arc<Permit>>,
    ) -> Result<Outcome, Error> {
        let (sender, answer) = oneshot::pair();
        let mut request = Some(Request {
            command,
            reply: Reply::Answer(sender),
            permit,
        });
        poll_fn(|context| {
            let asked = request
                .take()
                .map(|request| self.hand_in(request, context.waker()));
            Poll::Ready(asked.unwrap_or(Ok(())))
        })
        .await?;
        answer.await.unwrap_or(Err(Error::StoreFailed))
    }

    /// Takes group after group from the inbox, until it is closed and empty or the store fails.
    pub(super) fn run(&self) {
        let ended = catch_unwind(AssertUnwindSafe(|| while self.take_group() {}));
        // Whoever waits for the end may open the store again.
        if let Some(writer) = self.lock().take()
            && ended.is_err()
        {
            writer.panicked();
        }
        self.inbox.writer_ended();
    }

    /// Waits for a group and carries it out. Says whether another one may come.
    fn take_group(&self) -> bool {
        let patience = match self.lock().as_mut() {
            Some(writer) => writer.patience(),
            None => return false,
        };
        let group = self.inbox.next_group(patience);
        let mut place = self.lock();
        match (place.as_mut(), group) {
            (Some(writer), Some(group)) => writer.take(group),
            (Some(writer), None) => {
                writer.finish();
                false
            }
            (None, _) => false,
        }
    }

    /// Has a request of `asker` carried out: here, or by the writer's own thread.
    fn hand_in(&self, request: Request, asker: &Waker) -> Result<(), Error> {
        let Some(relief) = self.relief.get() else {
            return self.inbox.send(request);
        };
        match self.inbox.send_or_give_back(request, asker)? {
            None => Ok(()),
            Some(request) => match self.carry_out(request, relief) {
                None => Ok(()),
                Some(request) => self.inbox.send_given_back(request),
            },
        }
    }

    /// Carries out `request` on the calling thread, if that takes a moment, as it seems. Otherwise gives it back.
    fn carry_out(&self, request: Request, relief: &Relief) -> Option<Request> {
        let Ok(mut place) = self.writer.try_lock() else {
            return Some(request);
        };
        let Some(writer) = place.as_mut() else {
            return Some(request);
        };
        if !writer.is_quick(&request) {
            return Some(request);
        }
        let _blocked = relief.block();
        if writer.take(vec![request]) {
            self.inbox.resume_within(writer.patience());
        } else {
            *place = None;
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
