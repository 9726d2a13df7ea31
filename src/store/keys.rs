//! The keys of all rows: fields in fixed widths, numbers big-endian, so that byte order is the
//! order in which rows are read.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `tasks` | id | [`TaskRecord`] |
//! | `texts` | id of a task, kind | prompt, context, result or error, or the first piece of it |
//! | `events` | id | [`EventRecord`] |
//! | `texts` | id of a task, `h` | [`AttemptsRecord`](super::AttemptsRecord) |
//! | `texts` | id of an event, kind | attributes, or the prompt that waits to be approved |
//! | `texts` | one of these, number from 1 on (3 bytes) | a further piece of a long text |
//! | `texts` | id of an event, `y`, number | a piece of the payload |
//! | `index` | `w`, lane, phase, id | – (a worker's tasks by state) |
//! | `index` | `r`, lane, due, id | – (when a failed attempt is repeated) |
//! | `index` | `e`, ended by the store's own time, id | – (what retention deletes next) |
//! | `index` | `k`, hash of the idempotency key | [`KeyRecord`](super::record::KeyRecord) |
//! | `index` | `s`, stage, id | – (events by stage) |
//! | `index` | `x`, updated by the store's own time, id | – (which events retention deletes next) |
//! | `index` | `d`, hash of source and delivery id | id of the event |
//! | `meta` | `e` | [`EventCounts`](super::record::EventCounts) |
//! | `meta` | `t` | [`ClockRecord`](super::record::ClockRecord) |
//! | `meta` | `v` / `n` / `i` | schema version / run number / highest deleted id |
//! | `meta` | `l`, lane | [`LaneRecord`](super::record::LaneRecord) |
//! | `meta` | `w`, name | JSON of a worker registered over the API |

use fjall::Slice;
use sha2::{Digest, Sha256};

use super::record::{EventRecord, LaneNumber, Phase, Stage, TaskRecord};
use crate::event::EventId;
use crate::id::{Id, LENGTH as ID_LENGTH};
use crate::task::TaskId;

/// The text of a task that a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// What the worker is asked to do.
    Prompt,
    /// JSON handed to the worker.
    Context,
    /// The worker's JSON.
    Result,
    /// Why it failed, or why the last attempt did.
    Error,
}

impl Text {
    /// Every kind of text.
    pub const ALL: [Self; 4] = [Self::Prompt, Self::Context, Self::Result, Self::Error];

    /// How long that text is in bytes, as the task's record has it; `None` where it has none.
    pub fn bytes_in(self, record: &TaskRecord) -> Option<u64> {
        match self {
            Self::Prompt => Some(record.prompt_bytes),
            Self::Context => record.context_bytes,
            Self::Result => record.result_bytes,
            Self::Error => record.error_bytes,
        }
    }

    fn tag(self) -> u8 {
        match self {
            Self::Prompt => b'p',
            Self::Context => b'c',
            Self::Result => b'r',
            Self::Error => b'e',
        }
    }
}

/// The part of a worker's tasks that stands together in the index: a dispatched task stays with
/// the pending ones, so that claiming and putting back move no index rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shelf {
    /// Pending and dispatched tasks.
    Waiting,
    /// Completed tasks.
    Completed,
    /// Failed tasks.
    Failed,
}

impl Shelf {
    /// Every shelf.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Completed, Self::Failed];

    /// Where a task of that phase stands.
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Waiting | Phase::Running => Self::Waiting,
            Phase::Completed => Self::Completed,
            Phase::Failed => Self::Failed,
        }
    }

    fn tag(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Completed => 1,
            Self::Failed => 2,
        }
    }
}

/// The text of an event that one row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventText {
    /// What rules may ask for, as JSON.
    Attributes,
    /// The prompt that waits to be approved.
    Prompt,
}

impl EventText {
    fn tag(self) -> u8 {
        match self {
            Self::Attributes => b'a',
            Self::Prompt => b'm',
        }
    }
}

pub(super) const EVENT_COUNTS: &[u8] = b"e";
pub(super) const CLOCK: &[u8] = b"t";
pub(super) const SCHEMA: &[u8] = b"v";
pub(super) const RUN: &[u8] = b"n";
pub(super) const DELETED_ID: &[u8] = b"i";
pub(super) const LANES: &[u8] = b"l";
pub(super) const WORKERS: &[u8] = b"w";

