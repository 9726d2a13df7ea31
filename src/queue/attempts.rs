//! Attempts: who gets the next task, and what becomes of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::claim::{Cancellation, Granted};
use super::command::{Answer, Attempt, Outcome, PutBack, RetryPolicy};
use super::core::{BROKEN_OFF_MAX, Core};
use super::events::cut;
use super::history::note_crash;
use super::lane::{Lane, Running};
use super::{Error, backoff};
use crate::store::keys::Text;
use crate::store::record::{LaneNumber, Phase, TaskRecord};
use crate::store::{self, Batch, Ending};
use crate::task::TaskId;

/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 16 << 10;

/// An attempt that was under way a moment ago.
pub(super) struct Stopped {
    task: TaskId,
    /// The task's record while the attempt ran.
    record: TaskRecord,
    /// Whether the task waited for its first attempt, as opposed to a repeated one.
    was_fresh: bool,
}

impl Core {
    pub(super) fn meet_demand(
        &mut self,
        number: LaneNumber,
        now_ms: u64,
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        let Some(lane) = self.lanes.get_mut(&number) else {
            return Ok(());
        };
        let Some(demand) = lane.demand else {
            return Ok(());
        };
        lane.due_ahead.clear();
        lane.may_have_more_due = lane.due_mark_ms != u64::MAX;
        let mut granted = Vec::new();
        let count = usize::try_from(demand.count).unwrap_or(usize::MAX);
        while granted.len() < count {
            let Some(lane) = self.lanes.get_mut(&number) else {
                return Ok(());
            };
            let wanted = count - granted.len();
            let Some((id, record, is_fresh)) = lane.next_task(now_ms, wanted, batch)? else {
                lane.is_stirred = false;
                break;
            };
            granted.extend(self.start_attempt(id, &record, is_fresh, batch)?);
        }
        if let Some(lane) = self.lanes.get_mut(&number) {
            // They may be others when the next group begins.
            lane.records_ahead = VecDeque::new();
            if !granted.is_empty() {
                lane.demand = None;
            }
        }
        if granted.is_empty() {
            return Ok(());
        }
        self.effects.grants.push((demand.ticket, granted));
        Ok(())
    }

    fn start_attempt(
        &mut self,
        id: TaskId,
        old: &TaskRecord,
        is_fresh: bool,
        batch: &mut Batch<'_>,
    ) -> Result<Option<Granted>, store::Error> {
        let mut new = old.clone();
        if old.phase == Phase::Running {
            note_crash(id, old, &mut new, batch)?;
            new.broken_off = new.broken_off.saturating_add(1);
            if new.broken_off >= BROKEN_OFF_MAX {
                self.end_broken_off(id, old, new, batch)?;
                return Ok(None);
            }
        }
        let run = self.store.run();
        let last = if old.run == run {
            old.attempts
        } else {
            old.attempts.max(old.numbered)
        };
        new.attempts = last.saturating_add(1);
        new.numbered = new.numbered.max(new.attempts);
        new.run = run;
        new.phase = Phase::Running;
        new.dispatched_ms = Some(self.wall().as_millis());
        let wait = self.wait_of(old);
        self.put_task(id, Some(old), &new, batch);
        let cancellation = Arc::new(Cancellation::default());
        let Some(lane) = self.lanes.get_mut(&new.lane) else {
            return Ok(None);
        };
        lane.start(
            id,
            Running {
                number: new.attempts,
                is_fresh,
                has_event: new.event.is_some(),
                cancellation: Arc::clone(&cancellation),
            },
        );
        lane.is_changed = true;
        self.metrics
            .attempt_started(lane.meter(&self.metrics), wait);
        self.effects.running.push((id, true));
        Ok(Some(Granted {
            attempt: Attempt {
                task: id,
                number: new.attempts,
            },
            bytes: new
                .prompt_bytes
                .saturating_add(new.context_bytes.unwrap_or(0)),
            cancellation,
        }))
    }

    /// How long a task has waited that gets an attempt now: since it was created, by the wall clock, or
    /// since a further attempt was due, by the store's own time.
    fn wait_of(&mut self, record: &TaskRecord) -> Duration {
        let (now, since_ms) = match record.due_ms {
            Some(due_ms) => (self.time.now(), due_ms),
            None => (self.wall(), record.created_ms),
        };
        Duration::from_millis(now.as_millis().saturating_sub(since_ms))
    }

