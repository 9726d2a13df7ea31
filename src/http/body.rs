//! The reading of a chunked body (RFC 9112, 7.1), piece by piece as its bytes arrive.
//!
//! Pure: the reader is shown bytes and says which of them are framing and which are data; it holds
//! none itself. BOUND: a chunk's size has at most 16 digits, a chunk's extensions
//! [`EXTENSION_MAX`] bytes, the trailer section [`TRAILER_MAX`] bytes.

use std::fmt;

/// Bytes of one chunk's extensions at most, where they are allowed.
pub(super) const EXTENSION_MAX: u16 = 256;
use super::field::is_token_byte;

/// Bytes of the trailer section at most. It is read and dropped.
pub(super) const TRAILER_MAX: u16 = 1_024;
/// Digits of a chunk's size at most: as many as a `u64` takes.
const SIZE_DIGITS_MAX: u8 = 16;

/// Whether a chunk's size may be followed by extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extensions {
    /// They make the body malformed.
    Refused,
    /// They are skipped.
    Ignored,
}

/// Reads one chunked body.
#[derive(Debug)]
pub(super) struct ChunkReader {
    state: State,
    extensions: Extensions,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In a size, of which so many digits came.
    Size { digits: u8, value: u64 },
    /// Behind a size, in its extensions, of which so many bytes came.
    Extension { value: u64, bytes: u16 },
    /// Behind the CR of a size line.
    SizeEnd { value: u64 },
    /// In data, of which so much is to come.
    Data { left: u64 },
    /// Behind data, where CR is due.
    DataEnd,
    /// Behind data and CR.
    DataEndLf,
    /// In the trailer section, of which so many bytes came.
    Trailer { bytes: u16, part: Part },
    /// Behind a CR in the trailer section, which ended an empty line or a field.
    TrailerLf { bytes: u16, is_empty: bool },
    /// Behind the body.
    End,
}

/// The part of a trailer field that comes next (RFC 9112, 5).
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The first character of its name, or the empty line that ends the section.
    Start,
    /// More of its name, or the colon.
    Name,
    /// More of its value.
    Value,
}

/// What follows the framing that [`ChunkReader::step`] skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: all bytes were framing, and more must come.
    Starved,
    /// So many bytes of data; the reader goes on behind them.
    Data(usize),
    /// The body's end. What follows belongs to the next message.
    End,
}

/// The body is not in chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// A byte that is no hexadecimal digit where a chunk's size must stand.
    Size(u8),
    /// A chunk's size of more than 16 digits.
    SizeTooLong,
    /// An extension where none is allowed, or one that is too long.
    Extension,
    /// Something else than CRLF behind a size, data or a trailer.
    LineEnd(u8),
    /// A byte in the trailer section that makes it no list of fields.
    Trailer(u8),
    /// A trailer section that is too long.
    TrailerTooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(byte) => write!(
                f,
                "the chunked body has the byte 0x{byte:02x} where a chunk's size in hexadecimal digits should stand"
            ),
            Self::SizeTooLong => write!(
                f,
                "the chunked body has a chunk size of more than {SIZE_DIGITS_MAX} digits"
            ),
            Self::Extension => write!(f, "the chunked body has a chunk extension; send none"),
            Self::LineEnd(byte) => write!(
                f,
                "the chunked body has the byte 0x{byte:02x} where a line should end in CRLF"
            ),
            Self::Trailer(byte) => write!(
                f,
                "the trailer of the chunked body has the byte 0x{byte:02x} where a field (name: value) has none"
            ),
            Self::TrailerTooLong => write!(
                f,
                "the trailer of the chunked body has more than the {TRAILER_MAX} bytes allowed"
            ),
        }
    }
}

impl ChunkReader {
    /// A reader that stands in front of a body.
    pub(super) fn new(extensions: Extensions) -> Self {
        Self {
            state: State::Size {
                digits: 0,
                value: 0,
            },
            extensions,
        }
    }

