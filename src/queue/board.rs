//! What everybody may look at without asking the writer: counts, running tasks, and who waits
//! for a task's end. The writer brings it up to date after each commit.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::Event;

use super::core::{Core, Effects};
use super::overview::{EventCounts, LaneCounts};
use crate::event::{self, EventId};
use crate::id::Id;
use crate::store::record::LaneNumber;
use crate::task::TaskId;
use crate::worker::WorkerName;

/// New events that are kept for the matcher, and bytes of their attributes together.
const FRESH_MAX: usize = 256;
const FRESH_BYTES_MAX: usize = 1 << 20;

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
    /// New events that the matcher has not asked for yet, with the bytes of their attributes, lowest id
    /// first. BOUND: `FRESH_MAX` and `FRESH_BYTES_MAX`; those beyond are read of the store.
    fresh: VecDeque<(Arc<event::Event>, usize)>,
    fresh_bytes: usize,
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
        for (event, bytes) in &effects.received {
            let with_it = state.fresh_bytes.saturating_add(*bytes);
            if state.fresh.len() < FRESH_MAX && with_it <= FRESH_BYTES_MAX {
                state.fresh_bytes = with_it;
                state.fresh.push_back((Arc::clone(event), *bytes));
            }
        }
        if let Some((received, low)) = effects.backlog {
            state.backlog_low = (received > 0).then_some(low);
            if received == 0 {
                state.fresh.clear();
                state.fresh_bytes = 0;
            }
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

    /// Of the events `ids`, lowest first, those that are at hand, each in its place. What is below them is
    /// asked for no more, and goes.
    pub(super) fn take_fresh(&self, ids: &[EventId]) -> Vec<Option<Arc<event::Event>>> {
        let mut state = self.lock();
        let State {
            fresh, fresh_bytes, ..
        } = &mut *state;
        let mut take = |id: &EventId| {
            while fresh.front().is_some_and(|(event, _)| event.id <= *id) {
                let (event, bytes) = fresh.pop_front()?;
                *fresh_bytes = fresh_bytes.saturating_sub(bytes);
                if event.id == *id {
                    return Some(event);
                }
            }
            None
        };
        ids.iter().map(&mut take).collect()
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
    use std::thread;

    use super::*;
    use crate::clock::Timestamp;

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

    fn event(number: u8) -> event::Event {
        let mut bytes = [b'0'; 16];
        bytes[15] = b'0' + number;
        event::Event {
            id: EventId(Id::from_bytes(&bytes).unwrap()),
            source: "s".to_owned(),
            event_type: "t".to_owned(),
            delivery_id: "d".to_owned(),
            actor: None,
            subject: None,
            state: event::State::Received,
            worker: None,
            task: None,
            reason: None,
            attributes: event::Attributes::new(),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        }
    }

    fn with(received: &[(u8, usize)]) -> Board {
        let board = Board::default();
        let kept = received
            .iter()
            .map(|(number, bytes)| (Arc::new(event(*number)), *bytes));
        board.update(&Effects {
            received: kept.collect(),
            ..Effects::default()
        });
        board
    }

    /// Numbers of the events that are at hand of those asked for.
    fn taken(board: &Board, asked: &[u8]) -> Vec<u8> {
        let ids: Vec<_> = asked.iter().map(|number| event(*number).id).collect();
        let fresh = board.take_fresh(&ids);
        assert_eq!(fresh.len(), ids.len());
        let found = asked.iter().zip(fresh);
        found
            .filter_map(|(number, event)| event.map(|_| *number))
            .collect()
    }

    #[test]
    fn new_events_are_at_hand_once() {
        let board = with(&[(1, 10), (3, 10), (4, 10), (6, 10)]);
        assert_eq!(taken(&board, &[2, 3, 5]), [3]);
        assert!(taken(&board, &[3, 4]).is_empty());
        assert_eq!(taken(&board, &[6, 7]), [6]);
        assert_eq!(board.lock().fresh_bytes, 0);
    }

    #[test]
    fn no_more_new_events_are_at_hand_than_may() {
        let board = with(&[(1, FRESH_BYTES_MAX), (2, 1)]);
        assert_eq!(taken(&board, &[1, 2]), [1]);
        let many = [(1, 0); FRESH_MAX + 1];
        assert_eq!(with(&many).lock().fresh.len(), FRESH_MAX);
        board.update(&Effects {
            backlog: Some((0, Id::FIRST)),
            ..Effects::default()
        });
        assert!(board.lock().fresh.is_empty());
    }
}
