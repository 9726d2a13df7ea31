//! An endpoint worker: a real HTTP server that answers as a test tells it and remembers what it
//! was asked.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::gate::Gate;
use super::time::{now, wait_for};
use super::wire::{Head, Wire};

/// An address of its own for each worker, so that no port that was given up is taken by another
/// test meanwhile: `127.x.y.z`, all of which is loopback.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let [high, low] = number.to_be_bytes();
    let process = std::process::id().to_be_bytes()[3];
    Ipv4Addr::new(127, 1 + process % 200, high, low.max(1))
}

/// An address on which nobody ever listens.
pub(crate) fn unused_address() -> SocketAddr {
    SocketAddr::from((own_address(), 9))
}

/// An attempt that a worker received.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) prompt: String,
    /// The whole body.
    pub(crate) body: Value,
    pub(crate) head: Head,
    pub(crate) at: Instant,
}

/// What a worker does with an attempt.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A well-formed answer.
    Reply {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes, then the last ones again and again until the peer closes.
    Endless(Vec<u8>, Vec<u8>),
    /// The connection is closed without an answer.
    Close,
    /// Nothing, until the peer closes.
    Hang,
}

impl Answer {
    /// 200 with this JSON text.
    pub(crate) fn result(json: &str) -> Self {
        Self::status(200, json)
    }

