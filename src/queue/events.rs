//! Events: received, matched, approved, replayed, and following their tasks to the end.

use std::sync::Arc;

use log::error;

use super::Error;
use super::command::{Answer, Decision, NewEvent, Outcome};
use super::core::Core;
use crate::clock::Timestamp;
use crate::event::{Event, EventId, State};
use crate::id::Id;
use crate::store::keys::delivery_hash;
use crate::store::record::{EventRecord, Phase, Stage, TaskRecord};
use crate::store::{self, Batch};
use crate::task::TaskId;
use crate::worker::WorkerName;

/// Bytes of a reason that are kept, and of a task's error that are shown as one.
pub(super) const REASON_BYTES_MAX: usize = 1 << 10;

impl Core {
    /// Stores an event and what is decided about it at once, unless its delivery is known. One that is known and failed is to be
    /// matched again.
    pub(super) fn receive(
        &mut self,
        new: Arc<NewEvent>,
        batch: &mut Batch<'_>,
    ) -> Result<Answer, store::Error> {
        let delivery = &new.delivery;
        let hash = delivery_hash(&delivery.source, &delivery.delivery_id);
        let known = match batch.delivery(&hash)? {
            Some(id) => batch.event(id)?.map(|record| (id, record)),
            None => None,
        };
        if let Some((event, record)) = &known
            && record.stage != Stage::Failed
        {
            self.metrics.delivery_repeated(&delivery.source);
            return Ok(Ok(Outcome::Duplicate {
                event: *event,
                state: self.state_of(record, batch)?,
                task: task_of(record),
            }));
        }
        if let Err(refused) = self.check_room() {
            return Ok(Err(refused));
        }
        let now_ms = self.wall().as_millis();
        if let Some((id, old)) = known {
            self.move_event(id, old, Stage::Received, batch, |record| {
                record.task = None;
                record.worker = None;
                record.reason = None;
            });
            self.metrics.event_received(&delivery.source);
            return Ok(Ok(Outcome::Received {
                event: id,
                new: None,
            }));
        }
        let id = EventId(self.ids.next(self.wall()));
        let record = new_record(&new, now_ms);
        batch.put_event_texts(id, &new.attributes_json, &new.payload);
        batch.put_delivery(&hash, id);
        self.metrics.event_received(&delivery.source);
        let bytes = new.attributes_json.len();
        let delivery = match Arc::try_unwrap(new) {
            Ok(new) => {
                self.effects.stored.push(new.permit);
                new.delivery
            }
            Err(shared) => shared.delivery.clone(),
        };
        let event = Arc::new(Event::received(
            id,
            delivery,
            Timestamp::from_millis(now_ms),
        ));
        // None overtakes another one that waits.
        let decision = match self.backlog.received() {
            0 => self.judging.ask(&event, bytes),
            _ => None,
        };
        if let Some(decision) = decision {
            self.put_decided_event(id, record, decision, batch);
        } else {
            self.put_event(id, &record, batch);
            self.backlog.add();
            self.effects.received.push((Arc::clone(&event), bytes));
        }
        Ok(Ok(Outcome::Received {
            event: id,
            new: Some(event),
        }))
    }

    /// What the rules decided about an event that waited to be matched.
    pub(super) fn settle_event(
        &mut self,
        id: EventId,
        decision: Decision,
        batch: &mut Batch<'_>,
    ) -> Result<Answer, store::Error> {
        let Some(old) = batch.event(id)? else {
            return Ok(Err(Error::UnknownEvent(id)));
        };
        if old.stage != Stage::Received {
            let state = self.state_of(&old, batch)?;
            return Ok(Err(Error::NotReceived { event: id, state }));
        }
        // Room was made for it when it was received.
        self.decide(id, old, decision, batch);
        Ok(Ok(Outcome::Done))
    }

    /// What today's rules decide about an event that has ended.
    pub(super) fn replay_event(
        &mut self,
        id: EventId,
        decision: Decision,
        batch: &mut Batch<'_>,
    ) -> Result<Answer, store::Error> {
        let Some(old) = batch.event(id)? else {
            return Ok(Err(Error::UnknownEvent(id)));
        };
        let state = self.state_of(&old, batch)?;
        if !state.is_ended() {
            return Ok(Err(Error::NotEnded { event: id, state }));
        }
        if let Err(refused) = self.check_room() {
            return Ok(Err(refused));
        }
        self.decide(id, old, decision, batch);
        Ok(Ok(Outcome::Done))
    }

    /// Starts the task of an event that waits to be approved.
    pub(super) fn approve_event(
        &mut self,
        id: EventId,
        batch: &mut Batch<'_>,
    ) -> Result<Answer, store::Error> {
        let Some(old) = batch.event(id)? else {
            return Ok(Err(Error::UnknownEvent(id)));
        };
        let worker = old.worker.as_deref().map(str::parse::<WorkerName>);
        let (Stage::Held, Some(Ok(worker))) = (old.stage, worker) else {
            let state = self.state_of(&old, batch)?;
            return Ok(Err(Error::NotWaiting { event: id, state }));
        };
        // It waits already, so the queue gets no longer.
        if let Err(refused) = self.check_disk() {
            return Ok(Err(refused));
        }
        let prompt = match batch.held_prompt(id, &old) {
            Ok(Some(prompt)) => prompt,
            Ok(None) => return Ok(Err(Error::Unreadable)),
            Err(failure @ store::Error::Damaged { .. }) => {
                error!("event {id} cannot be approved: {failure}");
                return Ok(Err(Error::Unreadable));
            }
            Err(failure) => return Err(failure),
        };
        let decision = Decision::Start { worker, prompt };
        self.decide(id, old, decision, batch);
        Ok(Ok(Outcome::Done))
    }

