//! An endpoint worker that answers at once and costs almost nothing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mecha::clock::monotonic;
use smol::channel::{Receiver, Sender, bounded};

use crate::http;

/// Threads that answer, each one connection at a time.
const THREADS: usize = 2;

/// A request that comes slower is dropped.
const READ_PATIENCE: Duration = Duration::from_secs(5);

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 17\r\nconnection: close\r\n\r\n{\"output\":\"LGTM\"}";

/// The worker; it stops on drop.
pub(crate) struct Worker {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// When a task was received; only the first of several that nobody asked for is kept.
    pub(crate) received: Receiver<Instant>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    listener: TcpListener,
    received: Sender<Instant>,
    is_stopped: AtomicBool,
}

impl Worker {
    /// Starts the worker's threads.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let (sender, received) = bounded(1);
        let shared = Arc::new(Shared {
            listener,
            received: sender,
            is_stopped: AtomicBool::new(false),
        });
        let threads = (0..THREADS).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.serve())
        });
        let threads = threads.collect();
        Ok(Self {
            addr,
            received,
            shared,
            threads,
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A connection wakes one thread that waits for one, and maybe another than this.
            while !thread.is_finished() && TcpStream::connect(self.addr).is_ok() {
                thread::yield_now();
            }
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self) {
        while !self.is_stopped.load(Ordering::SeqCst) {
            if let Ok((stream, _)) = self.listener.accept() {
                // A connection that breaks is the server's to report.
                let _ = self.answer(stream);
            }
        }
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(READ_PATIENCE))?;
        let mut buffer = [0; 16 << 10];
        let mut filled = 0;
        loop {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let read = stream.read(room)?;
            if read == 0 {
                return Ok(());
            }
            filled += read;
            if is_whole(buffer.get(..filled).unwrap_or_default())? {
                break;
            }
        }
        if buffer.starts_with(b"POST ") {
            let _ = self.received.try_send(monotonic());
        }
        stream.write_all(ANSWER)
    }
}

fn is_whole(request: &[u8]) -> io::Result<bool> {
    let Some(body_at) = http::body_at(request) else {
        return Ok(false);
    };
    if request.starts_with(b"GET ") {
        return Ok(true);
    }
    let length = http::content_length(request.get(..body_at).unwrap_or_default())?;
    Ok(request.len() >= body_at.saturating_add(length))
}
