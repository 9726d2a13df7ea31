//! The queue's handle for events: what comes in, what the rules decided, and what is shown.

use std::sync::Arc;

use log::error;

use super::command::{Command, Decision, NewEvent, Outcome};
use super::events::{REASON_BYTES_MAX, cut, task_of};
use super::inbox::{Reply, Request};
use super::judging::Judge;
use super::{Error, Queue, oneshot};
use crate::budget::Permit;
use crate::clock::Timestamp;
use crate::event::{Attributes, Delivery, Event, EventId, State};
use crate::id::Id;
use crate::offload;
use crate::store::keys::Text;
use crate::store::record::{EventRecord, Stage};
use crate::store::{self, EventListing, Payload, Snapshot};
use crate::task::TaskId;

/// What [`Queue::receive`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The event is stored, or is to be matched again.
    Received(Arc<Event>),
    /// The delivery is one that was stored before.
    Duplicate {
        /// The event that it made.
        event: EventId,
        /// Where that stands.
        state: State,
        /// Its task.
        task: Option<TaskId>,
    },
}

/// Which events a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events in this state.
    pub state: Option<State>,
    /// Only events of this source.
    pub source: Option<String>,
    /// Only events of this type.
    pub event_type: Option<String>,
    /// Only events with a lower id.
    pub before: Option<EventId>,
    /// Events at most; 1 to 1000.
    pub limit: usize,
}

/// A page of a list, newest first. Only sizes are known yet; [`Queue::load_events`] reads the
/// rest.
#[derive(Debug, Default)]
pub struct EventPage {
    /// The page's events with the bytes of what is shown of each.
    pub events: Vec<(EventId, u64)>,
    /// Where the next page begins, if there may be more.
    pub next: Option<EventId>,
}

/// Bytes of an event's record that a list shows, at most: 255 each for type, delivery id and
/// actor, 512 for the subject, 1 KiB for the reason, and the worker's name.
const RECORD_BYTES: u64 = 3 << 10;

/// Bytes of attributes that are read together of events that wait to be matched.
const WAITING_BYTES_MAX: u64 = 1 << 20;

impl Queue {
    /// Has `judge` decide about events in front of their commits, where that takes a moment.
    pub fn judge_with(&self, judge: Arc<dyn Judge>) {
        // The first one stays.
        let _ = self.inner.judge.set(judge);
    }

    /// Stores what was delivered, unless it is known. `permit` stands for its bytes and is given
    /// back when they are stored.
    pub async fn receive(
        &self,
        mut delivery: Delivery,
        mut permit: Permit,
    ) -> Result<Receipt, Error> {
        let text = std::mem::take(&mut delivery.payload);
        let payload = offload::run(text.len(), move || Payload::encode(&text)).await;
        let attributes_json =
            serde_json::to_string(&delivery.attributes).map_err(|_| Error::Unreadable)?;
        let held = payload.stored_bytes().saturating_add(attributes_json.len());
        permit.shrink_to(u64::try_from(held).unwrap_or(u64::MAX));
        let new = Arc::new(NewEvent {
            delivery,
            payload,
            attributes_json,
            permit,
        });
        match self.ask(Command::Receive(new)).await? {
            Outcome::Received {
                new: Some(event), ..
            } => Ok(Receipt::Received(event)),
            // What was stored first is what runs again, whatever came under its id now.
            Outcome::Received { event, new: None } => match self.find_event(event).await? {
                Some(event) => Ok(Receipt::Received(Arc::new(event))),
                None => Err(Error::UnknownEvent(event)),
            },
            Outcome::Duplicate { event, state, task } => {
                Ok(Receipt::Duplicate { event, state, task })
            }
            _ => Err(Error::StoreFailed),
        }
    }

