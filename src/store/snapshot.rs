//! What everybody but the writer reads: the rows of one moment.

use std::collections::BinaryHeap;

use fjall::{Readable, Slice};

use super::keys::{self, Shelf, Text};
use super::record::{self, KeyRecord, LaneNumber, LaneRecord, TaskRecord};
use super::{Error, Space, Store, text};
use crate::id::Id;
use crate::task::{State, TaskId};
use crate::worker::WorkerName;

/// Rows of one moment. It holds back the clean-up of older rows, so it is dropped soon.
pub struct Snapshot {
    pub(super) store: Store,
    pub(super) rows: fjall::Snapshot,
}

/// Which tasks to list, newest first.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Only tasks of these workers; `None` lists all workers'.
    pub lanes: Option<Vec<LaneNumber>>,
    /// Only tasks in this state.
    pub state: Option<State>,
    /// Only tasks with a lower id.
    pub before: Id,
    /// Tasks at most.
    pub limit: usize,
}

/// A page of tasks.
#[derive(Debug, Default)]
pub struct Listed {
    /// Tasks with their records, newest first.
    pub tasks: Vec<(TaskId, TaskRecord)>,
    /// Whether there are more behind them.
    pub more: bool,
}

impl Snapshot {
    pub(super) fn new(store: &Store) -> Self {
        Self {
            rows: store.rows(),
            store: store.clone(),
        }
    }

    /// The value of a row.
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, Error> {
        #[cfg(test)]
        self.store.faults.meet(super::faults::Operation::Read)?;
        Ok(self.rows.get(self.store.space(space), key)?)
    }

    /// The record of a task.
    pub fn task(&self, id: TaskId) -> Result<Option<TaskRecord>, Error> {
        let found = self.get(Space::Tasks, id.0.as_bytes())?;
        found
            .map(|bytes| record::decode(&bytes, format_args!("the row of task {id}")))
            .transpose()
    }

    /// One of a task's texts, as long as its `record` says; `None` where there is none.
    pub fn text(
        &self,
        id: TaskId,
        kind: Text,
        record: &TaskRecord,
    ) -> Result<Option<String>, Error> {
        let Some(bytes) = kind.bytes_in(record) else {
            return Ok(None);
        };
        self.joined(&keys::text(id, kind), bytes)?
            .map_err(|detail| Error::damaged(format!("the {kind:?} of task {id}"), detail))
    }

    /// The text of `bytes` bytes that is stored under `key`, or what is wrong with it.
    pub(super) fn joined(&self, key: &[u8], bytes: u64) -> Result<text::Joined, Error> {
        text::join(bytes, |number| {
            self.get(Space::Texts, &text::key_of(key, number))
        })
    }

    /// What an idempotency key, given as its hash, stands for.
    pub fn key(&self, hash: &[u8; 16]) -> Result<Option<KeyRecord>, Error> {
        let found = self.get(Space::Index, &keys::idempotency(hash))?;
        found
            .map(|bytes| record::decode(&bytes, "the row of an idempotency key"))
            .transpose()
    }

    /// Ids of a worker's pending and dispatched tasks from `from` on, lowest first, `count` at
    /// most.
    pub fn waiting(&self, lane: LaneNumber, from: Id, count: usize) -> Result<Vec<TaskId>, Error> {
        let range = keys::shelved(lane, Shelf::Waiting, from)
            ..=keys::shelved(lane, Shelf::Waiting, Id::LAST);
        self.task_ids(range, count)
    }

    /// Ids of a worker's tasks that wait for a time, or run after it came, from `from_ms` on, earliest
    /// first, `count` at most.
    pub fn due(&self, lane: LaneNumber, from_ms: u64, count: usize) -> Result<Vec<TaskId>, Error> {
        let range = keys::due(lane, from_ms, Id::FIRST)..=keys::due(lane, u64::MAX, Id::LAST);
        self.task_ids(range, count)
    }

    fn task_ids(
        &self,
        range: std::ops::RangeInclusive<Slice>,
        count: usize,
    ) -> Result<Vec<TaskId>, Error> {
        let rows = self.rows.range(self.store.space(Space::Index), range);
        let id = |key: Slice| {
            let id = keys::id_of(&key).map(TaskId);
            id.ok_or_else(|| Error::damaged("a row of the index", "its key has no id"))
        };
        rows.take(count).map(|row| id(row.key()?)).collect()
    }

    /// Free bytes on the disk of the data directory, for a user without special rights.
    pub fn free_bytes(&self) -> Result<u64, Error> {
        self.store.free_bytes()
    }

    /// The name of the worker that has this number.
    pub fn lane_worker(&self, number: LaneNumber) -> Result<Option<WorkerName>, Error> {
        let place = || format!("the row of worker number {number}");
        let found = self.get(Space::Meta, &keys::lane(number))?;
        let Some(bytes) = found else { return Ok(None) };
        let lane: LaneRecord = record::decode(&bytes, place())?;
        let name = lane.worker.parse();
        name.map(Some)
            .map_err(|_| Error::damaged(place(), "it holds no worker's name"))
    }

