//! The driver's part for what the core tells of: who only listens knows every state.

use std::collections::BTreeMap;

use mecha::event::{self, EventId};
use mecha::feed::Change;
use mecha::task::{State, TaskId};

use super::Driver;

/// What somebody knows who has listened since the last start.
#[derive(Debug, Default)]
pub(super) struct Told {
    tasks: BTreeMap<TaskId, State>,
    events: BTreeMap<EventId, event::State>,
}

impl<C: FnMut(u32) -> u32> Driver<C> {
    /// Whoever listens reads the lists after a start.
    pub(super) fn begin_to_listen(&mut self) {
        let tasks = self.model.tasks.iter();
        self.told = Told {
            tasks: tasks.map(|(id, task)| (*id, task.state)).collect(),
            events: self.event_states(),
        };
    }

    pub(super) fn listen(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Task(task) => {
                    let before = self.told.tasks.insert(task.id, task.state);
                    assert_ne!(before, Some(task.state), "{} is told of twice", task.id);
                    assert!(before.is_some() || task.state == State::Pending);
                }
                Change::Event(event) => {
                    if !event.is_of_attempt || event.task == self.event_task(event.id) {
                        self.told.events.insert(event.id, event.state);
                    }
                }
                Change::WorkerLeft(worker) => panic!("{} is the roster's", worker.name),
            }
        }
    }

    pub(super) fn compare_told(&mut self) {
        for (id, task) in &self.model.tasks {
            assert_eq!(self.told.tasks.get(id), Some(&task.state), "{id}");
        }
        let events = self.event_states();
        for (id, state) in &events {
            assert_eq!(self.told.events.get(id), Some(state), "{id}");
        }
        // Nothing is said of what is deleted.
        let tasks = &self.model.tasks;
        self.told.tasks.retain(|id, _| tasks.contains_key(id));
        self.told.events.retain(|id, _| events.contains_key(id));
    }
}
