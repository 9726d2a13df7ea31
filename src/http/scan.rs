//! The strict reading of a request head: where it ends, and what it says about its own framing.
//!
//! Pure, over bytes. What it accepts has one meaning only: every line ends in CRLF, every byte is
//! printable ASCII, there is one valid `Host`, and at most one way to tell where the body ends. The
//! rules are RFC 9112's, and where that leaves a choice, the stricter one, so that no proxy in
//! front can see other requests in the same bytes. BOUND: a head has at most [`HEAD_MAX`] bytes and
//! [`FIELDS_MAX`] fields, its target at most [`TARGET_MAX`](super::request_line::TARGET_MAX) bytes.

use super::field::{self, Framing};
use super::refusal::{Kind, Refusal};
use super::request::Method;
use super::request_line::{RequestLine, Target, target_too_long};

/// Bytes of a head at most. The rewritten head must stay below the 8,192 that async-h1 takes.
pub(super) const HEAD_MAX: usize = 7_936;
/// Header fields at most; async-h1 takes 128.
pub(super) const FIELDS_MAX: usize = 100;
/// So many fields are compared with those before them at most.
const COMPARED_MAX: usize = 32;
/// A head that passes on more fields than this makes more room for them.
const ROOM: usize = 8;

/// Finds the end of a head in bytes that arrive piece by piece, and looks at each byte once.
#[derive(Debug, Default)]
pub(super) struct HeadEnd {
    /// Bytes that were looked at.
    seen: usize,
    /// How much of CR LF CR LF the last of them are.
    matched: u8,
}

impl HeadEnd {
    /// Looks at what is new in `bytes`, which begin where the head begins: the head's length when
    /// its end is among them. Bytes that can stand in no head are refused at once, so that a
    /// client which speaks something else need not wait for the deadline.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        loop {
            if self.matched == 0 {
                self.seen += plain_length(bytes.get(self.seen..).unwrap_or_default());
            }
            let Some(&byte) = bytes.get(self.seen) else {
                return Ok(None);
            };
            self.seen += 1;
            self.matched = match (byte, self.matched) {
                (b'\r', 0 | 2) | (b'\n', 1 | 3) => self.matched + 1,
                (b'\n', _) => {
                    return Err(Refusal::malformed(
                        "a line of the request head ends in LF alone; it must end in CRLF",
                    ));
                }
                (_, 1 | 3) => {
                    return Err(Refusal::malformed(
                        "the request head has a CR without LF; lines must end in CRLF",
                    ));
                }
                (byte, _) if is_plain(byte) => 0,
                (0x16, 0) if self.seen == 1 => {
                    return Err(Refusal::malformed(
                        "this looks like TLS; the server speaks plain HTTP on this port",
                    ));
                }
                (byte, _) => {
                    return Err(Refusal::malformed(format!(
                        "the request head has the byte 0x{byte:02x}; only printable ASCII and tabs may stand there"
                    )));
                }
            };
            if self.matched == 4 {
                return Ok(Some(self.seen));
            }
        }
    }
}

/// How many bytes at the start of `bytes` may stand within a line of a head: most of one, so they are looked at eight at a time.
fn plain_length(bytes: &[u8]) -> usize {
    let mut ahead = bytes;
    while let Some((word, behind)) = ahead.split_first_chunk()
        && is_printable(u64::from_le_bytes(*word))
    {
        ahead = behind;
    }
    let plain = ahead.iter().position(|byte| !is_plain(*byte));
    bytes.len() - ahead.len() + plain.unwrap_or(ahead.len())
}

/// Whether all eight bytes of `word` are from space to tilde. Where they are, none borrows from another or carries to it.
#[inline]
fn is_printable(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    let below_space = word.wrapping_sub(ONES * 0x20);
    let above_tilde = word.wrapping_add(ONES) | word;
    (below_space | above_tilde) & (ONES * 0x80) == 0
}

/// Whether `byte` may stand within a line of a head.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~')
}