    /// Reads on in `input`: how many bytes of framing stand there, and what follows them. A step
    /// that says [`Step::Data`] has read those bytes, too; the next one is to be shown what
    /// stands behind them.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<(usize, Step), Malformed> {
        let mut skipped = 0;
        loop {
            let rest = input.get(skipped..).unwrap_or_default();
            match (self.state, rest) {
                (State::End, _) => return Ok((skipped, Step::End)),
                (_, []) => return Ok((skipped, Step::Starved)),
                (State::Data { left }, rest) => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.state = after_data(left, length);
                    return Ok((skipped, Step::Data(length)));
                }
                (state, [byte, ..]) => {
                    self.state = self.after_framing(state, *byte)?;
                    skipped += 1;
                }
            }
        }
    }

    /// Bytes of the present chunk's data that are still to come, as announced.
    pub(super) fn announced(&self) -> u64 {
        match self.state {
            State::Data { left } => left,
            _ => 0,
        }
    }

    fn after_framing(&self, state: State, byte: u8) -> Result<State, Malformed> {
        Ok(match (state, byte) {
            (State::Size { digits, value }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(Malformed::SizeTooLong);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                State::Size {
                    digits: digits + 1,
                    value: (value << 4) | u64::from(digit),
                }
            }
            (State::Size { digits: 0, .. }, byte) => return Err(Malformed::Size(byte)),
            (State::Size { value, .. } | State::Extension { value, .. }, b'\r') => {
                State::SizeEnd { value }
            }
            (State::Size { value, .. }, b';' | b' ' | b'\t') => {
                if self.extensions == Extensions::Refused {
                    return Err(Malformed::Extension);
                }
                State::Extension { value, bytes: 1 }
            }
            (State::Size { .. }, byte) => return Err(Malformed::Size(byte)),
            (State::Extension { value, bytes }, b'\t' | b' '..=b'~') if bytes < EXTENSION_MAX => {
                State::Extension {
                    value,
                    bytes: bytes + 1,
                }
            }
            (State::Extension { .. }, _) => return Err(Malformed::Extension),
            (State::SizeEnd { value: 0 }, b'\n') => State::Trailer {
                bytes: 0,
                part: Part::Start,
            },
            (State::SizeEnd { value }, b'\n') => State::Data { left: value },
            (State::DataEnd, b'\r') => State::DataEndLf,
            (State::DataEndLf, b'\n') => State::Size {
                digits: 0,
                value: 0,
            },
            (State::Trailer { bytes, part }, byte) => in_trailer(bytes, part, byte)?,
            (State::TrailerLf { is_empty: true, .. }, b'\n') => State::End,
            (State::TrailerLf { bytes, .. }, b'\n') => State::Trailer {
                bytes,
                part: Part::Start,
            },
            (_, byte) => return Err(Malformed::LineEnd(byte)),
        })
    }
}

fn in_trailer(bytes: u16, part: Part, byte: u8) -> Result<State, Malformed> {
    if bytes == TRAILER_MAX {
        return Err(Malformed::TrailerTooLong);
    }
    let part = match (part, byte) {
        (Part::Start, b'\r') => {
            return Ok(State::TrailerLf {
                bytes,
                is_empty: true,
            });
        }
        (Part::Value, b'\r') => {
            return Ok(State::TrailerLf {
                bytes: bytes + 1,
                is_empty: false,
            });
        }
        (Part::Name, b':') | (Part::Value, b'\t' | b' '..=b'~') => Part::Value,
        (Part::Start | Part::Name, byte) if is_token_byte(byte) => Part::Name,
        (_, byte) => return Err(Malformed::Trailer(byte)),
    };
    Ok(State::Trailer {
        bytes: bytes + 1,
        part,
    })
}

