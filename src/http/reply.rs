//! An answer, and its rendering by async-h1 into the bytes that go out.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use async_h1::server::Encoder;
use http_types::headers::{self, HeaderName, HeaderValue};
use http_types::{Response, StatusCode};
use smol::io::AsyncRead;

use super::request::Method;
use super::stream::Pieces;
use crate::budget::Permit;
use crate::clock::Clock;

/// A body up to this size is copied behind its head, so that both go out as one segment; a larger
/// one is written from where it is.
const COPIED_BODY_MAX: usize = 16 * 1024;

/// What an answer carries.
pub enum Body {
    /// Bytes that are there.
    Whole(Vec<u8>),
    /// Bytes that are made while they are sent.
    Pieces(Pieces),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Pieces(_) => f.write_str("Pieces"),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Header fields besides those of framing, `date` and `connection`; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// Held until the body is written.
    pub permit: Option<Permit>,
    /// Whether the body goes on for as long as the server does; see [`Reply::live_stream`].
    pub is_live: bool,
}

impl Reply {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            body: Body::Whole(body),
            ..Self::empty(status)
        }
        .with_header("content-type", "application/json")
    }

    /// The answer that is an HTML document in UTF-8.
    pub fn html(document: Vec<u8>) -> Self {
        Self {
            body: Body::Whole(document),
            ..Self::empty(200)
        }
        .with_header("content-type", "text/html; charset=utf-8")
    }

    /// An answer whose body, of that media type, is made while it is sent.
    pub fn stream(status: u16, media_type: &str, pieces: Pieces) -> Self {
        Self {
            body: Body::Pieces(pieces),
            ..Self::empty(status)
        }
        .with_header("content-type", media_type)
    }

    /// The same with a body that goes on for as long as the server does: little of it waits for its client,
    /// who is not waited for when the server closes.
    pub fn live_stream(media_type: &str, pieces: Pieces) -> Self {
        Self {
            is_live: true,
            ..Self::stream(200, media_type, pieces)
        }
    }

    /// `{"error": message, "code": code}`; 429 and 503 get `retry-after: 1`.
    pub fn error(status: u16, code: &'static str, message: &str) -> Self {
        #[derive(serde::Serialize)]
        struct Error<'a> {
            error: &'a str,
            code: &'a str,
        }
        let error = Error {
            error: message,
            code,
        };
        // Two strings are always JSON.
        let reply = Self::json(status, serde_json::to_vec(&error).unwrap_or_default());
        if matches!(status, 429 | 503) {
            reply.with_header("retry-after", "1")
        } else {
            reply
        }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Whole(Vec::new()),
            permit: None,
            is_live: false,
        }
    }

    /// The same with a `Link` to the page behind it (RFC 8288).
    #[must_use]
    pub fn with_next_page(self, target: &str) -> Self {
        self.with_header("link", &format!("<{target}>; rel=\"next\""))
    }

    /// The same with one more header field. Line breaks and other control characters in the
    /// value are dropped.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, header_text(value)));
        self
    }
}

fn is_header_char(c: char) -> bool {
    matches!(c, ' '..='~' | '\t')
}

/// `value` without what must not stand in a header. http-types lets line breaks pass and panics
/// on what is not ASCII.
fn header_text(value: &str) -> String {
    value.chars().filter(|c| is_header_char(*c)).collect()
}

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

