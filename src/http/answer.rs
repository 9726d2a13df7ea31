//! How a worker's answer is read, piece by piece as its bytes arrive.
//!
//! Pure, over bytes. A worker may be any HTTP server, so what has one plausible meaning is taken:
//! HTTP/1.0, lone LFs in the head, header values beyond ASCII, any status code, all three ways to
//! end a body. Interim answers are skipped. What async-h1 is given of the head is what it can
//! read without a panic. BOUND: heads have at most [`HEAD_MAX`] bytes together, a body as many as
//! the reader was made for.

mod head;

use std::fmt;

use self::head::{check_start, decode, find_end, scan};
use super::body::{ChunkReader, Extensions, Step};
use super::field::Framing;

/// Bytes of all heads of one answer at most: the final one and the interim ones before it.
pub(super) const HEAD_MAX: usize = 32 * 1024;

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
    /// Value of `Link`.
    pub(super) link: Option<String>,
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
    /// Bytes of the body that came.
    received: u64,
    parts: Parts,
    stays_open: bool,
    is_1_0: bool,
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
            received: 0,
            parts: Parts::default(),
            stays_open: false,
            is_1_0: false,
        }
    }

    /// Bytes of the body so far.
    pub(super) fn body_bytes(&self) -> u64 {
        self.received
    }

    /// The status; 0 before the head has come.
    pub(super) fn status(&self) -> u16 {
        self.parts.status
    }

    /// Whether the answer is whole, nothing has come behind it, and the other side says that it keeps the connection open.
    pub(super) fn stays_open(&self) -> bool {
        self.is_whole() && self.stays_open
    }

    /// Whether the body ends with the connection, which HTTP/1.1 has other means for.
    pub(super) fn has_no_end(&self) -> bool {
        !self.is_1_0 && matches!(self.state, State::UntilEnd)
    }

    /// What came of the body since it was taken last.
    pub(super) fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.parts.body)
    }

    /// Whether the body has come to its end.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.state, State::Done)
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

    /// The stream ended: the answer, or what is left of it, if it is whole.
    pub(super) fn finish(mut self) -> Result<Parts, Flaw> {
        self.end()?;
        self.parts.body.shrink_to_fit();
        Ok(self.parts)
    }

    /// The stream ended: whether the answer is whole.
    pub(super) fn end(&mut self) -> Result<(), Flaw> {
        let body_bytes = self.body_bytes();
        match self.state {
            State::Done | State::UntilEnd => {
                self.state = State::Done;
                Ok(())
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
        self.stays_open = scanned.stays_open;
        self.is_1_0 = scanned.is_1_0;
        let decoded = decode(&scanned)?;
        self.parts.retry_after = decoded.retry_after;
        self.parts.link = decoded.link;
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
                State::Head | State::Done => {
                    self.stays_open &= input.is_empty();
                    return Ok(true);
                }
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
                    input = input.get(length..).unwrap_or_default();
                    if !is_whole {
                        return Ok(false);
                    }
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
        self.received = self.received.saturating_add(data.len() as u64);
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

#[cfg(test)]
mod tests;
