//! How a worker's answer is read, piece by piece as its bytes arrive.
//!
//! Pure, over bytes. A worker may be any HTTP server, so what has one plausible meaning is taken:
//! HTTP/1.0, lone LFs in the head, header values beyond ASCII, any status code, all three ways to
//! end a body. Interim answers are skipped. What async-h1 is given of the head is what it can
//! read without a panic. BOUND: heads have at most [`HEAD_MAX`] bytes together, a body as many as
//! the reader was made for.

use std::fmt;
use std::future::Future;
use std::task::{Context, Poll, Waker};

use http_types::StatusCode;
use http_types::headers::RETRY_AFTER;

use super::body::{ChunkReader, Extensions, Step};
use super::field::{self, Framing};

/// Bytes of all heads of one answer at most: the final one and the interim ones before it.
pub(super) const HEAD_MAX: usize = 32 * 1024;
/// Bytes of one field that is passed to async-h1, so that it takes them all.
const PASSED_FIELD_MAX: usize = 1_024;

/// Why bytes are no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The bytes are not HTTP, or contradict themselves.
    NotHttp(String),
    /// The stream ended before the answer did.
    EndedEarly(String),
    /// The body is larger than allowed.
    TooLarge,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp(why) | Self::EndedEarly(why) => f.write_str(why),
            Self::TooLarge => f.write_str("the answer's body is larger than allowed"),
        }
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Status code, 200 to 999.
    pub(super) status: u16,
    /// Value of `Retry-After`.
    pub(super) retry_after: Option<String>,
    /// The body, framing removed.
    pub(super) body: Vec<u8>,
}

/// Reads one answer.
#[derive(Debug)]
pub(super) struct AnswerReader {
    body_max: u64,
    state: State,
    head: Vec<u8>,
    /// Bytes of interim heads that were skipped.
    skipped: usize,
    parts: Parts,
}

#[derive(Debug)]
enum State {
    Head,
    Length { left: u64 },
    Chunked(ChunkReader),
    UntilEnd,
    Done,
}

impl AnswerReader {
    /// A reader that takes a body of `body_max` bytes.
    pub(super) fn new(body_max: u64) -> Self {
        Self {
            body_max,
            state: State::Head,
            head: Vec::new(),
            skipped: 0,
            parts: Parts::default(),
        }
    }

    /// Bytes of the body so far.
    pub(super) fn body_bytes(&self) -> u64 {
        self.parts.body.len() as u64
    }

    /// Reads on: whether the answer is whole. What stands behind it is left alone.
    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<bool, Flaw> {
        while matches!(self.state, State::Head) {
            let before = self.head.len();
            let room = HEAD_MAX.saturating_sub(self.skipped + before);
            let taken = input.get(..room).unwrap_or(input);
            self.head.extend_from_slice(taken);
            check_start(&self.head)?;
            let Some(length) = find_end(&self.head, before) else {
                if taken.len() < input.len() || taken.len() == room {
                    return Err(Flaw::NotHttp(format!(
                        "the answer's head has more than {HEAD_MAX} bytes"
                    )));
                }
                return Ok(false);
            };
            input = input.get(length - before..).unwrap_or_default();
            self.head.truncate(length);
            self.take_head()?;
        }
        self.feed_body(input)
    }

    /// The stream ended: the answer, if it is whole.
    pub(super) fn finish(mut self) -> Result<Parts, Flaw> {
        let body_bytes = self.body_bytes();
        match self.state {
            State::Done | State::UntilEnd => {
                self.parts.body.shrink_to_fit();
                Ok(self.parts)
            }
            State::Head if self.head.is_empty() && self.skipped == 0 => Err(Flaw::EndedEarly(
                "the connection was closed without an answer".to_owned(),
            )),
            State::Head => Err(Flaw::EndedEarly("the answer's head ended early".to_owned())),
            State::Length { left } => Err(Flaw::EndedEarly(format!(
                "the answer's body ended early, with {body_bytes} of {} bytes",
                body_bytes.saturating_add(left)
            ))),
            State::Chunked(_) => Err(Flaw::EndedEarly(format!(
                "the answer's body ended early, with {body_bytes} bytes and no last chunk"
            ))),
        }
    }

