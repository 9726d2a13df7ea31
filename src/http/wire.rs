//! One connection's socket: bytes in and out, each wait under the connection's deadline.
//!
//! BOUND: an idle connection keeps at most [`KEPT_BUFFER`] bytes of buffer, and none before its
//! first byte has come.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use async_io::{Async, Timer};
use smol::io::AsyncWrite;

use super::sweeper::{Cut, Deadline, Phase};
use crate::clock::monotonic;

/// Bytes that the first read of a request asks for, and the buffer kept between requests.
pub(super) const KEPT_BUFFER: usize = 2 * 1024;
/// Bytes that a read of a discarded body asks for.
const DISCARD_BUFFER: usize = 16 * 1024;
/// Bytes read and dropped at most before a connection is closed whose client is still sending.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Async<TcpStream>,
    /// Its one deadline.
    pub(super) deadline: Deadline,
    /// Who is at the other end.
    pub(super) peer: SocketAddr,
    /// Bytes that were read and belong to nothing yet; pipelined requests wait here.
    pub(super) inbox: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: Async<TcpStream>, peer: SocketAddr, deadline: Deadline) -> Self {
        // A small answer must not wait for the acknowledgement of the one before.
        if let Err(error) = stream.get_ref().set_nodelay(true) {
            log::debug!("{peer}: TCP_NODELAY cannot be set: {error}");
        }
        Self {
            stream,
            deadline,
            peer,
            inbox: Vec::new(),
        }
    }

    /// Lets the kernel hold `bytes` at most that the client has not taken.
    pub(super) fn limit_send_buffer(&self, bytes: usize) {
        let limited =
            rustix::net::sockopt::set_socket_send_buffer_size(self.stream.get_ref(), bytes);
        if let Err(error) = limited {
            log::debug!("{}: SO_SNDBUF cannot be set: {error}", self.peer);
        }
    }

    /// Waits for the first bytes of a request and reads them into the empty inbox; 0 at the end of
    /// the stream. While it waits there is no buffer of more than [`KEPT_BUFFER`].
    pub(super) async fn first_bytes(&mut self, patience: Duration) -> Result<usize, Cut> {
        self.trim();
        self.deadline.set(patience);
        let (stream, inbox) = (&self.stream, &mut self.inbox);
        // Not read first, as everywhere else: as a rule there is nothing yet.
        let reading = poll_fn(|context| {
            loop {
                ready!(stream.poll_readable(context))?;
                match read_now(stream, inbox, KEPT_BUFFER) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            }
        });
        match self.deadline.guard(Phase::Closing, reading).await {
            Ok(read) => Ok(read?),
            // A request that came just in time is answered.
            Err(Cut::Stopped) => match read_now(&self.stream, &mut self.inbox, KEPT_BUFFER) {
                Ok(read) if read > 0 => Ok(read),
                _ => Err(Cut::Stopped),
            },
            Err(cut) => Err(cut),
        }
    }

    /// Reads what there is of the next request, without waiting. Says whether there is nothing to wait for: some of it
    /// came, or the stream is at its end or broken, which the next read finds again.
    pub(super) fn read_ahead(&mut self) -> bool {
        let read = read_now(&self.stream, &mut self.inbox, KEPT_BUFFER);
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Lets go of the room in the inbox that a long wait should not hold.
    pub(super) fn trim(&mut self) {
        self.inbox.shrink_to(KEPT_BUFFER);
    }

    /// Reads up to `room` bytes behind those in the inbox; 0 at the end of the stream.
    pub(super) async fn fill(&mut self, room: usize) -> Result<usize, Cut> {
        let mut inbox = std::mem::take(&mut self.inbox);
        let read = self.read_behind(&mut inbox, room).await;
        self.inbox = inbox;
        read
    }

    /// Reads up to `room` bytes behind those in `buffer`; 0 at the end of the stream.
    pub(super) async fn read_behind(
        &self,
        buffer: &mut Vec<u8>,
        room: usize,
    ) -> Result<usize, Cut> {
        let reading = poll_fn(|context| {
            loop {
                match read_now(&self.stream, buffer, room) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
                ready!(self.stream.poll_readable(context))?;
            }
        });
        Ok(self.deadline.guard(Phase::Ended, reading).await??)
    }

    /// Writes `parts`, in one call where the socket takes all; `patience` is how long the client
    /// may take to take them.
    pub(super) async fn write_parts<const N: usize>(
        &self,
        parts: [&[u8]; N],
        patience: Duration,
    ) -> Result<(), Cut> {
        self.write_until(Phase::Ended, parts, patience).await
    }

    /// The same, given up when the server reaches `phase`.
    pub(super) async fn write_until<const N: usize>(
        &self,
        phase: Phase,
        parts: [&[u8]; N],
        patience: Duration,
    ) -> Result<(), Cut> {
        let mut slices = parts.map(IoSlice::new);
        let mut left = slices.as_mut_slice();
        // Takes away those in front that are empty.
        IoSlice::advance_slices(&mut left, 0);
        let mut has_deadline = false;
        self.deadline.clear();
        let writing = poll_fn(|context| {
            while !left.is_empty() {
                let mut stream = &self.stream;
                let stream = Pin::new(&mut stream);
                // The kernel does less for a single buffer than for a list of one.
                let written = match &*left {
                    [part, behind @ ..] if behind.iter().all(|part| part.is_empty()) => {
                        stream.poll_write(context, part)
                    }
                    parts => stream.poll_write_vectored(context, parts),
                };
                if written.is_pending() && !has_deadline {
                    has_deadline = true;
                    self.deadline.set(patience);
                }
                let written = ready!(written)?;
                if written == 0 {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
                }
                IoSlice::advance_slices(&mut left, written);
            }
            Poll::Ready(Ok::<(), io::Error>(()))
        });
        self.deadline.guard(phase, writing).await??;
        Ok(())
    }

    /// Waits until the connection is broken, or its client's stream has been at its end for
    /// `patience`: who has sent all of a request may close that direction and take the answer,
    /// but a client that has gone looks the same and must not hold its place.
    pub(super) async fn broken(&self, patience: Duration) -> io::Error {
        let looking = poll_fn(|context| {
            loop {
                if let Err(error) = ready!(self.stream.poll_readable(context)) {
                    return Poll::Ready(Some(error));
                }
                match self.stream.get_ref().peek(&mut [0]) {
                    Ok(0) => return Poll::Ready(None),
                    // A further request: no more can be learned by looking.
                    Ok(_) => return Poll::Pending,
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                        ) => {}
                    Err(error) => return Poll::Ready(Some(error)),
                }
            }
        });
        if let Some(error) = looking.await {
            return error;
        }
        Timer::after(patience).await;
        io::ErrorKind::UnexpectedEof.into()
    }

    /// Closes the connection so that the last answer is not lost.
    ///
    /// A socket that is closed while bytes wait in it sends a reset, which can overtake the answer
    /// and make it vanish at the client. So the direction to the client is closed first, and what
    /// it is still sending is read and dropped: until it closes, too, until nothing comes for
    /// `pause`, or until `total` is over. `rushed`: only if there is something to drop.
    pub(super) async fn close(mut self, rushed: bool, pause: Duration, total: Duration) {
        if self.stream.get_ref().shutdown(Shutdown::Write).is_err() {
            return;
        }
        let may_leave = rushed && self.inbox.is_empty();
        let mut dropped = Vec::new();
        if may_leave {
            match read_now(&self.stream, &mut dropped, 1) {
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
        self.inbox = Vec::new();
        let started = monotonic();
        let mut count = 0;
        while count < LINGER_BYTES_MAX {
            let left = total.saturating_sub(monotonic().duration_since(started));
            if left.is_zero() {
                return;
            }
            self.deadline.set(pause.min(left));
            dropped.clear();
            match self.read_behind(&mut dropped, DISCARD_BUFFER).await {
                Ok(read) if read > 0 => count += read,
                _ => return,
            }
        }
    }
}

fn read_now(stream: &Async<TcpStream>, buffer: &mut Vec<u8>, room: usize) -> io::Result<usize> {
    let length = buffer.len();
    buffer.resize(length + room, 0);
    let read = loop {
        let into = buffer.get_mut(length..).unwrap_or_default();
        match stream.get_ref().read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => break done,
        }
    };
    buffer.truncate(length + read.as_ref().map_or(0, |read| *read));
    read
}
