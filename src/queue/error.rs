//! Why the queue refuses.

use std::fmt;

use crate::event::{self, EventId};
use crate::task::{State, TaskId};
use crate::worker::WorkerName;

/// Why the queue refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No task has that id.
    UnknownTask(TaskId),
    /// The queue holds as many pending tasks as it may.
    QueueFull {
        /// The most that it takes.
        limit: u64,
    },
    /// The idempotency key was used with another body.
    IdempotencyMismatch {
        /// The task that was made then.
        task: TaskId,
    },
    /// The task has ended, or the attempt is not the one under way.
    AlreadyEnded {
        /// The task.
        task: TaskId,
        /// Where it stands.
        state: State,
    },
    /// The task has not failed.
    NotFailed {
        /// The task.
        task: TaskId,
        /// Where it stands.
        state: State,
    },
    /// No event has that id.
    UnknownEvent(EventId),
    /// The event does not wait to be matched.
    NotReceived {
        /// The event.
        event: EventId,
        /// Where it stands.
        state: event::State,
    },
    /// The event has not ended.
    NotEnded {
        /// The event.
        event: EventId,
        /// Where it stands.
        state: event::State,
    },
    /// The event does not wait to be approved.
    NotWaiting {
        /// The event.
        event: EventId,
        /// Where it stands.
        state: event::State,
    },
    /// Less than the reserve is free on the data directory's disk.
    DiskReserve {
        /// Free bytes.
        free: u64,
        /// The reserve in bytes.
        reserve: u64,
    },
    /// The worker still has pending or dispatched tasks.
    WorkerHasTasks {
        /// The worker.
        worker: WorkerName,
        /// How many.
        waiting: u64,
    },
    /// A backup is under way, and there is one at a time.
    BackupRunning,
    /// Too many commands wait for the store.
    Overloaded,
    /// Rows cannot be read; the log says why.
    Unreadable,
    /// The store failed: whether the change happened is unknown.
    StoreFailed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTask(task) => write!(f, "there is no task {task}"),
            Self::QueueFull { limit } => write!(f, "{limit} tasks are pending already"),
            Self::IdempotencyMismatch { task } => {
                write!(
                    f,
                    "the idempotency key was used with another body for task {task}"
                )
            }
            Self::AlreadyEnded { task, state } => write!(f, "task {task} is {state}"),
            Self::NotFailed { task, state } => {
                write!(
                    f,
                    "task {task} is {state}; only a failed task can be retried"
                )
            }
            Self::UnknownEvent(event) => write!(f, "there is no event {event}"),
            Self::NotReceived { event, state } => {
                write!(
                    f,
                    "event {event} is {state} and does not wait to be matched"
                )
            }
            Self::NotEnded { event, state } => {
                write!(
                    f,
                    "event {event} is {state}; only an ended one can be replayed"
                )
            }
            Self::NotWaiting { event, state } => {
                write!(
                    f,
                    "event {event} is {state} and does not wait to be approved"
                )
            }
            Self::DiskReserve { free, reserve } => {
                write!(
                    f,
                    "{free} bytes of disk are free, less than the reserve of {reserve}"
                )
            }
            Self::WorkerHasTasks { worker, waiting } => {
                write!(f, "worker {worker} has {waiting} tasks that have not ended")
            }
            Self::BackupRunning => f.write_str("another backup is under way"),
            Self::Overloaded => f.write_str("too many requests wait for the store"),
            Self::Unreadable => f.write_str("stored rows cannot be read"),
            Self::StoreFailed => f.write_str("the store failed"),
        }
    }
}

impl std::error::Error for Error {}
