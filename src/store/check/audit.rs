//! Every row, read and held against the others.

mod texts;

use std::collections::BTreeMap;

use fjall::Readable;

use super::Report;
use crate::event::EventId;
use crate::id::Id;
use crate::store::keys::{self, IndexKeys};
use crate::store::record::{
    self, ClockRecord, EventCounts, EventRecord, KeyRecord, LaneNumber, LaneRecord, Phase, Stage,
    StageCounts, TaskRecord,
};
use crate::store::snapshot::Snapshot;
use crate::store::{Error, SCHEMA_VERSION, Space, Store};
use crate::task::TaskId;

/// What a worker's tasks add up to.
#[derive(Debug, Default)]
struct Sums {
    waiting: u64,
    completed: u64,
    failed: u64,
    /// The lowest id of a task that waits for its first attempt, or runs one.
    low: Option<Id>,
}

/// What is asked of a row, given its key and its value.
type Check<'a> = fn(&mut Audit<'a>, &[u8], &[u8]) -> Result<(), Error>;

/// One reading of all rows.
pub(super) struct Audit<'a> {
    rows: Snapshot,
    report: &'a mut Report,
    /// BOUND: one entry for each worker that has tasks.
    lanes: BTreeMap<LaneNumber, Sums>,
    /// The lowest event that waits to be matched.
    received_low: Option<Id>,
    /// Events whose task has not ended.
    open: u64,
}

impl<'a> Audit<'a> {
    pub(super) fn new(store: &Store, report: &'a mut Report) -> Result<Self, Error> {
        let audit = Self {
            rows: store.snapshot(),
            report,
            lanes: BTreeMap::new(),
            received_low: None,
            open: 0,
        };
        let schema = audit.rows.get(Space::Meta, keys::SCHEMA)?;
        let schema = schema.as_deref().map(<[u8; 4]>::try_from);
        match schema {
            Some(Ok(bytes)) => {
                let version = u32::from_be_bytes(bytes);
                audit.report.schema = Some(version);
                if version > SCHEMA_VERSION {
                    return Err(Error::Newer {
                        dir: store.dir.clone(),
                        version,
                    });
                }
            }
            Some(Err(_)) => {
                return Err(Error::damaged(
                    "the row of the schema version",
                    "not 4 bytes",
                ));
            }
            None => {}
        }
        Ok(audit)
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        self.every(Space::Tasks, Self::task)?;
        self.every(Space::Events, Self::event)?;
        self.every(Space::Index, Self::index)?;
        self.every(Space::Texts, Self::text)?;
        self.every(Space::Meta, Self::meta)?;
        self.sums()
    }

    fn every(&mut self, space: Space, check: Check<'a>) -> Result<(), Error> {
        let rows = self.rows.rows.iter(self.rows.store.space(space));
        for row in rows {
            let (key, value) = row.into_inner()?;
            match check(self, &key, &value) {
                // One row that is wrong does not keep the others from being read.
                Err(failure @ Error::Damaged { .. }) => {
                    self.report.problems.add(failure.to_string());
                }
                checked => checked?,
            }
        }
        Ok(())
    }

    fn wrong(&mut self, place: impl Into<String>, detail: impl Into<String>) {
        let problem = Error::damaged(place, detail);
        self.report.problems.add(problem.to_string());
    }

    fn has(&self, key: &[u8]) -> Result<bool, Error> {
        let index = self.rows.store.space(Space::Index);
        Ok(self.rows.rows.contains_key(index, key)?)
    }

