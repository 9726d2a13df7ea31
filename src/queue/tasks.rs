//! Tasks from outside: submitted, cancelled, retried; and workers that are forgotten.

use sha2::{Digest, Sha256};

use super::Error;
use super::attempts::put_error;
use super::command::{Answer, Outcome};
use super::core::Core;
use super::history::note_crash;
use crate::clock::Timestamp;
use crate::event::EventId;
use crate::id::Id;
use crate::store::keys::Text;
use crate::store::record::{KeyRecord, Phase, TaskRecord};
use crate::store::{self, Batch, Ending};
use crate::task::{NewTask, TaskId};
use crate::worker::WorkerName;

/// The error of a cancelled task.
const CANCELLED: &str = "cancelled";

impl Core {
    pub(super) fn submit(
        &mut self,
        task: &NewTask,
        batch: &mut Batch<'_>,
    ) -> Result<Answer, store::Error> {
        let hash = task
            .idempotency
            .as_ref()
            .map(|idempotency| key_hash(&idempotency.key));
        if let (Some(hash), Some(idempotency)) = (&hash, &task.idempotency)
            && let Some(known) = batch.key(hash)?
        {
            return Ok(replay(&known, &idempotency.body_hash).map(Outcome::Replayed));
        }
        if let Err(refused) = self.check_disk().and_then(|()| self.check_queue()) {
            return Ok(Err(refused));
        }
        let task = self.store_task(task, None, batch);
        Ok(Ok(Outcome::Stored(task)))
    }

    /// Writes a new task, for an event if there is one, and counts it.
    pub(super) fn store_task(
        &mut self,
        task: &NewTask,
        event: Option<EventId>,
        batch: &mut Batch<'_>,
    ) -> (TaskId, Timestamp) {
        let hash = task
            .idempotency
            .as_ref()
            .map(|idempotency| key_hash(&idempotency.key));
        let created_at = self.wall();
        let id = TaskId(self.ids.next(created_at));
        let run = self.store.run();
        let lane = self.lane_for(&task.worker);
        let record = TaskRecord {
            context_bytes: task.context.as_ref().map(|context| context.len() as u64),
            key_hash: hash,
            event: event.map(|event| *event.0.as_bytes()),
            ..TaskRecord::new(
                lane.number,
                run,
                created_at.as_millis(),
                task.prompt.len() as u64,
            )
        };
        lane.waiting = lane.waiting.saturating_add(1);
        lane.may_have_more = true;
        lane.is_stirred = true;
        lane.is_changed = true;
        self.put_task(id, None, &record, batch);
        batch.put_text(id, Text::Prompt, &task.prompt);
        if let Some(context) = &task.context {
            batch.put_text(id, Text::Context, context);
        }
        if let (Some(hash), Some(idempotency)) = (&hash, &task.idempotency) {
            let key = KeyRecord {
                task: *id.0.as_bytes(),
                body_hash: idempotency.body_hash,
            };
            batch.put_key(hash, &key);
        }
        self.metrics.task_submitted();
        (id, created_at)
    }

    /// Refuses where as many tasks wait as may. An event that waits may become one.
    pub(super) fn check_queue(&self) -> Result<(), Error> {
        let waiting = self
            .lanes
            .values()
            .fold(self.backlog.waiting(), |sum, lane| {
                sum.saturating_add(lane.pending())
            });
        let limit = self.settings.queue;
        if waiting >= limit {
            return Err(Error::QueueFull { limit });
        }
        Ok(())
    }

    pub(super) fn cancel(
        &mut self,
        id: TaskId,
        batch: &mut Batch<'_>,
    ) -> Result<Answer, store::Error> {
        let Some(old) = batch.task(id)? else {
            return Ok(Err(Error::UnknownTask(id)));
        };
        if old.is_ended() {
            let state = old.state(self.store.run());
            return Ok(Err(Error::AlreadyEnded { task: id, state }));
        }
        let mut new = old.clone();
        let mut is_running = false;
        if let Some(lane) = self.lanes.get_mut(&old.lane) {
            lane.put_back.remove(&id);
            if let Some(running) = lane.stop(id) {
                is_running = true;
                self.effects.running.push((id, false));
                self.effects.cancelled.push(running.cancellation);
            }
        }
        if is_running {
            self.note_attempt(id, &old, &mut new, (Ending::Cancelled, None), batch)?;
        } else if old.phase == Phase::Running {
            note_crash(id, &old, &mut new, batch)?;
        }
        put_error(id, &mut new, CANCELLED, batch);
        self.end(id, &old, new, Phase::Failed, batch)?;
        Ok(Ok(Outcome::Done))
    }

    pub(super) fn retry(
        &mut self,
        id: TaskId,
        batch: &mut Batch<'_>,
    ) -> Result<Answer, store::Error> {
        let Some(old) = batch.task(id)? else {
            return Ok(Err(Error::UnknownTask(id)));
        };
        if old.phase != Phase::Failed {
            let state = old.state(self.store.run());
            return Ok(Err(Error::NotFailed { task: id, state }));
        }
        let mut new = old.clone();
        let due_ms = self.time.now().as_millis();
        new.phase = Phase::Waiting;
        new.failures = 0;
        new.broken_off = 0;
        new.ended_ms = None;
        new.ended_steady_ms = None;
        new.due_ms = Some(due_ms);
        if let Some(bytes) = new.error_bytes.take() {
            batch.remove_text(id, Text::Error, bytes);
        }
        self.put_task(id, Some(&old), &new, batch);
        if let Some(lane) = self.lanes.get_mut(&new.lane) {
            lane.failed = lane.failed.saturating_sub(1);
            lane.waiting = lane.waiting.saturating_add(1);
            lane.is_due_at(due_ms);
            lane.is_changed = true;
        }
        self.follow(id, &new, batch)?;
        Ok(Ok(Outcome::Retried(Box::new(new))))
    }

    pub(super) fn forget_worker(&mut self, worker: &WorkerName, batch: &mut Batch<'_>) -> Answer {
        let lane = self
            .numbers
            .get(worker)
            .and_then(|number| self.lanes.get_mut(number));
        if let Some(lane) = lane {
            if lane.waiting > 0 {
                let waiting = lane.waiting;
                return Err(Error::WorkerHasTasks {
                    worker: worker.clone(),
                    waiting,
                });
            }
            lane.is_changed = true;
        }
        batch.delete_worker(worker.as_str());
        Ok(Outcome::Done)
    }
}

/// What rows keep of an idempotency key: half of its SHA-256.
pub(super) fn key_hash(key: &str) -> [u8; 16] {
    first_half(&Sha256::digest(key.as_bytes()).into())
}

/// The first half of a SHA-256: enough to tell keys apart.
pub(super) fn first_half(digest: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(digest) {
        *to = *from;
    }
    half
}

/// The task of a known idempotency key, if the request is the same as then.
pub(super) fn replay(known: &KeyRecord, body_hash: &[u8; 32]) -> Result<TaskId, Error> {
    let task = TaskId(Id::from_bytes(&known.task).unwrap_or(Id::FIRST));
    if known.body_hash == *body_hash {
        Ok(task)
    } else {
        Err(Error::IdempotencyMismatch { task })
    }
}
