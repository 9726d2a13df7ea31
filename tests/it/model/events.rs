//! The driver's part for events: what is delivered, decided, approved and replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use mecha::budget::Budget;
use mecha::event::{Attribute, Attributes, Delivery, EventId, State};
use mecha::id::Id;
use mecha::queue::command::{Command, NewEvent, Outcome};
use mecha::queue::{Decision, Error, EventCounts};
use mecha::store::record::Stage;
use mecha::store::{Batch, EventListing, Payload};
use mecha::task::{self, TaskId};

use super::{Driver, ModelTask, QUEUE_MAX, name};

const SOURCES: [&str; 2] = ["github", "gitlab"];

/// Distinct deliveries of a source.
const DELIVERIES: u32 = 8;

#[derive(Clone, Debug)]
pub(super) struct ModelEvent {
    delivery: (usize, u32),
    stage: Stage,
    task: Option<TaskId>,
    updated: u64,
    /// The same by the store's own time.
    kept_since: u64,
    payload: String,
}

/// The events there are, and which each delivery made.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    all: BTreeMap<EventId, ModelEvent>,
    deliveries: BTreeMap<(usize, u32), EventId>,
}

impl Events {
    pub(super) fn waiting(&self) -> u64 {
        let waiting = |event: &&ModelEvent| matches!(event.stage, Stage::Received | Stage::Held);
        self.all.values().filter(waiting).count() as u64
    }

    /// A task that an event may have has gone to another state.
    pub(super) fn follow(&mut self, task: TaskId, to: task::State, now: (u64, u64)) {
        let stage = match to {
            task::State::Pending | task::State::Dispatched => Stage::Open,
            task::State::Completed => Stage::Completed,
            task::State::Failed => Stage::Failed,
        };
        for event in self.all.values_mut() {
            if event.task == Some(task) && event.stage != stage {
                event.stage = stage;
                (event.updated, event.kept_since) = now;
            }
        }
    }

    pub(super) fn sweep(&mut self, kept_from: u64) {
        let old = |event: &ModelEvent| event.stage.is_ended() && event.kept_since <= kept_from;
        let deliveries = &mut self.deliveries;
        self.all.retain(|_, event| {
            let is_old = old(event);
            if is_old {
                deliveries.remove(&event.delivery);
            }
            !is_old
        });
    }
}

impl<C: FnMut(u32) -> u32> Driver<C> {
    pub(super) fn event_command(&mut self) -> Command {
        let lowest = self
            .model
            .events
            .all
            .iter()
            .find(|(_, event)| event.stage == Stage::Received)
            .map(|(id, _)| *id);
        match (self.choose(8), lowest) {
            // The matcher takes them in the order of their ids.
            (3 | 4, Some(event)) => Command::Settle {
                event,
                decision: self.decision(),
            },
            (5, _) => {
                let decision = self.decision();
                match self.some_event(|event| event.stage != Stage::Received) {
                    Some(event) if self.choose(4) > 0 => Command::Replay { event, decision },
                    Some(event) => Command::Settle { event, decision },
                    None => self.receive(),
                }
            }
            (6, _) => {
                let held = self.some_event(|event| event.stage == Stage::Held);
                let any = held.or_else(|| self.some_event(|_| true));
                Command::Approve(any.unwrap_or(EventId(Id::FIRST)))
            }
            _ => self.receive(),
        }
    }

    fn receive(&mut self) -> Command {
        let delivery = (self.choose(2) as usize, self.choose(DELIVERIES));
        let filler = match self.choose(12) {
            // Several pieces, and one that is exactly full.
            0 => 300_000,
            1 => 128 << 10,
            _ => self.choose(200) as usize,
        };
        let mut attributes = Attributes::new();
        attributes.insert("number".into(), Attribute::Integer(i64::from(delivery.1)));
        let text = "x".repeat(filler);
        let new = NewEvent {
            payload: Payload::encode(&text),
            attributes_json: serde_json::to_string(&attributes).unwrap(),
            delivery: Delivery {
                source: SOURCES[delivery.0].to_owned(),
                event_type: format!("type-{}", delivery.1 % 3),
                delivery_id: delivery.1.to_string(),
                actor: None,
                subject: None,
                attributes,
                payload: text,
            },
            permit: Budget::new(0).empty(),
        };
        Command::Receive(Arc::new(new))
    }

    fn decision(&mut self) -> Decision {
        let worker = name(self.choose(3) as usize);
        match self.choose(8) {
            0 => Decision::Skip {
                reason: "no rule".to_owned(),
            },
            1 => Decision::Fail {
                worker: Some(worker),
                reason: "no name".to_owned(),
            },
            2 | 3 => Decision::Hold {
                worker,
                prompt: "held".to_owned(),
            },
            _ => Decision::Start {
                worker,
                prompt: "started".to_owned(),
            },
        }
    }