    /// This status and body.
    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::Reply {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    /// The same with one more header field.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

type Behaviour = dyn Fn(&Attempt) -> Answer + Send + Sync;

struct Shared {
    behaviour: Box<Behaviour>,
    health: AtomicU16,
    probes: Mutex<Vec<Head>>,
    attempts: Mutex<Vec<Attempt>>,
    running: AtomicUsize,
    running_max: AtomicUsize,
    broken_off: AtomicUsize,
    bytes_sent: AtomicUsize,
    is_stopping: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

/// The worker; it stops listening when it is dropped.
pub(crate) struct EndpointWorker {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<thread::JoinHandle<()>>,
}

impl EndpointWorker {
    /// A worker that listens and is healthy.
    pub(crate) fn start(behaviour: impl Fn(&Attempt) -> Answer + Send + Sync + 'static) -> Self {
        let mut worker = Self::stopped(behaviour);
        worker.resume();
        worker
    }

    /// A worker that has an address and does not listen yet.
    pub(crate) fn stopped(behaviour: impl Fn(&Attempt) -> Answer + Send + Sync + 'static) -> Self {
        Self::stopped_on(own_address(), behaviour)
    }

    /// The same on `ip`.
    pub(crate) fn stopped_on(
        ip: Ipv4Addr,
        behaviour: impl Fn(&Attempt) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Box::new(behaviour),
            health: AtomicU16::new(200),
            probes: Mutex::default(),
            attempts: Mutex::default(),
            running: AtomicUsize::new(0),
            running_max: AtomicUsize::new(0),
            broken_off: AtomicUsize::new(0),
            bytes_sent: AtomicUsize::new(0),
            is_stopping: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        Self {
            addr,
            shared,
            acceptor: None,
        }
    }

    /// A worker that completes every task.
    pub(crate) fn obliging() -> Self {
        Self::start(|_| Answer::result(r#"{"output":"done"}"#))
    }

    /// A worker that completes every task with `{}` as soon as `gate` lets its answer pass.
    pub(crate) fn gated(gate: &Gate) -> Self {
        let gate = gate.clone();
        Self::start(move |_| {
            gate.pass();
            Answer::result("{}")
        })
    }

    /// A worker that never answers.
    pub(crate) fn hanging() -> Self {
        Self::start(|_| Answer::Hang)
    }

    /// Listens (again) on its address.
    pub(crate) fn resume(&mut self) {
        let addr = self.addr;
        let listener = wait_for("the worker's address is free", || {
            TcpListener::bind(addr).ok()
        });
        self.shared.is_stopping.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.acceptor = Some(thread::spawn(move || accept(&listener, &shared)));
    }

    /// Stops listening and breaks its connections: from now on it refuses.
    pub(crate) fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which may be gone already.
        let _ = TcpStream::connect(self.addr);
        let _ = acceptor.join();
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// `http://HOST:PORT`
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A `[[worker]]` table for it.
    pub(crate) fn config(&self, name: &str, settings: &str) -> String {
        super::server::endpoint_worker(name, &self.endpoint(), settings)
    }

    /// Answers health probes with this status from now on.
    pub(crate) fn health(&self, status: u16) {
        self.shared.health.store(status, Ordering::SeqCst);
    }

    /// Every health probe so far.
    pub(crate) fn probes(&self) -> Vec<Head> {
        self.shared.probes.lock().unwrap().clone()
    }

    /// Every attempt so far, in the order in which they came.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.shared.attempts.lock().unwrap().clone()
    }

    /// The attempts once there are `count`.
    #[track_caller]
    pub(crate) fn attempts_when(&self, count: usize) -> Vec<Attempt> {
        wait_for(&format!("the worker received {count} attempts"), || {
            Some(self.attempts()).filter(|attempts| attempts.len() >= count)
        })
    }

    /// Attempts that ran at once at most.
    pub(crate) fn running_max(&self) -> usize {
        self.shared.running_max.load(Ordering::SeqCst)
    }

    /// Attempts that the peer broke off.
    pub(crate) fn broken_off(&self) -> usize {
        self.shared.broken_off.load(Ordering::SeqCst)
    }

    /// Bytes that an endless answer got rid of.
    pub(crate) fn bytes_sent(&self) -> usize {
        self.shared.bytes_sent.load(Ordering::SeqCst)
    }
}

impl Drop for EndpointWorker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if let Ok(clone) = stream.try_clone() {
            let mut connections = shared.connections.lock().unwrap();
            // Those that are closed on both sides are forgotten.
            connections.retain(|connection| connection.peer_addr().is_ok());
            connections.push(clone);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let stream_of_thread = stream.try_clone();
            let _ = serve(Wire::new(stream), &shared);
            // The clone above keeps the connection open unless it is shut down.
            if let Ok(stream) = stream_of_thread {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}

/// Answers one request; the connection is closed behind it.
fn serve(mut wire: Wire, shared: &Shared) -> io::Result<()> {
    wire.stream.set_nodelay(true)?;
    wire.stream
        .set_read_timeout(Some(Duration::from_secs(60)))?;
    let Some(head) = wire.head()? else {
        return Ok(());
    };
    let body = wire.body(&head, false)?;
    if head.start_line.starts_with("GET ") && head.start_line.contains("/health HTTP/1.1") {
        shared.probes.lock().unwrap().push(head);
        let status = shared.health.load(Ordering::SeqCst);
        return wire.write(&reply(status, &[], b"{}"));
    }
    if !head.start_line.starts_with("POST ") || !head.start_line.contains("/task HTTP/1.1") {
        return wire.write(&reply(404, &[], b"{}"));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return wire.write(&reply(400, &[], b"{}"));
    };
    let attempt = Attempt {
        id: body["id"].as_str().unwrap_or_default().to_owned(),
        number: body["attempt"].as_u64().unwrap_or_default(),
        prompt: body["prompt"].as_str().unwrap_or_default().to_owned(),
        body,
        head,
        at: now(),
    };
    let running = shared.running.fetch_add(1, Ordering::SeqCst) + 1;
    shared.running_max.fetch_max(running, Ordering::SeqCst);
    shared.attempts.lock().unwrap().push(attempt.clone());
    let answer = (shared.behaviour)(&attempt);
    // Before the answer goes out: behind it the next attempt may start at any moment.
    shared.running.fetch_sub(1, Ordering::SeqCst);
    give(&mut wire, answer, shared)
}

fn give(wire: &mut Wire, answer: Answer, shared: &Shared) -> io::Result<()> {
    match answer {
        Answer::Reply {
            status,
            headers,
            body,
        } => wire.write(&reply(status, &headers, &body)),
        Answer::Raw(bytes) => wire.write(&bytes),
        Answer::Close => Ok(()),
        Answer::Endless(first, again) => {
            wire.write(&first)?;
            loop {
                wire.write(&again)?;
                shared.bytes_sent.fetch_add(again.len(), Ordering::SeqCst);
            }
        }
        Answer::Hang => {
            wire.rest()?;
            shared.broken_off.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
}

fn reply(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
