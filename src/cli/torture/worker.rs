//! The endpoint worker that the server under torture gives its tasks to. It tells the oracle of every
//! attempt before it answers.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_io::Timer;
use smol::Executor;

use super::content::{Content, Said, Subject};
use super::lock;
use super::oracle::Oracle;
use super::view::AttemptView;
use crate::budget::Budget;
use crate::drain::{Cause, Drain};
use crate::http::{Admission, Head, Method, Options, Reply, Request, Server, Service, Timing};

/// Connections at once: more than the worker's concurrency, since those of a server that was killed may
/// still be there.
const CONNECTIONS: usize = 64;

/// Bytes of a request at most.
const REQUEST_MAX: u64 = 4 << 20;

/// Attempts that are refused at most: one of 3,000 is.
const REFUSED_MAX: usize = 100_000;

/// A worker; it stops when it is dropped.
pub(super) struct Worker {
    pub(super) addr: SocketAddr,
    drain: Drain,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts it on a free port of loopback.
    pub(super) fn start(oracle: &Arc<Mutex<Oracle>>) -> io::Result<Self> {
        let server = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = server.local_addr();
        let drain = Drain::new();
        let service = Arc::new(Answering {
            oracle: Arc::clone(oracle),
            refused: Mutex::default(),
        });
        let options = Options {
            connections: CONNECTIONS,
            budget: Budget::new(CONNECTIONS as u64 * REQUEST_MAX),
            timing: Timing::default(),
            grace: Duration::from_millis(100),
        };
        let thread = thread::Builder::new().name("worker".to_owned()).spawn({
            let drain = drain.clone();
            move || {
                let executor = Arc::new(Executor::new());
                let running = server.run(
                    service,
                    options,
                    Arc::clone(&executor),
                    drain,
                    std::future::ready(()),
                );
                smol::block_on(executor.run(running));
            }
        })?;
        Ok(Self {
            addr,
            drain,
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.drain.begin(Cause::Asked);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Answering {
    oracle: Arc<Mutex<Oracle>>,
    /// Attempts that were refused. The server gives a refused attempt's number to the next one, which would
    /// be refused again, and again. BOUND: [`REFUSED_MAX`].
    refused: Mutex<HashSet<(Subject, u64)>>,
}

impl Answering {
    /// What is said to an attempt: each is refused once at most.
    fn said(&self, content: &Content, subject: Subject, attempt: u64) -> Said {
        let said = content.said(subject, attempt);
        if said != Said::Refused {
            return said;
        }
        let mut refused = lock(&self.refused);
        if refused.len() < REFUSED_MAX && refused.insert((subject, attempt)) {
            Said::Refused
        } else {
            Said::Done { after_ms: 0 }
        }
    }
}

impl Service for Answering {
    fn admit(&self, head: &Head) -> Result<Admission, Reply> {
        match (head.method, &*head.path) {
            (Method::Get, "/health") => Ok(Admission::NoBody),
            (Method::Post, "/task") => Ok(Admission::Body(REQUEST_MAX)),
            _ => Err(Reply::empty(404)),
        }
    }

    async fn answer(&self, request: Request) -> Reply {
        if request.head.method == Method::Get {
            return Reply::json(200, b"{}".to_vec());
        }
        let Ok(attempt) = serde_json::from_slice::<AttemptView>(&request.body) else {
            return Reply::empty(400);
        };
        let (subject, said) = {
            let mut oracle = lock(&self.oracle);
            let subject = Content::subject(&attempt.prompt);
            let said = subject.map_or(Said::Rejected, |subject| {
                self.said(&oracle.content, subject, attempt.attempt)
            });
            if said != Said::Refused {
                oracle.attempt(&attempt.prompt, attempt.id, attempt.attempt);
            }
            (subject, said)
        };
        match (said, subject) {
            (Said::Done { after_ms }, Some(subject)) => {
                if after_ms > 0 {
                    Timer::after(Duration::from_millis(after_ms)).await;
                }
                Reply::json(200, Content::result(subject).into_bytes())
            }
            (Said::Broken, _) => Reply::empty(500),
            (Said::Refused, _) => Reply::empty(503).with_header("retry-after", "0"),
            _ => Reply::empty(400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_refused_once() {
        let content = Content::new(1);
        let answering = Answering {
            oracle: Arc::new(Mutex::new(Oracle::new(Content::new(1)))),
            refused: Mutex::default(),
        };
        let refused = (0..1_000_000)
            .map(Subject::Task)
            .find(|subject| content.said(*subject, 1) == Said::Refused);
        let subject = refused.unwrap();
        assert_eq!(answering.said(&content, subject, 1), Said::Refused);
        let then = answering.said(&content, subject, 1);
        assert_eq!(then, Said::Done { after_ms: 0 });
    }
}