    /// Lets an event follow its task, whose phase has changed to that of `record`. An event that
    /// has another task by now does not.
    pub(super) fn follow(
        &mut self,
        task: TaskId,
        record: &TaskRecord,
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        let Some(id) = record.event.and_then(|event| Id::from_bytes(&event)) else {
            return Ok(());
        };
        let id = EventId(id);
        let Some(old) = batch.event(id)? else {
            return Ok(());
        };
        if task_of(&old) != Some(task) {
            return Ok(());
        }
        let stage = match record.phase {
            Phase::Waiting | Phase::Running => Stage::Open,
            Phase::Completed => Stage::Completed,
            Phase::Failed => Stage::Failed,
        };
        if stage != old.stage {
            // It ends when its task ends, to the millisecond.
            self.move_event(id, old, stage, batch, |new| {
                new.updated_ms = record.ended_ms.unwrap_or(new.updated_ms);
            });
        }
        Ok(())
    }

    /// Writes the row of the counts, if they changed.
    pub(super) fn write_event_counts(&mut self, batch: &mut Batch<'_>) {
        if self.backlog.is_changed {
            self.backlog.is_changed = false;
            batch.put_event_counts(&self.backlog.record());
            self.effects.events = Some(self.event_counts());
            self.effects.backlog = Some((self.backlog.received(), self.backlog.low()));
        }
    }

    /// Writes an event in its new stage and keeps what counts on stages up to date.
    pub(super) fn move_event(
        &mut self,
        id: EventId,
        old: EventRecord,
        stage: Stage,
        batch: &mut Batch<'_>,
        change: impl FnOnce(&mut EventRecord),
    ) {
        let now = self.time.now();
        let wall = self.wall();
        let old_stage = old.stage;
        self.change_event(id, old, batch, |record| {
            record.stage = stage;
            record.updated_ms = wall.as_millis();
            record.updated_steady_ms = Some(now.as_millis());
            change(record);
        });
        if old_stage == Stage::Received {
            self.backlog.remove(id.0);
        }
        if stage == Stage::Received {
            self.backlog.put_back(id.0);
        }
        self.note_move(Some(old_stage), stage, now);
    }

    /// Keeps what counts on stages up to date where an event has come from one, or is new, to another.
    pub(super) fn note_move(&mut self, from: Option<Stage>, to: Stage, now: Timestamp) {
        self.backlog.moves(from, Some(to));
        self.count_end(to);
        match (from == Some(Stage::Held), to == Stage::Held) {
            (false, true) => self.backlog.hold(),
            (true, false) => self.backlog.release(),
            _ => {}
        }
        if to.is_ended() {
            self.event_sweep.note(now, self.settings.retention);
        }
    }

    fn count_end(&self, stage: Stage) {
        let ended = &self.metrics.events_ended;
        match stage {
            Stage::Completed => ended.completed.increment(),
            Stage::Failed => ended.failed.increment(),
            Stage::Skipped => ended.skipped.increment(),
            Stage::Received | Stage::Held | Stage::Open => {}
        }
    }

    /// Deletes an event that ended at `ended_ms`, whose time is over. A row of the index that is not
    /// of its event's end goes alone: events that wait for an approval had one once.
    pub(super) fn delete_event(
        &mut self,
        id: EventId,
        ended_ms: u64,
        batch: &mut Batch<'_>,
    ) -> Result<(), store::Error> {
        match batch.event(id)? {
            Some(record) if record.kept_since_ms() == Some(ended_ms) => {
                let hash = delivery_hash(&record.source, &record.delivery_id);
                batch.delete_event(id, &record, &hash);
                self.backlog.moves(Some(record.stage), None);
            }
            _ => batch.forget_ended_event(id, ended_ms),
        }
        Ok(())
    }

    /// Refuses what would become a task where as many wait as may, or the disk is nearly full.
    fn check_room(&mut self) -> Result<(), Error> {
        self.check_disk()?;
        self.check_queue()
    }

    fn state_of(&self, record: &EventRecord, batch: &Batch<'_>) -> Result<State, store::Error> {
        let task = match (record.stage, task_of(record)) {
            (Stage::Open, Some(task)) => batch.task(task)?,
            _ => None,
        };
        let run = self.store.run();
        let is_dispatched =
            task.is_some_and(|task| task.state(run) == crate::task::State::Dispatched);
        Ok(record.stage.state(is_dispatched))
    }
}

fn new_record(new: &NewEvent, now_ms: u64) -> EventRecord {
    let delivery = &new.delivery;
    EventRecord {
        source: delivery.source.clone(),
        event_type: delivery.event_type.clone(),
        delivery_id: delivery.delivery_id.clone(),
        actor: delivery.actor.clone(),
        subject: delivery.subject.clone(),
        stage: Stage::Received,
        worker: None,
        task: None,
        reason: None,
        created_ms: now_ms,
        updated_ms: now_ms,
        attributes_bytes: new.attributes_json.len() as u64,
        payload_bytes: new.payload.bytes(),
        prompt_bytes: None,
        updated_steady_ms: None,
    }
}

/// An event's task.
pub(super) fn task_of(record: &EventRecord) -> Option<TaskId> {
    record
        .task
        .and_then(|task| Id::from_bytes(&task))
        .map(TaskId)
}

/// The start of a text, `max` bytes at most.
pub(super) fn cut(text: &str, max: usize) -> &str {
    let whole = |end: &usize| text.is_char_boundary(*end);
    let kept = (0..=text.len().min(max)).rev().find(whole).unwrap_or(0);
    text.get(..kept).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, max, expected) in [("aäb", 2, "a"), ("aäb", 3, "aä"), ("ab", 9, "ab")] {
            assert_eq!(cut(text, max), expected);
        }
    }
}
