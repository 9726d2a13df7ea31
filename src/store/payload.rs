//! A payload as it is kept: in pieces, each compressed.
//!
//! In pieces, because a row of many megabytes would be copied whole each time that the engine
//! moves it. Compressed before it gets to the writer, because JSON of this kind shrinks to a
//! fourth, and the journal, the memtable and every table that it goes through has that much less
//! to do. What comes out is what went in, byte for byte.
//!
//! A piece is a byte that says how it is written (0 as it is, 1 in LZ4's block format), then its
//! bytes. How long it is when it is read follows from the length of the whole.

use std::cell::RefCell;

use fjall::Slice;
use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

use super::Error;

/// Bytes of a payload in one row.
pub(super) const PIECE_BYTES: usize = 128 << 10;

/// BOUND: pieces of a payload; a webhook's body has 1 GiB at most.
const PIECES_MAX: u64 = (1 << 30) / PIECE_BYTES as u64;

/// What a payload's length may reserve at once; a longer one grows as it is read, because a
/// damaged length must not be the end of the process.
const RESERVED_MAX: usize = 32 << 20;

const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;

/// A payload ready to be stored. The batch and the engine share its pieces and copy none.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    pub(super) pieces: Vec<Slice>,
    bytes: u64,
}

impl Payload {
    /// Compresses `text`. It takes some 2 ms for each MiB.
    pub fn encode(text: &str) -> Self {
        let pieces = text.as_bytes().chunks(PIECE_BYTES).map(encode_piece);
        Self {
            pieces: pieces.collect(),
            bytes: text.len() as u64,
        }
    }

    /// Bytes of the text.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes as it is stored.
    pub fn stored_bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }
}

/// How many pieces a payload of so many bytes has.
pub(super) fn pieces(bytes: u64) -> u32 {
    let pieces = bytes.div_ceil(PIECE_BYTES as u64).min(PIECES_MAX);
    u32::try_from(pieces).unwrap_or(u32::MAX)
}

/// Puts a payload of `bytes` bytes together again; `read` gives its pieces by their numbers.
pub(super) fn decode<P: AsRef<[u8]>>(
    bytes: u64,
    mut read: impl FnMut(u32) -> Result<Option<P>, Error>,
) -> Result<Result<String, &'static str>, Error> {
    let Ok(length) = usize::try_from(bytes) else {
        return Ok(Err("it is larger than memory"));
    };
    let mut payload = Vec::with_capacity(length.min(RESERVED_MAX));
    for number in 0..pieces(bytes) {
        let Some(piece) = read(number)? else {
            return Ok(Err("a piece of it is missing"));
        };
        let wanted = (length - payload.len()).min(PIECE_BYTES);
        if !decode_piece(piece.as_ref(), wanted, &mut payload) {
            return Ok(Err("a piece of it cannot be read"));
        }
    }
    if payload.len() != length {
        return Ok(Err("it is longer than a payload can be"));
    }
    Ok(String::from_utf8(payload).map_err(|_| "it is not UTF-8"))
}

fn encode_piece(piece: &[u8]) -> Slice {
    thread_local! {
        /// What is compressed is written here first: how long it gets is not known before, and
        /// the result is kept for long. Beside it the compressor's table.
        static SCRATCH: RefCell<(Vec<u8>, CompressTable)> = RefCell::default();
    }
    SCRATCH.with_borrow_mut(|(scratch, table)| {
        let room = get_maximum_output_size(piece.len());
        if scratch.len() <= room {
            scratch.resize(room + 1, 0);
        }
        let written = scratch.split_first_mut().and_then(|(how, rest)| {
            *how = COMPRESSED;
            compress_into_with_table(piece, rest, table).ok()
        });
        let smaller = written.filter(|length| *length < piece.len());
        match smaller.and_then(|length| scratch.get(..=length)) {
            Some(compressed) => Slice::from(compressed),
            None => Slice::from([&[PLAIN], piece].concat()),
        }
    })
}

/// Adds a piece that has `length` bytes; `false` where it has not.
fn decode_piece(piece: &[u8], length: usize, payload: &mut Vec<u8>) -> bool {
    match piece.split_first() {
        Some((&PLAIN, bytes)) if bytes.len() == length => {
            payload.extend_from_slice(bytes);
            true
        }
        Some((&COMPRESSED, bytes)) => {
            let start = payload.len();
            payload.resize(start + length, 0);
            let place = payload.get_mut(start..).unwrap_or_default();
            decompress_into(bytes, place).is_ok_and(|written| written == length)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(payload: &Payload, bytes: u64) -> Result<String, &'static str> {
        let piece = |number: u32| Ok(payload.pieces.get(number as usize));
        decode(bytes, piece).unwrap()
    }

    #[test]
    fn a_payload_is_read_back_as_it_was() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut letters = |count: usize| -> String {
            std::iter::repeat_with(|| random.alphanumeric())
                .take(count)
                .collect()
        };
        let repeated = r#"{"id": 1, "url": "https://api.github.com/"}"#.repeat(10_000);
        for text in [
            String::new(),
            "{}".to_owned(),
            "ä".repeat(PIECE_BYTES),
            letters(PIECE_BYTES - 1),
            letters(PIECE_BYTES),
            letters(PIECE_BYTES + 1),
            letters(3 * PIECE_BYTES),
            repeated,
        ] {
            let payload = Payload::encode(&text);
            assert_eq!(payload.bytes(), text.len() as u64);
            assert!(payload.stored_bytes() <= text.len() + payload.pieces.len());
            assert_eq!(read_back(&payload, payload.bytes()), Ok(text));
        }
    }

    #[test]
    fn a_damaged_piece_is_refused() {
        let text = r#"{"id": 1, "url": "https://api.github.com/"}"#.repeat(5_000);
        let whole = Payload::encode(&text);
        for damage in 0..500 {
            let mut random = fastrand::Rng::with_seed(damage);
            let mut damaged = whole.clone();
            let mut piece = damaged.pieces[0].to_vec();
            match random.u8(0..3) {
                0 => piece.truncate(random.usize(0..piece.len())),
                1 => piece[0] = random.u8(2..),
                _ => piece.push(random.u8(..)),
            }
            damaged.pieces[0] = Slice::from(piece);
            assert!(read_back(&damaged, whole.bytes()).is_err(), "{damage}");
        }
        for bytes in [whole.bytes() - 1, whole.bytes() + 1, u64::MAX] {
            assert!(read_back(&whole, bytes).is_err(), "{bytes}");
        }
    }
}
