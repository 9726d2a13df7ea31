//! Ended tasks and events are deleted when they are older than `limits.retention`, by the store's
//! own time.

use std::time::Duration;

use super::core::Core;
use crate::clock::Timestamp;
use crate::event::EventId;
use crate::id::Id;
use crate::store::record::Phase;
use crate::store::{self, Batch};
use crate::task::TaskId;

/// Tasks or events deleted in one group, so that nobody waits long for his own command.
const SWEPT_MAX: usize = 256;

/// How far the deleting of one kind of rows has come.
#[derive(Debug)]
pub(super) struct Sweep {
    /// No row that is still stored ended earlier.
    mark_ms: u64,
    /// When the next is to be deleted, as far as the last sweep saw.
    next_ms: Option<u64>,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            mark_ms: 0,
            next_ms: Some(0),
        }
    }
}

impl Sweep {
    /// When something is to be deleted.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.next_ms
    }

    /// Something ended at `now`.
    pub(super) fn note(&mut self, now: Timestamp, retention: Duration) {
        self.mark_ms = self.mark_ms.min(now.as_millis());
        let due_ms = now.after(retention).as_millis();
        self.next_ms = Some(self.next_ms.map_or(due_ms, |at| at.min(due_ms)));
    }

    /// Looks again at once.
    pub(super) fn hasten(&mut self) {
        self.next_ms = Some(0);
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.next_ms.is_some_and(|at| at <= now.as_millis())
    }

    /// Which of the rows `found` from the mark on, the longest ended first, are to go.
    fn take<T>(
        &mut self,
        found: Vec<(u64, T)>,
        now: Timestamp,
        retention: Duration,
    ) -> Vec<(u64, T)> {
        let kept_from = now.before(retention).as_millis();
        self.next_ms = None;
        let mut taken = Vec::new();
        for (ended_ms, id) in found {
            self.mark_ms = ended_ms;
            if ended_ms > kept_from {
                let at = ended_ms.saturating_add(now.as_millis().saturating_sub(kept_from));
                self.next_ms = Some(at);
                break;
            }
            if taken.len() == SWEPT_MAX {
                self.next_ms = Some(0);
                break;
            }
            taken.push((ended_ms, id));
        }
        taken
    }
}

impl Core {
    /// Deletes some of what is too old, if it is time.
    pub(super) fn sweep(&mut self, batch: &mut Batch<'_>) -> Result<(), store::Error> {
        let now = self.time.now();
        let retention = self.settings.retention;
        let mut highest = None;
        if self.task_sweep.is_due(now) {
            let found = batch.ended(self.task_sweep.mark_ms, SWEPT_MAX + 1)?;
            for (_, id) in self.task_sweep.take(found, now, retention) {
                self.delete_task(id, batch)?;
                highest = highest.max(Some(id.0));
            }
        }
        if self.event_sweep.is_due(now) {
            let found = batch.ended_events(self.event_sweep.mark_ms, SWEPT_MAX + 1)?;
            for (ended_ms, id) in self.event_sweep.take(found, now, retention) {
                self.delete_event(EventId(id), ended_ms, batch)?;
                highest = highest.max(Some(id));
            }
        }
        self.effects.has_deleted |= highest.is_some();
        self.remember_deleted(highest, batch);
        Ok(())
    }

    fn delete_task(&mut self, id: TaskId, batch: &mut Batch<'_>) -> Result<(), store::Error> {
        let Some(record) = batch.task(id)? else {
            return Ok(());
        };
        batch.delete_task(id, &record);
        if let Some(lane) = self.lanes.get_mut(&record.lane) {
            match record.phase {
                Phase::Completed => lane.completed = lane.completed.saturating_sub(1),
                Phase::Failed => lane.failed = lane.failed.saturating_sub(1),
                Phase::Waiting | Phase::Running => {}
            }
            lane.is_changed = true;
        }
        Ok(())
    }

    /// The highest id of all must not be given out again, even when its row is gone. Rows are
    /// deleted in the order in which they ended, so an earlier slice may hold a higher id.
    fn remember_deleted(&mut self, highest: Option<Id>, batch: &mut Batch<'_>) {
        if let Some(highest) = highest
            && highest > self.highest_deleted
        {
            self.highest_deleted = highest;
            batch.put_deleted_id(highest);
        }
    }
}
