//! The rows of events: written by the batch, read by snapshots.

use fjall::{Readable, Slice};

use super::batch::Batch;
use super::keys::{self, EventText, IndexKeys};
use super::payload::{self, Payload};
use super::record::{self, EventCounts, EventRecord, Stage};
use super::snapshot::Snapshot;
use super::{Error, Space, text};
use crate::event::{Attributes, EventId, State};
use crate::id::Id;
use crate::task::{self, TaskId};

/// BOUND: records that one page looks at. Where a filter lets few events through, a page ends
/// with less than its limit, and the next one goes on behind it.
const EXAMINED_MAX: usize = 10_000;

/// Which events to list, newest first.
#[derive(Clone, Debug)]
pub struct EventListing {
    /// Only events in this state.
    pub state: Option<State>,
    /// Only events of this source.
    pub source: Option<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Only events with a lower id.
    pub before: Id,
    /// Events at most.
    pub limit: usize,
    /// The tasks that run now: what is dispatched is read of them.
    pub running: Vec<TaskId>,
}

/// A page of events.
#[derive(Debug, Default)]
pub struct ListedEvents {
    /// Events with their records, newest first.
    pub events: Vec<(EventId, EventRecord)>,
    /// Where the next page begins, if there may be more.
    pub next: Option<EventId>,
}

impl Batch<'_> {
    /// The record of an event.
    pub fn event(&self, id: EventId) -> Result<Option<EventRecord>, Error> {
        let found = self.read(Space::Events, id.0.as_bytes())?;
        found
            .map(|bytes| record::decode(&bytes, format_args!("the row of event {id}")))
            .transpose()
    }

    /// Writes the record of a new event and its index rows.
    pub fn put_event(&mut self, id: EventId, new: &EventRecord) {
        self.write_event(id, IndexKeys::default(), new);
    }

    /// Changes an event's record, which is `record` now, and moves its index rows. Gives what it is then.
    pub fn change_event(
        &mut self,
        id: EventId,
        mut record: EventRecord,
        change: impl FnOnce(&mut EventRecord),
    ) -> EventRecord {
        let present = keys::event_index_of(id, &record);
        change(&mut record);
        self.write_event(id, present, &record);
        record
    }

    /// Makes an event's record unreadable.
    #[cfg(test)]
    pub(crate) fn spoil_event(&mut self, id: EventId) {
        self.write(Space::Events, Slice::from(id.0.as_bytes()), &[0xff]);
    }

    fn write_event(&mut self, id: EventId, present: IndexKeys, new: &EventRecord) {
        let bytes = record::encode(new);
        self.write(Space::Events, Slice::from(id.0.as_bytes()), &bytes);
        self.move_index(present, keys::event_index_of(id, new));
    }

    /// Writes what of an event never changes: its attributes as JSON, and its payload.
    pub fn put_event_texts(&mut self, id: EventId, attributes: &str, payload: &Payload) {
        let key = keys::event_text(id, EventText::Attributes);
        self.write(Space::Texts, key, attributes.as_bytes());
        for (number, piece) in (0..).zip(&payload.pieces) {
            let key = keys::payload_piece(id, number);
            self.share(Space::Texts, key, piece.clone());
        }
    }

    /// The prompt that waits to be approved, as long as the event's `record` says.
    pub fn held_prompt(&self, id: EventId, record: &EventRecord) -> Result<Option<String>, Error> {
        let Some(bytes) = record.prompt_bytes else {
            return Ok(None);
        };
        let key = keys::event_text(id, EventText::Prompt);
        let piece = |number| self.read(Space::Texts, &text::key_of(&key, number));
        text::join(bytes, piece)?.map_err(|detail| damaged_prompt(id, detail))
    }

    /// Writes the prompt that waits to be approved.
    pub fn put_held_prompt(&mut self, id: EventId, prompt: &str) {
        self.put_in_pieces(&keys::event_text(id, EventText::Prompt), prompt);
    }

    /// Removes the prompt that waited to be approved, which has `bytes` bytes.
    pub fn remove_held_prompt(&mut self, id: EventId, bytes: u64) {
        self.remove_pieces(&keys::event_text(id, EventText::Prompt), bytes);
    }

    /// Removes an event with its texts, its index rows and the row of its delivery, whose hash is
    /// `delivery`.
    pub fn delete_event(&mut self, id: EventId, old: &EventRecord, delivery: &[u8; 16]) {
        self.remove(Space::Events, Slice::from(id.0.as_bytes()));
        self.move_index(keys::event_index_of(id, old), IndexKeys::default());
        self.remove(Space::Index, keys::delivery(delivery));
        self.remove(Space::Texts, keys::event_text(id, EventText::Attributes));
        if let Some(bytes) = old.prompt_bytes {
            self.remove_held_prompt(id, bytes);
        }
        for number in 0..payload::pieces(old.payload_bytes) {
            self.remove(Space::Texts, keys::payload_piece(id, number));
        }
    }

    /// The event of a delivery, given as its hash.
    pub fn delivery(&self, hash: &[u8; 16]) -> Result<Option<EventId>, Error> {
        let found = self.read(Space::Index, &keys::delivery(hash))?;
        found
            .map(|bytes| {
                Id::from_bytes(&bytes)
                    .map(EventId)
                    .ok_or_else(|| Error::damaged("the row of a delivery", "it holds no id"))
            })
            .transpose()
    }

    /// Writes which event a delivery made.
    pub fn put_delivery(&mut self, hash: &[u8; 16], id: EventId) {
        self.write(Space::Index, keys::delivery(hash), id.0.as_bytes());
    }

    /// Removes the row that says that an event ended at `ended_ms`.
    pub fn forget_ended_event(&mut self, id: EventId, ended_ms: u64) {
        self.remove(Space::Index, keys::event_ended(ended_ms, id.0));
    }

    /// How many events are in `stage`; it reads a row for each.
    pub fn staged_events(&self, stage: Stage) -> Result<u64, Error> {
        let from = keys::staged(stage, Id::FIRST);
        let to = keys::staged(stage, Id::LAST);
        self.range(Space::Index, from, to)
            .try_fold(0_u64, |count, row| row.map(|_| count.saturating_add(1)))
    }

    /// Events that retention may delete from `from_ms` on, the longest unchanged first, `count`
    /// at most.
    pub fn ended_events(&self, from_ms: u64, count: usize) -> Result<Vec<(u64, Id)>, Error> {
        self.timed(
            keys::event_ended(from_ms, Id::FIRST),
            keys::event_ended(u64::MAX, Id::LAST),
            count,
        )
    }

    /// What is known of all events.
    pub fn event_counts(&self) -> Result<EventCounts, Error> {
        match self.read(Space::Meta, keys::EVENT_COUNTS)? {
            Some(bytes) => record::decode(&bytes, "the row of the events' counts"),
            None => Ok(EventCounts::default()),
        }
    }

    /// Writes what is known of all events.
    pub fn put_event_counts(&mut self, counts: &EventCounts) {
        let bytes = record::encode(counts);
        self.write(Space::Meta, Slice::from(keys::EVENT_COUNTS), &bytes);
    }
}

