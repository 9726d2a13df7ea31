//! What an earlier run of the server left behind.

use std::collections::BTreeSet;

use super::core::Core;
use crate::store;
use crate::store::record::Phase;

/// Rows of a lane that are looked at for tasks that a crash left dispatched; a worker runs 1,000
/// attempts at most.
const LEFT_DISPATCHED_SEEN_MAX: usize = 1_024;

/// Lanes that are looked at for them.
const LEFT_DISPATCHED_LANES_MAX: usize = 32;

impl Core {
    /// Tasks that an earlier run left dispatched: their attempts were broken off.
    pub fn left_dispatched(&self) -> Result<u64, store::Error> {
        let batch = self.store.batch();
        let mut count = 0;
        // BOUND: the figure is for the log, and must not hold up the start of a large store.
        let lanes_max = LEFT_DISPATCHED_LANES_MAX;
        for lane in self
            .lanes
            .values()
            .filter(|lane| lane.waiting > 0)
            .take(lanes_max)
        {
            // A lane's row is written with every claim, so running tasks are among the first
            // from its mark on, or among those that wait for a time.
            let fresh = batch.waiting(lane.number, lane.cursor, LEFT_DISPATCHED_SEEN_MAX)?;
            let due = batch.due(lane.number, 0, LEFT_DISPATCHED_SEEN_MAX)?;
            // A task that waits for a time stands in both.
            let seen: BTreeSet<_> = fresh
                .into_iter()
                .chain(due.into_iter().map(|(_, id)| id))
                .collect();
            for id in seen {
                if let Some(record) = batch.task(id)? {
                    count += u64::from(record.phase == Phase::Running);
                }
            }
        }
        Ok(count)
    }
}
