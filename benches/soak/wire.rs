//! HTTP/1.1 for a client that takes every answer, and for one that misbehaves.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use async_io::{Async, Timer};
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use crate::http::{body_at, content_length};

/// Longer than anything that is asked for waits.
const PATIENCE: Duration = Duration::from_secs(45);

/// Bytes of an answer at most.
const ANSWER_MAX: usize = 16 << 20;

/// What the server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The bytes of a request.
pub(crate) fn request(
    method: &str,
    path: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let length = body.len().to_string();
    if method != "GET" {
        head.extend(["Content-Length: ", &length, "\r\n"]);
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// One connection.
pub(crate) struct Connection {
    stream: Async<TcpStream>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = Async::<TcpStream>::connect(addr).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends bytes, whatever they are.
    pub(crate) async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        in_time((&self.stream).write_all(bytes)).await
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) -> io::Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)
    }

    /// Sends a request and gives its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request).await?;
        self.answer().await
    }

    /// Reads one answer.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        in_time(self.read_answer()).await
    }

    async fn read_answer(&self) -> io::Result<Answer> {
        let mut received = Vec::new();
        let mut piece = vec![0; 16 << 10];
        let whole = loop {
            if let Some(at) = body_at(&received) {
                let head = received.get(..at).unwrap_or_default();
                let length = content_length(head).unwrap_or(0);
                if received.len() >= at.saturating_add(length) {
                    break at;
                }
            }
            let read = (&self.stream).read(&mut piece).await?;
            if read == 0 {
                return Err(io::Error::other("the connection ended within an answer"));
            }
            received.extend(piece.iter().take(read));
            if received.len() > ANSWER_MAX {
                return Err(io::Error::other("the answer is too large"));
            }
        };
        let status = received
            .get(9..12)
            .and_then(|s| std::str::from_utf8(s).ok());
        let status = status.and_then(|status| status.parse().ok());
        Ok(Answer {
            status: status.ok_or_else(|| io::Error::other("the answer has no status"))?,
            body: received.split_off(whole),
        })
    }
}

async fn in_time<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = async {
        Timer::after(PATIENCE).await;
        Err(io::Error::other("no answer in time"))
    };
    future.or(late).await
}