    /// Waits until events are to be matched and gives the oldest, `count` at most; those whose
    /// rows cannot be read by their ids. New ones are at hand as they were stored. BOUND: those have 1 MiB of
    /// attributes together at most, and those that are read as much, the last one's aside. Nobody but the matcher asks, whose thread it blocks while
    /// it reads.
    ///
    /// INVARIANT: it never sleeps while an event waits and no command is under way. The writer makes a
    /// commit visible, then publishes the mark, then notifies, then answers; and one thread does all
    /// that, commit after commit. Here the order is the reverse: listen, then look at the mark, then
    /// take a snapshot, which shows whole commits alone. So whatever the mark was published with is in the snapshot. If the snapshot
    /// has no event although there was a mark, later commits have settled what it stood for. If an event
    /// comes after the snapshot was taken, or the mark was looked at before it was published, its
    /// notification comes after `listen`, and `listener` returns at once.
    pub async fn received(&self, count: usize) -> Result<Vec<Result<Arc<Event>, EventId>>, Error> {
        loop {
            let listener = self.inner.board.backlog_event.listen();
            if self.inner.inbox.has_failed() {
                return Err(Error::StoreFailed);
            }
            if let Some(low) = self.inner.board.backlog_low() {
                let events = self.read_here(|snapshot| {
                    let ids = snapshot.received(low, count)?;
                    let fresh = self.inner.board.take_fresh(&ids);
                    Ok(load_waiting(snapshot, ids, fresh))
                })?;
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            listener.await;
        }
    }

    /// Carries out what the rules decided about events that wait to be matched, in this order.
    pub async fn settle(&self, decisions: Vec<(EventId, Decision)>) -> Result<(), Error> {
        let mut answers = Vec::with_capacity(decisions.len());
        for (event, decision) in decisions {
            let (sender, receiver) = oneshot::pair();
            let command = Command::Settle { event, decision };
            let request = Request::new(command, Reply::Answer(sender));
            self.inner.inbox.send(request)?;
            answers.push(receiver);
        }
        // The writer answers in their order, so that whoever waits for the last is woken once.
        for answer in answers.into_iter().rev() {
            match answer.await {
                // Somebody else was faster: nothing is left to do for it.
                Some(Ok(_) | Err(Error::UnknownEvent(_) | Error::NotReceived { .. })) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Error::StoreFailed),
            }
        }
        Ok(())
    }

    /// Lets an ended event be what the rules decide about it today.
    pub async fn replay_event(&self, id: EventId, decision: Decision) -> Result<(), Error> {
        let event = id;
        self.ask(Command::Replay { event, decision })
            .await
            .map(drop)
    }

    /// Starts the task of an event that waits to be approved.
    pub async fn approve_event(&self, id: EventId) -> Result<(), Error> {
        self.ask(Command::Approve(id)).await.map(drop)
    }

    /// The event as it is now.
    pub async fn find_event(&self, id: EventId) -> Result<Option<Event>, Error> {
        Ok(self.load_events(vec![id]).await?.pop())
    }

    /// Bytes of what is shown of an event, and of its payload; `None` for an unknown id.
    pub async fn event_size(&self, id: EventId) -> Result<Option<(u64, u64)>, Error> {
        let record = self.read(move |snapshot| snapshot.event(id)).await?;
        Ok(record.map(|record| (shown_bytes(&record), record.payload_bytes)))
    }

    /// An event's payload: JSON, byte for byte as it came.
    pub async fn payload(&self, id: EventId) -> Result<Option<String>, Error> {
        self.read(move |snapshot| match snapshot.event(id)? {
            Some(record) => snapshot.payload(id, record.payload_bytes).map(Some),
            None => Ok(None),
        })
        .await
    }

    /// The prompt that an event's approval would start.
    pub async fn held_prompt(&self, id: EventId) -> Result<Option<String>, Error> {
        self.read(move |snapshot| snapshot.held_prompt(id)).await
    }

