//! What everybody may look at without asking the writer: counts, running tasks, and who waits
//! for a task's end. The writer brings it up to date after each commit.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::Event;

use super::core::{Core, Effects};
use super::overview::{EventCounts, LaneCounts};
use crate::id::Id;
use crate::store::record::LaneNumber;
use crate::task::TaskId;
use crate::worker::WorkerName;

#[derive(Debug, Default)]
pub(super) struct Board {
    state: Mutex<State>,
    /// Told when events come in that are to be matched, and when the store has failed.
    pub(super) backlog_event: Event,
}

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<WorkerName, LaneCounts>,
    events: EventCounts,
    running: BTreeSet<TaskId>,
    /// Where the events begin that wait to be matched; `None` where there are none.
    backlog_low: Option<Id>,
    /// Who waits for each task's end, and how many. BOUND: each entry has a request that waits.
    waiters: HashMap<TaskId, (Arc<Event>, usize)>,
}

impl Board {
    pub(super) fn open(core: &Core) -> Self {
        let state = State {
            lanes: core.lane_counts().collect(),
            events: core.event_counts(),
            backlog_low: (core.received() > 0).then(|| core.backlog_low()),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            backlog_event: Event::new(),
        }
    }

    pub(super) fn update(&self, effects: &Effects) {
        let mut state = self.lock();
        for (worker, shown) in &effects.lanes {
            match (shown, state.lanes.get_mut(worker)) {
                (Some(shown), Some(known)) => *known = *shown,
                (Some(shown), None) => {
                    state.lanes.insert(worker.clone(), *shown);
                }
                (None, _) => {
                    state.lanes.remove(worker);
                }
            }
        }
        if let Some(events) = effects.events {
            state.events = events;
        }
        for (id, has_begun) in &effects.running {
            if *has_begun {
                state.running.insert(*id);
            } else {
                state.running.remove(id);
            }
        }
        if let Some((received, low)) = effects.backlog {
            state.backlog_low = (received > 0).then_some(low);
            if received > 0 {
                self.backlog_event.notify(usize::MAX);
            }
        }
        if !state.waiters.is_empty() {
            for id in &effects.ended {
                if let Some((event, _)) = state.waiters.get(id) {
                    event.notify(usize::MAX);
                }
            }
        }
    }

    /// Wakes everybody: nothing will end any more.
    pub(super) fn fail(&self) {
        self.backlog_event.notify(usize::MAX);
        for (event, _) in self.lock().waiters.values() {
            event.notify(usize::MAX);
        }
    }

    pub(super) fn pending(&self, worker: &WorkerName) -> u64 {
        self.lock().lanes.get(worker).map_or(0, |lane| lane.pending)
    }

    pub(super) fn all_pending(&self) -> Vec<(WorkerName, u64)> {
        let state = self.lock();
        state
            .lanes
            .iter()
            .map(|(worker, lane)| (worker.clone(), lane.pending))
            .collect()
    }

    pub(super) fn lane(&self, worker: &WorkerName) -> Option<LaneNumber> {
        self.lock().lanes.get(worker).map(|lane| lane.number)
    }

    pub(super) fn lanes(&self) -> Vec<LaneNumber> {
        self.lock().lanes.values().map(|lane| lane.number).collect()
    }

    /// Pending tasks of all workers.
    pub(super) fn pending_in_all(&self) -> u64 {
        let state = self.lock();
        let pending = state.lanes.values().map(|lane| lane.pending);
        pending.fold(0, u64::saturating_add)
    }

    /// The tasks of each worker that has any, and the events by stage.
    pub(super) fn counts(&self) -> (Vec<(WorkerName, LaneCounts)>, EventCounts) {
        let state = self.lock();
        let lanes = state.lanes.iter();
        let lanes = lanes.map(|(worker, lane)| (worker.clone(), *lane));
        (lanes.collect(), state.events)
    }

    /// Tasks that are dispatched now, lowest id first.
    pub(super) fn running(&self) -> Vec<TaskId> {
        self.lock().running.iter().copied().collect()
    }

    /// Where the events begin that wait to be matched; `None` where there are none.
    pub(super) fn backlog_low(&self) -> Option<Id> {
        self.lock().backlog_low
    }

    /// Takes part in waiting for a task's end.
    pub(super) fn wait_for(self: &Arc<Self>, task: TaskId) -> Waiter {
        let mut state = self.lock();
        let (event, count) = state.waiters.entry(task).or_default();
        *count = count.saturating_add(1);
        let event = Arc::clone(event);
        drop(state);
        Waiter {
            board: Arc::clone(self),
            task,
            event,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait for a task's end, given up on drop.
pub(super) struct Waiter {
    board: Arc<Board>,
    task: TaskId,
    pub(super) event: Arc<Event>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.board.lock();
        if let Some((_, count)) = state.waiters.get_mut(&self.task) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.waiters.remove(&self.task);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn waiters_that_go_at_the_same_time_leave_nothing() {
        let board = Arc::new(Board::default());
        for _ in 0..5_000 {
            let waiters = [(); 2].map(|()| board.wait_for(TaskId(Id::FIRST)));
            thread::scope(|scope| {
                for waiter in waiters {
                    scope.spawn(move || drop(waiter));
                }
            });
            assert!(board.lock().waiters.is_empty());
        }
    }
}