/// The refusal of a head that has no end within [`HEAD_MAX`] bytes.
pub(super) fn too_large(bytes: &[u8]) -> Refusal {
    if bytes.contains(&b'\n') {
        Refusal::new(
            Kind::HeaderTooLarge,
            format!("the request head has more than the {HEAD_MAX} bytes allowed"),
        )
    } else {
        target_too_long()
    }
}

/// A head that holds all rules.
#[derive(Debug)]
pub(super) struct ScannedHead<'a> {
    /// The method.
    pub(super) method: Method,
    /// What the request is for.
    pub(super) target: Target<'a>,
    /// The authority that the client asked for: of an absolute target, else of `Host`
    /// (RFC 9112, 3.2.2). Absent in HTTP/1.0 alone.
    pub(super) host: Option<&'a str>,
    /// Whether the client speaks HTTP/1.0.
    pub(super) is_1_0: bool,
    /// Where the body ends.
    pub(super) framing: Framing,
    /// Whether the client would send a further request on this connection.
    pub(super) persistent: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// The header fields that are passed on, without `Host`; async-h1 is given the same, where it is
    /// asked.
    pub(super) passed_fields: Vec<(&'a str, &'a str)>,
    /// Bytes of the header lines.
    pub(super) lines_length: usize,
}

/// Reads `head`, whose last bytes are the CRLF CRLF that [`HeadEnd`] found.
pub(super) fn scan(head: &[u8]) -> Result<ScannedHead<'_>, Refusal> {
    let head = std::str::from_utf8(head)
        .ok()
        .filter(|head| head.is_ascii() && head.len() <= HEAD_MAX)
        .and_then(|head| head.strip_suffix("\r\n"))
        .ok_or_else(|| Refusal::malformed("the request head is not ASCII text"))?;
    let (request_line, lines) = head
        .split_once('\n')
        .and_then(|(line, lines)| Some((line.strip_suffix('\r')?, lines)))
        .ok_or_else(|| Refusal::malformed("the request head has no request line"))?;
    let line = RequestLine::parse(request_line)?;
    let fields = Fields::read(lines)?;
    if !line.is_1_0 && fields.host.is_none() {
        return Err(Refusal::malformed(
            "the Host header is missing; HTTP/1.1 wants exactly one",
        ));
    }
    Ok(ScannedHead {
        method: line.method,
        target: line.target,
        host: line.authority.or(fields.host),
        is_1_0: line.is_1_0,
        framing: fields.framing(line.is_1_0)?,
        persistent: !fields.close && (!line.is_1_0 || fields.keep_alive),
        // RFC 9110, 10.1.1: an expectation of an HTTP/1.0 client is ignored.
        expects_continue: !line.is_1_0 && fields.expects_continue()?,
        passed_fields: fields.passed,
        lines_length: lines.len(),
    })
}

