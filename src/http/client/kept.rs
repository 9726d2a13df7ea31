//! Connections to a worker that it keeps open for the next request.
//!
//! To connect and to close takes longer than all else that a request to a worker on the same host takes of the processor.
//! Only a worker that says `Connection: keep-alive` when it is asked for it has its connections kept. One that has none of that in
//! mind may serve a single connection at a time, or end its answers by closing. What its look at `/health` answers tells.
//!
//! BOUND: [`KEPT_MAX`] connections, none of them for longer than [`KEPT_FOR`] without a request.

use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use event_listener::Event;

use crate::clock::monotonic;
use crate::worker::Endpoint;

/// Connections without a request at most.
const KEPT_MAX: usize = 64;

/// How long one is kept without a request. Servers keep theirs for some seconds, so this end closes first, and a request
/// does not meet a connection that is being closed.
const KEPT_FOR: Duration = Duration::from_millis(500);

/// Whether the connection of a request may serve other requests, too.
#[derive(Clone, Copy, Debug)]
pub enum Reuse<'a> {
    /// It is closed behind the answer.
    Never,
    /// It is closed, but the worker is asked whether it would keep it open. The body of its answer may be missing.
    Asked(&'a Kept),
    /// It is kept, and one that was kept is used, if the worker has said so.
    Offered(&'a Kept),
}

impl<'a> Reuse<'a> {
    /// Where connections are kept for this request.
    pub(super) fn kept(self) -> Option<&'a Kept> {
        match self {
            Self::Offered(kept) if kept.is_offered() => Some(kept),
            _ => None,
        }
    }

    /// The value of `Connection`.
    pub(super) fn header(self) -> &'static str {
        if matches!(self, Self::Asked(_)) || self.kept().is_some() {
            "keep-alive"
        } else {
            "close"
        }
    }
}

/// The connections to one worker that wait for its next request.
#[derive(Debug, Default)]
pub struct Kept {
    /// The worker keeps connections open.
    is_offered: AtomicBool,
    /// The oldest first.
    idle: Mutex<Vec<Idle>>,
    /// There was none, and now there is one.
    first: Event,
}

#[derive(Debug)]
struct Idle {
    stream: Async<TcpStream>,
    endpoint: Endpoint,
    since: Instant,
}

impl Idle {
    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= KEPT_FOR
    }
}

impl Kept {
    /// Notes whether the worker keeps connections open.
    pub(super) fn offer(&self, is_offered: bool) {
        self.is_offered.store(is_offered, Ordering::Relaxed);
    }

    fn is_offered(&self) -> bool {
        self.is_offered.load(Ordering::Relaxed)
    }

    /// One to `endpoint` that is still open, the last one that was used first.
    pub(super) fn take(&self, endpoint: &Endpoint) -> Option<Async<TcpStream>> {
        let now = monotonic();
        loop {
            let idle = self.lock().pop()?;
            if !idle.is_old(now) && idle.endpoint == *endpoint && is_silent(&idle.stream) {
                return Some(idle.stream);
            }
        }
    }

    /// Keeps one to `endpoint`, on which an answer has come to its end.
    pub(super) fn put(&self, stream: Async<TcpStream>, endpoint: &Endpoint) {
        let mut idle = self.lock();
        if idle.len() >= KEPT_MAX {
            return;
        }
        idle.push(Idle {
            stream,
            endpoint: endpoint.clone(),
            since: monotonic(),
        });
        let is_first = idle.len() == 1;
        drop(idle);
        if is_first {
            self.first.notify(usize::MAX);
        }
    }

