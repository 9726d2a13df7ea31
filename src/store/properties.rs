//! Properties of rows that hold for every input; see `http::properties`.
#![doc(hidden)]

use std::fmt::Debug;

use super::AttemptsRecord;
use super::payload::{self, PIECE_BYTES, Payload};
use super::record::{
    ClockRecord, EventCounts, EventRecord, KeyRecord, LaneRecord, Row, TaskRecord, decode, encode,
};

/// Bytes that the second part of an input may claim a payload to have.
const CLAIMED_MAX: u64 = 4 * PIECE_BYTES as u64;

/// Bytes that are read as a row of any kind are a damaged one, or a row that is read again from
/// what it is written as. Bytes that are read as the pieces of a payload are refused, or a payload
/// of the length that was claimed; and a text that is stored as a payload comes back.
pub fn record_decode(input: &[u8]) {
    row::<TaskRecord>(input);
    row::<LaneRecord>(input);
    row::<KeyRecord>(input);
    row::<EventRecord>(input);
    row::<EventCounts>(input);
    row::<ClockRecord>(input);
    row::<AttemptsRecord>(input);
    let Some((head, bytes)) = input.split_first_chunk::<4>() else {
        return;
    };
    let [l0, l1, l2, piece] = *head;
    pieces(
        u64::from_le_bytes([l0, l1, l2, 0, 0, 0, 0, 0]),
        piece,
        bytes,
    );
    stored_payload(&String::from_utf8_lossy(bytes), usize::from(l0));
}

fn row<T: Row + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(row) = decode::<T>(bytes, "row") else {
        return;
    };
    let written = encode(&row);
    assert_eq!(written.first(), Some(&T::VERSION));
    match decode::<T>(&written, "row") {
        Ok(again) => assert_eq!(again, row),
        Err(error) => panic!("{error}"),
    }
}

/// Reads `bytes`, cut into pieces of `piece` bytes, as a payload that claims to have `claimed`.
fn pieces(claimed: u64, piece: u8, bytes: &[u8]) {
    let claimed = claimed % CLAIMED_MAX;
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(piece).max(1)).collect();
    let read = |number| Ok(usize::try_from(number).ok().and_then(|at| pieces.get(at)));
    match payload::decode(claimed, read) {
        Ok(Ok(text)) => assert_eq!(text.len() as u64, claimed),
        Ok(Err(reason)) => assert!(!reason.is_empty()),
        Err(error) => panic!("{error}"),
    }
}

/// Stores `text`, repeated so that it may take several pieces, and reads it back.
fn stored_payload(text: &str, repeated: usize) {
    // BOUND: a long text once, so that an input of some KiB stays quick.
    let text = match text.len() {
        0..=2_048 => text.repeat(repeated),
        _ => text.to_owned(),
    };
    let stored = Payload::encode(&text);
    let read = |number| {
        let at = usize::try_from(number).ok();
        Ok(at.and_then(|at| stored.pieces.get(at)))
    };
    match payload::decode(stored.bytes(), read) {
        Ok(again) => assert_eq!(again, Ok(text)),
        Err(error) => panic!("{error}"),
    }
}
