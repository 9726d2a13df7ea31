//! A client with one connection.

use std::future::Future;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use async_io::{Async, Timer};
use smol::future::FutureExt;
use smol::io::AsyncWriteExt;

/// What takes so much longer than planned hangs.
pub(crate) const HANG_TIME: Duration = Duration::from_secs(60);

/// Bytes of room for a reply, which grows to the most that a reply may have.
const REPLY_BYTES: usize = 64 << 10;
pub(crate) const REPLY_BYTES_MAX: usize = 16 << 20;

/// Says how many bytes at the start of what was read are one whole reply, if it is there.
pub(crate) type Framing = fn(&[u8]) -> io::Result<Option<usize>>;

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
