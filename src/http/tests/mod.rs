//! The server over real sockets, with a service made for the purpose.

mod cuts;
mod differential;
mod direct;
mod framing;
mod lifecycle;
mod limits;
mod streams;
#[path = "../../../tests/traffic/mod.rs"]
mod traffic;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use event_listener::Event;
use smol::Executor;

use super::*;
use crate::budget::Budget;
use crate::drain::{Cause, Drain};

/// Answers by path: `/panic`, `/admit-panic`, `/forbidden`, `/wait` (until released), `/large`,
/// `/stream/...`; everything else with what was asked.
#[derive(Default)]
struct Toy {
    entered: Arc<Event>,
    released: Event,
    dropped: Arc<Event>,
    /// Pieces of streams that were made.
    made: Arc<AtomicUsize>,
}

/// Tells that it was dropped.
struct Noticed(Arc<Event>);

impl Drop for Noticed {
    fn drop(&mut self) {
        self.0.notify(usize::MAX);
    }
}

/// Bytes that a body may have.
const LIMIT: u64 = 100_000;
/// Bytes that `/large` answers.
const LARGE: usize = 20_000_000;

impl Service for Toy {
    fn admit(&self, head: &Head) -> Result<Admission, Reply> {
        match &*head.path {
            "/forbidden" => Err(Reply::error(403, "forbidden", "not for you")),
            "/bodiless" => Ok(Admission::NoBody),
            "/admit-panic" => panic!("at the head"),
            _ => Ok(Admission::Body(LIMIT)),
        }
    }

    async fn answer(&self, request: Request) -> Reply {
        let head = &request.head;
        match &*head.path {
            "/panic" => panic!("in the handler"),
            "/wait" => {
                let released = self.released.listen();
                let _noticed = Noticed(Arc::clone(&self.dropped));
                self.entered.notify(usize::MAX);
                released.await;
                Reply::json(200, b"\"released\"".to_vec())
            }
            "/large" => Reply::json(200, vec![b'x'; LARGE]),
            "/gone" => Reply::empty(204),
            path if path.starts_with("/stream/live/") => {
                Reply::live_stream("text/plain", streams::pieces(self, path))
            }
            path if path.starts_with("/stream/") => {
                Reply::stream(200, "text/plain", streams::pieces(self, path))
            }
            path => {
                let host = head.header("host").unwrap_or("none");
                let body = String::from_utf8_lossy(&request.body);
                let body = if body.len() > 200 {
                    body.len().to_string().into()
                } else {
                    body
                };
                let text = format!(
                    "{} {path} {} {host} {body}",
                    head.method.as_str(),
                    head.query
                );
                Reply::json(200, text.into_bytes())
            }
        }
    }
}

/// Shorter times than a server has, so that tests need not wait.
fn timing() -> Timing {
    Timing {
        head: Duration::from_millis(150),
        body: Duration::from_millis(150),
        body_pause: Duration::from_millis(150),
        budget: Duration::from_millis(100),
        reservation: Duration::from_millis(50),
        watch: Duration::from_millis(20),
        half_closed: Duration::from_millis(200),
        linger_pause: Duration::from_millis(200),
        linger: Duration::from_secs(2),
        ..Timing::default()
    }
}

fn options() -> Options {
    Options {
        connections: 100,
        budget: Budget::new(1_000_000),
        timing: timing(),
        grace: Duration::from_secs(5),
    }
}

/// A server that is drained when it is dropped.
struct Running {
    addr: SocketAddr,
    toy: Arc<Toy>,
    stats: Arc<Stats>,
    drain: Drain,
    /// Comes when the program has settled.
    settled: Arc<Event>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    fn start() -> Self {
        Self::with(options())
    }

    fn with(options: Options) -> Self {
        let server = Server::bind("127.0.0.1:0".parse().unwrap())
            .unwrap()
            .with_tick(Duration::from_millis(10));
        let addr = server.local_addr();
        let stats = server.stats();
        let toy = Arc::new(Toy::default());
        let drain = Drain::new();
        let settled = Arc::new(Event::new());
        let executor = Arc::new(Executor::new());
        let (ended, end) = smol::channel::bounded::<()>(1);
        let mut threads = vec![thread::spawn({
            let (executor, end) = (Arc::clone(&executor), end.clone());
            move || {
                smol::block_on(executor.run(end.recv())).ok();
            }
        })];
        threads.push(thread::spawn({
            let (toy, drain, settled) = (Arc::clone(&toy), drain.clone(), Arc::clone(&settled));
            let settling = settled.listen();
            move || {
                let running = server.run(toy, options, Arc::clone(&executor), drain, settling);
                smol::block_on(executor.run(running));
                drop(ended);
            }
        }));
        Self {
            addr,
            toy,
            stats,
            drain,
            settled,
            threads,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Everything that is answered to `bytes`, after which no more are sent.
    fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        rest(&mut stream)
    }

    /// Everything that is answered to `bytes` until the server closes.
    fn ask_until_closed(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        rest(&mut stream)
    }

    /// Waits until the server has ended.
    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.drain.begin(Cause::Asked);
        self.settled.notify(usize::MAX);
        self.toy.released.notify(usize::MAX);
        if !thread::panicking() {
            self.join();
        }
    }
}

/// All that comes until the end of the stream.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// One answer: status and body.
fn one(stream: &mut TcpStream) -> (u16, String) {
    let (head, body) = one_whole(stream);
    (head.get(9..12).unwrap().parse().unwrap(), body)
}

/// One answer: head and body.
fn one_whole(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// Status codes of the answers in `text`.
fn statuses(text: &str) -> Vec<&str> {
    text.match_indices("HTTP/1.1 ")
        .map(|(at, _)| &text[at + 9..at + 12])
        // The text of a refusal may name the version, too.
        .filter(|status| status.bytes().all(|b| b.is_ascii_digit()))
        .collect()
}

/// Checks that `text` is one refusal with that status and code, and says that it closes.
#[track_caller]
fn assert_refused(text: &str, status: u16, code: &str) {
    assert_eq!(statuses(text), [status.to_string()], "{text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("connection: close"), "{text}");
    assert!(head.contains("content-type: application/json"), "{text}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["code"], code, "{text}");
    assert!(!body["error"].as_str().unwrap().is_empty());
}