/// What the header says about framing and the connection.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    content_length: Option<u64>,
    transfer_encoding: Option<&'a str>,
    expect: Option<&'a str>,
    close: bool,
    keep_alive: bool,
    passed: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    fn read(lines: &'a str) -> Result<Self, Refusal> {
        let mut fields = Self {
            passed: Vec::with_capacity(ROOM),
            ..Self::default()
        };
        for (count, line) in split_lines(lines).enumerate() {
            if count == FIELDS_MAX {
                return Err(Refusal::new(
                    Kind::HeaderTooLarge,
                    format!(
                        "the request has more than the {FIELDS_MAX} header fields that are allowed"
                    ),
                ));
            }
            let (name, value) = field::split(line)?;
            fields.take(name, value)?;
            let is = |known: &&str| name.eq_ignore_ascii_case(known);
            if !WITHHELD.iter().any(is) {
                fields.passed.push((name, value));
            }
        }
        Ok(fields)
    }

    fn take(&mut self, name: &'a str, value: &'a str) -> Result<(), Refusal> {
        if name.eq_ignore_ascii_case("host") {
            field::check_host(value)?;
            once(&mut self.host, value, "Host")
        } else if name.eq_ignore_ascii_case("content-length") {
            let length = field::parse_content_length(value)?;
            once(&mut self.content_length, length, "Content-Length")
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            once(&mut self.transfer_encoding, value, "Transfer-Encoding")
        } else if name.eq_ignore_ascii_case("expect") {
            once(&mut self.expect, value, "Expect")
        } else {
            if name.eq_ignore_ascii_case("connection") {
                self.close |= field::list_has(value, "close");
                self.keep_alive |= field::list_has(value, "keep-alive");
            }
            Ok(())
        }
    }

    fn framing(&self, is_1_0: bool) -> Result<Framing, Refusal> {
        match (self.transfer_encoding, self.content_length) {
            (None, None) => Ok(Framing::None),
            (None, Some(length)) => Ok(Framing::Length(length)),
            (Some(_), Some(_)) => Err(Refusal::malformed(
                "the request has Content-Length and Transfer-Encoding; only one of them may stand",
            )),
            (Some(_), None) if is_1_0 => Err(Refusal::malformed(
                "Transfer-Encoding is not part of HTTP/1.0; send Content-Length",
            )),
            (Some(codings), None) => field::check_codings(codings).map(|()| Framing::Chunked),
        }
    }

    fn expects_continue(&self) -> Result<bool, Refusal> {
        match self.expect {
            None => Ok(false),
            Some(value) if value.eq_ignore_ascii_case("100-continue") => Ok(true),
            Some(value) => Err(Refusal::new(
                Kind::ExpectationFailed,
                format!(
                    "the expectation {:?} cannot be met; 100-continue can",
                    field::excerpt(value)
                ),
            )),
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T, name: &str) -> Result<(), Refusal> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::malformed(format!(
            "the {name} header stands there more than once"
        ))),
    }
}

/// The lines of a head, in which CR and LF stand together alone: one byte is found sooner than two.
fn split_lines(lines: &str) -> impl Iterator<Item = &str> {
    lines
        .split_terminator('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// The `Host` that async-h1 is given. It pastes the value into a URL, so it never sees a
/// client's.
const FIXED_HOST: &str = "mecha";

/// Fields that are passed on to nobody: they frame the message or concern the connection, and both
/// are done with when it is asked.
const WITHHELD: [&str; 11] = [
    "host",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "expect",
    "connection",
    "proxy-connection",
    "keep-alive",
    "upgrade",
    "http2-settings",
];

impl ScannedHead<'_> {
    /// Whether a field stands there more than once, or it would take long to say.
    pub(super) fn repeats_a_field(&self) -> bool {
        let fields = &self.passed_fields;
        fields.len() > COMPARED_MAX
            || fields.iter().enumerate().any(|(count, (name, _))| {
                let is = |(known, _): &(&str, &str)| name.eq_ignore_ascii_case(known);
                fields.iter().take(count).any(is)
            })
    }

    /// The message that async-h1 is given: HTTP/1.1, a fixed `Host`, and no body.
    pub(super) fn rewritten(&self) -> Vec<u8> {
        let (path, query) = match self.target {
            Target::Resource { path, query } => (path, query),
            Target::Server => ("/", ""),
        };
        let mut message = Vec::with_capacity(self.lines_length + path.len() + query.len() + 64);
        let question_mark = if query.is_empty() { "" } else { "?" };
        for part in [self.method.as_str(), " ", path, question_mark, query] {
            message.extend_from_slice(part.as_bytes());
        }
        for part in [" HTTP/1.1\r\nhost: ", FIXED_HOST, "\r\n"] {
            message.extend_from_slice(part.as_bytes());
        }
        for (name, value) in &self.passed_fields {
            for part in [name, ":", value, "\r\n"] {
                message.extend_from_slice(part.as_bytes());
            }
        }
        message.extend_from_slice(b"\r\n");
        message
    }
}

#[cfg(test)]
mod tests;
