//! Crowds of peers, in threads of their own so that the client that measures has its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::http;

/// Pause between two bytes of a slow head, and between two small reads of a slow reader.
const PAUSE: Duration = Duration::from_millis(100);

/// Rounds of slowness after which a crowd counts as being there.
const ROUNDS: usize = 5;

/// Connections of a storm at once, in all threads together.
const STORM_CONNECTIONS: usize = 64;

/// Answers that a slow reader asks for in one go: more than the kernel keeps for a socket.
const ANSWERS: usize = 32;

/// What a storm sends.
const GARBAGE: [&[u8]; 4] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /tasks HTTP/1.1\r\nHost: ",
    b"\0\xff\0\xff\0\xff\r\n\r\n\r\n\r\n",
];

/// Who is in the way.
#[derive(Clone, Copy)]
pub(crate) enum Crowd {
    /// Nobody.
    Nobody,
    /// Connections that had an answer and stay.
    Idle(u32),
    /// Connections whose heads come byte by byte, one after another.
    SlowHeads(u32),
    /// Connections that take large answers 1 KiB at a time.
    SlowReaders(u32),
    /// Connections that send garbage and close, over and over.
    Storm {
        /// The threads that do it.
        threads: usize,
    },
}

impl Crowd {
    /// The connections that it keeps open, if it does.
    pub(crate) fn connections(self) -> Option<u32> {
        match self {
            Self::Idle(count) | Self::SlowHeads(count) | Self::SlowReaders(count) => Some(count),
            Self::Nobody | Self::Storm { .. } => None,
        }
    }
}

/// What the threads of a crowd share.
#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    /// Rounds of slowness, or connections of a storm.
    count: AtomicUsize,
}

/// A crowd at work.
pub(crate) struct Acting {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    /// Rounds after which it is there.
    rounds: usize,
    _idle: Vec<TcpStream>,
}

impl Acting {
    /// Lets `crowd` begin; `large` asks for a large answer.
    pub(crate) fn begin(crowd: Crowd, addr: SocketAddr, large: &[u8]) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let mut idles = Vec::new();
        let mut threads = Vec::new();
        let mut rounds = 0;
        match crowd {
            Crowd::Nobody => {}
            Crowd::Idle(count) => {
                idles = (0..count).map(|_| idle(addr)).collect::<io::Result<_>>()?;
            }
            Crowd::SlowHeads(count) => {
                rounds = ROUNDS;
                let streams = (0..count).map(|_| TcpStream::connect(addr));
                let streams = streams.collect::<io::Result<Vec<_>>>()?;
                let shared = Arc::clone(&shared);
                let run = move || send_slowly(streams, &http::get(addr, "/health"), &shared);
                threads.push(thread::spawn(run));
            }
            Crowd::SlowReaders(count) => {
                rounds = ROUNDS;
                let requests = large.repeat(ANSWERS);
                let streams = (0..count).map(|_| asking(addr, &requests));
                let streams = streams.collect::<io::Result<Vec<_>>>()?;
                let shared = Arc::clone(&shared);
                let run = move || read_slowly(streams, &shared);
                threads.push(thread::spawn(run));
            }
            Crowd::Storm { threads: count } => {
                for _ in 0..count {
                    let shared = Arc::clone(&shared);
                    let run = move || storm(addr, STORM_CONNECTIONS / count, &shared);
                    threads.push(thread::spawn(run));
                }
            }
        }
        Ok(Self {
            shared,
            threads,
            rounds,
            _idle: idles,
        })
    }

    /// Whether all of it is in the way.
    pub(crate) fn is_there(&self) -> bool {
        self.count() >= self.rounds
    }

    /// Rounds of slowness, or connections of a storm, so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Ends it; the error says what went wrong with it.
    pub(crate) fn end(mut self) -> io::Result<()> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            ended.map_err(|_| io::Error::other("a thread of a crowd panicked"))??;
        }
        Ok(())
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }
}

/// A connection that had an answer.
fn idle(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    exchange(&mut stream, &http::get(addr, "/health"))?;
    Ok(stream)
}

/// Sends a request and gives its answer, which may be of any size.
pub(crate) fn exchange(stream: &mut TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    let mut answer = Vec::new();
    while http::framing(&answer)?.is_none() {
        let mut some = [0; 4_096];
        match stream.read(&mut some)? {
            0 => return Err(io::Error::other("the server closed within an answer")),
            read => answer.extend(some.iter().take(read)),
        }
    }
    Ok(answer)
}

/// A connection that has asked for more than the kernel keeps for it.
fn asking(addr: SocketAddr, requests: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    set_socket_recv_buffer_size(&stream, 4 << 10)?;
    stream.write_all(requests)?;
    Ok(stream)
}

/// Sends `request` on each connection, a byte in each round, again and again.
fn send_slowly(mut streams: Vec<TcpStream>, request: &[u8], shared: &Shared) -> io::Result<()> {
    for byte in request.iter().cycle() {
        if shared.is_over.load(Ordering::Relaxed) {
            break;
        }
        for stream in &mut streams {
            stream.write_all(&[*byte])?;
        }
        shared.count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Takes up to 1 KiB on each connection in each round.
fn read_slowly(mut streams: Vec<TcpStream>, shared: &Shared) -> io::Result<()> {
    for stream in &streams {
        stream.set_nonblocking(true)?;
    }
    while !shared.is_over.load(Ordering::Relaxed) {
        for stream in &mut streams {
            match stream.read(&mut [0; 1_024]) {
                Ok(0) => return Err(io::Error::other("the server closed on a slow reader")),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        shared.count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Connects, sends garbage and closes, `connections` at once.
fn storm(addr: SocketAddr, connections: usize, shared: &Shared) -> io::Result<()> {
    while !shared.is_over.load(Ordering::Relaxed) {
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            streams.push(TcpStream::connect(addr)?);
        }
        let garbage = GARBAGE
            .iter()
            .cycle()
            .skip(shared.count.load(Ordering::Relaxed) % 4);
        for (mut stream, garbage) in streams.into_iter().zip(garbage) {
            // The server may have closed already.
            let _ = stream.write_all(garbage);
            shared.count.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