    fn some_event(&mut self, wanted: impl Fn(&ModelEvent) -> bool) -> Option<EventId> {
        let all = self.model.events.all.iter();
        let found: Vec<_> = all
            .filter(|(_, event)| wanted(event))
            .map(|(id, _)| *id)
            .collect();
        if found.is_empty() {
            return None;
        }
        let place = self.choose(u32::try_from(found.len()).unwrap()) as usize;
        Some(found[place])
    }

    fn state_of(&self, event: &ModelEvent) -> State {
        let task = event.task.and_then(|task| self.model.tasks.get(&task));
        let is_dispatched = task.is_some_and(|task| task.state == task::State::Dispatched);
        event
            .stage
            .state(event.stage == Stage::Open && is_dispatched)
    }

    fn known(&self, new: &NewEvent) -> Option<(EventId, &ModelEvent)> {
        let id = *self.model.events.deliveries.get(&key(&new.delivery))?;
        Some((id, &self.model.events.all[&id]))
    }

    pub(super) fn check_room(&self) -> Result<(), Error> {
        let pending = self
            .model
            .tasks
            .values()
            .filter(|task| task.state == task::State::Pending)
            .count() as u64;
        if pending + self.model.events.waiting() >= QUEUE_MAX {
            return Err(Error::QueueFull { limit: QUEUE_MAX });
        }
        Ok(())
    }

    /// What the core must answer to a command about an event.
    pub(super) fn predict_event(&self, command: &Command) -> Result<(), Error> {
        let found = |event: &EventId| match self.model.events.all.get(event) {
            Some(known) => Ok((known, *event, self.state_of(known))),
            None => Err(Error::UnknownEvent(*event)),
        };
        match command {
            Command::Receive(new) => match self.known(new) {
                Some((_, known)) if known.stage != Stage::Failed => Ok(()),
                _ => self.check_room(),
            },
            Command::Settle { event, .. } => match found(event)? {
                (known, ..) if known.stage == Stage::Received => Ok(()),
                (_, event, state) => Err(Error::NotReceived { event, state }),
            },
            Command::Replay { event, .. } => match found(event)? {
                (_, _, state) if state.is_ended() => self.check_room(),
                (_, event, state) => Err(Error::NotEnded { event, state }),
            },
            Command::Approve(event) => match found(event)? {
                (known, ..) if known.stage == Stage::Held => Ok(()),
                (_, event, state) => Err(Error::NotWaiting { event, state }),
            },
            _ => Ok(()),
        }
    }

    /// Takes over what a command about an event did.
    pub(super) fn learn_event(&mut self, command: &Command, outcome: &Outcome, batch: &Batch<'_>) {
        let now = (self.clock.now().as_millis(), self.model.steady);
        match command {
            Command::Receive(new) => self.learn_receive(new, outcome, now),
            Command::Settle { event, decision } | Command::Replay { event, decision } => {
                self.decide(*event, decision, now, batch);
            }
            Command::Approve(event) => {
                let record = batch.event(*event).unwrap().unwrap();
                let decision = Decision::Start {
                    worker: record.worker.unwrap().parse().unwrap(),
                    prompt: "held".to_owned(),
                };
                self.decide(*event, &decision, now, batch);
            }
            _ => {}
        }
    }

    fn learn_receive(&mut self, new: &NewEvent, outcome: &Outcome, now: (u64, u64)) {
        let known = self.known(new).map(|(id, event)| (id, event.clone()));
        match (outcome, known) {
            (Outcome::Duplicate { event, state, task }, Some((id, known))) => {
                assert_ne!(known.stage, Stage::Failed);
                assert_eq!((*event, *task), (id, known.task));
                assert_eq!(*state, self.state_of(&known));
            }
            (Outcome::Received { event, .. }, Some((id, known))) => {
                assert_eq!((*event, known.stage), (id, Stage::Failed));
                let again = ModelEvent {
                    stage: Stage::Received,
                    task: None,
                    updated: now.0,
                    kept_since: now.1,
                    ..known
                };
                self.model.events.all.insert(id, again);
            }
            (Outcome::Received { event, .. }, None) => {
                self.has_risen_to(event.0);
                let delivery = key(&new.delivery);
                self.model.events.deliveries.insert(delivery, *event);
                let received = ModelEvent {
                    delivery,
                    stage: Stage::Received,
                    task: None,
                    updated: now.0,
                    kept_since: now.1,
                    payload: new.delivery.payload.clone(),
                };
                self.model.events.all.insert(*event, received);
            }
            other => panic!("{other:?}"),
        }
    }

