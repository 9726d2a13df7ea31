//! The head of a worker's answer: where it ends, what it says of the body, and what async-h1 is
//! given of it.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use http_types::StatusCode;

use super::Flaw;
use crate::http::field::{self, Framing};

/// The fields that are passed to async-h1, the first of each name, and how many bytes a value may
/// have: all of them together fit its head. A link holds a target, of 4,096 bytes at most here.
const PASSED: [(&str, usize); 2] = [("retry-after", 1_024), ("link", 4_352)];

/// What every answer starts with.
const START: &[u8] = b"HTTP/1.";

/// Tells at the first byte that is wrong that the other side does not speak HTTP/1.
pub(super) fn check_start(head: &[u8]) -> Result<(), Flaw> {
    let length = head.len().min(START.len());
    if head.get(..length) == START.get(..length) {
        return Ok(());
    }
    let start = head.get(..head.len().min(20)).unwrap_or_default();
    Err(Flaw::NotHttp(format!(
        "the answer starts with {:?} where HTTP/1.1 should stand",
        String::from_utf8_lossy(start)
    )))
}

/// Length of the head, whose lines end in LF or CRLF; `new` is where the new bytes begin.
pub(super) fn find_end(head: &[u8], new: usize) -> Option<usize> {
    let from = new.saturating_sub(2);
    let tail = head.get(from..)?;
    let end_of = |pattern: &[u8]| {
        tail.windows(pattern.len())
            .position(|window| window == pattern)
            .map(|at| from + at + pattern.len())
    };
    match (end_of(b"\n\n"), end_of(b"\n\r\n")) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What a head says.
pub(super) struct ScannedAnswer {
    pub(super) status: u16,
    /// Absent where nothing is said.
    pub(super) framing: Option<Framing>,
    /// Whether its version is HTTP/1.0.
    pub(super) is_1_0: bool,
    /// `Connection: keep-alive`.
    pub(super) stays_open: bool,
    /// The fields that async-h1 can read.
    passed: Vec<(&'static str, String)>,
}

pub(super) fn scan(head: &[u8]) -> Result<ScannedAnswer, Flaw> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text
        .split_terminator('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    let (status, is_1_0) = parse_status_line(lines.next().unwrap_or_default())?;
    let mut content_length = None;
    let mut codings: Option<String> = None;
    let mut passed = Vec::new();
    let mut stays_open = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let not_a_field = || {
            Flaw::NotHttp(format!(
                "the answer's header line {:?} is not `name: value`",
                field::excerpt(line)
            ))
        };
        let (name, value) = line.split_once(':').ok_or_else(not_a_field)?;
        if !field::is_token(name) {
            return Err(not_a_field());
        }
        let value = field::trim(value);
        if name.eq_ignore_ascii_case("content-length") {
            take_length(&mut content_length, value)?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            let before = codings.map_or_else(String::new, |before| before + ",");
            codings = Some(before + value);
        } else if name.eq_ignore_ascii_case("connection") {
            let says_so = value.eq_ignore_ascii_case("keep-alive");
            stays_open = Some(says_so && stays_open.unwrap_or(true));
        } else if let Some((known, most)) = known_field(name)
            && value.len() <= most
            && !passed.iter().any(|(before, _)| *before == known)
            && value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'))
        {
            passed.push((known, value.to_owned()));
        }
    }
    let framing = match (codings, content_length) {
        (None, None) => None,
        (None, Some(length)) => Some(Framing::Length(length)),
        (Some(_), Some(_)) => {
            return Err(Flaw::NotHttp(
                "the answer has Content-Length and Transfer-Encoding".to_owned(),
            ));
        }
        (Some(codings), None) if codings.eq_ignore_ascii_case("chunked") => Some(Framing::Chunked),
        (Some(codings), None) => {
            return Err(Flaw::NotHttp(format!(
                "the answer's transfer coding {:?} is not implemented; chunked is",
                field::excerpt(&codings)
            )));
        }
    };
    Ok(ScannedAnswer {
        status,
        framing,
        is_1_0,
        stays_open: stays_open.unwrap_or(false),
        passed,
    })
}

/// The status, and whether the version is HTTP/1.0.
fn parse_status_line(line: &str) -> Result<(u16, bool), Flaw> {
    let not_http = || {
        Flaw::NotHttp(format!(
            "the answer's first line {:?} is not `HTTP/1.1 status reason`",
            field::excerpt(line)
        ))
    };
    let (version, rest) = line.split_once(' ').ok_or_else(not_http)?;
    let minor = version.strip_prefix("HTTP/1.").unwrap_or_default();
    if !matches!(minor.as_bytes(), [b'0'..=b'9']) {
        return Err(not_http());
    }
    let code = rest.split_once(' ').map_or(rest, |(code, _)| code);
    let status = match code.as_bytes() {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => code.parse().map_err(|_| not_http())?,
        _ => return Err(not_http()),
    };
    Ok((status, minor == "0"))
}

/// Takes a length; the same one may stand there again (RFC 9112, 6.3).
fn take_length(place: &mut Option<u64>, value: &str) -> Result<(), Flaw> {
    for value in value.split(',') {
        let length = field::parse_content_length(field::trim(value)).map_err(|_| {
            Flaw::NotHttp(format!(
                "the answer's Content-Length {:?} is not a number of 1 to 19 digits",
                field::excerpt(value)
            ))
        })?;
        if place.is_some_and(|known| known != length) {
            return Err(Flaw::NotHttp(
                "the answer has two different Content-Lengths".to_owned(),
            ));
        }
        *place = Some(length);
    }
    Ok(())
}

/// A field that is passed on, with the bytes that it may have.
fn known_field(name: &str) -> Option<(&'static str, usize)> {
    let mut fields = PASSED.into_iter();
    fields.find(|(known, _)| name.eq_ignore_ascii_case(known))
}

/// What async-h1 reads in a head.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) retry_after: Option<String>,
    pub(super) link: Option<String>,
}

/// Hands the head to async-h1. A status that http-types does not know is passed as 200; what the
/// worker sent is kept.
pub(super) fn decode(scanned: &ScannedAnswer) -> Result<Decoded, Flaw> {
    let status = StatusCode::try_from(scanned.status).unwrap_or(StatusCode::Ok);
    let mut message = format!("HTTP/1.1 {status} {}\r\n", status.canonical_reason());
    for (name, value) in &scanned.passed {
        for part in [name, ": ", value, "\r\n"] {
            message.push_str(part);
        }
    }
    message.push_str("\r\n");
    let reader = smol::io::Cursor::new(message.into_bytes());
    // The future is boxed: it holds 4 KiB of parsed header fields.
    let mut decoding = Box::pin(async_h1::client::decode(reader));
    match decoding
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(Ok(response)) => {
            let value = |name: &str| {
                let values = response.header(name)?;
                values.iter().next().map(|value| value.as_str().to_owned())
            };
            Ok(Decoded {
                retry_after: value("retry-after"),
                link: value("link"),
            })
        }
        Poll::Ready(Err(_)) | Poll::Pending => {
            Err(Flaw::NotHttp("the answer's head cannot be read".to_owned()))
        }
    }
}
