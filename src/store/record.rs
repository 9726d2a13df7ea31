//! The rows as they are on disk: a version byte, then the row in postcard's format.
//!
//! To change a row, add a version: a new struct, the next number, and an arm that reads the old
//! one. Old versions are never removed, and `tests/fixtures` keeps a data directory of each.
//! Nothing here may panic on what it reads.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::task::State;

/// The version that is written.
const VERSION: u8 = 1;

/// Number of a worker in rows: names are long and rows are many.
pub type LaneNumber = u32;

/// The changing part of a task. Its texts are rows of their own, written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The worker it is for.
    pub lane: LaneNumber,
    /// Where it stands.
    pub phase: Phase,
    /// Attempts ever started.
    pub attempts: u32,
    /// The highest attempt number ever shown; above `attempts` where a worker refused one.
    pub numbered: u32,
    /// Attempts that failed since it was submitted or retried.
    pub failures: u32,
    /// Attempts in a row that a crash or a drain broke off.
    pub broken_off: u32,
    /// The run of the server that changed `attempts` last. An attempt of an earlier run is over,
    /// whatever `phase` says.
    pub run: u64,
    /// When it was accepted, in milliseconds since the epoch, as all times here.
    pub created_ms: u64,
    /// When its last attempt started.
    pub dispatched_ms: Option<u64>,
    /// When it completed or failed.
    pub ended_ms: Option<u64>,
    /// When it may be claimed again after a failed attempt. Kept while that attempt runs.
    pub due_ms: Option<u64>,
    /// Bytes of its prompt.
    pub prompt_bytes: u64,
    /// Bytes of its context, if it has one.
    pub context_bytes: Option<u64>,
    /// Bytes of its result, if it has one.
    pub result_bytes: Option<u64>,
    /// Bytes of its error, if it has one.
    pub error_bytes: Option<u64>,
    /// Hash of its idempotency key, if it has one.
    pub key_hash: Option<[u8; 16]>,
}

/// A task's state on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Pending.
    Waiting,
    /// An attempt of the run `run` is under way.
    Running,
    /// Completed.
    Completed,
    /// Failed.
    Failed,
}

impl TaskRecord {
    /// The state to show while the server is in its run number `run`.
    pub fn state(&self, run: u64) -> State {
        match self.phase {
            Phase::Running if self.run == run => State::Dispatched,
            Phase::Waiting | Phase::Running => State::Pending,
            Phase::Completed => State::Completed,
            Phase::Failed => State::Failed,
        }
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Completed | Phase::Failed)
    }

    /// Bytes of all its texts.
    pub fn text_bytes(&self) -> u64 {
        [
            Some(self.prompt_bytes),
            self.context_bytes,
            self.result_bytes,
            self.error_bytes,
        ]
        .into_iter()
        .flatten()
        .fold(0, u64::saturating_add)
    }
}

/// A worker's part of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRecord {
    /// The worker's name.
    pub worker: String,
    /// Its tasks that are pending or dispatched.
    pub waiting: u64,
    /// Its completed tasks.
    pub completed: u64,
    /// Its failed tasks.
    pub failed: u64,
    /// No task that waits for its first attempt, or runs one, has a lower id: where to look for
    /// work after a start.
    pub low: [u8; 16],
}

impl LaneRecord {
    /// The lowest id to look at.
    pub fn low_id(&self) -> Id {
        Id::from_bytes(&self.low).unwrap_or(Id::FIRST)
    }
}

/// What an idempotency key stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The task it belongs to.
    pub task: [u8; 16],
    /// SHA-256 of the body that came with it.
    pub body_hash: [u8; 32],
}

/// `row` as bytes of the version that is written.
pub fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    // A Vec takes whatever it is given, so this cannot fail; an empty row would be refused when
    // it is read.
    postcard::to_extend(row, vec![VERSION]).unwrap_or_default()
}

/// Reads the row that `bytes` hold; `place` names it in the error.
pub fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8], place: &str) -> Result<T, Error> {
    match bytes.split_first() {
        Some((&VERSION, body)) => match postcard::take_from_bytes(body) {
            Ok((row, [])) => Ok(row),
            Ok((_, rest)) => Err(Error::damaged(
                place,
                format!("{} bytes too many", rest.len()),
            )),
            Err(error) => Err(Error::damaged(place, error.to_string())),
        },
        Some((version, _)) => Err(Error::damaged(
            place,
            format!("unknown row version {version}"),
        )),
        None => Err(Error::damaged(place, "empty row")),
    }
}

/// Milliseconds of a time that may be absent, as a time.
pub fn time(ms: Option<u64>) -> Option<Timestamp> {
    ms.map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> TaskRecord {
        TaskRecord {
            lane: 7,
            phase: Phase::Running,
            attempts: 2,
            numbered: 3,
            failures: 1,
            broken_off: 0,
            run: 9,
            created_ms: 1_774_872_000_000,
            dispatched_ms: Some(1_774_872_000_500),
            ended_ms: None,
            due_ms: None,
            prompt_bytes: 300,
            context_bytes: None,
            result_bytes: None,
            error_bytes: Some(12),
            key_hash: Some([7; 16]),
        }
    }

    #[test]
    fn rows_of_version_1_are_pinned() {
        let bytes = encode(&record());
        let mut pinned = vec![1, 7, 1, 2, 3, 1, 0, 9];
        pinned.extend([0x80, 0xec, 0xf5, 0xf4, 0xd3, 0x33]);
        pinned.extend([1, 0xf4, 0xef, 0xf5, 0xf4, 0xd3, 0x33]);
        pinned.extend([0, 0, 0xac, 2, 0, 0, 1, 12, 1]);
        pinned.extend([7; 16]);
        assert_eq!(bytes, pinned);
        assert_eq!(decode::<TaskRecord>(&bytes, "row").unwrap(), record());
    }

    #[test]
    fn an_attempt_of_an_earlier_run_is_over() {
        assert_eq!(record().state(9), State::Dispatched);
        assert_eq!(record().state(10), State::Pending);
    }

    #[test]
    fn damaged_rows_are_errors() {
        let whole = encode(&record());
        for cut in 0..whole.len() {
            assert!(decode::<TaskRecord>(&whole[..cut], "row").is_err(), "{cut}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(decode::<TaskRecord>(&longer, "row").is_err());
        let mut newer = whole;
        newer[0] = 200;
        assert!(decode::<TaskRecord>(&newer, "row").is_err());
    }
}
