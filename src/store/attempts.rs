//! The ended attempts of a task: one small row, written when an attempt ends otherwise than by completing
//! its task.
//!
//! A task that completes at its first attempt has no such row; that attempt is in its record. BOUND: the
//! last [`ATTEMPTS_MAX`] attempts, each with a short error.

use log::warn;
use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::keys;
use super::record::{self, Row, TaskRecord};
use super::snapshot::Snapshot;
use super::{Error, Space};
use crate::task::TaskId;

/// Attempts that are kept of a task.
pub const ATTEMPTS_MAX: usize = 20;

/// Bytes of an attempt's error at most.
pub const ERROR_BYTES_MAX: usize = 1 << 10;

/// Bytes of a task's row of attempts at most.
pub const ATTEMPTS_BYTES_MAX: usize = ATTEMPTS_MAX * (ERROR_BYTES_MAX + 64);

/// The attempts of a task that have ended, save the one that completed it, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptsRecord {
    /// The attempts.
    pub ended: Vec<EndedAttempt>,
}

impl Row for AttemptsRecord {}

/// An attempt that did not complete its task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedAttempt {
    /// Its number.
    pub number: u32,
    /// When it started.
    pub started_ms: Option<u64>,
    /// When it ended; `None` where a crash broke it off.
    pub ended_ms: Option<u64>,
    /// How it ended.
    pub ending: Ending,
    /// Why it ended so.
    pub error: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It failed.
    Failed,
    /// The worker did not take it.
    Refused,
    /// A crash or a drain broke it off.
    BrokenOff,
    /// Its task was cancelled.
    Cancelled,
}

impl Batch<'_> {
    /// Adds an ended attempt to those of a task, whose `record` gets to know of it and is still to be written.
    pub fn add_attempt(
        &mut self,
        id: TaskId,
        record: &mut TaskRecord,
        attempt: EndedAttempt,
    ) -> Result<(), Error> {
        let key = keys::attempts(id);
        let mut row = match record.attempts_bytes {
            None => AttemptsRecord::default(),
            Some(_) => match decode(id, self.read(Space::Texts, &key)?.as_deref()) {
                Ok(row) => row,
                // What happened before must not keep from happening what happens now.
                Err(damaged) => {
                    warn!("{damaged}; the attempts of task {id} are noted anew");
                    AttemptsRecord::default()
                }
            },
        };
        // A refused attempt gives its number back. However often its worker refuses, that is one attempt here.
        let is_again = |last: &mut EndedAttempt| {
            (last.ending, last.number) == (Ending::Refused, attempt.number)
                && attempt.ending == Ending::Refused
        };
        row.ended.pop_if(is_again);
        let gone = (row.ended.len() + 1).saturating_sub(ATTEMPTS_MAX);
        row.ended.drain(..gone);
        row.ended.push(attempt);
        let bytes = record::encode(&row);
        record.attempts_bytes = Some(bytes.len() as u64);
        self.write(Space::Texts, key, &bytes);
        Ok(())
    }

    /// Removes the row of a task's ended attempts.
    pub(super) fn remove_attempts(&mut self, id: TaskId) {
        self.remove(Space::Texts, keys::attempts(id));
    }
}

impl Snapshot {
    /// A task's attempts that have ended, save the one that completed it, oldest first.
    pub fn ended_attempts(
        &self,
        id: TaskId,
        record: &TaskRecord,
    ) -> Result<Vec<EndedAttempt>, Error> {
        if record.attempts_bytes.is_none() {
            return Ok(Vec::new());
        }
        let found = self.get(Space::Texts, &keys::attempts(id))?;
        Ok(decode(id, found.as_deref())?.ended)
    }
}

fn decode(id: TaskId, bytes: Option<&[u8]>) -> Result<AttemptsRecord, Error> {
    let place = format!("the attempts of task {id}");
    match bytes {
        Some(bytes) => record::decode(bytes, &place),
        None => Err(Error::damaged(place, "they are missing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::store::Store;

    const TASK: TaskId = TaskId(Id::FIRST);

    fn record() -> TaskRecord {
        TaskRecord::new(0, 1, 1, 0)
    }

    /// Adds an attempt and gives the numbers of those that are kept.
    fn add(store: &Store, record: &mut TaskRecord, number: u32) -> Vec<u32> {
        add_ended(store, record, number, Ending::Failed)
    }

    fn add_ended(store: &Store, record: &mut TaskRecord, number: u32, ending: Ending) -> Vec<u32> {
        let attempt = EndedAttempt {
            number,
            started_ms: Some(1),
            ended_ms: Some(2),
            ending,
            error: Some("e".repeat(ERROR_BYTES_MAX)),
        };
        let mut batch = store.batch();
        batch.add_attempt(TASK, record, attempt).unwrap();
        batch.put_task(TASK, None, record);
        batch.commit().unwrap();
        let kept = store.snapshot().ended_attempts(TASK, record).unwrap();
        kept.iter().map(|attempt| attempt.number).collect()
    }

    #[test]
    fn the_last_attempts_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut record = record();
        for number in 1..=50 {
            let kept = add(&store, &mut record, number);
            let first = number.saturating_sub(19).max(1);
            assert_eq!(kept, (first..=number).collect::<Vec<_>>());
            assert!(record.attempts_bytes.unwrap() <= ATTEMPTS_BYTES_MAX as u64);
        }
        let mut batch = store.batch();
        batch.delete_task(TASK, &record);
        batch.commit().unwrap();
        let row = store.get(Space::Texts, &keys::attempts(TASK)).unwrap();
        assert!(row.is_none(), "it is deleted with its task");
    }

    #[test]
    fn what_is_refused_again_and_again_hides_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut record = record();
        add(&store, &mut record, 1);
        for _ in 0..2 * ATTEMPTS_MAX {
            let kept = add_ended(&store, &mut record, 2, Ending::Refused);
            assert_eq!(kept, [1, 2]);
        }
        assert_eq!(add(&store, &mut record, 2), [1, 2, 2]);
        let kept = add_ended(&store, &mut record, 3, Ending::Refused);
        assert_eq!(kept, [1, 2, 2, 3]);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut record = record();
        add(&store, &mut record, 1);
        for spoiled in [Some(&b"\x01\xff"[..]), None] {
            let mut batch = store.batch();
            match spoiled {
                Some(bytes) => batch.write(Space::Texts, keys::attempts(TASK), bytes),
                None => batch.remove_attempts(TASK),
            }
            batch.commit().unwrap();
            let read = store.snapshot().ended_attempts(TASK, &record);
            assert!(matches!(read, Err(Error::Damaged { .. })), "{read:?}");
            assert_eq!(add(&store, &mut record, 2), [2]);
        }
    }
}
