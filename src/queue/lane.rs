//! A worker's part of the queue: what is in memory of it.
//!
//! BOUND: a lane holds as many ids as its worker runs attempts, and [`READY_MAX`] that come
//! next. Everything else is in the store, found from the marks kept here, so that no search
//! steps over the rows of tasks that are done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::claim::Cancellation;
use super::overview::LaneCounts;
use crate::id::Id;
use crate::metrics::{self, Registry};
use crate::store::record::{LaneNumber, LaneRecord, TaskRecord};
use crate::task::TaskId;
use crate::worker::WorkerName;

/// Ids read ahead.
pub(super) const READY_MAX: usize = 64;

/// Attempts that the dispatcher would start if there were tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) ticket: u64,
    pub(super) count: u32,
}

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) number: u32,
    /// Whether the task waits for its first attempt, as opposed to a repeated one.
    pub(super) is_fresh: bool,
    /// Whether the task is an event's.
    pub(super) has_event: bool,
    pub(super) cancellation: Arc<Cancellation>,
}

/// One worker's part.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each marks something else that is to be done"
)]
pub(super) struct Lane {
    pub(super) number: LaneNumber,
    pub(super) worker: WorkerName,
    /// The same for those who are told of its tasks.
    pub(super) shared_name: Arc<str>,
    /// Tasks that are pending or dispatched.
    pub(super) waiting: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) running: BTreeMap<TaskId, Running>,
    /// Those of them that are an event's.
    pub(super) running_events: u64,
    /// Fresh tasks whose attempt was put back: older than all in `ready`.
    pub(super) put_back: BTreeSet<TaskId>,
    /// Fresh tasks in the order of their ids, read ahead.
    pub(super) ready: VecDeque<TaskId>,
    /// Records of the next of them, read for the claims of one group.
    pub(super) records_ahead: VecDeque<(TaskId, TaskRecord)>,
    /// Every fresh task that is not in memory has this id or a higher one.
    pub(super) cursor: Id,
    /// Whether there may be fresh tasks from `cursor` on.
    pub(super) may_have_more: bool,
    /// No task waits for an earlier time.
    pub(super) due_mark_ms: u64,
    /// Tasks with the times that they wait for, read ahead for the claims of one group.
    pub(super) due_ahead: VecDeque<(u64, TaskId)>,
    /// Whether there may be more of them behind those.
    pub(super) may_have_more_due: bool,
    /// When the next task is due, as far as the last search saw.
    pub(super) next_due_ms: Option<u64>,
    pub(super) demand: Option<Demand>,
    /// Whether something happened that may answer the demand.
    pub(super) is_stirred: bool,
    /// Whether its row must be written.
    pub(super) is_changed: bool,
    /// What is counted of the worker, once something was.
    meter: Option<Arc<metrics::Worker>>,
}

impl Lane {
    pub(super) fn new(number: LaneNumber, worker: WorkerName, cursor: Id) -> Self {
        Self {
            number,
            shared_name: worker.as_str().into(),
            worker,
            waiting: 0,
            completed: 0,
            failed: 0,
            running: BTreeMap::new(),
            running_events: 0,
            put_back: BTreeSet::new(),
            ready: VecDeque::new(),
            records_ahead: VecDeque::new(),
            cursor,
            may_have_more: true,
            due_mark_ms: 0,
            due_ahead: VecDeque::new(),
            may_have_more_due: false,
            next_due_ms: None,
            demand: None,
            is_stirred: false,
            is_changed: false,
            meter: None,
        }
    }

    pub(super) fn from_record(number: LaneNumber, worker: WorkerName, row: &LaneRecord) -> Self {
        Self {
            waiting: row.waiting,
            completed: row.completed,
            failed: row.failed,
            ..Self::new(number, worker, row.low_id())
        }
    }

    pub(super) fn record(&self) -> LaneRecord {
        LaneRecord {
            worker: self.worker.as_str().to_owned(),
            waiting: self.waiting,
            completed: self.completed,
            failed: self.failed,
            low: *self.low().as_bytes(),
        }
    }

    /// Tasks that are pending.
    pub(super) fn pending(&self) -> u64 {
        self.waiting.saturating_sub(self.running.len() as u64)
    }

    /// An attempt begins.
    pub(super) fn start(&mut self, id: TaskId, running: Running) {
        self.running_events = self
            .running_events
            .saturating_add(u64::from(running.has_event));
        self.running.insert(id, running);
    }

    /// An attempt is over.
    pub(super) fn stop(&mut self, id: TaskId) -> Option<Running> {
        let stopped = self.running.remove(&id)?;
        self.running_events = self
            .running_events
            .saturating_sub(u64::from(stopped.has_event));
        Some(stopped)
    }

    /// What is counted of the worker in `registry`.
    pub(super) fn meter(&mut self, registry: &Registry) -> &metrics::Worker {
        self.meter
            .get_or_insert_with(|| registry.workers.of(self.worker.as_str()))
    }

    /// What everybody may know of it.
    pub(super) fn counts(&self) -> LaneCounts {
        let first = [
            self.put_back.first().map(|id| id.0),
            self.ready.front().map(|id| id.0),
        ];
        LaneCounts {
            number: self.number,
            pending: self.pending(),
            running: self.running.len() as u64,
            running_events: self.running_events,
            completed: self.completed,
            failed: self.failed,
            fresh_from: first.into_iter().flatten().fold(self.cursor, Id::min),
            due_from_ms: self.due_mark_ms,
        }
    }

    pub(super) fn has_no_tasks(&self) -> bool {
        self.waiting == 0 && self.completed == 0 && self.failed == 0
    }

    /// The task has a new time to wait for.
    pub(super) fn is_due_at(&mut self, due_ms: u64) {
        self.due_mark_ms = self.due_mark_ms.min(due_ms);
        self.is_stirred = true;
    }

    /// The task's first attempt did not come to anything: it is next.
    pub(super) fn is_put_back(&mut self, id: TaskId) {
        self.put_back.insert(id);
        self.is_stirred = true;
    }

    /// The lowest id that is fresh and not ended.
    fn low(&self) -> Id {
        let running = self.running.iter().find(|(_, running)| running.is_fresh);
        [
            running.map(|(id, _)| id.0),
            self.put_back.first().map(|id| id.0),
            self.ready.front().map(|id| id.0),
        ]
        .into_iter()
        .flatten()
        .fold(self.cursor, Id::min)
    }
}
