//! The load generator: keep-alive connections on one thread, each with one request in flight.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use mecha::clock::monotonic;
use smol::LocalExecutor;
use smol::future::FutureExt;
use smol::io::AsyncWriteExt;

use crate::report::per_second;

/// What takes so much longer than planned hangs.
const HANG_TIME: Duration = Duration::from_secs(60);

/// Bytes of room for a reply, which grows to the most that a reply may have.
const REPLY_BYTES: usize = 64 << 10;
const REPLY_BYTES_MAX: usize = 16 << 20;

/// This part of a measurement's time is run before it, unmeasured.
const WARM_UP: u32 = 8;

/// Hexadecimal digits of the number that tells requests apart.
pub(crate) const STAMP_LENGTH: usize = 16;

/// Says how many bytes at the start of what was read are one whole reply, if it is there.
pub(crate) type Framing = fn(&[u8]) -> io::Result<Option<usize>>;

/// What is sent to whom, again and again.
#[derive(Clone)]
pub(crate) struct Load {
    addr: SocketAddr,
    request: Rc<[u8]>,
    framing: Framing,
    connections: usize,
    stamp_at: Option<usize>,
    letters: Range<usize>,
}

/// What a measurement gave.
pub(crate) struct Measured {
    /// Replies per second.
    pub(crate) rate: f64,
    /// Half of the replies took no longer.
    pub(crate) p50: Duration,
    /// 99 of 100 replies took no longer.
    pub(crate) p99: Duration,
}

impl Load {
    /// A request to `addr` on one connection, whose reply `framing` reads and checks.
    pub(crate) fn new(addr: SocketAddr, request: Rc<[u8]>, framing: Framing) -> Self {
        Self {
            addr,
            request,
            framing,
            connections: 1,
            stamp_at: None,
            letters: 0..0,
        }
    }

    /// The same on so many connections at once.
    pub(crate) fn with(&self, connections: usize) -> Self {
        Self {
            connections,
            ..self.clone()
        }
    }

    /// The same with a number of [`STAMP_LENGTH`] digits at that place which differs in each
    /// request.
    pub(crate) fn stamped(&self, at: usize) -> Self {
        Self {
            stamp_at: Some(at),
            ..self.clone()
        }
    }

    /// The same with other random letters in that range of each request, which do not get smaller
    /// on disk.
    pub(crate) fn lettered(&self, letters: Range<usize>) -> Self {
        Self {
            letters,
            ..self.clone()
        }
    }

    /// Sends for `time`, after a short while that is not measured.
    pub(crate) async fn measure(
        &self,
        executor: &LocalExecutor<'static>,
        time: Duration,
    ) -> io::Result<Measured> {
        let from = monotonic() + time / WARM_UP;
        let until = from + time;
        let latencies = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&latencies);
        let exchanged = move |sent: Instant| {
            let now = monotonic();
            if (from..until).contains(&now) {
                sink.borrow_mut().push(now.duration_since(sent));
            }
            now < until
        };
        self.run(executor, exchanged).await?;
        let mut latencies = latencies.take();
        Ok(Measured {
            rate: per_second(latencies.len(), time),
            p50: percentile(&mut latencies, 50),
            p99: percentile(&mut latencies, 99),
        })
    }

    /// Sends `count` requests.
    pub(crate) async fn send(
        &self,
        executor: &LocalExecutor<'static>,
        count: usize,
    ) -> io::Result<()> {
        // Each connection starts with a request, without being asked whether one is left.
        let left = RefCell::new(count.saturating_sub(self.connections));
        let exchanged = move |_| {
            let mut left = left.borrow_mut();
            let goes_on = *left > 0;
            *left = left.saturating_sub(1);
            goes_on
        };
        self.run(executor, exchanged).await
    }

    /// Sends on every connection until `exchanged`, told after each reply when its request was
    /// sent, says no.
    async fn run(
        &self,
        executor: &LocalExecutor<'static>,
        exchanged: impl Fn(Instant) -> bool + 'static,
    ) -> io::Result<()> {
        let exchanged = Rc::new(exchanged);
        let stamps = Rc::new(Cell::new(fastrand::u64(..)));
        let mut tasks = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let mut connection = Connection::open(self.addr, self.framing).await?;
            let exchanged = Rc::clone(&exchanged);
            let (stamps, stamp_at) = (Rc::clone(&stamps), self.stamp_at);
            let (mut request, letters) = (self.request.to_vec(), self.letters.clone());
            let mut random = fastrand::Rng::new();
            tasks.push(executor.spawn(async move {
                loop {
                    if let Some(at) = stamp_at {
                        stamps.set(stamps.get().wrapping_add(1));
                        stamp(&mut request, at, stamps.get());
                    }
                    for byte in request.get_mut(letters.clone()).unwrap_or_default() {
                        *byte = random.u8(b'a'..=b'z');
                    }
                    let sent = monotonic();
                    connection.exchange(&request).await?;
                    if !exchanged(sent) {
                        return io::Result::Ok(());
                    }
                }
            }));
        }
        for task in tasks {
            task.await?;
        }
        Ok(())
    }
}

/// Writes `number` into `request`.
pub(crate) fn stamp(request: &mut [u8], at: usize, number: u64) {
    let digits = format!("{number:0STAMP_LENGTH$x}");
    let place = request.iter_mut().skip(at).take(STAMP_LENGTH);
    for (byte, digit) in place.zip(digits.bytes()) {
        *byte = digit;
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: Async<TcpStream>,
    framing: Framing,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(addr: SocketAddr, framing: Framing) -> io::Result<Self> {
        let stream = Async::<TcpStream>::connect(addr).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(Self {
            stream,
            framing,
            buffer: vec![0; REPLY_BYTES],
        })
    }

    /// Sends a request and gives the bytes of its reply.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        (&self.stream).write_all(request).await?;
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() && filled < REPLY_BYTES_MAX {
                self.buffer.resize(filled.saturating_mul(2), 0);
            }
            // The reply is never there yet, so a read before the wait would be in vain.
            self.stream.readable().await?;
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            match self.stream.get_ref().read(room) {
                Ok(0) => return Err(io::Error::other("the connection ended within a reply")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            let received = self.buffer.get(..filled).unwrap_or_default();
            match (self.framing)(received)? {
                Some(length) if length == filled => break,
                Some(_) => return Err(io::Error::other("more than one reply came")),
                None => {}
            }
        }
        Ok(self.buffer.get(..filled).unwrap_or_default())
    }
}

/// Gives up on `future` when it takes longer than `time` and a minute: something hangs.
pub(crate) async fn patiently<T>(
    time: Duration,
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let given_up = async {
        Timer::after(time.saturating_add(HANG_TIME)).await;
        Err(io::Error::other("nothing more came, the bench is given up"))
    };
    future.or(given_up).await
}

/// The value that `percent` of `values` do not pass.
pub(crate) fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    let rank = values.len().saturating_mul(percent).div_ceil(100);
    let index = rank.saturating_sub(1);
    if index < values.len() {
        *values.select_nth_unstable(index).1
    } else {
        Duration::ZERO
    }
}