/// The state when `length` bytes of `left` were read.
fn after_data(left: u64, length: usize) -> State {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    match left.saturating_sub(length) {
        0 => State::DataEnd,
        left => State::Data { left },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Body and the bytes behind it, or why it is none; `None` when it has no end. The bytes are
    /// shown `piece` at a time.
    fn read(
        bytes: &[u8],
        piece: usize,
        extensions: Extensions,
    ) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let mut reader = ChunkReader::new(extensions);
        let mut body = Vec::new();
        let mut at = 0;
        let mut shown = 0;
        loop {
            shown = bytes.len().min(shown + piece);
            loop {
                let (framing, step) = reader.step(&bytes[at..shown])?;
                at += framing;
                match step {
                    Step::Starved => break,
                    Step::Data(length) => {
                        body.extend_from_slice(&bytes[at..at + length]);
                        at += length;
                    }
                    Step::End => return Ok(Some((body, bytes.len() - at))),
                }
            }
            if shown == bytes.len() {
                return Ok(None);
            }
        }
    }

    fn read_in_all_pieces(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
        let whole = read(bytes, bytes.len().max(1), Extensions::Refused);
        for piece in 1..bytes.len() {
            assert_eq!(read(bytes, piece, Extensions::Refused), whole, "{piece}");
        }
        whole
    }

    #[test]
    fn bodies_are_read_whatever_the_pieces() {
        let long_trailer = format!("0\r\nx: {}\r\n\r\n", "y".repeat(1_000));
        for (bytes, body, behind) in [
            ("0\r\n\r\n", "", 0),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", 0),
            (
                "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /",
                "hello world",
                5,
            ),
            ("A\r\n0123456789\r\n000\r\n\r\n", "0123456789", 0),
            ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0),
            ("0000000000000001\r\nx\r\n0\r\n\r\n", "x", 0),
            ("1\r\nx\r\n0\r\nsha: 1\r\nb: c\r\n\r\n", "x", 0),
            (&long_trailer, "", 0),
        ] {
            assert_eq!(
                read_in_all_pieces(bytes.as_bytes()),
                Ok(Some((body.as_bytes().to_vec(), behind))),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn malformed_bodies_are_refused_whatever_the_pieces() {
        let endless_trailer = format!("0\r\nx: {}", "y".repeat(1_100));
        let endless_trailers = format!("0\r\n{}", "a:b\r\n".repeat(300));
        for (bytes, why) in [
            // A bare CRLF is no size: async-h1 reads it as the end of the body.
            ("\r\n", Malformed::Size(b'\r')),
            ("\n", Malformed::Size(b'\n')),
            ("g\r\n", Malformed::Size(b'g')),
            ("-1\r\n", Malformed::Size(b'-')),
            ("+1\r\n", Malformed::Size(b'+')),
            ("0x1\r\n", Malformed::Size(b'x')),
            ("1\nx", Malformed::Size(b'\n')),
            ("00000000000000001\r\n", Malformed::SizeTooLong),
            ("1;a=b\r\nx\r\n", Malformed::Extension),
            ("1 \r\nx\r\n", Malformed::Extension),
            ("1\rx", Malformed::LineEnd(b'x')),
            ("1\r\nxy\r\n", Malformed::LineEnd(b'y')),
            ("1\r\nx\n", Malformed::LineEnd(b'\n')),
            ("1\r\nx\r1", Malformed::LineEnd(b'1')),
            ("0\r\n\n", Malformed::Trailer(b'\n')),
            ("0\r\na: \u{e9}\r\n", Malformed::Trailer(0xc3)),
            ("0\r\na\r", Malformed::Trailer(b'\r')),
            ("0\r\na: b\rc", Malformed::LineEnd(b'c')),
            ("0\r\nnonsense\r\n", Malformed::Trailer(b'\r')),
            ("0\r\n: b\r\n", Malformed::Trailer(b':')),
            ("0\r\na : b\r\n", Malformed::Trailer(b' ')),
            ("0\r\na: b\r\n c\r\n", Malformed::Trailer(b' ')),
            ("0\r\na: b\n", Malformed::Trailer(b'\n')),
            (&endless_trailer, Malformed::TrailerTooLong),
            (&endless_trailers, Malformed::TrailerTooLong),
        ] {
            assert_eq!(
                read_in_all_pieces(bytes.as_bytes()),
                Err(why),
                "{bytes:?} {why}"
            );
        }
    }

    #[test]
    fn a_body_without_its_end_is_not_taken_as_whole() {
        let bytes = b"5\r\nhello\r\n0\r\nx: y\r\n\r\n";
        for end in 0..bytes.len() {
            assert_eq!(read_in_all_pieces(&bytes[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn extensions_are_skipped_where_they_are_allowed() {
        let bytes = b"1;a=\"b c\"\r\nx\r\n0 ;z\r\n\r\n";
        assert_eq!(
            read(bytes, 1, Extensions::Ignored),
            Ok(Some((b"x".to_vec(), 0)))
        );
        let endless = format!("1;{}", "a".repeat(300));
        assert_eq!(
            read(endless.as_bytes(), 7, Extensions::Ignored),
            Err(Malformed::Extension)
        );
    }

    #[test]
    fn the_announced_size_is_known_before_its_data() {
        let mut reader = ChunkReader::new(Extensions::Refused);
        assert_eq!(
            reader.step(b"FFFFFFFFFFFFFFFF\r\n"),
            Ok((18, Step::Starved))
        );
        assert_eq!(reader.announced(), u64::MAX);
    }
}
