//! A body that is made while it is sent.
//!
//! The connection asks for a piece when the one before it is with the socket, so a slow client
//! slows its source and nothing piles up. The transfer coding is made here (RFC 9112, 7.1); for
//! HTTP/1.0, which has none, the body ends with the connection. BOUND: of each body one piece is
//! held, and a client has [`Timing::answer`](super::Timing::answer) to take it. What a source
//! holds beside it, and for how long it goes on, is the source's to bound.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use smol::future::{FutureExt, yield_now};
use smol::stream::{Stream, StreamExt};

use super::connection::attend;
use super::server::Timing;
use super::sweeper::{Cut, Phase};
use super::wire::Wire;

/// The pieces of a body in their order; empty ones are skipped. The stream is dropped when it
/// ends, when it fails, and when its client is gone.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Vec<u8>, Unfinished>> + Send>>;

/// A body's source cannot go on, for a reason that it has logged. The connection is cut without
/// the body's end, so that nobody takes what came for a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished;

/// How a client learns where a streamed body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Each piece is a chunk, and an empty chunk is the end.
    Chunked,
    /// The connection's end is the body's.
    UntilClosed,
}

/// Sends the head `front`, and behind it each piece as it is made, `until` the server reaches that phase: then
/// a client is not waited for any more. A panic of the source is given to `note_panic`.
pub(super) async fn send(
    wire: &Wire,
    timing: &Timing,
    front: &[u8],
    mut pieces: Pieces,
    (coding, until): (Coding, Phase),
    note_panic: impl Fn(&(dyn Any + Send)),
) -> Result<(), Cut> {
    let patience: Duration = timing.answer;
    wire.write_until(until, [front], patience).await?;
    loop {
        let next = Box::pin(AssertUnwindSafe(pieces.next()).catch_unwind());
        let piece = match attend(wire, timing, next).await? {
            Ok(None) => break,
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(Unfinished))) => return Err(Cut::Unfinished),
            Err(panic) => {
                note_panic(panic.as_ref());
                return Err(Cut::Unfinished);
            }
        };
        if piece.is_empty() {
            continue;
        }
        match coding {
            Coding::Chunked => {
                let size = format!("{:x}\r\n", piece.len());
                wire.write_until(until, [size.as_bytes(), &piece, b"\r\n"], patience)
                    .await?;
            }
            Coding::UntilClosed => wire.write_until(until, [&piece], patience).await?,
        }
        // A source and a client that never let the connection wait must let others have their
        // turn.
        yield_now().await;
    }
    match coding {
        Coding::Chunked => wire.write_until(until, [b"0\r\n\r\n"], patience).await,
        Coding::UntilClosed => Ok(()),
    }
}