    /// Workers registered over the API: name and JSON.
    pub fn workers(&self) -> Result<Vec<(String, String)>, Error> {
        let mut workers = Vec::new();
        for row in self
            .rows
            .prefix(self.store.space(Space::Meta), keys::WORKERS)
        {
            let (key, value) = row.into_inner()?;
            let name = key.get(keys::WORKERS.len()..).unwrap_or_default();
            let texts = (
                String::from_utf8(name.to_vec()),
                String::from_utf8(value.to_vec()),
            );
            let (Ok(name), Ok(json)) = texts else {
                return Err(Error::damaged(
                    "the row of a registered worker",
                    "it is not UTF-8",
                ));
            };
            workers.push((name, json));
        }
        Ok(workers)
    }

    /// A page of tasks. `running` are the tasks that are dispatched now, lowest id first; all
    /// `lanes` there are are used where the listing names none.
    pub fn list(
        &self,
        listing: &Listing,
        lanes: &[LaneNumber],
        running: &[TaskId],
    ) -> Result<Listed, Error> {
        if listing.state == Some(State::Dispatched) {
            let newest_first = running.iter().rev().copied().map(Ok);
            return self.page(
                listing,
                newest_first.filter(|id| is_before(id, listing.before)),
            );
        }
        if listing.state.is_none() && listing.lanes.is_none() {
            let rows = self.rows.range(
                self.store.space(Space::Tasks),
                ..listing.before.as_bytes().as_slice(),
            );
            let ids = rows.rev().map(|row| {
                let key = row.key()?;
                Id::from_bytes(&key)
                    .map(TaskId)
                    .ok_or_else(|| Error::damaged("a row of the tasks", "its key is no id"))
            });
            return self.page(listing, ids);
        }
        let shelves: &[Shelf] = match listing.state {
            None => &Shelf::ALL,
            Some(State::Pending | State::Dispatched) => &[Shelf::Waiting],
            Some(State::Completed) => &[Shelf::Completed],
            Some(State::Failed) => &[Shelf::Failed],
        };
        let lanes = listing.lanes.as_deref().unwrap_or(lanes);
        let mut ranges = Vec::new();
        for lane in lanes {
            for shelf in shelves {
                let from = keys::shelved(*lane, *shelf, Id::FIRST);
                let to = keys::shelved(*lane, *shelf, listing.before);
                ranges.push(self.rows.range(self.store.space(Space::Index), from..to));
            }
        }
        self.page(listing, NewestFirst::new(ranges)?)
    }

    fn page(
        &self,
        listing: &Listing,
        ids: impl Iterator<Item = Result<TaskId, Error>>,
    ) -> Result<Listed, Error> {
        let mut listed = Listed::default();
        for id in ids {
            let id = id?;
            let Some(record) = self.task(id)? else {
                continue;
            };
            let is_wanted = listing
                .state
                .is_none_or(|state| record.state(self.store.run) == state)
                && listing
                    .lanes
                    .as_ref()
                    .is_none_or(|lanes| lanes.contains(&record.lane));
            if !is_wanted {
                continue;
            }
            if listed.tasks.len() == listing.limit {
                listed.more = true;
                break;
            }
            listed.tasks.push((id, record));
        }
        Ok(listed)
    }
}

fn is_before(id: &Result<TaskId, Error>, before: Id) -> bool {
    id.as_ref().is_ok_and(|id| id.0 < before)
}

/// Several index ranges as one sequence of falling ids.
struct NewestFirst {
    ranges: Vec<fjall::Iter>,
    /// The highest id of each range that is not read to its end, and which range that is.
    heads: BinaryHeap<(TaskId, usize)>,
}

impl NewestFirst {
    fn new(ranges: Vec<fjall::Iter>) -> Result<Self, Error> {
        let count = ranges.len();
        let mut merged = Self {
            ranges,
            heads: BinaryHeap::with_capacity(count),
        };
        for range in 0..count {
            merged.advance(range)?;
        }
        Ok(merged)
    }

    fn advance(&mut self, range: usize) -> Result<(), Error> {
        if let Some(row) = self.ranges.get_mut(range).and_then(fjall::Iter::next_back) {
            let key = row.key()?;
            let id = keys::id_of(&key)
                .ok_or_else(|| Error::damaged("a row of the index", "its key has no id"))?;
            self.heads.push((TaskId(id), range));
        }
        Ok(())
    }
}

impl Iterator for NewestFirst {
    type Item = Result<TaskId, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let (id, range) = self.heads.pop()?;
        Some(self.advance(range).map(|()| id))
    }
}

#[cfg(test)]
mod tests;