    fn task(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let id = id_of_row(key, "tasks")?;
        let place = format!("the row of task {id}");
        let record: TaskRecord = record::decode(value, &place)?;
        let sums = self.lanes.entry(record.lane).or_default();
        let tasks = &mut self.report.tasks;
        let (sum, shown) = match record.phase {
            Phase::Waiting | Phase::Running => (&mut sums.waiting, &mut tasks.pending),
            Phase::Completed => (&mut sums.completed, &mut tasks.completed),
            Phase::Failed => (&mut sums.failed, &mut tasks.failed),
        };
        *sum = sum.saturating_add(1);
        *shown = shown.saturating_add(1);
        if record.phase == Phase::Running {
            tasks.running = tasks.running.saturating_add(1);
        }
        if !record.is_ended() && record.due_ms.is_none() && sums.low.is_none() {
            // Rows are read in the order of their ids.
            sums.low = Some(id);
        }
        for key in keys::index_of(TaskId(id), &record).into_iter().flatten() {
            if !self.has(&key)? {
                self.wrong(&place, "a row of the index is missing for it");
            }
        }
        if let Some(hash) = &record.key_hash {
            let known = self.rows.key(hash)?.map(|known| known.task);
            if known != Some(*id.as_bytes()) {
                self.wrong(&place, "its idempotency key does not lead to it");
            }
        }
        self.texts_of_task(TaskId(id), &record)
    }

    fn event(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let id = id_of_row(key, "events")?;
        let place = format!("the row of event {id}");
        let record: EventRecord = record::decode(value, &place)?;
        let events = &mut self.report.events;
        let shown = match record.stage {
            Stage::Received => &mut events.received,
            Stage::Held | Stage::Open => &mut events.matched,
            Stage::Completed => &mut events.completed,
            Stage::Failed => &mut events.failed,
            Stage::Skipped => &mut events.skipped,
        };
        *shown = shown.saturating_add(1);
        if record.stage == Stage::Received && self.received_low.is_none() {
            self.received_low = Some(id);
        }
        for key in keys::event_index_of(EventId(id), &record)
            .into_iter()
            .flatten()
        {
            if !self.has(&key)? {
                self.wrong(&place, "a row of the index is missing for it");
            }
        }
        let hash = keys::delivery_hash(&record.source, &record.delivery_id);
        let known = self.rows.get(Space::Index, &keys::delivery(&hash))?;
        if known.as_deref() != Some(id.as_bytes().as_slice()) {
            self.wrong(&place, "its delivery does not lead to it");
        }
        if record.stage == Stage::Open {
            self.open = self.open.saturating_add(1);
            let task = self.rows.event_task(&record)?;
            if task.is_none_or(|task| task.is_ended()) {
                self.wrong(&place, "its task has ended or is missing");
            }
        }
        self.texts_of_event(EventId(id), &record)
    }

    /// A row of the index has a record that made it.
    fn index(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let is_right = match key.first() {
            Some(b'w' | b'r' | b'e') => match keys::id_of(key) {
                Some(id) => self
                    .rows
                    .task(TaskId(id))?
                    .is_some_and(|task| holds(&keys::index_of(TaskId(id), &task), key)),
                None => false,
            },
            // What was written of an end that is none any more is removed when its time comes.
            Some(b'x') => match keys::id_of(key) {
                Some(id) => self.rows.event(EventId(id))?.is_some(),
                None => false,
            },
            Some(b's') => match keys::id_of(key) {
                Some(id) => self
                    .rows
                    .event(EventId(id))?
                    .is_some_and(|event| holds(&keys::event_index_of(EventId(id), &event), key)),
                None => false,
            },
            Some(b'k') => {
                let known: KeyRecord = record::decode(value, "the row of an idempotency key")?;
                let task = match Id::from_bytes(&known.task) {
                    Some(id) => self.rows.task(TaskId(id))?,
                    None => None,
                };
                task.is_some_and(|task| {
                    task.key_hash.as_ref().map(<[u8; 16]>::as_slice) == key.get(1..)
                })
            }
            Some(b'd') => {
                let event = match Id::from_bytes(value) {
                    Some(id) => self.rows.event(EventId(id))?,
                    None => None,
                };
                event.is_some_and(|event| {
                    let hash = keys::delivery_hash(&event.source, &event.delivery_id);
                    key.get(1..) == Some(hash.as_slice())
                })
            }
            _ => false,
        };
        if !is_right {
            let shown = key.escape_ascii();
            self.wrong(
                format!("row {shown} of the index"),
                "no record belongs to it",
            );
        }
        Ok(())
    }

