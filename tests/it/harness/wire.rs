//! HTTP/1.1 messages read from a socket, strictly: what is not well-formed is an error.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::TcpStream;

/// A start line and header fields, names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) start_line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of the header `name`, given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// How many fields of that name there are.
    pub(crate) fn header_count(&self, name: &str) -> usize {
        self.headers
            .iter()
            .filter(|(other, _)| other == name)
            .count()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }
}

/// A socket and what was read from it and not used yet.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next head, or `None` when the peer closed in front of it.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let bytes: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return parse_head(&bytes[..end]).map(Some);
            }
            if self.fill()? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(cut("in the head", &self.buffer));
            }
        }
    }

    /// The body that `head` announces; to the connection's end where it announces no length and
    /// `or_to_end` says so.
    pub(crate) fn body(&mut self, head: &Head, or_to_end: bool) -> io::Result<Vec<u8>> {
        if head.is_chunked() {
            return self.chunked();
        }
        match head.header("content-length") {
            Some(length) => {
                let length = length
                    .parse()
                    .map_err(|_| malformed("content-length", length.as_bytes()))?;
                self.fixed(length)
            }
            None if or_to_end => self.rest(),
            None => Ok(Vec::new()),
        }
    }

    /// Everything up to the connection's end.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    fn fixed(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.fill()? == 0 {
                return Err(cut("in the body", &self.buffer));
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(&line, 16)
                .map_err(|_| malformed("chunk size", line.as_bytes()))?;
            body.extend(self.fixed(size)?);
            let end = self.line()?;
            if !end.is_empty() {
                return Err(malformed("end of chunk", end.as_bytes()));
            }
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.fill()? == 0 {
                return Err(cut("in a line", &self.buffer));
            }
        }
    }

    /// Reads once. A reset connection counts as ended: what came before it is kept.
    fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 8 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(count) => {
                    self.buffer.extend_from_slice(&bytes[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(error),
            }
        }
    }
}

fn parse_head(bytes: &[u8]) -> io::Result<Head> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("head", bytes))?;
    let mut lines = text.split("\r\n");
    let start_line = lines.next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| malformed("header field", line.as_bytes()))?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let is_valid = !name.is_empty()
            && name.bytes().all(is_token)
            && value
                .bytes()
                .all(|b| b == b'\t' || (0x20..0x7f).contains(&b));
        if !is_valid {
            return Err(malformed("header field", line.as_bytes()));
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Head {
        start_line,
        headers,
    })
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}

fn cut(place: &str, rest: &[u8]) -> Error {
    let text = format!("the peer closed {place}, behind {:?}", excerpt(rest));
    Error::new(ErrorKind::UnexpectedEof, text)
}

fn malformed(what: &str, bytes: &[u8]) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("malformed {what}: {:?}", excerpt(bytes)),
    )
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}
