//! What the queue tells those who follow: every change of a task or an event, once it is durable.
//!
//! A change is a copy of what the record says, so it costs the writer no reading. What of an event never
//! changes is read by whoever is told of the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::core::Core;
use super::events::task_of;
use super::{Error, Queue};
use crate::clock::Timestamp;
use crate::event::{self, EventId};
use crate::feed::{Change, EventChange, Feed, TaskChange};
use crate::id::Id;
use crate::store::Batch;
use crate::store::record::{EventRecord, TaskRecord, time};
use crate::task::{State, TaskId};

/// What a change of an event leaves to be read of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// The name of its source.
    pub source: String,
    /// What happened, in the sender's words.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When its row changed last.
    pub updated_at: Timestamp,
    /// Its task by now.
    pub task: Option<TaskId>,
}

impl Core {
    /// Writes a task's record, and tells of it where its state is another one.
    pub(super) fn put_task(
        &mut self,
        id: TaskId,
        old: Option<&TaskRecord>,
        new: &TaskRecord,
        batch: &mut Batch<'_>,
    ) {
        batch.put_task(id, old, new);
        let Some(lane) = self.lanes.get(&new.lane) else {
            return;
        };
        let worker = &lane.shared_name;
        let run = self.store.run();
        let (before, state) = (old.map(|old| old.state(run)), new.state(run));
        if before == Some(state) {
            return;
        }
        let event = new.event.and_then(|id| Id::from_bytes(&id)).map(EventId);
        self.effects.changes.push(Change::Task(TaskChange {
            id,
            worker: Arc::clone(worker),
            state,
            attempts: new.attempts,
            created_at: Timestamp::from_millis(new.created_ms),
            dispatched_at: time(new.dispatched_ms),
            completed_at: time(new.ended_ms),
            event,
        }));
        // Of the beginning and the end of its task an event has a row.
        let is_of_attempt = before.is_some_and(|before| !before.is_ended()) && !state.is_ended();
        if let Some(event) = event
            && is_of_attempt
        {
            let state = match state {
                State::Dispatched => event::State::Dispatched,
                _ => event::State::Matched,
            };
            self.effects.changes.push(Change::Event(EventChange {
                id: event,
                state,
                worker: Some(Arc::clone(worker)),
                task: Some(id),
                updated_at: time(new.dispatched_ms),
                is_of_attempt,
            }));
        }
    }

    /// Writes a new event's record, and tells of it.
    pub(super) fn put_event(&mut self, id: EventId, new: &EventRecord, batch: &mut Batch<'_>) {
        batch.put_event(id, new);
        self.tell_event(id, new);
    }

    /// Tells of an event's record that was written.
    pub(super) fn tell_event(&mut self, id: EventId, new: &EventRecord) {
        self.effects.changes.push(Change::Event(EventChange {
            id,
            // No attempt of its task runs when its row is written.
            state: new.stage.state(false),
            worker: new.worker.as_deref().map(Arc::from),
            task: task_of(new),
            updated_at: Some(Timestamp::from_millis(new.updated_ms)),
            is_of_attempt: false,
        }));
    }
}

impl Queue {
    /// Where changes are told of. What a list or an answer shows has been told of there.
    pub fn feed(&self) -> &Feed {
        &self.inner.feed
    }

    /// What of these events the changes leave to be read; those deleted meanwhile are left out.
    pub async fn event_heads(
        &self,
        ids: Vec<EventId>,
    ) -> Result<BTreeMap<EventId, EventHead>, Error> {
        self.read(move |snapshot| {
            let mut heads = BTreeMap::new();
            for id in ids {
                if let Some(record) = snapshot.event(id)? {
                    let task = task_of(&record);
                    let head = EventHead {
                        source: record.source,
                        event_type: record.event_type,
                        subject: record.subject,
                        created_at: Timestamp::from_millis(record.created_ms),
                        updated_at: Timestamp::from_millis(record.updated_ms),
                        task,
                    };
                    heads.insert(id, head);
                }
            }
            Ok(heads)
        })
        .await
    }
}
