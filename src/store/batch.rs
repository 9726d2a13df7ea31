//! The writer's view: rows with this group's changes on top.

use std::collections::{BTreeMap, VecDeque};

use fjall::{PersistMode, Slice};

#[cfg(test)]
use super::faults::Operation;
use super::keys::{self, IndexKeys, Shelf, Text};
use super::merged::Merged;
use super::place::Place;
use super::record::{self, ClockRecord, KeyRecord, LaneNumber, LaneRecord, TaskRecord};
use super::{Error, Space, Store, journal, text};
use crate::id::Id;
use crate::task::TaskId;

/// Rows of others that [`Batch::tasks_among`] steps over at most.
const OTHERS_MAX: u32 = 16;

type Changes = BTreeMap<Place, Option<Slice>>;

/// Changes that become durable and visible together, or not at all.
#[derive(Debug)]
pub struct Batch<'a> {
    store: &'a Store,
    /// New value of each changed row; `None` where it is removed.
    changes: Changes,
}

impl<'a> Batch<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self {
            store,
            changes: BTreeMap::new(),
        }
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Bytes of the keys and values that it changes.
    pub fn bytes(&self) -> u64 {
        let lengths = self.changes.iter().map(|(place, value)| {
            let value = value.as_ref().map_or(0, |value| value.len());
            place.key.len().saturating_add(value) as u64
        });
        lengths.fold(0, u64::saturating_add)
    }

    /// Writes all changes. DURABILITY: when it returns `Ok`, they survive power loss; on an
    /// error it is unknown whether they do, and the store takes no more.
    pub fn commit(self) -> Result<(), Error> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let journaled = journal::batch_bytes(self.changes.len(), self.bytes());
        let mut batch =
            fjall::OwnedWriteBatch::with_capacity(self.store.db.clone(), self.changes.len())
                .durability(Some(PersistMode::SyncData));
        for (Place { space, key }, value) in self.changes {
            let keyspace = self.store.space(space);
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        #[cfg(test)]
        let failure = self.store.faults.meet(Operation::Commit)?;
        // Held until the end: see the invariant there.
        let mut ahead = self.store.lock_ahead();
        ahead.prepare(journaled);
        *self.store.lock_before_commit() = Some(self.store.db.snapshot());
        // Where it fails, nobody shall see what there is of it.
        batch.commit()?;
        *self.store.lock_before_commit() = None;
        #[cfg(test)]
        if let Some(failure) = failure {
            return Err(failure);
        }
        Ok(())
    }

    /// The record of a task.
    pub fn task(&self, id: TaskId) -> Result<Option<TaskRecord>, Error> {
        let found = self.read(Space::Tasks, id.0.as_bytes())?;
        found
            .map(|bytes| record::decode(&bytes, format_args!("the row of task {id}")))
            .transpose()
    }

    /// The records of those of the tasks that there are; their ids ascend. It walks over the rows, which costs less than to
    /// look each of them up, until too many rows of others were in between.
    pub fn tasks_among(&self, ids: &[TaskId]) -> Result<VecDeque<(TaskId, TaskRecord)>, Error> {
        let mut found = VecDeque::new();
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
            return Ok(found);
        };
        let [from, to] = [first, last].map(|id| Slice::from(id.0.as_bytes()));
        let mut wanted = ids.iter().peekable();
        let mut others = 0;
        for row in self.range(Space::Tasks, from, to) {
            let (key, value) = row?;
            while wanted.next_if(|id| id.0.as_bytes()[..] < key[..]).is_some() {}
            match wanted.next_if(|id| id.0.as_bytes()[..] == key[..]) {
                Some(id) => {
                    let record = record::decode(&value, format_args!("the row of task {id}"))?;
                    found.push_back((*id, record));
                }
                None if others == OTHERS_MAX => break,
                None => others += 1,
            }
        }
        for id in wanted {
            found.extend(self.task(*id)?.map(|record| (*id, record)));
        }
        Ok(found)
    }

    /// Writes a task's record and moves its index rows. `old` is the record as it was, if there
    /// was one.
    pub fn put_task(&mut self, id: TaskId, old: Option<&TaskRecord>, new: &TaskRecord) {
        self.write(
            Space::Tasks,
            Slice::from(id.0.as_bytes()),
            &record::encode(new),
        );
        let present = old.map(|old| keys::index_of(id, old));
        self.move_index(present.unwrap_or_default(), keys::index_of(id, new));
    }

    /// Removes a task with its texts, ended attempts, index rows and idempotency key.
    pub fn delete_task(&mut self, id: TaskId, old: &TaskRecord) {
        self.remove(Space::Tasks, Slice::from(id.0.as_bytes()));
        self.move_index(keys::index_of(id, old), IndexKeys::default());
        if let Some(hash) = &old.key_hash {
            self.remove(Space::Index, keys::idempotency(hash));
        }
        for kind in Text::ALL {
            if let Some(bytes) = kind.bytes_in(old) {
                self.remove_text(id, kind, bytes);
            }
        }
        if old.attempts_bytes.is_some() {
            self.remove_attempts(id);
        }
    }

    /// Writes one of a task's texts.
    #[inline]
    pub fn put_text(&mut self, id: TaskId, kind: Text, text: &str) {
        self.put_in_pieces(&keys::text(id, kind), text);
    }

    /// Makes one of a task's texts unreadable.
    #[cfg(test)]
    pub(crate) fn spoil_text(&mut self, id: TaskId, kind: Text) {
        self.write(Space::Texts, keys::text(id, kind), &[0xff]);
    }

    /// Removes one of a task's texts, which has `bytes` bytes.
    pub fn remove_text(&mut self, id: TaskId, kind: Text, bytes: u64) {
        self.remove_pieces(&keys::text(id, kind), bytes);
    }

    /// Writes a text under its key.
    pub(super) fn put_in_pieces(&mut self, key: &[u8], text: &str) {
        for (number, piece) in text::split(text) {
            self.write(Space::Texts, text::key_of(key, number), piece);
        }
    }

    /// Removes a text of `bytes` bytes, given its key.
    pub(super) fn remove_pieces(&mut self, key: &[u8], bytes: u64) {
        for number in 0..text::pieces(bytes) {
            self.remove(Space::Texts, text::key_of(key, number));
        }
    }

    /// What an idempotency key, given as its hash, stands for.
    pub fn key(&self, hash: &[u8; 16]) -> Result<Option<KeyRecord>, Error> {
        let found = self.read(Space::Index, &keys::idempotency(hash))?;
        found
            .map(|bytes| record::decode(&bytes, "the row of an idempotency key"))
            .transpose()
    }

    /// Writes what an idempotency key stands for.
    pub fn put_key(&mut self, hash: &[u8; 16], key: &KeyRecord) {
        self.write(Space::Index, keys::idempotency(hash), &record::encode(key));
    }

    /// Ids of a worker's pending and dispatched tasks from `from` on, lowest first, `count` at
    /// most.
    pub fn waiting(&self, lane: LaneNumber, from: Id, count: usize) -> Result<Vec<TaskId>, Error> {
        let from = keys::shelved(lane, Shelf::Waiting, from);
        let to = keys::shelved(lane, Shelf::Waiting, Id::LAST);
        let mut ids = Vec::new();
        for row in self.range(Space::Index, from, to).take(count) {
            ids.push(TaskId(id_of(&row?)?));
        }
        Ok(ids)
    }

    /// A worker's tasks that wait for a time, from `from_ms` on, earliest first, `count` at most.
    pub fn due(
        &self,
        lane: LaneNumber,
        from_ms: u64,
        count: usize,
    ) -> Result<Vec<(u64, TaskId)>, Error> {
        let from = keys::due(lane, from_ms, Id::FIRST);
        let to = keys::due(lane, u64::MAX, Id::LAST);
        Ok(tasks(self.timed(from, to, count)?))
    }

    /// Ended tasks from `from_ms` on, the longest ended first, `count` at most.
    pub fn ended(&self, from_ms: u64, count: usize) -> Result<Vec<(u64, TaskId)>, Error> {
        let from = keys::ended(from_ms, Id::FIRST);
        let to = keys::ended(u64::MAX, Id::LAST);
        Ok(tasks(self.timed(from, to, count)?))
    }

    /// All workers' parts of the queue.
    pub fn lanes(&self) -> Result<Vec<(LaneNumber, LaneRecord)>, Error> {
        let mut lanes = Vec::new();
        let rows = self.range(Space::Meta, keys::lane(0), keys::lane(u32::MAX));
        for row in rows {
            let (key, value) = row?;
            let number = keys::lane_of(&key)
                .ok_or_else(|| Error::damaged("the key of a worker's row", "no number"))?;
            lanes.push((number, record::decode(&value, "the row of a worker")?));
        }
        Ok(lanes)
    }

    /// Writes a worker's part of the queue.
    pub fn put_lane(&mut self, number: LaneNumber, lane: &LaneRecord) {
        self.write(Space::Meta, keys::lane(number), &record::encode(lane));
    }

    /// Removes a worker's part of the queue.
    pub fn delete_lane(&mut self, number: LaneNumber) {
        self.remove(Space::Meta, keys::lane(number));
    }

    /// What is on disk of the store's own time.
    pub fn clock(&self) -> Result<Option<ClockRecord>, Error> {
        let found = self.read(Space::Meta, keys::CLOCK)?;
        found
            .map(|bytes| record::decode(&bytes, "the row of the store's time"))
            .transpose()
    }

    /// Writes the store's own time.
    pub fn put_clock(&mut self, clock: &ClockRecord) {
        self.write(
            Space::Meta,
            Slice::from(keys::CLOCK),
            &record::encode(clock),
        );
    }

    /// Writes a worker registered over the API.
    pub fn put_worker(&mut self, name: &str, json: &str) {
        self.write(Space::Meta, keys::worker(name), json.as_bytes());
    }

    /// Removes a worker registered over the API.
    pub fn delete_worker(&mut self, name: &str) {
        self.remove(Space::Meta, keys::worker(name));
    }

    /// Writes the highest id that was deleted.
    pub fn put_deleted_id(&mut self, id: Id) {
        self.write(Space::Meta, Slice::from(keys::DELETED_ID), id.as_bytes());
    }

    /// Brings index rows from what is `present` to what is `wanted`.
    pub(super) fn move_index(&mut self, present: IndexKeys, wanted: IndexKeys) {
        for (present, wanted) in present.into_iter().zip(wanted) {
            if present == wanted {
                continue;
            }
            if let Some(key) = present {
                self.remove(Space::Index, key);
            }
            if let Some(key) = wanted {
                self.write(Space::Index, key, b"");
            }
        }
    }

    /// Ids of index rows from `from` to `to` with the time in front of each.
    pub(super) fn timed(
        &self,
        from: Slice,
        to: Slice,
        count: usize,
    ) -> Result<Vec<(u64, Id)>, Error> {
        let mut found = Vec::new();
        for row in self.range(Space::Index, from, to).take(count) {
            let row = row?;
            let time = keys::time_of(&row.0)
                .ok_or_else(|| Error::damaged("a row of the index", "its key has no time"))?;
            found.push((time, id_of(&row)?));
        }
        Ok(found)
    }

    #[inline]
    pub(super) fn write(&mut self, space: Space, key: impl Into<Slice>, value: &[u8]) {
        self.share(space, key, Slice::from(value));
    }

    /// Writes a row whose value is not copied.
    #[inline]
    pub(super) fn share(&mut self, space: Space, key: impl Into<Slice>, value: Slice) {
        let key = key.into();
        self.changes.insert(Place { space, key }, Some(value));
    }

    pub(super) fn remove(&mut self, space: Space, key: impl Into<Slice>) {
        let key = key.into();
        self.changes.insert(Place { space, key }, None);
    }

    pub(super) fn read(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, Error> {
        // A batch is small, so building the key to look it up costs less than a second map.
        let place = Place {
            space,
            key: Slice::from(key),
        };
        match self.changes.get(&place) {
            Some(changed) => Ok(changed.clone()),
            None => self.store.get(space, key),
        }
    }

    /// Rows with keys from `from` to `to`, both included, in order.
    pub(super) fn range(&self, space: Space, from: Slice, to: Slice) -> Merged<'_> {
        let disk = self.store.space(space).range(from.clone()..=to.clone());
        let [from, to] = [from, to].map(|key| Place { space, key });
        let changed = self.changes.range(from..=to);
        Merged {
            #[cfg(test)]
            faults: self.store.faults.clone(),
            disk,
            next_on_disk: None,
            disk_is_done: false,
            changed: changed.peekable(),
        }
    }
}

fn tasks(found: Vec<(u64, Id)>) -> Vec<(u64, TaskId)> {
    let of_task = |(time, id)| (time, TaskId(id));
    found.into_iter().map(of_task).collect()
}

fn id_of((key, _): &(Slice, Slice)) -> Result<Id, Error> {
    keys::id_of(key).ok_or_else(|| Error::damaged("a row of the index", "its key has no id"))
}

#[cfg(test)]
mod tests;