impl Snapshot {
    /// The record of an event.
    pub fn event(&self, id: EventId) -> Result<Option<EventRecord>, Error> {
        let found = self.get(Space::Events, id.0.as_bytes())?;
        found
            .map(|bytes| record::decode(&bytes, format_args!("the row of event {id}")))
            .transpose()
    }

    /// What rules may ask of an event.
    pub fn attributes(&self, id: EventId) -> Result<Attributes, Error> {
        let key = keys::event_text(id, EventText::Attributes);
        let found = self.get(Space::Texts, &key)?;
        let damaged = |detail| Error::damaged(format!("the attributes of event {id}"), detail);
        let bytes = found.ok_or_else(|| damaged("they are missing".to_owned()))?;
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
    }

    /// The payload of an event, whose record says how many bytes it has.
    pub fn payload(&self, id: EventId, bytes: u64) -> Result<String, Error> {
        let piece = |number| self.get(Space::Texts, &keys::payload_piece(id, number));
        payload::decode(bytes, piece)?
            .map_err(|detail| Error::damaged(format!("the payload of event {id}"), detail))
    }

    /// The prompt that waits to be approved.
    pub fn held_prompt(&self, id: EventId) -> Result<Option<String>, Error> {
        let Some(bytes) = self.event(id)?.and_then(|record| record.prompt_bytes) else {
            return Ok(None);
        };
        self.joined(&keys::event_text(id, EventText::Prompt), bytes)?
            .map_err(|detail| damaged_prompt(id, detail))
    }

    /// Events that wait to be matched, from `from` on, lowest id first, `count` at most.
    pub fn received(&self, from: Id, count: usize) -> Result<Vec<EventId>, Error> {
        let range = keys::staged(Stage::Received, from)..=keys::staged(Stage::Received, Id::LAST);
        let rows = self.rows.range(self.store.space(Space::Index), range);
        rows.take(count).map(|row| event_of(&row.key()?)).collect()
    }

