//! An answer, as the rest of the program makes it.

use std::borrow::Cow;
use std::fmt;

use super::stream::Pieces;
use crate::budget::Permit;

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
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
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
    pub fn stream(status: u16, media_type: &'static str, pieces: Pieces) -> Self {
        Self {
            body: Body::Pieces(pieces),
            ..Self::empty(status)
        }
        .with_header("content-type", media_type)
    }

    /// The same with a body that goes on for as long as the server does: little of it waits for its client,
    /// who is not waited for when the server closes.
    pub fn live_stream(media_type: &'static str, pieces: Pieces) -> Self {
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
        self.with_header("link", format!("<{target}>; rel=\"next\""))
    }

    /// The same with one more header field. Line breaks and other control characters in the
    /// value are dropped when the answer is rendered.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Whether `byte` may stand in the value of a header field (RFC 9110, 5.5).
fn is_header_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}

/// `value` without what must not stand in a header. http-types lets line breaks pass and panics
/// on what is not ASCII.
pub(super) fn header_text(value: &str) -> Cow<'_, str> {
    if value.bytes().all(is_header_byte) {
        return Cow::Borrowed(value);
    }
    let is_kept = |c: &char| u8::try_from(*c).is_ok_and(is_header_byte);
    value.chars().filter(is_kept).collect()
}
