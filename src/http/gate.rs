//! The reading of one request's head from a connection.
//!
//! What comes out of here is checked and bounded; what does not hold the rules comes out as a
//! refusal. Bytes behind the head stay in the connection's inbox. BOUND: a head has at most
//! [`scan::HEAD_MAX`] bytes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use smol::io::{AsyncRead, AsyncWrite};

use super::field::Framing;
use super::refusal::{Kind, Refusal};
use super::request::{Head, Method};
use super::request_line::Target;
use super::scan::{self, HeadEnd, ScannedHead};
use super::server::Timing;
use super::sweeper::Cut;
use super::wire::{KEPT_BUFFER, Wire};

/// Empty lines in front of a request that are skipped (RFC 9112, 2.2).
const EMPTY_LINES_MAX: usize = 4;

/// Why there is no request, or no body.
#[derive(Debug)]
pub(super) enum Stop {
    /// The request is refused.
    Refused(Refusal),
    /// There is nobody to answer.
    Cut(Cut),
    /// The connection was idle, and is to be closed without a word.
    Idle,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Cut> for Stop {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

/// A request's head, and what is needed to read its body and to answer.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The head; `None` for `OPTIONS *`, which no service answers.
    pub(super) head: Option<Head>,
    pub(super) method: Method,
    pub(super) framing: Framing,
    pub(super) is_1_0: bool,
    pub(super) persistent: bool,
    pub(super) expects_continue: bool,
}

/// Reads the next request's head.
pub(super) async fn read_head(wire: &mut Wire, timing: &Timing) -> Result<Incoming, Stop> {
    let mut end = HeadEnd::default();
    let mut empty_lines = 0;
    let mut has_begun = false;
    let length = loop {
        while empty_lines < EMPTY_LINES_MAX && wire.inbox.starts_with(b"\r\n") {
            wire.inbox.drain(..2);
            empty_lines += 1;
        }
        if wire.inbox.is_empty() {
            match wire.first_bytes(timing.idle).await {
                // A client that leaves between requests owes no explanation, however it leaves.
                Ok(0) | Err(_) => return Err(Stop::Idle),
                Ok(_) => has_begun = false,
            }
            continue;
        }
        // A lone CR may become an empty line.
        if wire.inbox != b"\r" {
            let head = wire.inbox.get(..scan::HEAD_MAX).unwrap_or(&wire.inbox);
            if let Some(length) = end.find(head)? {
                break length;
            }
            if wire.inbox.len() >= scan::HEAD_MAX {
                return Err(scan::too_large(&wire.inbox).into());
            }
        }
        if !has_begun {
            has_begun = true;
            wire.deadline.set(timing.head);
        }
        // What there is room for already comes first: a head that is slow must not cost more for that.
        let room = match wire.inbox.capacity() - wire.inbox.len() {
            0 => KEPT_BUFFER.max(wire.inbox.len()),
            spare => spare,
        };
        match wire.fill(room).await {
            Ok(0) => return Err(Refusal::malformed("the request head ended early").into()),
            Ok(_) => {}
            Err(Cut::Expired) => {
                return Err(Refusal::new(
                    Kind::RequestTimeout,
                    format!(
                        "the request head did not arrive within {} s of its first byte",
                        timing.head.as_secs_f64()
                    ),
                )
                .into());
            }
            Err(cut) => return Err(cut.into()),
        }
    };
    wire.deadline.clear();
    let incoming = {
        let scanned = scan::scan(wire.inbox.get(..length).unwrap_or_default())?;
        decode(&scanned)?
    };
    wire.inbox.drain(..length);
    Ok(incoming)
}

/// Reads the fields of a scanned head. What stands for a field that is repeated is left to async-h1; where none is, it has
/// nothing to add to what the scan has found.
pub(super) fn decode(scanned: &ScannedHead<'_>) -> Result<Incoming, Refusal> {
    let head = match scanned.target {
        Target::Server => None,
        Target::Resource { path, query } if scanned.repeats_a_field() => {
            let decoded = decode_message(scanned.rewritten())?;
            let fields = decoded
                .iter()
                .filter(|(name, _)| name.as_str() != "host")
                .flat_map(|(name, values)| {
                    values.iter().map(|value| (name.as_str(), value.as_str()))
                });
            Some(head_of(scanned, (path, query), fields))
        }
        Target::Resource { path, query } => {
            let fields = scanned.passed_fields.iter().copied();
            Some(head_of(scanned, (path, query), fields))
        }
    };
    Ok(Incoming {
        head,
        method: scanned.method,
        framing: scanned.framing,
        is_1_0: scanned.is_1_0,
        persistent: scanned.persistent,
        expects_continue: scanned.expects_continue,
    })
}

/// A head with `fields`, and the host that was asked for.
fn head_of<'a>(
    scanned: &ScannedHead<'a>,
    target: (&str, &str),
    fields: impl Iterator<Item = (&'a str, &'a str)>,
) -> Head {
    let host = scanned.host.map(|host| ("host", host));
    Head::with_room(
        scanned.lines_length,
        scanned.method,
        target,
        fields.chain(host),
    )
}

/// Decodes a message that is whole and in memory. The future is boxed: it holds 4 KiB of parsed
/// header fields.
pub(super) fn decode_message(message: Vec<u8>) -> Result<http_types::Request, Refusal> {
    let mut decoding = Box::pin(async_h1::server::decode(Memory {
        bytes: Arc::new(message),
        at: 0,
    }));
    match decoding
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Ok(Some((request, _no_body)))) => Ok(request),
        Poll::Ready(Err(error)) => {
            log::debug!("async-h1 refused a head that was found right: {error:?}");
            Err(Refusal::malformed("the request head cannot be read"))
        }
        Poll::Ready(Ok(None)) | Poll::Pending => {
            Err(Refusal::malformed("the request head cannot be read"))
        }
    }
}

/// A message in memory, as async-h1 wants to read it. What it writes is dropped: it would only
/// write `100 Continue`, and it never sees an `Expect`.
#[derive(Clone)]
struct Memory {
    bytes: Arc<Vec<u8>>,
    at: usize,
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let read = io::Read::read(&mut rest, buffer)?;
        self.at += read;
        Poll::Ready(Ok(read))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