    /// A page of events.
    pub fn list_events(&self, listing: &EventListing) -> Result<ListedEvents, Error> {
        let Some(state) = listing.state else {
            let rows = self.rows.range(
                self.store.space(Space::Events),
                ..listing.before.as_bytes().as_slice(),
            );
            return self.event_page(listing, rows.rev().map(|row| event_of(&row.key()?)));
        };
        if state == State::Dispatched {
            return self.event_page(listing, self.events_of(listing)?.into_iter().map(Ok));
        }
        let mut stages = Stage::of(state).iter().map(|stage| {
            let range = keys::staged(*stage, Id::FIRST)..keys::staged(*stage, listing.before);
            let rows = self.rows.range(self.store.space(Space::Index), range);
            rows.rev().map(|row| event_of(&row.key()?)).peekable()
        });
        match (stages.next(), stages.next()) {
            (Some(mut first), Some(mut second)) => {
                // Both run from new to old; the newer head is next.
                let merged = std::iter::from_fn(|| match (first.peek(), second.peek()) {
                    (Some(Ok(a)), Some(Ok(b))) if a < b => second.next(),
                    (None, _) => second.next(),
                    _ => first.next(),
                });
                self.event_page(listing, merged)
            }
            (Some(only), None) => self.event_page(listing, only),
            (None, _) => Ok(ListedEvents::default()),
        }
    }

    /// The events of the tasks that run, newest first.
    fn events_of(&self, listing: &EventListing) -> Result<Vec<EventId>, Error> {
        let mut events = Vec::new();
        for task in &listing.running {
            let event = self.task(*task)?.and_then(|record| record.event);
            events.extend(event.and_then(|id| Id::from_bytes(&id)));
        }
        events.retain(|id| *id < listing.before);
        events.sort_unstable_by(|a, b| b.cmp(a));
        Ok(events.into_iter().map(EventId).collect())
    }

    fn event_page(
        &self,
        listing: &EventListing,
        ids: impl Iterator<Item = Result<EventId, Error>>,
    ) -> Result<ListedEvents, Error> {
        let mut listed = ListedEvents::default();
        let mut last = None;
        for (examined, id) in ids.enumerate() {
            let id = id?;
            if examined == EXAMINED_MAX {
                listed.next = last;
                break;
            }
            let Some(record) = self.event(id)? else {
                continue;
            };
            let is = |wanted: &Option<String>, found: &str| {
                wanted.as_ref().is_none_or(|wanted| wanted == found)
            };
            let is_wanted = is(&listing.source, &record.source)
                && is(&listing.event_type, &record.event_type)
                && self.is_in_state(&record, listing.state)?;
            if is_wanted && listed.events.len() == listing.limit {
                // One more is wanted: it begins the next page, behind the last of this one.
                listed.next = listed.events.last().map(|(id, _)| *id);
                break;
            }
            last = Some(id);
            if is_wanted {
                listed.events.push((id, record));
            }
        }
        Ok(listed)
    }

    fn is_in_state(&self, record: &EventRecord, state: Option<State>) -> Result<bool, Error> {
        match state {
            None => Ok(true),
            Some(state) => Ok(self.event_state(record)?.0 == state),
        }
    }

    /// The state to show of an event, and since when it is in it, in milliseconds since the
    /// epoch.
    pub fn event_state(&self, record: &EventRecord) -> Result<(State, u64), Error> {
        let task = match record.stage {
            Stage::Open => self.event_task(record)?,
            _ => None,
        };
        let is_dispatched = task
            .as_ref()
            .is_some_and(|task| task.state(self.store.run()) == task::State::Dispatched);
        // An attempt that is over leaves its start as the last time that is known.
        let dispatched_ms = task.and_then(|task| task.dispatched_ms);
        let updated_ms = dispatched_ms.map_or(record.updated_ms, |at| at.max(record.updated_ms));
        Ok((record.stage.state(is_dispatched), updated_ms))
    }

    /// The record of an event's task, if it has one that is still stored.
    pub fn event_task(&self, record: &EventRecord) -> Result<Option<record::TaskRecord>, Error> {
        match record.task.and_then(|task| Id::from_bytes(&task)) {
            Some(task) => self.task(TaskId(task)),
            None => Ok(None),
        }
    }
}

fn damaged_prompt(id: EventId, detail: &'static str) -> Error {
    Error::damaged(format!("the prompt of event {id}"), detail)
}

fn event_of(key: &[u8]) -> Result<EventId, Error> {
    keys::id_of(key)
        .map(EventId)
        .ok_or_else(|| Error::damaged("a row of the events", "its key has no id"))
}