/// `texts`: id, kind.
#[inline]
pub(super) fn text(id: TaskId, kind: Text) -> Slice {
    joined(&[id.0.as_bytes(), &[kind.tag()]])
}

/// `texts`: id of a task, `h`.
pub(super) fn attempts(id: TaskId) -> Slice {
    joined(&[id.0.as_bytes(), b"h"])
}

/// `index`: `w`, lane, shelf, id.
pub(super) fn shelved(lane: LaneNumber, shelf: Shelf, id: Id) -> Slice {
    joined(&[b"w", &lane.to_be_bytes(), &[shelf.tag()], id.as_bytes()])
}

/// `index`: `r`, lane, due, id.
pub(super) fn due(lane: LaneNumber, due_ms: u64, id: Id) -> Slice {
    joined(&[
        b"r",
        &lane.to_be_bytes(),
        &due_ms.to_be_bytes(),
        id.as_bytes(),
    ])
}

/// `index`: `e`, ended by the store's own time, id.
pub(super) fn ended(ended_ms: u64, id: Id) -> Slice {
    joined(&[b"e", &ended_ms.to_be_bytes(), id.as_bytes()])
}

/// `index`: `k`, hash.
pub(super) fn idempotency(hash: &[u8; 16]) -> Slice {
    joined(&[b"k", hash])
}

/// `meta`: `l`, lane.
pub(super) fn lane(lane: LaneNumber) -> Slice {
    joined(&[LANES, &lane.to_be_bytes()])
}

/// `meta`: `w`, name.
pub(super) fn worker(name: &str) -> Slice {
    joined(&[WORKERS, name.as_bytes()])
}

/// Keys of the index rows of a task or an event: each kind of row has its place.
pub(super) type IndexKeys = [Option<Slice>; 3];

/// The index rows that a task has, its idempotency key aside.
pub(super) fn index_of(id: TaskId, record: &TaskRecord) -> IndexKeys {
    let lane = record.lane;
    [
        Some(shelved(lane, Shelf::of(record.phase), id.0)),
        record.due_ms.map(|due_ms| due(lane, due_ms, id.0)),
        record.kept_since_ms().map(|since| ended(since, id.0)),
    ]
}

/// `texts`: id of an event, kind.
pub(super) fn event_text(id: EventId, kind: EventText) -> Slice {
    joined(&[id.0.as_bytes(), &[kind.tag()]])
}

/// `texts`: the key of a text, number of the piece. The engine keeps keys of 20 bytes without a block
/// of their own.
pub(super) fn text_piece(text: &[u8], number: u32) -> Slice {
    let [_, number @ ..] = number.to_be_bytes();
    joined(&[text, &number])
}

/// The number of a piece, given the bytes behind the key of its text.
pub(super) fn text_piece_number(bytes: &[u8]) -> Option<u32> {
    let [high, middle, low] = *<&[u8; 3]>::try_from(bytes).ok()?;
    Some(u32::from_be_bytes([0, high, middle, low]))
}

/// `texts`: id of an event, `y`, number of the piece.
pub(super) fn payload_piece(id: EventId, number: u32) -> Slice {
    joined(&[id.0.as_bytes(), b"y", &number.to_be_bytes()])
}

/// `index`: `s`, stage, id.
pub(super) fn staged(stage: Stage, id: Id) -> Slice {
    let tag = match stage {
        Stage::Received => 0,
        Stage::Held => 1,
        Stage::Open => 2,
        Stage::Completed => 3,
        Stage::Failed => 4,
        Stage::Skipped => 5,
    };
    joined(&[b"s", &[tag], id.as_bytes()])
}

/// `index`: `x`, updated by the store's own time, id.
pub(super) fn event_ended(updated_ms: u64, id: Id) -> Slice {
    joined(&[b"x", &updated_ms.to_be_bytes(), id.as_bytes()])
}

/// What rows keep of a delivery: half of the SHA-256 of its source and its id.
pub fn delivery_hash(source: &str, delivery_id: &str) -> [u8; 16] {
    // A source's name has no NUL in it.
    let digest: [u8; 32] = Sha256::new()
        .chain_update(source)
        .chain_update([0])
        .chain_update(delivery_id)
        .finalize()
        .into();
    let mut half = [0; 16];
    half.iter_mut()
        .zip(digest)
        .for_each(|(to, from)| *to = from);
    half
}