    fn decide(&mut self, id: EventId, decision: &Decision, now: (u64, u64), batch: &Batch<'_>) {
        let (stage, task) = match decision {
            Decision::Skip { .. } => (Stage::Skipped, None),
            Decision::Fail { .. } => (Stage::Failed, None),
            Decision::Hold { .. } => (Stage::Held, None),
            Decision::Start { worker, prompt } => {
                let record = batch.event(id).unwrap().unwrap();
                let task = TaskId(Id::from_bytes(&record.task.unwrap()).unwrap());
                self.has_risen_to(task.0);
                let run = self.store.as_ref().unwrap().run();
                self.model
                    .tasks
                    .insert(task, ModelTask::new(worker, prompt, run));
                (Stage::Open, Some(task))
            }
        };
        let event = self.model.events.all.get_mut(&id).unwrap();
        event.stage = stage;
        event.task = task;
        (event.updated, event.kept_since) = now;
    }

    /// Where each event stands.
    pub(super) fn event_states(&self) -> BTreeMap<EventId, State> {
        let events = self.model.events.all.iter();
        events
            .map(|(id, event)| (*id, self.state_of(event)))
            .collect()
    }

    /// The task of an event.
    pub(super) fn event_task(&self, id: EventId) -> Option<TaskId> {
        self.model.events.all.get(&id)?.task
    }

    pub(super) fn compare_events(&self) {
        let store = self.store.as_ref().unwrap();
        let core = self.core.as_ref().unwrap();
        let snapshot = store.snapshot();
        let mut waiting = Vec::new();
        for (id, event) in &self.model.events.all {
            let record = snapshot.event(*id).unwrap();
            let record = record.unwrap_or_else(|| panic!("{id} is lost"));
            assert_eq!(record.stage, event.stage, "{id}");
            assert_eq!(
                snapshot.event_state(&record).unwrap().0,
                self.state_of(event)
            );
            assert_eq!(record.updated_ms, event.updated, "{id}");
            let task = record
                .task
                .and_then(|task| Id::from_bytes(&task))
                .map(TaskId);
            assert_eq!(task, event.task, "{id}");
            let payload = snapshot.payload(*id, record.payload_bytes).unwrap();
            assert!(payload == event.payload, "{id}: another payload");
            let number = Some(&Attribute::Integer(i64::from(event.delivery.1)));
            assert_eq!(snapshot.attributes(*id).unwrap().get("number"), number);
            let prompt = store.batch().held_prompt(*id, &record).unwrap();
            assert_eq!(prompt.is_some(), event.stage == Stage::Held, "{id}");
            if event.stage == Stage::Received {
                waiting.push(*id);
            }
        }
        assert_eq!(core.received(), waiting.len() as u64);
        assert_eq!(
            snapshot.received(core.backlog_low(), 1_000).unwrap(),
            waiting
        );
        self.compare_event_counts();
        for state in State::ALL.map(Some).into_iter().chain([None]) {
            self.compare_lists(state);
        }
    }

    /// The counts that the core keeps, which has those that are dispatched among the matched ones.
    fn compare_event_counts(&self) {
        let count = |stages: &[Stage]| {
            let all = self.model.events.all.values();
            all.filter(|event| stages.contains(&event.stage)).count() as u64
        };
        let expected = EventCounts {
            received: count(&[Stage::Received]),
            matched: count(&[Stage::Held, Stage::Open]),
            dispatched: 0,
            completed: count(&[Stage::Completed]),
            failed: count(&[Stage::Failed]),
            skipped: count(&[Stage::Skipped]),
        };
        assert_eq!(self.core.as_ref().unwrap().event_counts(), expected);
    }

    /// The list by state and source, two events on a page.
    fn compare_lists(&self, state: Option<State>) {
        let snapshot = self.store.as_ref().unwrap().snapshot();
        let tasks = self.model.tasks.iter();
        let running: Vec<_> = tasks
            .filter(|(_, task)| task.state == task::State::Dispatched)
            .map(|(id, _)| *id)
            .collect();
        for source in [None, Some(0), Some(1)] {
            let mut listing = EventListing {
                state,
                source: source.map(|source: usize| SOURCES[source].to_owned()),
                event_type: None,
                before: Id::LAST,
                limit: 2,
                running: running.clone(),
            };
            let mut found = Vec::new();
            loop {
                let page = snapshot.list_events(&listing).unwrap();
                found.extend(page.events.iter().map(|(id, _)| *id));
                match page.next {
                    Some(next) => {
                        assert_eq!(
                            page.events.len(),
                            2,
                            "a page that is short and not the last"
                        );
                        listing.before = next.0;
                    }
                    None => break,
                }
            }
            let all = self.model.events.all.iter().rev();
            let expected: Vec<_> = all
                .filter(|(_, event)| state.is_none_or(|state| self.state_of(event) == state))
                .filter(|(_, event)| source.is_none_or(|source| event.delivery.0 == source))
                .map(|(id, _)| *id)
                .collect();
            assert_eq!(found, expected, "{state:?} {source:?}");
        }
    }
}

fn key(delivery: &Delivery) -> (usize, u32) {
    let source = SOURCES
        .iter()
        .position(|name| *name == delivery.source)
        .unwrap();
    (source, delivery.delivery_id.parse().unwrap())
}
