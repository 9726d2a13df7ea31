//! What became of a task's attempts.
//!
//! The attempt that completed a task, and the last one of a task that is dispatched, are read of the task's
//! record; those that ended otherwise are noted when they end, in the same commit. One that a crash broke
//! off is noted when the next one starts, and until then read of the record, too.

use super::core::Core;
use super::events::cut;
use super::{Error, Queue};
use crate::clock::Timestamp;
use crate::store::record::{Phase, TaskRecord, time};
use crate::store::{self, Batch, ERROR_BYTES_MAX, EndedAttempt, Ending};
use crate::task::{Attempt, Outcome, TaskId};

impl Core {
    /// Notes that the attempt which the task's record `old` shows has ended now.
    pub(super) fn note_attempt(
        &mut self,
        id: TaskId,
        old: &TaskRecord,
        new: &mut TaskRecord,
        (ending, error): (Ending, Option<&str>),
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        let attempt = EndedAttempt {
            number: old.attempts,
            started_ms: old.dispatched_ms,
            ended_ms: Some(self.wall().as_millis()),
            ending,
            error: error.map(|error| cut(error, ERROR_BYTES_MAX).to_owned()),
        };
        batch.add_attempt(id, new, attempt)
    }
}

/// Notes an attempt that a former run left under way. When it was broken off, nobody knows.
pub(super) fn note_crash(
    id: TaskId,
    old: &TaskRecord,
    new: &mut TaskRecord,
    batch: &mut Batch<'_>,
) -> Result<(), store::Error> {
    let attempt = EndedAttempt {
        number: old.attempts,
        started_ms: old.dispatched_ms,
        ended_ms: None,
        ending: Ending::BrokenOff,
        error: None,
    };
    batch.add_attempt(id, new, attempt)
}

impl Queue {
    /// The last attempts of a task, oldest first; `None` for an unknown id.
    pub async fn attempts(&self, id: TaskId) -> Result<Option<Vec<Attempt>>, Error> {
        let run = self.inner.run;
        self.read(move |snapshot| {
            let Some(record) = snapshot.task(id)? else {
                return Ok(None);
            };
            let ended = snapshot.ended_attempts(id, &record)?;
            let mut attempts: Vec<_> = ended.into_iter().map(shown).collect();
            attempts.extend(last_of(&record, run));
            let gone = attempts.len().saturating_sub(store::ATTEMPTS_MAX);
            attempts.drain(..gone);
            Ok(Some(attempts))
        })
        .await
    }
}

fn shown(ended: EndedAttempt) -> Attempt {
    Attempt {
        number: ended.number,
        started_at: time(ended.started_ms),
        ended_at: time(ended.ended_ms),
        outcome: Some(match ended.ending {
            Ending::Failed => Outcome::Failed,
            Ending::Refused => Outcome::Refused,
            Ending::BrokenOff => Outcome::BrokenOff,
            Ending::Cancelled => Outcome::Cancelled,
        }),
        error: ended.error,
    }
}

/// The attempt that is in a task's record alone, if there is one.
fn last_of(record: &TaskRecord, run: u64) -> Option<Attempt> {
    let (outcome, ended_ms) = match record.phase {
        Phase::Completed => (Some(Outcome::Completed), record.ended_ms),
        Phase::Running if record.run == run => (None, None),
        Phase::Running => (Some(Outcome::BrokenOff), None),
        Phase::Waiting | Phase::Failed => return None,
    };
    Some(Attempt {
        number: record.attempts,
        started_at: time(record.dispatched_ms),
        ended_at: ended_ms.map(Timestamp::from_millis),
        outcome,
        error: None,
    })
}
