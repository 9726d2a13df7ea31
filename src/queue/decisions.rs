//! What was decided about events, carried out.

use super::command::Decision;
use super::core::Core;
use super::events::{REASON_BYTES_MAX, cut};
use crate::event::EventId;
use crate::store::Batch;
use crate::store::record::{EventRecord, Stage};
use crate::task::NewTask;
use crate::worker::WorkerName;

/// What a decision makes of an event.
struct Decided {
    stage: Stage,
    worker: Option<String>,
    task: Option<[u8; 16]>,
    reason: Option<String>,
    held_bytes: Option<u64>,
}

impl Decided {
    fn note_in(self, record: &mut EventRecord) {
        record.worker = self.worker;
        record.task = self.task;
        record.reason = self.reason;
        record.prompt_bytes = self.held_bytes;
    }
}

impl Core {
    /// Has an event become what was decided about it.
    pub(super) fn decide(
        &mut self,
        id: EventId,
        old: EventRecord,
        decision: Decision,
        batch: &mut Batch<'_>,
    ) {
        if let Some(bytes) = old.prompt_bytes {
            batch.remove_held_prompt(id, bytes);
        }
        let decided = self.carry_out(id, decision, batch);
        let stage = decided.stage;
        self.move_event(id, old, stage, batch, |record| decided.note_in(record));
    }

    /// Writes a new event about which the rules have decided.
    pub(super) fn put_decided_event(
        &mut self,
        id: EventId,
        mut record: EventRecord,
        decision: Decision,
        batch: &mut Batch<'_>,
    ) {
        // Who follows is told first that it came, and then of its task.
        self.tell_event(id, &record);
        let decided = self.carry_out(id, decision, batch);
        record.stage = decided.stage;
        decided.note_in(&mut record);
        let now = self.time.now();
        record.updated_ms = self.wall().as_millis();
        record.updated_steady_ms = Some(now.as_millis());
        self.put_event(id, &record, batch);
        self.note_move(None, record.stage, now);
    }

    /// Stores the task or the prompt that a decision about an event makes.
    fn carry_out(&mut self, id: EventId, decision: Decision, batch: &mut Batch<'_>) -> Decided {
        let name = |worker: &WorkerName| worker.as_str().to_owned();
        let mut held_bytes = None;
        let (stage, worker, task, reason) = match decision {
            Decision::Skip { reason } => (Stage::Skipped, None, None, Some(reason)),
            Decision::Fail { worker, reason } => {
                let worker = worker.as_ref().map(name);
                (Stage::Failed, worker, None, Some(reason))
            }
            Decision::Hold { worker, prompt } => {
                held_bytes = Some(prompt.len() as u64);
                batch.put_held_prompt(id, &prompt);
                let reason = "it waits to be approved".to_owned();
                (Stage::Held, Some(name(&worker)), None, Some(reason))
            }
            Decision::Start { worker, prompt } => {
                let name = name(&worker);
                let new = NewTask {
                    worker,
                    prompt,
                    context: None,
                    idempotency: None,
                };
                let (task, _) = self.store_task(&new, Some(id), batch);
                (Stage::Open, Some(name), Some(*task.0.as_bytes()), None)
            }
        };
        Decided {
            stage,
            worker,
            task,
            reason: reason.map(|reason| cut(&reason, REASON_BYTES_MAX).to_owned()),
            held_bytes,
        }
    }
}