    /// Takes an attempt off the running ones, if it is the one under way, and lets `conclude` say
    /// what becomes of its task.
    pub(super) fn conclude(
        &mut self,
        attempt: Attempt,
        batch: &mut Batch<'_>,
        conclude: impl FnOnce(&mut Self, &Stopped, &mut Batch<'_>) -> Result<(), store::Error>,
    ) -> Result<Answer, store::Error> {
        Ok(match self.stop_attempt(attempt, batch)? {
            Ok(stopped) => {
                conclude(self, &stopped, batch)?;
                Ok(Outcome::Done)
            }
            Err(refused) => Err(refused),
        })
    }

    pub(super) fn complete(
        &mut self,
        stopped: &Stopped,
        result: &str,
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        let Stopped {
            task, record: old, ..
        } = stopped;
        let mut new = old.clone();
        new.broken_off = 0;
        new.result_bytes = Some(result.len() as u64);
        batch.put_text(*task, Text::Result, result);
        if let Some(bytes) = new.error_bytes.take() {
            batch.remove_text(*task, Text::Error, bytes);
        }
        self.end(*task, old, new, Phase::Completed, batch)
    }

    pub(super) fn fail(
        &mut self,
        stopped: &Stopped,
        error: &str,
        policy: Option<RetryPolicy>,
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        let Stopped {
            task, record: old, ..
        } = stopped;
        let mut new = old.clone();
        new.broken_off = 0;
        new.failures = new.failures.saturating_add(1);
        put_error(*task, &mut new, error, batch);
        self.note_attempt(*task, old, &mut new, (Ending::Failed, Some(error)), batch)?;
        match policy {
            Some(policy) if new.failures < policy.max_attempts => {
                let pause = backoff::pause(policy, new.failures, self.random.f64());
                let due_ms = self.time.now().after(pause).as_millis();
                new.phase = Phase::Waiting;
                new.due_ms = Some(due_ms);
                self.put_task(*task, Some(old), &new, batch);
                if let Some(lane) = self.lanes.get_mut(&new.lane) {
                    lane.is_due_at(due_ms);
                    lane.is_changed = true;
                }
                Ok(())
            }
            _ => self.end(*task, old, new, Phase::Failed, batch),
        }
    }

    pub(super) fn put_back(
        &mut self,
        stopped: &Stopped,
        how: &PutBack,
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        let Stopped {
            task,
            record: old,
            was_fresh,
        } = stopped;
        let mut new = old.clone();
        new.phase = Phase::Waiting;
        let ending = match how {
            PutBack::Refused { reason } => Some((Ending::Refused, Some(reason.as_str()))),
            PutBack::NotStarted => None,
            PutBack::BrokenOff { reason } => Some((Ending::BrokenOff, Some(reason.as_str()))),
        };
        if let Some(ending) = ending {
            self.note_attempt(*task, old, &mut new, ending, batch)?;
        }
        match how {
            PutBack::Refused { .. } | PutBack::NotStarted => {
                new.attempts = new.attempts.saturating_sub(1);
                if new.attempts == 0 {
                    new.dispatched_ms = None;
                }
            }
            PutBack::BrokenOff { .. } => {
                new.broken_off = new.broken_off.saturating_add(1);
                if new.broken_off >= BROKEN_OFF_MAX {
                    return self.end_broken_off(*task, old, new, batch);
                }
            }
        }
        self.put_task(*task, Some(old), &new, batch);
        if let Some(lane) = self.lanes.get_mut(&new.lane) {
            match new.due_ms {
                Some(due_ms) if !was_fresh => lane.is_due_at(due_ms),
                _ => lane.is_put_back(*task),
            }
            lane.is_changed = true;
        }
        Ok(())
    }

    /// Ends a task: its row, its lane's counts, its event, and whoever waits for it.
    pub(super) fn end(
        &mut self,
        id: TaskId,
        old: &TaskRecord,
        mut new: TaskRecord,
        phase: Phase,
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        let now = self.time.now();
        new.phase = phase;
        new.due_ms = None;
        new.ended_ms = Some(self.wall().as_millis());
        new.ended_steady_ms = Some(now.as_millis());
        self.put_task(id, Some(old), &new, batch);
        self.task_sweep.note(now, self.settings.retention);
        if let Some(lane) = self.lanes.get_mut(&new.lane) {
            lane.waiting = lane.waiting.saturating_sub(1);
            match phase {
                Phase::Completed => lane.completed = lane.completed.saturating_add(1),
                _ => lane.failed = lane.failed.saturating_add(1),
            }
            lane.is_changed = true;
            let is_completed = phase == Phase::Completed;
            self.metrics
                .task_ended(lane.meter(&self.metrics), is_completed);
        }
        self.effects.ended.push(id);
        self.follow(id, &new, batch)
    }

    fn end_broken_off(
        &mut self,
        id: TaskId,
        old: &TaskRecord,
        mut new: TaskRecord,
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        let error = format!(
            "{BROKEN_OFF_MAX} attempts in a row were broken off: the server stopped, crashed, or had no \
             memory for the result"
        );
        put_error(id, &mut new, &error, batch);
        self.end(id, old, new, Phase::Failed, batch)
    }

    fn stop_attempt(
        &mut self,
        attempt: Attempt,
        batch: &Batch<'_>,
    ) -> Result<Result<Stopped, Error>, store::Error> {
        let id = attempt.task;
        let Some(record) = batch.task(id)? else {
            return Ok(Err(Error::UnknownTask(id)));
        };
        let lane = self.lanes.get_mut(&record.lane);
        let is_running = |lane: &&mut Lane| {
            lane.running
                .get(&id)
                .is_some_and(|running| running.number == attempt.number)
        };
        let Some(lane) = lane.filter(is_running) else {
            let state = record.state(self.store.run());
            return Ok(Err(Error::AlreadyEnded { task: id, state }));
        };
        let running = lane.stop(id);
        lane.is_changed = true;
        self.effects.running.push((id, false));
        Ok(Ok(Stopped {
            task: id,
            record,
            was_fresh: running.is_some_and(|running| running.is_fresh),
        }))
    }
}

/// Writes why a task or its last attempt failed, cut to a bounded length.
pub(super) fn put_error(id: TaskId, record: &mut TaskRecord, error: &str, batch: &mut Batch<'_>) {
    let error = cut(error, ERROR_BYTES_MAX);
    record.error_bytes = Some(error.len() as u64);
    batch.put_text(id, Text::Error, error);
}