    fn meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let place = || format!("row {} of the settings", key.escape_ascii());
        match key {
            keys::SCHEMA => {}
            keys::RUN => match <[u8; 8]>::try_from(value) {
                Ok(bytes) => self.report.runs = u64::from_be_bytes(bytes),
                Err(_) => self.wrong(place(), "it is no run number"),
            },
            keys::DELETED_ID => {
                if Id::from_bytes(value).is_none() {
                    self.wrong(place(), "it is no id");
                }
            }
            keys::CLOCK => {
                record::decode::<ClockRecord>(value, &place())?;
            }
            keys::EVENT_COUNTS => {
                let counts: EventCounts = record::decode(value, place())?;
                let low = Id::from_bytes(&counts.low);
                if counts.received != self.report.events.received {
                    let detail = format!(
                        "it counts {} events that wait to be matched, and there are {}",
                        counts.received, self.report.events.received
                    );
                    self.wrong(place(), detail);
                } else if self.received_low.is_some() && low > self.received_low {
                    self.wrong(place(), "an event waits below its mark");
                }
                let events = &self.report.events;
                let found = StageCounts {
                    open: self.open,
                    completed: events.completed,
                    failed: events.failed,
                    skipped: events.skipped,
                };
                if let Some(counted) = counts.stages
                    && counted != found
                {
                    let list = |counts: StageCounts| {
                        let StageCounts {
                            open,
                            completed,
                            failed,
                            skipped,
                        } = counts;
                        format!(
                            "{open} open, {completed} completed, {failed} failed and {skipped} skipped"
                        )
                    };
                    let detail = format!(
                        "it counts {} events, and there are {}",
                        list(counted),
                        list(found)
                    );
                    self.wrong(place(), detail);
                }
            }
            _ if keys::lane_of(key).is_some() => {
                let number = keys::lane_of(key).unwrap_or_default();
                let lane: LaneRecord = record::decode(value, place())?;
                self.lane(number, &lane);
            }
            _ if key.starts_with(keys::WORKERS) => {
                self.report.workers = self.report.workers.saturating_add(1);
                if serde_json::from_slice::<serde::de::IgnoredAny>(value).is_err() {
                    self.wrong(place(), "it is no JSON");
                }
            }
            _ => self.wrong(place(), "nobody knows it"),
        }
        Ok(())
    }

    fn lane(&mut self, number: LaneNumber, lane: &LaneRecord) {
        let sums = self.lanes.remove(&number).unwrap_or_default();
        let place = || format!("the row of worker {}", lane.worker);
        let counted = (lane.waiting, lane.completed, lane.failed);
        let found = (sums.waiting, sums.completed, sums.failed);
        if counted != found {
            let detail = format!(
                "it counts {} waiting, {} completed and {} failed tasks, and there are {}, {} and {}",
                counted.0, counted.1, counted.2, found.0, found.1, found.2
            );
            self.wrong(place(), detail);
        }
        if sums.low.is_some_and(|low| low < lane.low_id()) {
            self.wrong(place(), "a task waits below its mark");
        }
    }

    /// Workers whose tasks nobody has counted.
    fn sums(mut self) -> Result<(), Error> {
        for (number, _) in std::mem::take(&mut self.lanes) {
            self.wrong(
                format!("the row of worker number {number}"),
                "it is missing",
            );
        }
        let counts = self.rows.get(Space::Meta, keys::EVENT_COUNTS)?;
        if self.report.events.received > 0 && counts.is_none() {
            self.wrong("the row of the events' counts", "it is missing");
        }
        let runs = self.rows.get(Space::Meta, keys::RUN)?;
        if self.report.schema.is_none() && runs.is_some() {
            self.wrong("the row of the schema version", "it is missing");
        }
        Ok(())
    }

    fn length(&self, key: &[u8]) -> Result<Option<u64>, Error> {
        let texts = self.rows.store.space(Space::Texts);
        Ok(self.rows.rows.size_of(texts, key)?.map(u64::from))
    }
}

fn holds(keys: &IndexKeys, key: &[u8]) -> bool {
    keys.iter().flatten().any(|other| **other == *key)
}

fn id_of_row(key: &[u8], space: &str) -> Result<Id, Error> {
    Id::from_bytes(key).ok_or_else(|| {
        Error::damaged(
            format!("row {} of the {space}", key.escape_ascii()),
            "its key is no id",
        )
    })
}
