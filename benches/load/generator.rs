//! The event loop of the load generator, which shares its cores with what it measures and so has to cost little: one
//! thread, sockets that are registered once, and one buffer for what is sent on all of them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mecha::clock::monotonic;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use smol::unblock;

use crate::client::{Framing, HANG_TIME, REPLY_BYTES_MAX};
use crate::report::per_second;

/// This part of a measurement's time is run before it, unmeasured.
const WARM_UP: u32 = 8;

/// Hexadecimal digits of the number that tells requests apart.
pub(crate) const STAMP_LENGTH: usize = 16;

/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;

/// Events that are looked at together.
const EVENTS_MAX: usize = 256;

/// What is sent to whom, again and again.
#[derive(Clone)]
pub(crate) struct Load {
    addr: SocketAddr,
    request: Arc<[u8]>,
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
    pub(crate) fn new(addr: SocketAddr, request: Arc<[u8]>, framing: Framing) -> Self {
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
    pub(crate) async fn measure(&self, time: Duration) -> io::Result<Measured> {
        let load = self.clone();
        let mut latencies = unblock(move || {
            let from = monotonic() + time / WARM_UP;
            let until = from + time;
            let mut latencies = Vec::new();
            let exchanged = |sent: Instant| {
                let now = monotonic();
                if (from..until).contains(&now) {
                    latencies.push(now.duration_since(sent));
                }
                now < until
            };
            load.run(exchanged)?;
            io::Result::Ok(latencies)
        })
        .await?;
        Ok(Measured {
            rate: per_second(latencies.len(), time),
            p50: percentile(&mut latencies, 50),
            p99: percentile(&mut latencies, 99),
        })
    }

    /// Sends `count` requests.
    pub(crate) async fn send(&self, count: usize) -> io::Result<()> {
        // Each connection starts with a request, without being asked whether one is left.
        let mut left = count.saturating_sub(self.connections);
        let exchanged = move |_| {
            let goes_on = left > 0;
            left = left.saturating_sub(1);
            goes_on
        };
        let load = self.clone();
        unblock(move || load.run(exchanged)).await
    }

    /// Sends on every connection until `exchanged`, told after each reply when its request was sent, says no.
    fn run(&self, mut exchanged: impl FnMut(Instant) -> bool) -> io::Result<()> {
        let mut sender = Sender::new(self)?;
        let mut connections = (0..self.connections)
            .map(|number| Connection::open(self.addr, number, &sender.poller).map(Some))
            .collect::<io::Result<Vec<_>>>()?;
        for connection in connections.iter_mut().flatten() {
            sender.send(connection)?;
        }
        let mut open = connections.len();
        let mut scratch = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let patience = Timespec::try_from(HANG_TIME).map_err(io::Error::other)?;
        while open > 0 {
            epoll::wait(&sender.poller, spare_capacity(&mut events), Some(&patience))?;
            if events.is_empty() {
                return Err(io::Error::other("nothing more came"));
            }
            for epoll::Event { flags, data } in events.drain(..) {
                let number = usize::try_from(data.u64()).unwrap_or(usize::MAX);
                let Some(slot) = connections.get_mut(number) else {
                    continue;
                };
                let Some(connection) = slot else { continue };
                if flags.contains(EventFlags::OUT) {
                    connection.go_on(&sender.poller)?;
                }
                if flags == EventFlags::OUT || !connection.receive(&mut scratch, self.framing)? {
                    continue;
                }
                if exchanged(connection.sent) {
                    sender.send(connection)?;
                } else {
                    // Closed, it leaves the poller, too.
                    *slot = None;
                    open = open.saturating_sub(1);
                }
            }
        }
        Ok(())
    }
}

/// Sends one request after the other, on whichever connection.
struct Sender {
    poller: OwnedFd,
    request: Vec<u8>,
    stamp_at: Option<usize>,
    stamp: u64,
    letters: Range<usize>,
    random: fastrand::Rng,
}

impl Sender {
    fn new(load: &Load) -> io::Result<Self> {
        Ok(Self {
            poller: epoll::create(CreateFlags::CLOEXEC)?,
            request: load.request.to_vec(),
            stamp_at: load.stamp_at,
            stamp: fastrand::u64(..),
            letters: load.letters.clone(),
            random: fastrand::Rng::new(),
        })
    }

    fn send(&mut self, connection: &mut Connection) -> io::Result<()> {
        if let Some(at) = self.stamp_at {
            self.stamp = self.stamp.wrapping_add(1);
            stamp(&mut self.request, at, self.stamp);
        }
        let letters = self.request.get_mut(self.letters.clone());
        for byte in letters.unwrap_or_default() {
            *byte = self.random.u8(b'a'..=b'z');
        }
        connection.send(&self.request, &self.poller)
    }
}

/// A connection with one request in flight.
struct Connection {
    stream: TcpStream,
    /// What the poller calls it.
    data: EventData,
    sent: Instant,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
    /// A reply that is not whole yet.
    received: Vec<u8>,
}

impl Connection {
    fn open(addr: SocketAddr, number: usize, poller: &OwnedFd) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let data = EventData::new_u64(u64::try_from(number).unwrap_or(u64::MAX));
        epoll::add(poller, &stream, data, EventFlags::IN)?;
        Ok(Self {
            stream,
            data,
            sent: monotonic(),
            unsent: Vec::new(),
            received: Vec::new(),
        })
    }

    /// Begins to send a request.
    fn send(&mut self, request: &[u8], poller: &OwnedFd) -> io::Result<()> {
        self.sent = monotonic();
        let written = write(&self.stream, request)?;
        let unsent = request.get(written..).unwrap_or_default();
        if unsent.is_empty() {
            return Ok(());
        }
        self.unsent.extend_from_slice(unsent);
        let flags = EventFlags::IN | EventFlags::OUT;
        Ok(epoll::modify(poller, &self.stream, self.data, flags)?)
    }

    /// Sends more of what the socket did not take.
    fn go_on(&mut self, poller: &OwnedFd) -> io::Result<()> {
        let written = write(&self.stream, &self.unsent)?;
        self.unsent.drain(..written);
        if self.unsent.is_empty() {
            epoll::modify(poller, &self.stream, self.data, EventFlags::IN)?;
        }
        Ok(())
    }

    /// Reads what came. Says whether that made the reply whole.
    fn receive(&mut self, scratch: &mut [u8], framing: Framing) -> io::Result<bool> {
        let read = match self.stream.read(scratch) {
            Ok(0) => return Err(io::Error::other("the connection ended within a reply")),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let came = scratch.get(..read).unwrap_or_default();
        let reply = if self.received.is_empty() {
            came
        } else {
            self.received.extend_from_slice(came);
            &self.received
        };
        match framing(reply)? {
            Some(length) if length == reply.len() => {
                self.received.clear();
                Ok(true)
            }
            Some(_) => Err(io::Error::other("more than one reply came")),
            None if reply.len() > REPLY_BYTES_MAX => Err(io::Error::other("a reply is too large")),
            None => {
                if self.received.is_empty() {
                    self.received.extend_from_slice(came);
                }
                Ok(false)
            }
        }
    }
}

/// How many bytes the socket takes now.
fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        done => done,
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