    fn take_head(&mut self) -> Result<(), Flaw> {
        let head = std::mem::take(&mut self.head);
        let scanned = scan(&head)?;
        if scanned.status == 101 {
            return Err(Flaw::NotHttp(
                "the answer switches protocols, which nobody asked for".to_owned(),
            ));
        }
        if scanned.status < 200 {
            self.skipped += head.len();
            return Ok(());
        }
        self.parts.status = scanned.status;
        self.parts.retry_after = decode(&scanned)?;
        self.state = match scanned.framing {
            // RFC 9112, 6.3: these never have a body, whatever their header says.
            _ if matches!(scanned.status, 204 | 304) => State::Done,
            Some(Framing::Length(length)) if length > self.body_max => return Err(Flaw::TooLarge),
            Some(Framing::Length(left)) => State::Length { left },
            Some(Framing::Chunked) => State::Chunked(ChunkReader::new(Extensions::Ignored)),
            Some(Framing::None) | None => State::UntilEnd,
        };
        Ok(())
    }

    fn feed_body(&mut self, mut input: &[u8]) -> Result<bool, Flaw> {
        loop {
            match &mut self.state {
                State::Head | State::Done => return Ok(true),
                State::Length { left } => {
                    let length = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(input.len());
                    *left -= length as u64;
                    let is_whole = *left == 0;
                    if is_whole {
                        self.state = State::Done;
                    }
                    self.append(input.get(..length).unwrap_or_default())?;
                    return Ok(is_whole);
                }
                State::UntilEnd => {
                    self.append(input)?;
                    return Ok(false);
                }
                State::Chunked(reader) => {
                    let (framing, step) = reader
                        .step(input)
                        .map_err(|malformed| Flaw::NotHttp(malformed.to_string()))?;
                    let announced = reader.announced();
                    input = input.get(framing..).unwrap_or_default();
                    match step {
                        Step::Starved => {
                            self.check_room(announced)?;
                            return Ok(false);
                        }
                        Step::Data(length) => {
                            self.append(input.get(..length).unwrap_or_default())?;
                            input = input.get(length..).unwrap_or_default();
                        }
                        Step::End => self.state = State::Done,
                    }
                }
            }
        }
    }

    fn append(&mut self, data: &[u8]) -> Result<(), Flaw> {
        self.check_room(data.len() as u64)?;
        self.parts.body.extend_from_slice(data);
        Ok(())
    }

    fn check_room(&self, more: u64) -> Result<(), Flaw> {
        if more > self.body_max.saturating_sub(self.body_bytes()) {
            return Err(Flaw::TooLarge);
        }
        Ok(())
    }
}

/// What every answer starts with.
const START: &[u8] = b"HTTP/1.";

/// Tells at the first byte that is wrong that the other side does not speak HTTP/1.
fn check_start(head: &[u8]) -> Result<(), Flaw> {
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
fn find_end(head: &[u8], new: usize) -> Option<usize> {
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

struct ScannedAnswer {
    status: u16,
    /// Absent where nothing is said.
    framing: Option<Framing>,
    /// The fields that async-h1 can read.
    passed: Vec<(String, String)>,
}

fn scan(head: &[u8]) -> Result<ScannedAnswer, Flaw> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text
        .split_terminator('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    let status = parse_status_line(lines.next().unwrap_or_default())?;
    let mut content_length = None;
    let mut codings: Option<String> = None;
    let mut passed = Vec::new();
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
        } else if name.eq_ignore_ascii_case("retry-after")
            && value.len() <= PASSED_FIELD_MAX
            && passed.is_empty()
            && value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'))
        {
            passed.push((name.to_owned(), value.to_owned()));
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
        passed,
    })
}

fn parse_status_line(line: &str) -> Result<u16, Flaw> {
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
    match code.as_bytes() {
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => code.parse().map_err(|_| not_http()),
        _ => Err(not_http()),
    }
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

/// Hands the head to async-h1: the value of `Retry-After`. A status that http-types does not
/// know is passed as 200; what the worker sent is kept.
fn decode(scanned: &ScannedAnswer) -> Result<Option<String>, Flaw> {
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
        Poll::Ready(Ok(response)) => Ok(response
            .header(RETRY_AFTER)
            .and_then(|values| values.iter().next())
            .map(|value| value.as_str().to_owned())),
        Poll::Ready(Err(_)) | Poll::Pending => {
            Err(Flaw::NotHttp("the answer's head cannot be read".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
