//! Properties that hold for every input.
//!
//! Each function takes arbitrary bytes and panics where its property does not hold. The fuzz
//! targets call them with what the fuzzer makes up, a test with the seeds in `fuzz/seeds`.
#![doc(hidden)]

use super::answer::AnswerReader;
use super::body::{ChunkReader, Extensions, Malformed, Step};
use super::gate;
use super::request_line::Target;
use super::scan::{self, HeadEnd, ScannedHead};

/// A head is found at the same place whatever the pieces it comes in, and is refused or read the
/// same way.
pub fn http_head(input: &[u8]) {
    let whole = HeadEnd::default().find(input);
    let mut end = HeadEnd::default();
    let by_bytes = (1..=input.len())
        .find_map(|length| end.find(input.get(..length)?).transpose())
        .transpose();
    assert_eq!(whole, by_bytes);
    if let Some(scanned) = scanned(input) {
        assert!(scanned.is_1_0 || scanned.host.is_some());
    }
}

/// What the scan accepts, async-h1 reads, with the same method, target and fields.
pub fn http_scan_decode(input: &[u8]) {
    let Some(scanned) = scanned(input) else {
        return;
    };
    let Target::Resource { path, query } = scanned.target else {
        return;
    };
    let decoded = gate::decode_message(scanned.rewritten());
    let decoded = decoded.unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(decoded.method().to_string(), scanned.method.as_str());
    assert_eq!(decoded.len(), Some(0));
    assert_eq!(decoded.url().host_str(), Some("mecha"));
    let mut sent: Vec<(String, String)> = scanned
        .passed_fields
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned()))
        .collect();
    let incoming = gate::decode(&scanned).unwrap_or_else(|refusal| panic!("{refusal}"));
    let head = incoming.head.unwrap_or_else(|| panic!("no head"));
    assert_eq!((&*head.path, head.query.as_str()), (path, query));
    assert_eq!(head.header("host"), scanned.host);
    let mut read: Vec<(String, String)> = head
        .fields()
        .filter(|(name, _)| *name != "host")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Stable, so that fields of one name are compared in their order.
    sent.sort_by(|a, b| a.0.cmp(&b.0));
    read.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(sent, read);
}

/// A chunked body is the same whatever the pieces it comes in. The first byte says how long the
/// pieces are.
pub fn http_body(input: &[u8]) {
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    for extensions in [Extensions::Refused, Extensions::Ignored] {
        let whole = read_chunked(bytes, bytes.len().max(1), extensions);
        let pieces = read_chunked(bytes, usize::from(piece).max(1), extensions);
        assert_eq!(whole, pieces);
    }
}

/// An answer is the same whatever the pieces it comes in, and never has more than it may have.
/// The first byte says how long the pieces are.
pub fn http_response(input: &[u8]) {
    const BODY_MAX: u64 = 512;
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    let read = |piece: usize| {
        let mut reader = AnswerReader::new(BODY_MAX);
        for piece in bytes.chunks(piece.max(1)) {
            if reader.feed(piece)? {
                break;
            }
        }
        reader.finish()
    };
    let whole = read(bytes.len());
    let pieces = read(usize::from(piece));
    if let Ok(parts) = &whole {
        assert!(parts.body.len() as u64 <= BODY_MAX);
        assert!(parts.status >= 200);
    }
    // Why it is none may depend on how much is known; whether it is one may not.
    assert_eq!(whole.ok(), pieces.ok());
}

fn scanned(input: &[u8]) -> Option<ScannedHead<'_>> {
    let input = input.get(..scan::HEAD_MAX).unwrap_or(input);
    let length = HeadEnd::default().find(input).ok()??;
    scan::scan(input.get(..length)?).ok()
}

/// The body and how many bytes it took; `None` where it has no end.
fn read_chunked(
    bytes: &[u8],
    piece: usize,
    extensions: Extensions,
) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let mut reader = ChunkReader::new(extensions);
    let mut body = Vec::new();
    let mut taken = 0;
    for mut piece in bytes.chunks(piece) {
        loop {
            let (framing, step) = reader.step(piece)?;
            taken += framing;
            piece = piece.get(framing..).unwrap_or_default();
            match step {
                Step::Starved => break,
                Step::Data(length) => {
                    taken += length;
                    body.extend_from_slice(piece.get(..length).unwrap_or_default());
                    piece = piece.get(length..).unwrap_or_default();
                }
                Step::End => return Ok(Some((body, taken))),
            }
        }
    }
    Ok(None)
}
