//! A text as it is kept: whole where it is short, in pieces where it is long.
//!
//! In pieces, because the engine copies a row whole each time that it moves it. The first piece stands
//! under the text's own key, the others behind it with their numbers. How many there are follows from
//! the length that the text's record has, so a text that lacks one is damaged and never a shorter one.
//! Up to version 3 of the schema every text was one row, and is still read.

use fjall::Slice;

use super::payload::PIECE_BYTES;
use super::{Error, keys};

/// BOUND: pieces of a text; a body has 1 GiB at most.
const PIECES_MAX: u64 = (1 << 30) / PIECE_BYTES as u64;

/// What a text's length may reserve at once; see `payload`.
const RESERVED_MAX: usize = 32 << 20;

/// A text that was read: `None` where its first row is missing, an error where it is damaged.
pub(super) type Joined = Result<Option<String>, &'static str>;

/// How many rows a text of so many bytes has. An empty one has a row, too.
pub(super) fn pieces(bytes: u64) -> u32 {
    let pieces = bytes.div_ceil(PIECE_BYTES as u64).clamp(1, PIECES_MAX);
    u32::try_from(pieces).unwrap_or(u32::MAX)
}

/// The key of one of a text's rows, given that of the text.
#[inline]
pub(super) fn key_of(text: &[u8], number: u32) -> Slice {
    match number {
        0 => Slice::from(text),
        number => keys::text_piece(text, number),
    }
}

/// The rows of a text: number and value.
pub(super) fn split(text: &str) -> impl Iterator<Item = (u32, &[u8])> {
    let (first, rest) = text
        .as_bytes()
        .split_at_checked(PIECE_BYTES)
        .unwrap_or((text.as_bytes(), &[]));
    (0..).zip(std::iter::once(first).chain(rest.chunks(PIECE_BYTES)))
}

/// Puts a text of `bytes` bytes together again; `read` gives its rows by their numbers.
pub(super) fn join(
    bytes: u64,
    mut read: impl FnMut(u32) -> Result<Option<Slice>, Error>,
) -> Result<Joined, Error> {
    let Some(first) = read(0)? else {
        return Ok(Ok(None));
    };
    let Ok(length) = usize::try_from(bytes) else {
        return Ok(Err("it is larger than memory"));
    };
    let mut text = Vec::with_capacity(length.min(RESERVED_MAX));
    text.extend_from_slice(&first);
    drop(first);
    if text.len() != length {
        if text.len() != PIECE_BYTES {
            return Ok(Err("its length is another"));
        }
        for number in 1..pieces(bytes) {
            let Some(piece) = read(number)? else {
                return Ok(Err("a piece of it is missing"));
            };
            let wanted = length.saturating_sub(text.len()).min(PIECE_BYTES);
            if piece.len() != wanted {
                return Ok(Err("a piece of it has another length"));
            }
            text.extend_from_slice(&piece);
        }
    }
    if text.len() != length {
        return Ok(Err("its length is another"));
    }
    let text = String::from_utf8(text).map_err(|_| "it is not UTF-8");
    Ok(text.map(Some))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Rows = BTreeMap<u32, Vec<u8>>;

    fn rows(text: &str) -> Rows {
        split(text)
            .map(|(number, piece)| (number, piece.to_vec()))
            .collect()
    }

    fn joined(rows: &Rows, bytes: usize) -> Joined {
        join(bytes as u64, |number| {
            Ok(rows.get(&number).map(|row| Slice::from(row.as_slice())))
        })
        .unwrap()
    }

    #[test]
    fn a_text_is_read_back_as_it_was() {
        for length in [
            0,
            1,
            PIECE_BYTES - 1,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            2 * PIECE_BYTES,
            3 * PIECE_BYTES + 7,
        ] {
            // A character of two bytes stands across every border.
            let text: String = "xä".chars().cycle().take(length).collect();
            let is_boundary = |at: &usize| text.is_char_boundary(*at);
            let end = (0..=length).rev().find(is_boundary).unwrap();
            let text = &text[..end];
            let rows = rows(text);
            assert_eq!(rows.len(), pieces(text.len() as u64) as usize, "{length}");
            assert!(rows.values().all(|row| row.len() <= PIECE_BYTES));
            assert_eq!(joined(&rows, text.len()), Ok(Some(text.to_owned())));
        }
    }

    #[test]
    fn a_text_that_lacks_something_is_damaged() {
        let text = "x".repeat(3 * PIECE_BYTES + 7);
        let whole = rows(&text);
        for number in 1..4 {
            let mut rows = whole.clone();
            rows.remove(&number);
            assert!(joined(&rows, text.len()).is_err(), "{number} is missing");
        }
        for number in 0..4 {
            for change in [-1, 1] {
                let mut rows = whole.clone();
                let row = rows.get_mut(&number).unwrap();
                let length = row.len().saturating_add_signed(change);
                row.resize(length, b'x');
                assert!(joined(&rows, text.len()).is_err(), "{number} {change}");
            }
        }
        for bytes in [text.len() - 1, text.len() + 1, 5, usize::MAX] {
            assert!(joined(&whole, bytes).is_err(), "{bytes}");
        }
        assert_eq!(joined(&Rows::new(), text.len()), Ok(None));
    }

    #[test]
    fn a_long_text_in_one_row_is_read_as_it_was_written_once() {
        let text = "x".repeat(3 * PIECE_BYTES);
        let rows = Rows::from([(0, text.clone().into_bytes())]);
        assert_eq!(joined(&rows, text.len()), Ok(Some(text)));
    }
}
