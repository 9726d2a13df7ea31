//! How many tasks and events there are, by state; how long the oldest has waited; and the disk.
//!
//! Counts are kept by the writer. For the oldest task a few rows are read, from the marks of the lanes
//! on, so that nothing is stepped over that has ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_io::Timer;
use smol::future::FutureExt;

use super::core::Core;
use super::{Error, Queue};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::metrics::Registry;
use crate::store::record::LaneNumber;
use crate::store::{self, Snapshot};
use crate::task::TaskId;
use crate::worker::WorkerName;

/// Tasks that wait for a further attempt and are looked at for the oldest. Where more wait, it may be
/// among those that are due later.
const DUE_SEEN_MAX: usize = 1_024;

/// How long the readers may take for what is read.
const READING_TIME: Duration = Duration::from_secs(2);

/// What everybody may know of a worker's part of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneCounts {
    /// The worker's number in rows.
    pub number: LaneNumber,
    /// Pending tasks.
    pub pending: u64,
    /// Dispatched tasks.
    pub running: u64,
    /// Those of them that are an event's.
    pub running_events: u64,
    /// Completed tasks that are still kept.
    pub completed: u64,
    /// Failed tasks that are still kept.
    pub failed: u64,
    /// No task that waits for its first attempt has a lower id.
    pub fresh_from: Id,
    /// No task waits for an earlier time, in milliseconds of the store's own time.
    pub due_from_ms: u64,
}

/// Tasks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Pending ones.
    pub pending: u64,
    /// Dispatched ones.
    pub dispatched: u64,
    /// Completed ones that are still kept.
    pub completed: u64,
    /// Failed ones that are still kept.
    pub failed: u64,
}

/// Events by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Received ones, which wait to be matched.
    pub received: u64,
    /// Matched ones: they wait to be approved, or their task is pending. Between the two readings of
    /// which [`Overview`] is made, those that are dispatched are among them.
    pub matched: u64,
    /// Those whose task is dispatched.
    pub dispatched: u64,
    /// Completed ones that are still kept.
    pub completed: u64,
    /// Failed ones that are still kept.
    pub failed: u64,
    /// Skipped ones that are still kept.
    pub skipped: u64,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Tasks by state.
    pub tasks: TaskCounts,
    /// Events by state.
    pub events: EventCounts,
    /// Each worker that has tasks, with the pending ones.
    pub pending: Vec<(WorkerName, u64)>,
    /// When the oldest pending task was created; `None` where none is pending, or rows cannot be read.
    pub oldest_pending_at: Option<Timestamp>,
    /// Free bytes on the disk of the data directory, where they can be read.
    pub disk_free: Option<u64>,
    /// Free bytes of disk below which new work is refused.
    pub disk_reserve: u64,
}

impl Core {
    /// What is counted.
    pub fn metrics(&self) -> &Arc<Registry> {
        &self.metrics
    }

    /// Each worker that has tasks or asks for some, with what is known of them.
    pub fn lane_counts(&self) -> impl Iterator<Item = (WorkerName, LaneCounts)> {
        let lanes = self.lanes.values();
        lanes.map(|lane| (lane.worker.clone(), lane.counts()))
    }

    /// Events by state. Which of the open ones are dispatched is known of their tasks: all of them count
    /// as matched here.
    pub fn event_counts(&self) -> EventCounts {
        let stages = self.backlog.stages();
        EventCounts {
            received: self.backlog.received(),
            matched: self.backlog.held().saturating_add(stages.open),
            dispatched: 0,
            completed: stages.completed,
            failed: stages.failed,
            skipped: stages.skipped,
        }
    }

    /// Closes the minutes of the history that are over, in front of what is counted now.
    pub(super) fn turn_minute(&self) {
        let pending = || {
            let pending = self.lanes.values().map(super::lane::Lane::pending);
            pending.fold(0, u64::saturating_add)
        };
        self.metrics.history.turn(self.wall(), pending);
    }
}

impl Queue {
    /// Pending tasks of all workers.
    pub fn pending_in_all(&self) -> u64 {
        self.inner.board.pending_in_all()
    }

    /// How much there is of what, now.
    pub async fn overview(&self) -> Overview {
        let (lanes, mut events) = self.inner.board.counts();
        let mut tasks = TaskCounts::default();
        for (_, lane) in &lanes {
            let add = |sum: &mut u64, count| *sum = sum.saturating_add(count);
            add(&mut tasks.pending, lane.pending);
            add(&mut tasks.dispatched, lane.running);
            add(&mut tasks.completed, lane.completed);
            add(&mut tasks.failed, lane.failed);
            add(&mut events.dispatched, lane.running_events);
        }
        // A task that was retried after its event went on to another one runs without an event.
        events.dispatched = events.dispatched.min(events.matched);
        events.matched = events.matched.saturating_sub(events.dispatched);
        let waiting: Vec<_> = lanes
            .iter()
            .map(|(_, lane)| *lane)
            .filter(|lane| lane.pending > 0)
            .collect();
        let running: BTreeSet<_> = self.inner.board.running().into_iter().collect();
        let read = self.read(move |snapshot| {
            let free = snapshot.free_bytes().ok();
            Ok((free, oldest_pending(snapshot, waiting, &running)))
        });
        // Who watches wants the counts above all when the disk does not answer.
        let late = async {
            Timer::after(READING_TIME).await;
            Err(Error::Overloaded)
        };
        let (disk_free, oldest) = match read.or(late).await {
            Ok((free, Ok(oldest))) => (free, oldest),
            Ok((free, Err(failure))) => {
                log::error!("the oldest pending task cannot be read: {failure}");
                (free, None)
            }
            Err(_) => (None, None),
        };
        Overview {
            tasks,
            events,
            pending: lanes
                .into_iter()
                .map(|(worker, lane)| (worker, lane.pending))
                .collect(),
            oldest_pending_at: oldest,
            disk_free,
            disk_reserve: self.inner.disk_reserve.load(Ordering::Relaxed),
        }
    }
}

/// When the oldest task of `lanes` was created that is not `running`.
fn oldest_pending(
    snapshot: &Snapshot,
    mut lanes: Vec<LaneCounts>,
    running: &BTreeSet<TaskId>,
) -> Result<Option<Timestamp>, store::Error> {
    let mut oldest: Option<TaskId> = None;
    lanes.sort_unstable_by_key(|lane| lane.fresh_from);
    for lane in &lanes {
        if oldest.is_some_and(|known| known.0 <= lane.fresh_from) {
            break;
        }
        // Tasks that run may stand in front of the first that waits.
        let count = running.len().saturating_add(1);
        let found = snapshot.waiting(lane.number, lane.fresh_from, count)?;
        let first = found.into_iter().find(|id| !running.contains(id));
        oldest = older(oldest, first);
    }
    let mut left = DUE_SEEN_MAX.saturating_add(running.len());
    for lane in lanes.iter().filter(|lane| lane.due_from_ms != u64::MAX) {
        let found = snapshot.due(lane.number, lane.due_from_ms, left)?;
        left = left.saturating_sub(found.len());
        let waiting = found.into_iter().filter(|id| !running.contains(id));
        oldest = older(oldest, waiting.min());
    }
    let record = match oldest {
        Some(id) => snapshot.task(id)?,
        None => None,
    };
    Ok(record.map(|record| Timestamp::from_millis(record.created_ms)))
}

fn older(one: Option<TaskId>, other: Option<TaskId>) -> Option<TaskId> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
