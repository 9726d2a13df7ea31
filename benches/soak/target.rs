//! The server that is asked, across its restarts, and what it answered.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;

use crate::wire::{Answer, Connection};

/// Ids of the last tasks, to look up, cancel and retry.
const RECENT: usize = 500;

/// Unexpected things that are kept to be shown.
const SURPRISES: usize = 20;

/// A server that may be down now and then.
pub(crate) struct Target {
    addr: Cell<SocketAddr>,
    /// Counts starts and ends: an exchange across one may fail.
    turn: Cell<u64>,
    is_up: Cell<bool>,
    tally: RefCell<BTreeMap<(&'static str, u16), u64>>,
    surprises: RefCell<Vec<String>>,
    surprised: Cell<u64>,
    recent: RefCell<VecDeque<String>>,
}

impl Target {
    /// A server that is up.
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr: Cell::new(addr),
            turn: Cell::new(0),
            is_up: Cell::new(true),
            tally: RefCell::default(),
            surprises: RefCell::default(),
            surprised: Cell::new(0),
            recent: RefCell::default(),
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr.get()
    }

    /// It is about to end.
    pub(crate) fn down(&self) {
        self.turn.set(self.turn.get().wrapping_add(1));
        self.is_up.set(false);
    }

    /// It was started again.
    pub(crate) fn up(&self, addr: SocketAddr) {
        self.addr.set(addr);
        self.turn.set(self.turn.get().wrapping_add(1));
        self.is_up.set(true);
    }

    /// Whether it should answer.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up.get()
    }

    /// Which start or end was the last.
    pub(crate) fn turn(&self) -> u64 {
        self.turn.get()
    }

    /// Counts an answer to a request of the kind `what`, and whether it is one of those that are
    /// right.
    pub(crate) fn note(&self, what: &'static str, answer: &Answer, right: &[u16]) {
        let mut tally = self.tally.borrow_mut();
        let count = tally.entry((what, answer.status)).or_default();
        *count = count.saturating_add(1);
        if !right.contains(&answer.status) {
            let body = String::from_utf8_lossy(&answer.body);
            let body: String = body.chars().take(200).collect();
            self.surprise(format!("{what}: {} {body}", answer.status));
        }
    }

    /// Notes what should not have happened.
    pub(crate) fn surprise(&self, text: String) {
        self.surprised.set(self.surprised.get().saturating_add(1));
        let mut surprises = self.surprises.borrow_mut();
        if surprises.len() < SURPRISES {
            surprises.push(text);
        }
    }

    /// How much should not have happened, and some of it.
    pub(crate) fn surprises(&self) -> (u64, Vec<String>) {
        (self.surprised.get(), self.surprises.borrow().clone())
    }

    /// Answers by kind of request and status.
    pub(crate) fn tally(&self) -> BTreeMap<(&'static str, u16), u64> {
        self.tally.borrow().clone()
    }

    /// A task was accepted.
    pub(crate) fn accepted(&self, id: String) {
        let mut recent = self.recent.borrow_mut();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back(id);
    }

    /// One of the last tasks, if there was any.
    pub(crate) fn any_recent(&self) -> Option<String> {
        let recent = self.recent.borrow();
        let index = fastrand::usize(..recent.len().max(1));
        recent.get(index).cloned()
    }

    /// The last of all tasks, if there was any.
    pub(crate) fn last(&self) -> Option<String> {
        self.recent.borrow().back().cloned()
    }
}

/// A client that keeps its connection as long as it is good.
pub(crate) struct Client<'a> {
    target: &'a Target,
    connection: Option<(u64, Connection)>,
}

impl<'a> Client<'a> {
    /// A client without a connection yet.
    pub(crate) fn new(target: &'a Target) -> Self {
        Self {
            target,
            connection: None,
        }
    }

    /// Asks, and counts the answer under `what`. `None` where the server was down or went down
    /// meanwhile.
    pub(crate) async fn ask(
        &mut self,
        what: &'static str,
        request: &[u8],
        right: &[u16],
    ) -> Option<Answer> {
        if !self.target.is_up() {
            self.connection = None;
            return None;
        }
        let turn = self.target.turn();
        match self.exchange(turn, request).await {
            Ok(answer) => {
                if answer.status >= 400 {
                    // Some of them close the connection.
                    self.connection = None;
                }
                self.target.note(what, &answer, right);
                Some(answer)
            }
            Err(error) => {
                self.connection = None;
                if self.target.turn() == turn {
                    self.target.surprise(format!("{what}: {error}"));
                }
                None
            }
        }
    }

    async fn exchange(&mut self, turn: u64, request: &[u8]) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some((made, connection)) if made == turn => connection,
            _ => Connection::open(self.target.addr()).await?,
        };
        let answer = connection.ask(request).await?;
        self.connection = Some((turn, connection));
        Ok(answer)
    }
}
