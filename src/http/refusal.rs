//! What the server answers to a request that never reaches the service: status, code and words.

use std::fmt;

use super::reply::Reply;

/// Why a request is refused.
///
/// The connection is closed after each of them: where the next request begins is not known, or
/// not worth waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Which refusal it is.
    pub(super) kind: Kind,
    message: String,
}

/// The refusals there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 400: the message is malformed or contradicts itself.
    BadRequest,
    /// 408: head or body came too slowly.
    RequestTimeout,
    /// 411: the method wants a body, and nothing says how long it is.
    LengthRequired,
    /// 413: the body is larger than allowed.
    BodyTooLarge,
    /// 414: the target is longer than allowed.
    UriTooLong,
    /// 417: `Expect` asks for something else than `100-continue`.
    ExpectationFailed,
    /// 431: the head is larger, or has more fields, than allowed.
    HeaderTooLarge,
    /// 500: the service panicked.
    Internal,
    /// 501: a method or transfer coding that is not implemented.
    NotImplemented,
    /// 503: no memory became free for the body.
    Overloaded,
    /// 505: another major version of HTTP.
    VersionNotSupported,
}

impl Kind {
    /// The status code.
    pub(super) fn status(self) -> u16 {
        self.both().0
    }

    /// The code that programs look at.
    pub(super) fn code(self) -> &'static str {
        self.both().1
    }

    fn both(self) -> (u16, &'static str) {
        match self {
            Self::BadRequest => (400, "bad_request"),
            Self::RequestTimeout => (408, "request_timeout"),
            Self::LengthRequired => (411, "length_required"),
            Self::BodyTooLarge => (413, "body_too_large"),
            Self::UriTooLong => (414, "uri_too_long"),
            Self::ExpectationFailed => (417, "expectation_failed"),
            Self::HeaderTooLarge => (431, "header_too_large"),
            Self::Internal => (500, "internal"),
            Self::NotImplemented => (501, "not_implemented"),
            Self::Overloaded => (503, "overloaded"),
            Self::VersionNotSupported => (505, "version_not_supported"),
        }
    }
}

impl Refusal {
    /// A refusal; `message` names the offending thing and what would be right. Text of the peer
    /// stands in it escaped.
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// 400 with `message`.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    /// The answer to send.
    pub(super) fn reply(&self) -> Reply {
        Reply::error(self.kind.status(), self.kind.code(), &self.message)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, code) = self.kind.both();
        write!(f, "{status} {code}: {}", self.message)
    }
}
