//! The writer: one thread that carries out all commands, many in one commit.
//!
//! It takes every command that waits, applies each, commits once and then answers them all: the
//! time that one sync takes is the time in which the next group gathers. A failure of the store
//! latches: every command is answered with it, and the server is told to stop.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use log::error;
use smol::channel::{Sender, TrySendError};

use super::Error;
use super::board::Board;
use super::claim::Granted;
use super::command::{Answer, Command, PutBack};
use super::core::{Core, Effects};
use super::reclaimer::Reclaimer;
use super::watchdog::{Watch, Watchdog};
use crate::budget::Permit;
use crate::drain::{Cause, Drain};
use crate::store::{self, Store};

/// Commands in one commit.
const GROUP_MAX: usize = 1_024;

/// Bytes of text in one commit; a command that has more is alone in its own. Until they are written out
/// the engine holds them beside what `limits.memory` counts.
pub(super) const GROUP_BYTES_MAX: usize = 2 << 20;

/// A pause between two looks at whether the engine has written out what it holds.
const ENGINE_PAUSE: Duration = Duration::from_millis(2);

/// Looks at it between two looks for its failure.
const ENGINE_LOOKS: u32 = 128;

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
    Answer(Sender<Answer>),
    /// The tasks that meet a demand.
    Grants(Sender<Vec<Granted>>),
    /// Nobody waits.
    Nobody,
}

/// Commands on their way to the writer.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    arrived: Condvar,
    /// The writer has ended, or the store has failed.
    ended: Condvar,
    has_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct InboxState {
    requests: VecDeque<Request>,
    is_closed: bool,
    writer_has_ended: bool,
}

impl Inbox {
    /// Hands a command to the writer.
    pub(super) fn send(&self, request: Request) -> Result<(), Error> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Error::StoreFailed);
        }
        if state.requests.len() >= INBOX_MAX && !request.command.ends_attempt() {
            return Err(Error::Overloaded);
        }
        state.requests.push_back(request);
        let is_first = state.requests.len() == 1;
        drop(state);
        if is_first {
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

    fn writer_ended(&self) {
        self.lock().writer_has_ended = true;
        self.ended.notify_all();
    }

    /// Whether the store has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    /// The next group, waited for at most `patience`. `None` when there will be none.
    fn next_group(&self, patience: Option<Duration>) -> Option<Vec<Request>> {
        let mut state = self.lock();
        if state.requests.is_empty() && !state.is_closed {
            state = match patience {
                Some(patience) => {
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
            if bytes > GROUP_BYTES_MAX && count > 0 {
                break;
            }
            count += 1;
        }
        // What stays is found by the next look, which waits for nothing while there is something.
        Some(state.requests.drain(..count).collect())
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
        self.ended.notify_all();
        for request in left {
            refuse(request.reply);
        }
    }

    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the writer, its watchdog and its reclaimer. The writer ends when the inbox is closed and empty.
pub(super) fn start(
    core: Core,
    store: Store,
    inbox: Arc<Inbox>,
    board: Arc<Board>,
    drain: Drain,
) -> std::io::Result<()> {
    let watch = Arc::new(Watch::default());
    let watchdog = Watchdog {
        store: store.clone(),
        watch: Arc::clone(&watch),
        inbox: Arc::clone(&inbox),
        board: Arc::clone(&board),
        drain: drain.clone(),
    };
    thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || watchdog.run())?;
    let ended = Arc::clone(&inbox);
    let reclaimer = Reclaimer::start(store.clone())?;
    let mut writer = Writer {
        core,
        store,
        inbox,
        board,
        drain,
        watch,
        reclaimer,
        tickets: HashMap::new(),
    };
    thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                error!("the writer panicked, the server stops");
                writer.fail();
                writer.watch.end();
            }
            // Whoever waits may open the store again.
            drop(writer);
            ended.writer_ended();
        })?;
    Ok(())
}

struct Writer {
    core: Core,
    store: Store,
    inbox: Arc<Inbox>,
    board: Arc<Board>,
    drain: Drain,
    watch: Arc<Watch>,
    reclaimer: Reclaimer,
    /// Where the tasks go that meet a demand, by ticket.
    tickets: HashMap<u64, Sender<Vec<Granted>>>,
}

impl Writer {
    fn run(&mut self) {
        loop {
            let patience = self.core.idle_for();
            let Some(group) = self.inbox.next_group(patience) else {
                break;
            };
            if let Err(failure) = self.carry_out(group) {
                error!("the store failed, the server stops: {failure}");
                self.fail();
                break;
            }
        }
        if !self.inbox.has_failed()
            && let Err(failure) = self.finish()
        {
            error!("the store failed at the end: {failure}");
            self.fail();
        }
        self.watch.end();
    }

