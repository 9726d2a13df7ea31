//! The writer: it carries out all commands, many in one commit.
//!
//! It applies every command that waits, commits once and then answers them all: the time that one
//! sync takes is the time in which the next group gathers. A failure of the store latches: every
//! command is answered with it, and the server is told to stop.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use log::error;
use smol::channel::{Sender, TrySendError};

use super::Error;
use super::board::Board;
use super::claim::Granted;
use super::command::{Answer, Command, PutBack};
use super::core::{Core, Effects};
use super::desk::Desk;
use super::inbox::{Inbox, Reply, Request, refuse};
use super::reclaimer::Reclaimer;
use super::watchdog::{Watch, Watchdog};
use super::write_out::{self, wait_for_engine};
use crate::budget::Permit;
use crate::clock::monotonic;
use crate::drain::{Cause, Drain};
use crate::feed::Feed;
use crate::store::{self, Store};

/// Who is told of what a group did, as soon as it is durable.
pub(super) struct Told {
    pub(super) board: Arc<Board>,
    pub(super) feed: Feed,
}

/// Starts the writer, its watchdog and its reclaimer. The writer ends when the inbox is closed and empty.
pub(super) fn start(
    core: Core,
    store: Store,
    inbox: Arc<Inbox>,
    told: Told,
    drain: Drain,
) -> std::io::Result<Arc<Desk>> {
    let Told { board, feed } = told;
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
    let reclaimer = Reclaimer::start(store.clone())?;
    let writer = Writer {
        core,
        store,
        inbox: Arc::clone(&inbox),
        board,
        feed,
        drain,
        watch,
        reclaimer,
        // What the engine has found in its journals may be much, and it may be writing it out.
        unlooked_bytes: LOOK_BYTES,
        was_behind: true,
        quick: 0,
        tickets: HashMap::new(),
    };
    let desk = Arc::new(Desk::new(writer, inbox));
    let own = Arc::clone(&desk);
    thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || own.run())?;
    Ok(desk)
}

/// A group that takes no longer is quick.
const QUICK: Duration = Duration::from_millis(1);

/// After so many quick groups the next one is expected to be.
const QUICK_IN_A_ROW: u32 = 4;

/// Bytes that are committed between two looks at the memtables: to look costs as much as to write a small row. The
/// tests of what fails commit less.
const LOOK_BYTES: u64 = if cfg!(test) { 1 } else { 16 << 10 };

/// Bytes of text in a quick group.
const QUICK_BYTES: usize = 64 << 10;

/// What carries out commands, on the thread that sits at its [`Desk`].
#[derive(Debug)]
pub(super) struct Writer {
    core: Core,
    store: Store,
    inbox: Arc<Inbox>,
    board: Arc<Board>,
    feed: Feed,
    drain: Drain,
    watch: Arc<Watch>,
    reclaimer: Reclaimer,
    /// Bytes that were committed since the memtables were looked at.
    unlooked_bytes: u64,
    /// Whether memtables waited for the engine's worker at the last look.
    was_behind: bool,
    /// How many groups in a row were quick.
    quick: u32,
    /// Where the tasks go that meet a demand, by ticket.
    tickets: HashMap<u64, Sender<Vec<Granted>>>,
}

impl Writer {
    /// Carries out `group`, after which those who asked are answered. Says whether the store goes on; where it does
    /// not, everybody was told so.
    pub(super) fn take(&mut self, group: Vec<Request>) -> bool {
        let begun = monotonic();
        let goes_on = self.guard(|writer| writer.carry_out(group));
        let is_quick = monotonic().saturating_duration_since(begun) <= QUICK;
        self.quick = if is_quick {
            self.quick.saturating_add(1)
        } else {
            0
        };
        goes_on
    }

    /// Tells everybody that it has panicked.
    pub(super) fn panicked(&self) {
        error!("the writer panicked, the server stops");
        self.fail();
    }

    /// How long nothing is to be done, if no command comes; `None` for ever.
    pub(super) fn patience(&mut self) -> Option<Duration> {
        self.core.idle_for()
    }

    /// Whether `request` is likely to take a moment only.
    pub(super) fn is_quick(&mut self, request: &Request) -> bool {
        self.quick >= QUICK_IN_A_ROW
            && request.command.text_bytes() <= QUICK_BYTES
            && !self.may_wait()
    }

