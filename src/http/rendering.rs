//! The rendering of an answer by async-h1 into the bytes that go out.

use std::borrow::Cow;
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use async_h1::server::Encoder;
use http_types::headers::{self, HeaderName, HeaderValue};
use http_types::{Response, StatusCode};
use smol::io::AsyncRead;

use super::reply::{Body, Reply, header_text};
use super::request::Method;
use crate::budget::Permit;
use crate::clock::Clock;

/// A body up to this size is copied behind its head, so that both go out as one segment; a larger
/// one is written from where it is.
const COPIED_BODY_MAX: usize = 16 * 1024;

/// Bytes of a head that is kept for the next answer, at most.
const KEPT_HEAD_MAX: usize = 1_024;

/// Room for the line of a `location`.
const LOCATION_ROOM: usize = 64;

/// What an answer says about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It stays open, as the version has it by default.
    Implied,
    /// It stays open, which an HTTP/1.0 client has to be told.
    KeepAlive,
    /// It is closed.
    Close,
}

/// An answer as it goes out.
#[derive(Debug)]
pub(super) struct Rendered {
    /// The head, and the body where that is small.
    pub(super) front: Vec<u8>,
    /// The body, where it is not in front.
    pub(super) rest: Body,
    /// Held until the body is written.
    pub(super) _permit: Option<Permit>,
}

/// The status of an answer, which is one that http-types knows.
fn status_of(reply: &Reply) -> StatusCode {
    StatusCode::try_from(reply.status).unwrap_or_else(|_| {
        log::error!(
            "the status {} is unknown to http-types; answered 500 instead",
            reply.status
        );
        StatusCode::InternalServerError
    })
}

/// Whether answers of that status have no body, and say nothing of its length (RFC 9110, 15.3.5 and 15.4.5).
fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NoContent | StatusCode::NotModified)
}

/// Renders the answer to a request of `method`.
pub(super) fn render(mut reply: Reply, method: Method, persistence: Persistence) -> Rendered {
    let status = status_of(&reply);
    let length = match &reply.body {
        Body::Whole(body) => Some(body.len()),
        Body::Pieces(_) => None,
    };
    let copied = length.filter(|length| *length <= COPIED_BODY_MAX);
    let location = take_location(&mut reply.headers);
    let shape = Shape {
        status,
        persistence,
        length,
        second: Clock::system().now().as_millis() / 1_000,
        fields: reply.headers,
    };
    let mut front = Vec::new();
    with_head(shape, |head| {
        front.reserve_exact(head.len() + LOCATION_ROOM + copied.unwrap_or_default());
        front.extend_from_slice(head);
    });
    if let Some(location) = location {
        put_line(&mut front, "location", &location);
    }
    let mut rest = Body::Whole(Vec::new());
    if method != Method::Head && !is_bodiless(status) {
        match reply.body {
            Body::Whole(body) if copied.is_some() => front.extend_from_slice(&body),
            body => rest = body,
        }
    }
    Rendered {
        front,
        rest,
        _permit: reply.permit,
    }
}

/// What the head of an answer is made of, besides its `location`.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    status: StatusCode,
    persistence: Persistence,
    /// Bytes of the body; `None` where they are not known beforehand.
    length: Option<usize>,
    /// The present second since the epoch, which `date` says.
    second: u64,
    /// The other fields.
    fields: Vec<(&'static str, Cow<'static, str>)>,
}

/// Calls `take` with the head of that shape. Most answers have the head of the one before, so the last one is kept.
fn with_head(shape: Shape, take: impl FnOnce(&[u8])) {
    thread_local! {
        static LATEST: RefCell<Option<(Shape, Vec<u8>)>> = const { RefCell::new(None) };
    }
    LATEST.with(|latest| {
        let Ok(mut latest) = latest.try_borrow_mut() else {
            return take(&head_of(&shape));
        };
        match &*latest {
            Some((known, head)) if *known == shape => take(head),
            _ => {
                let head = head_of(&shape);
                take(&head);
                // BOUND: one on each thread, and no long one.
                *latest = Some((shape, head)).filter(|(_, head)| head.len() <= KEPT_HEAD_MAX);
            }
        }
    });
}

fn head_of(shape: &Shape) -> Vec<u8> {
    let mut response = Response::new(shape.status);
    append_fields(&mut response, &shape.fields);
    match shape.persistence {
        Persistence::Implied => {}
        Persistence::KeepAlive => response.append_header(headers::CONNECTION, "keep-alive"),
        Persistence::Close => response.append_header(headers::CONNECTION, "close"),
    }
    if let Some(date) = date(shape.second) {
        response.append_header(headers::DATE, date);
    }
    let is_bodiless = is_bodiless(shape.status);
    if !is_bodiless && shape.length != Some(0) {
        // The encoder needs the length alone: it renders the head, and the body is not copied.
        response.set_body(http_types::Body::from_reader(
            smol::io::empty(),
            shape.length,
        ));
    }
    let mut head = encode_head(response);
    if is_bodiless {
        remove_line(&mut head, b"content-length: 0\r\n");
    }
    head
}

/// Takes away the field that differs from answer to answer.
fn take_location(fields: &mut Vec<(&'static str, Cow<'static, str>)>) -> Option<Cow<'static, str>> {
    let at = fields.iter().position(|(name, _)| *name == "location")?;
    let (_, value) = fields.swap_remove(at);
    Some(value)
}

/// Adds a line to a head that is whole.
fn put_line(head: &mut Vec<u8>, name: &str, value: &str) {
    let value = header_text(value);
    head.truncate(head.len().saturating_sub(b"\r\n".len()));
    for part in [name, ": ", &value, "\r\n\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
}

fn append_fields(response: &mut Response, fields: &[(&'static str, Cow<'static, str>)]) {
    for (name, value) in fields {
        let name = match *name {
            "content-type" => headers::CONTENT_TYPE,
            "content-length" | "transfer-encoding" | "connection" | "date" => continue,
            name if super::field::is_token(name) => HeaderName::from(name),
            name => {
                log::error!("{name:?} is not the name of a header; left out of the answer");
                continue;
            }
        };
        response.append_header(name, &*header_text(value));
    }
}

fn encode_head(response: Response) -> Vec<u8> {
    // With HEAD the encoder ends behind the head.
    let mut encoder = Encoder::new(response, http_types::Method::Head);
    let mut context = Context::from_waker(Waker::noop());
    let mut head = Vec::with_capacity(1_024);
    let mut length = 0;
    loop {
        head.resize(length + 512, 0);
        let room = head.get_mut(length..).unwrap_or_default();
        match Pin::new(&mut encoder).poll_read(&mut context, room) {
            Poll::Ready(Ok(read)) if read > 0 => length += read,
            // The head is rendered in memory: it neither fails nor waits.
            _ => break,
        }
    }
    head.truncate(length);
    head
}

impl Rendered {
    /// The same for an HTTP/1.0 client, which knows no transfer coding (RFC 9112, 6.1).
    pub(super) fn without_coding(mut self) -> Self {
        remove_line(&mut self.front, b"transfer-encoding: chunked\r\n");
        self
    }
}

fn remove_line(head: &mut Vec<u8>, line: &[u8]) {
    if let Some(at) = head.windows(line.len()).position(|window| window == line) {
        head.drain(at..at + line.len());
    }
}

/// A `date` header of that second since the epoch (RFC 9110, 6.6.1).
fn date(second: u64) -> Option<HeaderValue> {
    // A timestamp ends with the year 9999, beyond which http-types panics.
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(second))?;
    Some(http_types::other::Date::new(at).value())
}

#[cfg(test)]
mod tests;
