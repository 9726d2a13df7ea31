//! Commands on their way to the writer, taken in groups.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use smol::channel::Sender;

use super::Error;
use super::claim::Granted;
use super::command::{Answer, Command};
use super::gathering::{self, Gathering};
use super::oneshot;
use crate::budget::Permit;
use crate::clock::monotonic;

/// Commands in one commit.
const GROUP_MAX: usize = 1_024;

/// Commands in a group from which on there are many who ask at once.
const CROWD: usize = 4;

/// The writer is not woken for less: what it waits for is told in milliseconds, and would be a little sooner now and
/// then when it is the same.
const SOONER: Duration = Duration::from_millis(2);

/// Who asked so often in a row asks alone.
const ALONE: u32 = 16;

/// BOUND: commands that wait, those that end attempts aside, which are as many as the attempts.
/// A connection has one under way, so this is reached only when something is wrong.
const INBOX_MAX: usize = 128 << 10;

/// A command and where its answer goes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) reply: Reply,
    /// Stands for the command's bytes until they are stored, though who waits for it be gone.
    pub(super) permit: Option<Arc<Permit>>,
}

impl Request {
    /// A command whose bytes are few, or counted in it.
    pub(super) fn new(command: Command, reply: Reply) -> Self {
        Self {
            command,
            reply,
            permit: None,
        }
    }
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) enum Reply {
    /// To whoever waits for it.
    Answer(oneshot::Sender<Answer>),
    /// The tasks that meet a demand.
    Grants(Sender<Vec<Granted>>),
    /// Nobody waits.
    Nobody,
}

/// Commands on their way to the writer.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Bytes of text in one commit; a command that has more is alone in its own. Until they are written out
    /// the engine holds them beside what `limits.memory` counts.
    group_bytes_max: usize,
    /// How long a command waits for others.
    patience: Duration,
    state: Mutex<InboxState>,
    arrived: Condvar,
    /// The writer has ended, or the store has failed.
    ended: Condvar,
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct InboxState {
    requests: VecDeque<Request>,
    asker: Asker,
    /// When the writer goes on though nothing has come; `None` where it waits for that alone, or is at work.
    resumes_at: Option<Instant>,
    /// Whether the writer has taken a group and not come back yet.
    has_group: bool,
    /// Commands in the last group.
    last_group: usize,
    /// The large deliveries in it, if all that waited were in it.
    last_large: usize,
    gathering: Gathering,
    /// How many commands the writer waits for; 0 where it does not.
    wanted: usize,
    is_closed: bool,
    writer_has_ended: bool,
}

impl Inbox {
    /// One whose groups have so many bytes of text at most, or one command that has more.
    pub(super) fn new(group_bytes_max: usize) -> Self {
        Self {
            group_bytes_max,
            patience: gathering::PATIENCE,
            ..Self::default()
        }
    }

    /// Has the writer go on in so long at the latest: something was done without it.
    pub(super) fn resume_within(&self, patience: Option<Duration>) {
        let Some(at) = in_so_long(patience) else {
            return;
        };
        let mut state = self.lock();
        let is_sooner = |resumes: Instant| resumes.saturating_duration_since(at) > SOONER;
        if state.resumes_at.is_none_or(is_sooner) {
            state.resumes_at = Some(at);
            self.arrived.notify_one();
        }
    }

    /// Hands a command to the writer.
    pub(super) fn send(&self, request: Request) -> Result<(), Error> {
        let mut state = self.lock();
        state.asker = Asker::default();
        self.put(state, request)
    }

    /// Hands a command of `asker` to the writer, or gives it back where nobody else has asked lately and nothing waits:
    /// it need not come this way.
    pub(super) fn send_or_give_back(
        &self,
        request: Request,
        asker: &Waker,
    ) -> Result<Option<Request>, Error> {
        let mut state = self.lock();
        let is_idle = state.requests.is_empty() && !state.has_group;
        if state.asker.note(asker) && is_idle && !state.is_closed {
            return Ok(Some(request));
        }
        self.put(state, request).map(|()| None)
    }

    /// Hands the writer a command that `send_or_give_back` gave back. Who asked for it still asks alone, which `send` would
    /// end.
    pub(super) fn send_given_back(&self, request: Request) -> Result<(), Error> {
        self.put(self.lock(), request)
    }