    /// Makes the last commit of a run that ends in order. It has the time; and because another batch
    /// follows them, damage to those before it is told from one that was never finished.
    pub(super) fn finish(&mut self) {
        if self.inbox.has_failed() {
            return;
        }
        self.guard(|writer| {
            let store = writer.store.clone();
            let mut batch = store.batch();
            writer.core.put_time(&mut batch);
            writer.watch.begin(Vec::new());
            let committed = batch.commit();
            writer.watch.done();
            committed
        });
    }

    /// Does something to the store. When that fails, everybody is told so. Says whether the store goes on.
    fn guard(&mut self, act: impl FnOnce(&mut Self) -> Result<(), store::Error>) -> bool {
        match catch_unwind(AssertUnwindSafe(|| act(self))) {
            Ok(Ok(())) => return true,
            Ok(Err(failure)) => error!("the store failed, the server stops: {failure}"),
            Err(_) => {
                self.panicked();
                return false;
            }
        }
        self.fail();
        false
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
        // Stand for the group's bytes while they are in memory.
        let mut permits = Vec::new();
        let bytes = group
            .iter()
            .map(|request| request.command.text_bytes())
            .sum();
        let committed = match self.wait_for_engine(bytes) {
            Ok(()) => self
                .commit(group, &mut answers, &mut permits)
                .and_then(|()| self.write_out(&mut answers)),
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
        // Given back before anybody is told, so that a submitter has his own again.
        drop(permits);
        let mut effects = self.core.take_effects();
        self.board.update(&effects);
        self.feed.publish(std::mem::take(&mut effects.changes));
        if effects.has_deleted {
            self.reclaimer.wake();
        }
        self.tell(effects);
        for (reply, answer) in answers {
            if let Reply::Answer(sender) = reply {
                sender.send(answer);
            }
        }
        self.rotate()
    }

    /// Has large memtables written out, if enough was committed for that.
    fn rotate(&mut self) -> Result<(), store::Error> {
        if self.unlooked_bytes < LOOK_BYTES {
            return Ok(());
        }
        self.unlooked_bytes = 0;
        if self.store.rotate()? {
            self.watch.expect_work();
        }
        // The engine gives some away by itself, too.
        self.was_behind = self.store.has_waiting();
        Ok(())
    }

    /// Whether memtables wait for the engine's worker, and a commit for them.
    fn may_wait(&mut self) -> bool {
        self.was_behind = self.was_behind && self.store.has_waiting();
        self.was_behind
    }

    /// Waits until the engine has so little in memory that `bytes` more may join it.
    fn wait_for_engine(&mut self, bytes: usize) -> Result<(), store::Error> {
        let is_little = (bytes as u64) < LOOK_BYTES;
        if (is_little && !self.may_wait()) || !self.store.is_behind(bytes) {
            return Ok(());
        }
        self.watch.begin(Vec::new());
        let waited = wait_for_engine(&self.store, || !self.store.is_behind(bytes));
        self.watch.done();
        waited
    }

    /// On a small host, has many texts written out before anybody is told and their permits are given back.
    fn write_out(&mut self, answers: &mut Vec<(Reply, Answer)>) -> Result<(), store::Error> {
        if !write_out::is_wanted(&self.store) {
            return Ok(());
        }
        self.watch.begin(std::mem::take(answers));
        let written = write_out::write_out(&mut self.core, &self.store);
        *answers = self.watch.done();
        self.was_behind = true;
        // It waits for the texts alone, and the engine may go on for longer.
        self.watch.expect_work();
        written
    }

    fn commit(
        &mut self,
        group: Vec<Request>,
        answers: &mut Vec<(Reply, Answer)>,
        permits: &mut Vec<Arc<Permit>>,
    ) -> Result<(), store::Error> {
        self.core.turn_minute();
        let store = self.store.clone();
        let mut batch = store.batch();
        let mut group = group.into_iter();
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
        let metrics = self.core.metrics();
        let bytes = batch.bytes();
        metrics.committed_bytes.add(bytes);
        self.unlooked_bytes = self.unlooked_bytes.saturating_add(bytes);
        let begun = monotonic();
        self.watch.begin(std::mem::take(answers));
        let committed = batch.commit();
        *answers = self.watch.done();
        let took = monotonic().saturating_duration_since(begun);
        metrics.commits.observe(took);
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
                    how: PutBack::NotStarted,
                };
                let _ = self.inbox.send(Request::new(command, Reply::Nobody));
            }
        }
        for cancellation in effects.cancelled {
            cancellation.cancel();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.watch.end();
    }
}