    /// The last commit of a run that ends in order. It has the time; and because another batch
    /// follows them, damage to those before it is told from one that was never finished.
    fn finish(&mut self) -> Result<(), store::Error> {
        let store = self.store.clone();
        let mut batch = store.batch();
        self.core.put_time(&mut batch);
        self.watch.begin(Vec::new());
        let committed = batch.commit();
        self.watch.done();
        committed
    }

    fn fail(&self) {
        self.inbox.fail(|| self.drain.begin(Cause::StoreFailed));
        for (reply, _) in self.watch.done() {
            refuse(reply);
        }
        self.board.fail();
    }

    fn carry_out(&mut self, group: Vec<Request>) -> Result<(), store::Error> {
        let mut answers = Vec::with_capacity(group.len());
        let bytes = group
            .iter()
            .map(|request| request.command.text_bytes())
            .sum();
        let committed = match self.wait_for_engine(bytes) {
            Ok(()) => self.commit(group, &mut answers),
            Err(failure) => {
                let unheard = group.into_iter().map(|request| request.reply);
                answers.extend(unheard.map(|reply| (reply, Err(Error::StoreFailed))));
                Err(failure)
            }
        };
        if let Err(failure) = committed {
            // Who is told so must find it so, whatever is asked next.
            self.fail();
            for (reply, _) in answers {
                refuse(reply);
            }
            return Err(failure);
        }
        let effects = self.core.take_effects();
        self.board.update(&effects);
        if effects.has_deleted {
            self.reclaimer.wake();
        }
        self.tell(effects);
        for (reply, answer) in answers {
            if let Reply::Answer(sender) = reply {
                // A sender that is gone does not want to know.
                let _ = sender.try_send(answer);
            }
        }
        if self.store.rotate()? {
            self.watch.expect_work();
        }
        Ok(())
    }

    /// Waits until the engine has so little in memory that `bytes` more may join it.
    ///
    /// It waits for the engine's own thread alone, which needs nothing of ours: neither memory of the
    /// budget nor the writer. When that thread has died, the wait ends with the failure.
    fn wait_for_engine(&self, bytes: usize) -> Result<(), store::Error> {
        if !self.store.is_behind(bytes) {
            return Ok(());
        }
        self.watch.begin(Vec::new());
        let mut looks = 0_u32;
        let waited = loop {
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(ENGINE_LOOKS) {
                let failed = self.store.check_engine();
                if failed.is_err() {
                    break failed;
                }
            }
            if !self.store.is_behind(bytes) {
                break Ok(());
            }
            thread::sleep(ENGINE_PAUSE);
        };
        self.watch.done();
        waited
    }

    fn commit(
        &mut self,
        group: Vec<Request>,
        answers: &mut Vec<(Reply, Answer)>,
    ) -> Result<(), store::Error> {
        let store = self.store.clone();
        let mut batch = store.batch();
        let mut group = group.into_iter();
        // Given back before anybody is told, so that a submitter has his own again.
        let mut permits = Vec::new();
        while let Some(request) = group.next() {
            let Request {
                command,
                reply,
                permit,
            } = request;
            permits.extend(permit);
            let reply = match (&command, reply) {
                (Command::Demand { ticket, .. }, Reply::Grants(sender)) => {
                    self.tickets.insert(*ticket, sender);
                    Reply::Nobody
                }
                (_, reply) => reply,
            };
            match self.core.apply(command, &mut batch) {
                Ok(answer) => answers.push((reply, answer)),
                Err(failure) => {
                    let refused = std::iter::once(reply).chain(group.map(|request| request.reply));
                    answers.extend(refused.map(|reply| (reply, Err(Error::StoreFailed))));
                    return Err(failure);
                }
            }
        }
        self.core.settle(&mut batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        self.watch.begin(std::mem::take(answers));
        let committed = batch.commit();
        *answers = self.watch.done();
        committed
    }

    fn tell(&mut self, effects: Effects) {
        for ticket in effects.dropped_tickets {
            self.tickets.remove(&ticket);
        }
        for (ticket, granted) in effects.grants {
            let unheard = match self.tickets.remove(&ticket) {
                Some(sender) => sender.try_send(granted).err().map(TrySendError::into_inner),
                None => Some(granted),
            };
            for granted in unheard.into_iter().flatten() {
                let attempt = granted.attempt;
                let command = Command::PutBack {
                    attempt,
                    how: PutBack::Refused,
                };
                let _ = self.inbox.send(Request::new(command, Reply::Nobody));
            }
        }
        for cancellation in effects.cancelled {
            cancellation.cancel();
        }
    }
}

/// Tells whoever waits that the store has failed.
pub(super) fn refuse(reply: Reply) {
    if let Reply::Answer(sender) = reply {
        let _ = sender.try_send(Err(Error::StoreFailed));
    }
}

#[cfg(test)]
mod tests;