    /// The events of a page, without what is large.
    pub async fn list_events(&self, filter: EventFilter) -> Result<EventPage, Error> {
        let listing = EventListing {
            state: filter.state,
            source: filter.source,
            event_type: filter.event_type,
            before: filter.before.map_or(Id::LAST, |id| id.0),
            limit: filter.limit,
            running: match filter.state {
                Some(State::Dispatched) => self.inner.board.running(),
                _ => Vec::new(),
            },
        };
        let listed = self
            .read(move |snapshot| snapshot.list_events(&listing))
            .await?;
        let sizes = listed
            .events
            .iter()
            .map(|(id, record)| (*id, shown_bytes(record)));
        Ok(EventPage {
            events: sizes.collect(),
            next: listed.next,
        })
    }

    /// The events in the order of `ids`; those deleted meanwhile are left out.
    pub async fn load_events(&self, ids: Vec<EventId>) -> Result<Vec<Event>, Error> {
        self.read(move |snapshot| load(snapshot, ids)).await
    }
}

fn shown_bytes(record: &EventRecord) -> u64 {
    record.attributes_bytes.saturating_add(RECORD_BYTES)
}

/// The events that wait, each by itself: one that cannot be read must not hold up the others. `fresh` has
/// those of them that need not be read.
fn load_waiting(
    snapshot: &Snapshot,
    ids: Vec<EventId>,
    fresh: Vec<Option<Arc<Event>>>,
) -> Vec<Result<Arc<Event>, EventId>> {
    let mut events = Vec::with_capacity(ids.len());
    let mut bytes = 0_u64;
    for (id, fresh) in ids.into_iter().zip(fresh) {
        if let Some(event) = fresh {
            events.push(Ok(event));
            continue;
        }
        if bytes > WAITING_BYTES_MAX {
            break;
        }
        match load_one(snapshot, id) {
            Ok(Some((event, size))) => {
                bytes = bytes.saturating_add(size);
                events.push(Ok(Arc::new(event)));
            }
            // Damage, which `mecha check --data` names: what waits is never deleted.
            Ok(None) => error!("event {id} cannot be matched: its row is missing"),
            Err(failure) => {
                error!("event {id} cannot be matched: {failure}");
                events.push(Err(id));
            }
        }
    }
    events
}

/// An event, and the bytes of what is shown of it.
fn load_one(snapshot: &Snapshot, id: EventId) -> Result<Option<(Event, u64)>, store::Error> {
    let Some(record) = snapshot.event(id)? else {
        return Ok(None);
    };
    let bytes = shown_bytes(&record);
    let attributes = snapshot.attributes(id)?;
    Ok(Some((event(snapshot, id, record, attributes)?, bytes)))
}

fn load(snapshot: &Snapshot, ids: Vec<EventId>) -> Result<Vec<Event>, store::Error> {
    let mut events = Vec::with_capacity(ids.len());
    for id in ids {
        events.extend(load_one(snapshot, id)?.map(|(event, _)| event));
    }
    Ok(events)
}

fn event(
    snapshot: &Snapshot,
    id: EventId,
    record: EventRecord,
    attributes: Attributes,
) -> Result<Event, store::Error> {
    let (state, updated_ms) = snapshot.event_state(&record)?;
    let task = task_of(&record);
    // The reason of an event that failed with its task is the task's.
    let reason = match (record.stage, task) {
        (Stage::Failed, Some(id)) => match snapshot.task(id)? {
            Some(task) => snapshot
                .text(id, Text::Error, &task)?
                .map(|error| cut(&error, REASON_BYTES_MAX).to_owned()),
            None => None,
        },
        _ => record.reason,
    };
    let worker = record.worker.map(|worker| worker.parse()).transpose();
    let worker = worker.map_err(|_| store::Error::Damaged {
        place: format!("the row of event {id}"),
        detail: "it holds no worker's name".to_owned(),
    })?;
    Ok(Event {
        id,
        source: record.source,
        event_type: record.event_type,
        delivery_id: record.delivery_id,
        actor: record.actor,
        subject: record.subject,
        state,
        worker,
        task,
        reason,
        attributes,
        created_at: Timestamp::from_millis(record.created_ms),
        updated_at: Timestamp::from_millis(updated_ms),
    })
}