    fn put(&self, mut state: MutexGuard<'_, InboxState>, request: Request) -> Result<(), Error> {
        if state.is_closed {
            return Err(Error::StoreFailed);
        }
        if state.requests.len() >= INBOX_MAX && !request.command.ends_attempt() {
            return Err(Error::Overloaded);
        }
        state.requests.push_back(request);
        let waiting = state.requests.len();
        let is_awaited = waiting == 1 || waiting == state.wanted;
        drop(state);
        if is_awaited {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes no more commands; the writer ends when it has carried out what is there.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// Waits until the writer has ended. When the store has failed it does not wait: the commit
    /// that the writer is in may never return.
    pub(super) fn wait_for_end(&self) {
        let mut state = self.lock();
        while !state.writer_has_ended && !self.has_failed() {
            state = self
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn writer_ended(&self) {
        self.lock().writer_has_ended = true;
        self.ended.notify_all();
    }

    /// Whether the store has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    /// The next group, waited for at most `patience`. `None` when there will be none.
    pub(super) fn next_group(&self, patience: Option<Duration>) -> Option<Vec<Request>> {
        let mut state = self.lock();
        state.has_group = false;
        let mut committed = std::mem::take(&mut state.last_large);
        if committed > 0 {
            let waiting = large_deliveries(state.requests.iter().take(GROUP_MAX));
            state.gathering.note(committed, waiting);
        }
        let begun = monotonic();
        if state.requests.is_empty() && !state.is_closed {
            let at = sooner(state.resumes_at, in_so_long(patience));
            state.resumes_at = at;
            state = match at {
                Some(at) => {
                    let patience = at.saturating_duration_since(monotonic());
                    self.arrived
                        .wait_timeout(state, patience)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .arrived
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.resumes_at = None;
        if monotonic().saturating_duration_since(begun) > self.patience {
            // Nothing came for long.
            committed = 0;
        }
        if state.last_group >= CROWD && !state.requests.is_empty() {
            // Who is ready to run may add to the group first: where the cores are busy, a commit is for more of
            // them. Where few ask, nobody else's work on this core is to hold them up.
            drop(state);
            thread::yield_now();
            state = self.gather(self.lock(), committed);
        }
        if state.requests.is_empty() {
            return if state.is_closed {
                None
            } else {
                Some(Vec::new())
            };
        }
        let mut bytes = 0;
        let mut count = 0;
        for request in state.requests.iter().take(GROUP_MAX) {
            bytes += request.command.text_bytes();
            // The first is always taken: what is left in front is never too large to go on.
            if bytes > self.group_bytes_max && count > 0 {
                break;
            }
            count += 1;
        }
        // What is left behind is the next group already.
        let is_whole = count == state.requests.len();
        state.last_large = if is_whole {
            large_deliveries(state.requests.iter())
        } else {
            0
        };
        state.last_group = count;
        state.has_group = true;
        // What stays is found by the next look, which waits for nothing while there is something.
        Some(state.requests.drain(..count).collect())
    }

    /// Waits a moment for as many commands as are to be committed together, where many large deliveries come: so many were
    /// in the last group.
    fn gather<'a>(
        &'a self,
        mut state: MutexGuard<'a, InboxState>,
        committed: usize,
    ) -> MutexGuard<'a, InboxState> {
        let wanted = state.gathering.wanted();
        if committed.min(wanted) < CROWD {
            return state;
        }
        state.wanted = wanted;
        let begun = monotonic();
        while state.requests.len() < wanted && !state.is_closed {
            let passed = monotonic().saturating_duration_since(begun);
            let Some(left) = self.patience.checked_sub(passed) else {
                let came = state.requests.len();
                state.gathering.was_in_vain(came);
                break;
            };
            state = self
                .arrived
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.wanted = 0;
        state
    }

    /// Refuses what waits and what comes: the store has failed. Before anybody is told so, `tell`
    /// gives the order to stop: what is asked next must find it so.
    pub(super) fn fail(&self, tell: impl FnOnce()) {
        let mut state = self.lock();
        self.has_failed.store(true, Ordering::SeqCst);
        state.is_closed = true;
        let left = std::mem::take(&mut state.requests);
        drop(state);
        tell();
        // A writer that failed on another thread is waited for here.
        self.arrived.notify_one();
        self.ended.notify_all();
        for request in left {
            refuse(request.reply);
        }
    }

    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn large_deliveries<'r>(requests: impl Iterator<Item = &'r Request>) -> usize {
    requests
        .filter(|request| request.command.is_large_delivery())
        .count()
}

/// The moment in so long; `None` for never.
fn in_so_long(patience: Option<Duration>) -> Option<Instant> {
    monotonic().checked_add(patience?)
}

/// The sooner of two moments; `None` is never.
fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// Who asked last.
#[derive(Debug, Default)]
struct Asker {
    /// What tells the task that asks from others: it may be gone.
    task: usize,
    /// How often it asked in a row.
    in_a_row: u32,
}

impl Asker {
    /// Says whether nobody else has asked lately.
    fn note(&mut self, asker: &Waker) -> bool {
        let task = asker.data().addr();
        if self.task == task {
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            *self = Self { task, in_a_row: 1 };
        }
        self.in_a_row > ALONE
    }
}

/// Tells whoever waits that the store has failed.
pub(super) fn refuse(reply: Reply) {
    if let Reply::Answer(sender) = reply {
        sender.send(Err(Error::StoreFailed));
    }
}

#[cfg(test)]
mod tests;