/// Renders the answer to a request of `method`.
pub(super) fn render(reply: Reply, method: Method, persistence: Persistence) -> Rendered {
    let status = StatusCode::try_from(reply.status).unwrap_or_else(|_| {
        log::error!(
            "the status {} is unknown to http-types; answered 500 instead",
            reply.status
        );
        StatusCode::InternalServerError
    });
    // RFC 9110, 15.3.5 and 15.4.5: these have no body, and say nothing of its length.
    let is_bodiless = matches!(status, StatusCode::NoContent | StatusCode::NotModified);
    let mut response = Response::new(status);
    append_fields(&mut response, &reply.headers);
    match persistence {
        Persistence::Implied => {}
        Persistence::KeepAlive => response.append_header(headers::CONNECTION, "keep-alive"),
        Persistence::Close => response.append_header(headers::CONNECTION, "close"),
    }
    if let Some(date) = date() {
        response.append_header(headers::DATE, date);
    }
    let length = match &reply.body {
        Body::Whole(body) => Some(body.len()),
        Body::Pieces(_) => None,
    };
    if !is_bodiless && length != Some(0) {
        // The encoder needs the length alone: it renders the head, and the body is not copied.
        response.set_body(http_types::Body::from_reader(smol::io::empty(), length));
    }
    let copied = length.filter(|length| *length <= COPIED_BODY_MAX);
    let mut front = encode_head(response, copied.unwrap_or_default());
    if is_bodiless {
        remove_line(&mut front, b"content-length: 0\r\n");
    }
    let mut rest = Body::Whole(Vec::new());
    if method != Method::Head && !is_bodiless {
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

fn append_fields(response: &mut Response, fields: &[(&'static str, String)]) {
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
        if value.chars().all(is_header_char) {
            response.append_header(name, value.as_str());
        } else {
            response.append_header(name, header_text(value).as_str());
        }
    }
}

/// The head of `response`, with room for `body_length` bytes more.
fn encode_head(response: Response, body_length: usize) -> Vec<u8> {
    // With HEAD the encoder ends behind the head.
    let mut encoder = Encoder::new(response, http_types::Method::Head);
    let mut context = Context::from_waker(Waker::noop());
    let mut head = Vec::with_capacity(512 + body_length);
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

/// The present second as a `date` header has it, rendered once a second on each thread.
fn date() -> Option<HeaderValue> {
    thread_local! {
        static LATEST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
    }
    // A timestamp ends with the year 9999, beyond which http-types panics.
    let second = Clock::system().now().as_millis() / 1_000;
    LATEST.with(|latest| {
        let mut latest = latest.try_borrow_mut().ok()?;
        match latest.as_ref() {
            Some((known, date)) if *known == second => Some(date.clone()),
            _ => {
                let at = UNIX_EPOCH.checked_add(Duration::from_secs(second))?;
                let date = http_types::other::Date::new(at).value();
                *latest = Some((second, date.clone()));
                Some(date)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(reply: Reply, method: Method, persistence: Persistence) -> (String, String) {
        let rendered = render(reply, method, persistence);
        let Body::Whole(rest) = rendered.rest else {
            panic!("{rendered:?}");
        };
        let bytes = [rendered.front, rest].concat();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let head = head
            .lines()
            .filter(|line| !line.starts_with("date: "))
            .collect::<Vec<_>>()
            .join("\n");
        (head, body.to_owned())
    }

    #[test]
    fn answers_are_rendered_with_their_framing() {
        let json = || Reply::json(200, b"{}".to_vec());
        for (reply, method, persistence, head, body) in [
            (
                json(),
                Method::Get,
                Persistence::Implied,
                "HTTP/1.1 200 OK\ncontent-length: 2\ncontent-type: application/json",
                "{}",
            ),
            (
                json(),
                Method::Head,
                Persistence::Close,
                "HTTP/1.1 200 OK\nconnection: close\ncontent-length: 2\ncontent-type: application/json",
                "",
            ),
            (
                Reply::empty(204),
                Method::Delete,
                Persistence::KeepAlive,
                "HTTP/1.1 204 No Content\nconnection: keep-alive",
                "",
            ),
            (
                Reply::empty(404),
                Method::Get,
                Persistence::Implied,
                "HTTP/1.1 404 Not Found\ncontent-length: 0",
                "",
            ),
            (
                Reply::error(503, "overloaded", "no \"memory\""),
                Method::Post,
                Persistence::Implied,
                "HTTP/1.1 503 Service Unavailable\ncontent-length: 46\ncontent-type: application/json\nretry-after: 1",
                r#"{"error":"no \"memory\"","code":"overloaded"}"#,
            ),
        ] {
            let (found_head, found_body) = rendered(reply, method, persistence);
            // The length is checked against the body below.
            let without_length = |head: &str| {
                head.lines()
                    .filter(|line| !line.starts_with("content-length: 4"))
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            assert_eq!(without_length(&found_head), without_length(head));
            assert_eq!(found_body, body);
            if !body.is_empty() {
                assert!(found_head.contains(&format!("content-length: {}", body.len())));
            }
        }
    }

    #[test]
    fn a_large_body_is_not_copied() {
        let body = vec![b'x'; COPIED_BODY_MAX + 1];
        let at = body.as_ptr();
        let rendered = render(Reply::json(200, body), Method::Get, Persistence::Implied);
        let Body::Whole(rest) = rendered.rest else {
            panic!("it is whole");
        };
        assert_eq!(rest.as_ptr(), at);
        assert!(rendered.front.ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn header_values_can_neither_split_the_answer_nor_panic() {
        let mut reply = Reply::empty(200).with_header("x-a", "b\r\nset-cookie: c\u{e9}\0");
        reply.headers.push(("x-b", "\u{2028}d\ne".to_owned()));
        reply.headers.push(("n\u{e4}me", "x".to_owned()));
        reply.headers.push(("content-length", "7".to_owned()));
        let (head, _) = rendered(reply, Method::Get, Persistence::Implied);
        assert_eq!(
            head,
            "HTTP/1.1 200 OK\ncontent-length: 0\nx-a: bset-cookie: c\nx-b: de"
        );
    }

    #[test]
    fn the_date_is_in_the_preferred_form() {
        let text = date().unwrap().as_str().to_owned();
        assert_eq!(text.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len());
        assert!(text.ends_with(" GMT"), "{text}");
    }

    #[test]
    fn an_unknown_status_becomes_500() {
        let (head, _) = rendered(Reply::empty(299), Method::Get, Persistence::Implied);
        assert!(head.starts_with("HTTP/1.1 500 "));
    }
}