/// `index`: `d`, hash.
pub(super) fn delivery(hash: &[u8; 16]) -> Slice {
    joined(&[b"d", hash])
}

/// The index rows that an event has, that of its delivery aside.
pub(super) fn event_index_of(id: EventId, record: &EventRecord) -> IndexKeys {
    [
        Some(staged(record.stage, id.0)),
        record.kept_since_ms().map(|since| event_ended(since, id.0)),
        None,
    ]
}

/// The id at the end of an index key.
pub(super) fn id_of(key: &[u8]) -> Option<Id> {
    let start = key.len().checked_sub(ID_LENGTH)?;
    Id::from_bytes(key.get(start..)?)
}

/// The time in front of the id at the end of an index key.
pub(super) fn time_of(key: &[u8]) -> Option<u64> {
    let end = key.len().checked_sub(ID_LENGTH)?;
    let bytes = key.get(end.checked_sub(8)?..end)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// The number in a `meta` lane key.
pub(super) fn lane_of(key: &[u8]) -> Option<LaneNumber> {
    Some(u32::from_be_bytes(
        key.strip_prefix(LANES)?.try_into().ok()?,
    ))
}

/// A key of `parts`. The engine keeps up to 20 bytes without a block of their own, so it is put together
/// beside the heap.
fn joined(parts: &[&[u8]]) -> Slice {
    let mut bytes = [0_u8; 32];
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        match bytes.get_mut(length..end) {
            Some(place) => place.copy_from_slice(part),
            None => return Slice::from(parts.concat()),
        }
        length = end;
    }
    Slice::from(bytes.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_they_are_read() {
        let (first, last) = (Id::FIRST, Id::LAST);
        assert!(shelved(1, Shelf::Waiting, last) < shelved(1, Shelf::Completed, first));
        assert!(shelved(1, Shelf::Failed, last) < shelved(2, Shelf::Waiting, first));
        assert!(shelved(255, Shelf::Waiting, last) < shelved(256, Shelf::Waiting, first));
        assert!(due(1, 255, last) < due(1, 256, first));
        assert!(ended(u64::MAX - 1, last) < ended(u64::MAX, first));
        assert!(staged(Stage::Received, last) < staged(Stage::Held, first));
        assert!(payload_piece(EventId(first), 255) < payload_piece(EventId(first), 256));
        let text = text(TaskId(first), Text::Prompt);
        assert!(text < text_piece(&text, 1));
        assert!(text_piece(&text, 255) < text_piece(&text, 256));
    }

    #[test]
    fn a_delivery_is_told_by_its_source_and_its_id() {
        let hashes = [("a", "bc"), ("ab", "c"), ("a", "bd")].map(|(s, d)| delivery_hash(s, d));
        assert_eq!(hashes[0], delivery_hash("a", "bc"));
        assert_ne!(hashes[0], hashes[1]);
        assert_ne!(hashes[0], hashes[2]);
    }

    #[test]
    fn fields_are_read_back() {
        let id: Id = "0k3v00000000000a".parse().unwrap();
        assert_eq!(id_of(&shelved(3, Shelf::Waiting, id)), Some(id));
        assert_eq!(id_of(&due(3, 77, id)), Some(id));
        assert_eq!(id_of(&staged(Stage::Open, id)), Some(id));
        assert_eq!(time_of(&event_ended(78, id)), Some(78));
        assert_eq!(time_of(&due(3, 77, id)), Some(77));
        assert_eq!(time_of(&ended(78, id)), Some(78));
        assert_eq!(lane_of(&lane(9)), Some(9));
        let text = text(TaskId(id), Text::Result);
        let piece = text_piece(&text, 70_000);
        assert_eq!(piece.len(), 20);
        assert_eq!(text_piece_number(&piece[text.len()..]), Some(70_000));
        for short in [&b""[..], b"e", b"w0000"] {
            assert_eq!(
                (id_of(short), time_of(short), lane_of(short)),
                (None, None, None)
            );
        }
    }
}