    /// Closes those that have waited too long, for ever.
    pub async fn tend(&self) {
        loop {
            let first = self.first.listen();
            let oldest = self.lock().first().map(|idle| idle.since);
            match oldest {
                Some(since) => {
                    let age = monotonic().saturating_duration_since(since);
                    Timer::after(KEPT_FOR.saturating_sub(age)).await;
                }
                None => first.await,
            }
            let now = monotonic();
            let mut idle = self.lock();
            let count = idle.partition_point(|idle| idle.is_old(now));
            let closed: Vec<_> = idle.drain(..count).collect();
            drop(idle);
            drop(closed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the other side has neither closed it nor sent anything.
fn is_silent(stream: &Async<TcpStream>) -> bool {
    let peeked = stream.get_ref().peek(&mut [0]);
    matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use smol::future::FutureExt;

    use super::*;
    use crate::budget::Budget;
    use crate::http::Method;
    use crate::http::client::tests::request;
    use crate::http::client::{Answer, Error, Outgoing, send};

    const KEPT_OPEN: &str =
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}";

    /// A worker that answers every request with `answer`, and keeps connections open whatever that says.
    struct Server {
        endpoint: Endpoint,
        accepted: Arc<AtomicUsize>,
        closed: Arc<AtomicUsize>,
    }

    impl Server {
        fn start(answer: &'static str) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let endpoint = Endpoint {
                host: "127.0.0.1".to_owned(),
                port: listener.local_addr().unwrap().port(),
                path: String::new(),
            };
            let [accepted, closed] = [0, 0].map(|_| Arc::new(AtomicUsize::new(0)));
            let counts = (Arc::clone(&accepted), Arc::clone(&closed));
            thread::spawn(move || {
                for stream in listener.incoming() {
                    counts.0.fetch_add(1, Ordering::SeqCst);
                    let (stream, closed) = (stream.unwrap(), Arc::clone(&counts.1));
                    thread::spawn(move || {
                        let mut reader = BufReader::new(&stream);
                        while take_request(&mut reader) {
                            (&stream).write_all(answer.as_bytes()).unwrap();
                        }
                        closed.fetch_add(1, Ordering::SeqCst);
                    });
                }
            });
            Self {
                endpoint,
                accepted,
                closed,
            }
        }

        fn ask(&self, reuse: Reuse<'_>) -> Result<Answer, Error> {
            let request = Outgoing {
                method: Method::Post,
                body: Some(b"{}".to_vec()),
                reuse,
                path: "/task",
                ..request(&self.endpoint)
            };
            smol::block_on(send(request, &Budget::new(1 << 20)))
        }

        fn accepted(&self) -> usize {
            self.accepted.load(Ordering::SeqCst)
        }

        /// Waits until it has seen so many connections end.
        fn wait_for_closed(&self, count: usize) {
            let begun = monotonic();
            while self.closed.load(Ordering::SeqCst) < count {
                assert!(begun.elapsed() < Duration::from_secs(20), "not closed");
                thread::yield_now();
            }
        }
    }

    /// Reads a request with a body of two bytes; `false` at the end of the stream.
    fn take_request(reader: &mut impl BufRead) -> bool {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or_default() == 0 {
                return false;
            }
        }
        reader.read_exact(&mut [0; 2]).is_ok()
    }

    #[test]
    fn a_worker_that_offers_it_is_asked_on_one_connection() {
        let (server, kept) = (Server::start(KEPT_OPEN), Kept::default());
        for count in 1..4 {
            server.ask(Reuse::Offered(&kept)).unwrap();
            assert_eq!(server.accepted(), count, "it has not said so");
        }
        server.ask(Reuse::Asked(&kept)).unwrap();
        server.wait_for_closed(4);
        for _ in 0..5 {
            let answer = server.ask(Reuse::Offered(&kept)).unwrap();
            assert_eq!(answer.body, b"{}");
            assert_eq!(server.accepted(), 5);
        }
        server.ask(Reuse::Never).unwrap();
        assert_eq!(server.accepted(), 6);
    }

    #[test]
    fn a_connection_is_closed_where_the_answer_does_not_say_that_it_stays_open() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nConnection: keep-alive, upgrade\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}H",
            "HTTP/1.1 204 x\r\nConnection: keep-alive\r\n\r\nH",
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nH",
        ] {
            let (server, kept) = (Server::start(answer), Kept::default());
            kept.offer(true);
            for count in 1..4 {
                server.ask(Reuse::Offered(&kept)).unwrap();
                server.wait_for_closed(count);
            }
        }
    }

    #[test]
    fn whoever_is_asked_and_does_not_say_where_its_answer_ends_is_not_waited_for() {
        let (server, kept) = (Server::start("HTTP/1.1 200 OK\r\n\r\n{}"), Kept::default());
        assert_eq!(server.ask(Reuse::Asked(&kept)).unwrap().status, 200);
        assert!(!kept.is_offered());
    }

    #[test]
    fn one_that_the_worker_has_closed_is_not_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let connect = || Async::new(TcpStream::connect(addr).unwrap()).unwrap();
        let [here, there] = ["here", "there"].map(|path| Endpoint {
            host: addr.ip().to_string(),
            port: addr.port(),
            path: path.to_owned(),
        });
        let kept = Kept::default();
        kept.put(connect(), &here);
        assert!(kept.take(&there).is_none());
        assert!(kept.take(&here).is_none(), "it was for another root");
        kept.put(connect(), &here);
        assert!(kept.take(&here).is_some());
        kept.put(connect(), &here);
        drop(listener);
        smol::block_on(async {
            while kept.take(&here).is_some_and(|stream| {
                kept.put(stream, &here);
                true
            }) {
                smol::future::yield_now().await;
            }
        });
    }

    #[test]
    fn there_are_so_many_at_most_and_each_for_its_time() {
        let (server, kept) = (Server::start(KEPT_OPEN), Kept::default());
        let addr = (server.endpoint.host.as_str(), server.endpoint.port);
        for _ in 0..=KEPT_MAX {
            let stream = TcpStream::connect(addr).unwrap();
            kept.put(Async::new(stream).unwrap(), &server.endpoint);
        }
        assert_eq!(kept.lock().len(), KEPT_MAX);
        let closed = smol::unblock(move || server.wait_for_closed(KEPT_MAX + 1));
        smol::block_on(kept.tend().or(closed));
        assert!(kept.lock().is_empty());
    }
}
