//! What a task is: a prompt for a worker, and what became of it.
//!
//! States go `pending -> dispatched -> completed | failed`. A dispatched task becomes pending
//! again when its attempt failed and another is due, and a pending task fails when it is
//! cancelled or its attempts are used up. A failed task becomes pending when somebody retries it.

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::event::EventId;
use crate::id::{Id, NotAnId};
use crate::worker::WorkerName;

/// A task's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub Id);

impl AsRef<str> for TaskId {
    fn as_ref(&self) -> &str {
        self.0.as_ref()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TaskId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().map(Self)
    }
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It waits for its worker, or for the time of its next attempt.
    Pending,
    /// An attempt runs.
    Dispatched,
    /// A worker gave its result.
    Completed,
    /// It was cancelled, or no attempt succeeded.
    Failed,
}

impl State {
    /// Every state, in the order in which a task passes them.
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Dispatched,
        Self::Completed,
        Self::Failed,
    ];

    /// `pending`, `dispatched`, `completed` or `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dispatched => "dispatched",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more happens to the task by itself.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

impl AsRef<str> for State {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAState;

impl fmt::Display for NotAState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state is pending, dispatched, completed or failed")
    }
}

impl std::error::Error for NotAState {}

impl FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(NotAState)
    }
}

/// A task as it is shown: its row and its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The worker it is for.
    pub worker: WorkerName,
    /// What the worker is asked to do; never empty.
    pub prompt: String,
    /// JSON object handed to the worker, as it was submitted.
    pub context: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Attempts ever started.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last attempt started.
    pub dispatched_at: Option<Timestamp>,
    /// When it completed or failed.
    pub completed_at: Option<Timestamp>,
    /// The worker's JSON object, as it came.
    pub result: Option<String>,
    /// Why it failed, or why its last attempt did.
    pub error: Option<String>,
    /// The event that it was made for.
    pub event: Option<EventId>,
}

/// One attempt of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, 1 for the first. One that was refused shares it with the next one.
    pub number: u32,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended; absent while it runs, and where a crash broke it off.
    pub ended_at: Option<Timestamp>,
    /// How it came out; absent while it runs.
    pub outcome: Option<Outcome>,
    /// Why it did not complete the task.
    pub error: Option<String>,
}

/// How an attempt came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The worker gave a result.
    Completed,
    /// It failed.
    Failed,
    /// The worker did not take it.
    Refused,
    /// A crash or a drain broke it off.
    BrokenOff,
    /// The task was cancelled meanwhile.
    Cancelled,
}

impl Outcome {
    /// `completed`, `failed`, `refused`, `broken_off` or `cancelled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::BrokenOff => "broken_off",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A task that is not stored yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// The worker it is for.
    pub worker: WorkerName,
    /// What the worker is asked to do; never empty.
    pub prompt: String,
    /// JSON object handed to the worker, as it was submitted.
    pub context: Option<String>,
    /// Set where the request must not be stored twice.
    pub idempotency: Option<Idempotency>,
}

/// Tells a repeated request from a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The `Idempotency-Key`, 1 to 255 visible ASCII characters.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!("PENDING".parse::<State>(), Err(NotAState));
    }
}
