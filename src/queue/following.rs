//! What the queue tells those who follow: every change of a task or an event, once it is durable.
//!
//! A change is a copy of what the record says, so it costs the writer no reading. What of an event never
//! changes is read by whoever is told of the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use log::error;

use super::core::Core;
use super::events::task_of;
use super::{Error, Queue};
use crate::clock::Timestamp;
use crate::event::{self, EventId};
use crate::feed::{Change, EventChange, Feed, TaskChange};
use crate::id::Id;
use crate::store::record::{EventRecord, TaskRecord, time};
use crate::store::{self, Batch};
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

    /// Writes an event's record as `change` leaves it, and tells of it.
    pub(super) fn change_event(
        &mut self,
        id: EventId,
        old: EventRecord,
        batch: &mut Batch<'_>,
        change: impl FnOnce(&mut EventRecord),
    ) {
        let changed = batch.change_event(id, old, change);
        self.tell_event(id, &changed);
    }

    /// Tells of an event as `new` shows it.
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

    /// What of these events the changes leave to be read; those deleted meanwhile are left out, and so
    /// are those whose rows are damaged: one of them must not cost a reader all the others.
    pub async fn event_heads(
        &self,
        ids: Vec<EventId>,
    ) -> Result<BTreeMap<EventId, EventHead>, Error> {
        self.read(move |snapshot| {
            let mut heads = BTreeMap::new();
            for id in ids {
                match snapshot.event(id) {
                    Ok(Some(record)) => {
                        heads.insert(id, head_of(record));
                    }
                    Ok(None) => {}
                    Err(failure @ store::Error::Damaged { .. }) => {
                        error!("readers of changes are not told of event {id}: {failure}");
                    }
                    Err(failure) => return Err(failure),
                }
            }
            Ok(heads)
        })
        .await
    }
}

fn head_of(record: EventRecord) -> EventHead {
    let task = task_of(&record);
    EventHead {
        source: record.source,
        event_type: record.event_type,
        subject: record.subject,
        created_at: Timestamp::from_millis(record.created_ms),
        updated_at: Timestamp::from_millis(record.updated_ms),
        task,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::budget::Budget;
    use crate::clock::Clock;
    use crate::drain::Drain;
    use crate::event::{Attributes, Delivery};
    use crate::queue::{Receipt, Settings};
    use crate::store::Store;

    fn receive(queue: &Queue, delivery_id: &str) -> EventId {
        let delivery = Delivery {
            source: "s".to_owned(),
            event_type: "t".to_owned(),
            delivery_id: delivery_id.to_owned(),
            actor: None,
            subject: None,
            attributes: Attributes::new(),
            payload: "{}".to_owned(),
        };
        let permit = Budget::new(0).empty();
        match smol::block_on(queue.receive(delivery, permit)).unwrap() {
            Receipt::Received(event) => event.id,
            other @ Receipt::Duplicate { .. } => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_damaged_event_is_left_out_and_costs_the_others_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let settings = Settings {
            queue: 100,
            retention: Duration::from_secs(3_600),
            disk_reserve: 0,
        };
        let queue = Queue::open(store.clone(), Clock::system(), settings, Drain::new()).unwrap();
        let ids = ["1", "2", "3"].map(|delivery| receive(&queue, delivery));
        let mut batch = store.batch();
        batch.spoil_event(ids[1]);
        batch.commit().unwrap();
        let read = store.snapshot().event(ids[1]);
        assert!(
            matches!(read, Err(store::Error::Damaged { .. })),
            "{read:?}"
        );
        let heads = smol::block_on(queue.event_heads(ids.to_vec())).unwrap();
        let found: Vec<_> = heads.into_keys().collect();
        assert_eq!(found, [ids[0], ids[2]]);
    }
}
