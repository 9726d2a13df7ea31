//! Ended tasks are deleted when they are older than `limits.retention`.

use super::core::Core;
use crate::store::record::Phase;
use crate::store::{self, Batch};

/// Tasks deleted in one group, so that nobody waits long for his own command.
const SWEPT_MAX: usize = 256;

impl Core {
    /// Deletes some of what is too old, if it is time.
    pub(super) fn sweep(&mut self, batch: &mut Batch<'_>) -> Result<(), store::Error> {
        let now = self.wall();
        if self.next_sweep_ms.is_none_or(|at| at > now.as_millis()) {
            return Ok(());
        }
        let kept_from = now.before(self.settings.retention).as_millis();
        let found = batch.ended(self.sweep_mark_ms, SWEPT_MAX + 1)?;
        self.next_sweep_ms = None;
        let mut highest = None;
        for (place, (ended_ms, id)) in found.iter().enumerate() {
            self.sweep_mark_ms = *ended_ms;
            if *ended_ms > kept_from {
                let at = ended_ms.saturating_add(now.as_millis().saturating_sub(kept_from));
                self.next_sweep_ms = Some(at);
                break;
            }
            if place == SWEPT_MAX {
                self.next_sweep_ms = Some(0);
                break;
            }
            let Some(record) = batch.task(*id)? else {
                continue;
            };
            batch.delete_task(*id, &record);
            highest = highest.max(Some(id.0));
            if let Some(lane) = self.lanes.get_mut(&record.lane) {
                match record.phase {
                    Phase::Completed => lane.completed = lane.completed.saturating_sub(1),
                    Phase::Failed => lane.failed = lane.failed.saturating_sub(1),
                    Phase::Waiting | Phase::Running => {}
                }
                lane.is_changed = true;
            }
        }
        // The highest id of all must not be given out again, even when its row is gone. Rows are
        // deleted in the order in which tasks ended, so an earlier slice may hold a higher id.
        if let Some(highest) = highest
            && highest > self.highest_deleted
        {
            self.highest_deleted = highest;
            batch.put_deleted_id(highest);
        }
        Ok(())
    }
}
