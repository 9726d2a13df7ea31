//! Streams made up from a seed: requests by the grammar, and mutations of what frames them.
//!
//! Each request asks for a task by a marker of its own that begins with `r`; a request that stands
//! within a body has one that begins with `b`. Half of the streams are left as the grammar makes
//! them, and [`Stream::meant`] says what stands in them.

mod words;

use fastrand::Rng;
use words::{BYTES, CHUNK_SIZES, CODINGS, FIELDS, LENGTHS, LINE_ENDS, TARGETS, TRAILERS, VERSIONS};

/// A stream that was made up.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    /// The requests that stand in it; `None` when it was mutated.
    pub(crate) meant: Option<Vec<Meant>>,
}

/// A request as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

/// How a body is framed.
enum Body {
    None,
    Length(Vec<u8>),
    Chunked(Vec<Vec<u8>>),
}

/// A request in the making, in parts that a mutation can take hold of.
struct Draft {
    method: &'static str,
    target: String,
    version: &'static str,
    /// Lines of the header and what ends each of them.
    lines: Vec<(String, &'static str)>,
    /// What ends the request line, and the head.
    ends: [&'static str; 2],
    body: Body,
    /// Replaces the size of a chunk by a text.
    odd_size: Option<(usize, &'static str)>,
    /// What ends each chunk's data.
    data_end: &'static str,
    trailer: &'static str,
}

/// The stream of a seed.
pub(crate) fn stream(seed: u64) -> Stream {
    let mut rng = Rng::with_seed(seed);
    let mutates = rng.bool();
    let count = rng.usize(1..=4);
    let odd = rng.usize(..count);
    let mut bytes = Vec::new();
    let mut meant = Vec::new();
    for number in 0..count {
        let mut draft = draft(&mut rng, seed, number);
        meant.push(draft.meant());
        if mutates && number == odd {
            for _ in 0..rng.usize(1..=2) {
                mutate(&mut draft, &mut rng);
            }
        }
        // An empty line in front of a request is skipped (RFC 9112, 2.2).
        if rng.u8(..) < 20 {
            bytes.extend(b"\r\n");
        }
        draft.write(&mut bytes);
    }
    if mutates && rng.u8(..) < 80 {
        for _ in 0..rng.usize(1..=3) {
            mutate_bytes(&mut bytes, &mut rng);
        }
    }
    Stream {
        bytes,
        meant: (!mutates).then_some(meant),
    }
}

/// 16 characters, as an id of a task has them.
fn marker(kind: char, seed: u64, number: usize) -> String {
    format!(
        "{kind}{:015}",
        seed % 1_000_000_000_000 * 100 + number as u64
    )
}

fn draft(rng: &mut Rng, seed: u64, number: usize) -> Draft {
    let marker_here = marker('r', seed, number);
    let method = one(
        rng,
        &[
            "GET", "GET", "GET", "POST", "POST", "POST", "DELETE", "HEAD", "PUT",
        ],
    );
    let mut target = format!("/task/{marker_here}");
    if method == "POST" {
        target.push_str("/retry");
    }
    if rng.u8(..) < 40 {
        target.push_str(one(rng, &["?x", "?x=y&z", "?/../", "?a=%20"]));
    }
    let body = body(rng, method, &marker('b', seed, number));
    let mut lines = vec![("Host: localhost".to_owned(), "\r\n")];
    for _ in 0..rng.usize(..3) {
        let line = one(
            rng,
            &[
                "Accept: */*",
                "X-A:b",
                "x-c: \td ",
                "User-Agent: t/1 (x; y)",
                "X-E:",
            ],
        );
        lines.push((line.to_owned(), "\r\n"));
    }
    match &body {
        Body::None => {}
        Body::Length(data) => lines.push((format!("Content-Length: {}", data.len()), "\r\n")),
        Body::Chunked(_) => lines.push(("Transfer-Encoding: chunked".to_owned(), "\r\n")),
    }
    rng.shuffle(&mut lines);
    Draft {
        method,
        target,
        version: "HTTP/1.1",
        lines,
        ends: ["\r\n"; 2],
        body,
        odd_size: None,
        data_end: "\r\n",
        trailer: if rng.u8(..) < 30 { "x-t: y\r\n" } else { "" },
    }
}

fn body(rng: &mut Rng, method: &str, marker: &str) -> Body {
    let wants_one = matches!(method, "POST" | "PUT");
    match rng.u8(..10) {
        0..5 if !wants_one => Body::None,
        0..7 => Body::Length(data(rng, marker)),
        _ => {
            let count = rng.usize(..4);
            let mut chunks: Vec<_> = (0..count).map(|_| data(rng, marker)).collect();
            chunks.retain(|chunk| !chunk.is_empty());
            Body::Chunked(chunks)
        }
    }
}

/// Bytes of a body; most look like framing or like a request.
fn data(rng: &mut Rng, marker: &str) -> Vec<u8> {
    let request = format!("GET /task/{marker} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    match rng.u8(..8) {
        0 => Vec::new(),
        1 => b"{}".to_vec(),
        2 => b"\r\n".to_vec(),
        3 => format!("0\r\n\r\n{request}").into_bytes(),
        4 => format!("\r\n{request}").into_bytes(),
        5 => (0..rng.usize(1..40)).map(|_| one(rng, BYTES)).collect(),
        _ => request.into_bytes(),
    }
}

fn one<T: Copy>(rng: &mut Rng, list: &[T]) -> T {
    list[rng.usize(..list.len())]
}

fn mutate(draft: &mut Draft, rng: &mut Rng) {
    let at = rng.usize(..draft.lines.len());
    match rng.u8(..14) {
        0 => draft
            .lines
            .insert(at, (one(rng, CODINGS).to_owned(), "\r\n")),
        1 => {
            let line = format!("Content-Length: {}", one(rng, LENGTHS));
            draft.lines.insert(at, (line, "\r\n"));
        }
        2 => {
            let length = rng.usize(..80);
            draft
                .lines
                .insert(at, (format!("Content-Length: {length}"), "\r\n"));
        }
        3 | 4 => draft
            .lines
            .insert(at, (one(rng, FIELDS).to_owned(), "\r\n")),
        5 => draft.lines[at].1 = one(rng, LINE_ENDS),
        6 => draft.ends[rng.usize(..2)] = one(rng, LINE_ENDS),
        7 => draft.version = one(rng, VERSIONS),
        8 => one(rng, TARGETS).clone_into(&mut draft.target),
        9 => {
            draft.method = one(
                rng,
                &[
                    "get", "TRACE", "OPTIONS", "GET\t", " GET", "CONNECT", "PATCH", "HEAD",
                ],
            );
        }
        10 => draft.odd_size = Some((rng.usize(..3), one(rng, CHUNK_SIZES))),
        11 => draft.data_end = one(rng, LINE_ENDS),
        12 => draft.trailer = one(rng, TRAILERS),
        // The framing field is replaced by another one.
        _ => {
            let framing = draft.lines.iter_mut().find(|(line, _)| {
                line.starts_with("Content-Length") || line.starts_with("Transfer-Encoding")
            });
            if let Some((line, _)) = framing {
                *line = if rng.bool() {
                    one(rng, CODINGS).to_owned()
                } else {
                    format!("Content-Length: {}", rng.usize(..120))
                };
            }
        }
    }
}

fn mutate_bytes(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.usize(..bytes.len());
    match rng.u8(..6) {
        0 => bytes[at] = one(rng, BYTES),
        1 => bytes.insert(at, one(rng, BYTES)),
        2 if bytes.len() > 1 => {
            bytes.remove(at);
        }
        3 => bytes.truncate(at.max(1)),
        4 => {
            let end = bytes.len().min(at + rng.usize(1..30));
            let piece = bytes[at..end].to_vec();
            let to = rng.usize(..bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => bytes[at] ^= 1 << rng.u8(..8),
    }
}

impl Draft {
    fn meant(&self) -> Meant {
        Meant {
            method: self.method,
            target: self.target.clone(),
            body: match &self.body {
                Body::None => Vec::new(),
                Body::Length(data) => data.clone(),
                Body::Chunked(chunks) => chunks.concat(),
            },
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let mut text = |text: &str| bytes.extend_from_slice(text.as_bytes());
        for part in [
            self.method,
            " ",
            &self.target,
            " ",
            self.version,
            self.ends[0],
        ] {
            text(part);
        }
        for (line, end) in &self.lines {
            text(line);
            text(end);
        }
        text(self.ends[1]);
        match &self.body {
            Body::None => {}
            Body::Length(data) => bytes.extend_from_slice(data),
            Body::Chunked(chunks) => self.write_chunks(chunks, bytes),
        }
    }

    fn write_chunks(&self, chunks: &[Vec<u8>], bytes: &mut Vec<u8>) {
        let empty = Vec::new();
        for (number, chunk) in chunks.iter().chain([&empty]).enumerate() {
            let size = match self.odd_size {
                Some((odd, size)) if odd == number => size.to_owned(),
                _ => format!("{:x}", chunk.len()),
            };
            bytes.extend_from_slice(size.as_bytes());
            bytes.extend_from_slice(b"\r\n");
            if !chunk.is_empty() {
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(self.data_end.as_bytes());
            }
        }
        bytes.extend_from_slice(self.trailer.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
}
