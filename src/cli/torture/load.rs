//! Clients that ask the server for everything until it is gone.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Deserialize;

use super::content::Subject;
use super::lock;
use super::oracle::{self, Oracle};
use super::record::Change;
use super::view::{EventView, TaskView};
use crate::cli::remote::{Answer, Remote};
use crate::clock::Clock;
use crate::source::Source;

/// Threads of each kind.
const SUBMITTERS: u32 = 4;
const SENDERS: u32 = 2;

/// Pauses of those that look and change.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
const CHANGE_PAUSE: Duration = Duration::from_millis(5);

/// What all clients share.
pub(super) struct Clients {
    pub(super) oracle: Arc<Mutex<Oracle>>,
    pub(super) github: Source,
    /// POSTs answered 2xx while there was load.
    pub(super) posted: AtomicU64,
    /// The last status that was neither 2xx nor expected, 0 if there was none.
    pub(super) refused: AtomicU32,
}

/// One thing that a client does; `None` when the server is gone, or there is no more to do.
type Step = fn(&Clients, &Remote) -> Option<()>;

/// Clients at work on one server.
pub(super) struct Load {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts all clients.
    pub(super) fn start(clients: &Arc<Clients>, remote: &Remote) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let work: [(u32, Step); 4] = [
            (SUBMITTERS, submit),
            (SENDERS, deliver),
            (1, look),
            (1, change),
        ];
        let mut threads = Vec::new();
        for (count, step) in work {
            for _ in 0..count {
                let (ends, clients) = (Arc::clone(&ends), Arc::clone(clients));
                let remote = remote.clone();
                threads.push(thread::spawn(move || {
                    // Until the server is gone, or the epoch has all it may have.
                    while !ends.load(Ordering::Relaxed) && step(&clients, &remote).is_some() {}
                }));
            }
        }
        Self { ends, threads }
    }

    /// Waits for the end of all clients, whose server is gone.
    pub(super) fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// Submits a task; some of them a second time.
fn submit(clients: &Clients, remote: &Remote) -> Option<()> {
    let number = lock(&clients.oracle).submit()?;
    clients.ask(remote, Subject::Task(number))?;
    if oracle::has_key(number) && number.is_multiple_of(10) {
        clients.ask(remote, Subject::Task(number))?;
    }
    Some(())
}

/// Delivers an event; some of them a second time.
fn deliver(clients: &Clients, remote: &Remote) -> Option<()> {
    let number = lock(&clients.oracle).deliver()?;
    clients.ask(remote, Subject::Event(number))?;
    if number.is_multiple_of(5) {
        clients.ask(remote, Subject::Event(number))?;
    }
    Some(())
}

impl Clients {
    /// Asks for a subject and notes the answer. `None` if there was none: the server is gone.
    pub(super) fn ask(&self, remote: &Remote, subject: Subject) -> Option<()> {
        let content = lock(&self.oracle).content.clone();
        let answer = match subject {
            Subject::Task(number) => {
                let body = serde_json::json!({ "prompt": content.prompt(subject), "worker": "w" });
                let mut headers = Vec::new();
                if oracle::has_key(number) {
                    headers.push(("idempotency-key".to_owned(), format!("key-{number}")));
                }
                remote.post("/task", &headers, body.to_string().into_bytes())
            }
            Subject::Event(number) => {
                let body = content.payload(number).into_bytes();
                let now = Clock::system().now();
                let headers =
                    self.github
                        .sign("pull_request.opened", &number.to_string(), &body, now);
                headers.and_then(|headers| remote.post("/webhook/github", &headers, body))
            }
        };
        let mut oracle = lock(&self.oracle);
        let Ok(answer) = answer else {
            oracle.doubt(subject);
            return None;
        };
        let named = serde_json::from_slice::<Named>(&answer.body).ok();
        match (answer.status, named.and_then(|named| named.id.parse().ok())) {
            (200 | 202, Some(id)) => {
                self.posted.fetch_add(1, Ordering::Relaxed);
                oracle.acknowledge(subject, id);
            }
            (status, _) => {
                self.refused.store(u32::from(status), Ordering::Relaxed);
                // A 5xx other than 507 may have been stored.
                if matches!(status, 400..=499 | 507) {
                    oracle.refuse(subject);
                } else {
                    oracle.doubt(subject);
                }
            }
        }
        Some(())
    }
}

/// Looks at the last tasks.
fn look(clients: &Clients, remote: &Remote) -> Option<()> {
    let page = remote.get("/tasks?state=completed&limit=100").ok()?;
    for task in views::<TaskView>(&page)? {
        lock(&clients.oracle).watch(&task);
    }
    let page = remote.get("/events?limit=20").ok()?;
    views::<EventView>(&page)?;
    thread::sleep(LOOK_PAUSE);
    Some(())
}

fn views<T: for<'de> Deserialize<'de>>(page: &Answer) -> Option<Vec<T>> {
    serde_json::from_slice(&page.body).ok()
}

/// Cancels one of the last tasks, or retries one that was cancelled.
fn change(clients: &Clients, remote: &Remote) -> Option<()> {
    thread::sleep(CHANGE_PAUSE);
    let (number, changing) = {
        let mut oracle = lock(&clients.oracle);
        let submitted = oracle.submitted();
        let back = fastrand::u32(1..40);
        let number = submitted.saturating_sub(back);
        (number, oracle.change(number))
    };
    let Some((id, before)) = changing else {
        return Some(());
    };
    let answer = match before {
        Change::Cancelled => remote.post(&format!("/task/{id}/retry"), &[], Vec::new()),
        _ => remote.delete(&format!("/task/{id}")),
    };
    // Without an answer it stays unsure.
    let answer = answer.ok()?;
    let task = serde_json::from_slice::<TaskView>(&answer.body).ok();
    let mut oracle = lock(&clients.oracle);
    let is_free = matches!(
        (before, answer.status),
        (Change::Cancelled, 202) | (Change::None, 409)
    );
    match (answer.status, task) {
        _ if is_free => oracle.changed(number, Change::None, None),
        (200, Some(task)) => oracle.changed(number, Change::Cancelled, Some(task.attempts)),
        (409, _) => oracle.changed(number, Change::Cancelled, None),
        _ => {}
    }
    Some(())
}
