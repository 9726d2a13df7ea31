//! Whose turn it is among a worker's tasks.

use super::core::is_due;
use super::lane::{Lane, READY_MAX};
use crate::store::record::TaskRecord;
use crate::store::{self, Batch};
use crate::task::TaskId;

/// From so many on that are wanted at once, records are read by a walk over the rows and not one by one.
const WALK_MIN: usize = 8;

impl Lane {
    /// The task whose turn it is: one whose time has come, else the oldest. With it goes whether
    /// it waits for its first attempt. So many are wanted, this one included.
    pub(super) fn next_task(
        &mut self,
        now_ms: u64,
        wanted: usize,
        batch: &Batch<'_>,
    ) -> Result<Option<(TaskId, TaskRecord, bool)>, store::Error> {
        if let Some((id, record)) = self.next_due(now_ms, batch)? {
            return Ok(Some((id, record, false)));
        }
        while let Some(id) = self.next_fresh(batch)? {
            let claimable = self.record_of(id, wanted, batch)?.filter(|record| {
                !record.is_ended() && record.due_ms.is_none() && !self.running.contains_key(&id)
            });
            if let Some(record) = claimable {
                return Ok(Some((id, record, true)));
            }
        }
        Ok(None)
    }

    /// The task whose time has come first. What is read of the index serves all claims of a
    /// group, because tasks that run stand in it too and would be stepped over each time.
    fn next_due(
        &mut self,
        now_ms: u64,
        batch: &Batch<'_>,
    ) -> Result<Option<(TaskId, TaskRecord)>, store::Error> {
        self.next_due_ms = None;
        loop {
            if self.due_ahead.is_empty() && self.may_have_more_due {
                self.read_due_ahead(batch)?;
            }
            let Some((due_ms, id)) = self.due_ahead.front().copied() else {
                return Ok(None);
            };
            if !is_due(due_ms, now_ms) {
                self.next_due_ms = Some(due_ms);
                return Ok(None);
            }
            self.due_ahead.pop_front();
            if let Some(record) = batch.task(id)? {
                return Ok(Some((id, record)));
            }
        }
    }

    fn read_due_ahead(&mut self, batch: &Batch<'_>) -> Result<(), store::Error> {
        let count = self.running.len() + READY_MAX;
        let found = batch.due(self.number, self.due_mark_ms, count)?;
        self.may_have_more_due = found.len() == count;
        self.due_mark_ms = found.first().map_or(u64::MAX, |(due_ms, _)| *due_ms);
        let running = &self.running;
        let claimable = found
            .into_iter()
            .filter(|(_, id)| !running.contains_key(id));
        self.due_ahead.extend(claimable);
        Ok(())
    }

    fn next_fresh(&mut self, batch: &Batch<'_>) -> Result<Option<TaskId>, store::Error> {
        if let Some(id) = self.put_back.pop_first() {
            return Ok(Some(id));
        }
        if self.ready.is_empty() && self.may_have_more {
            self.ready
                .extend(batch.waiting(self.number, self.cursor, READY_MAX)?);
            match self.ready.back() {
                Some(last) => self.cursor = last.0.next(),
                None => self.may_have_more = false,
            }
        }
        Ok(self.ready.pop_front())
    }

    /// The record of a fresh task. Where many are wanted, those of the next ones are read with it.
    fn record_of(
        &mut self,
        id: TaskId,
        wanted: usize,
        batch: &Batch<'_>,
    ) -> Result<Option<TaskRecord>, store::Error> {
        if self.records_ahead.is_empty() && wanted >= WALK_MIN {
            let next = self.ready.iter().copied().take(wanted.saturating_sub(1));
            let ids: Vec<TaskId> = std::iter::once(id).chain(next).collect();
            self.records_ahead = batch.tasks_among(&ids)?;
        }
        match self.records_ahead.front() {
            Some((ahead, _)) if *ahead == id => {
                Ok(self.records_ahead.pop_front().map(|(_, record)| record))
            }
            _ => batch.task(id),
        }
    }
}
