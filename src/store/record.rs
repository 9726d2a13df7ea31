//! The rows as they are on disk: a version byte, then the row in postcard's format.
//!
//! To change a row, raise its [`Row::VERSION`] and let [`Row::upgraded`] turn the bytes of each
//! earlier version into those of the new one. Old versions are never removed, and `tests/fixtures`
//! keeps a data directory of each. Nothing here may panic on what it reads.

mod bytes;

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::bytes::RowBytes;
use super::Error;
use crate::clock::Timestamp;
use crate::event;
use crate::id::Id;
use crate::task::State;

/// A kind of row.
pub trait Row: Serialize + DeserializeOwned {
    /// The version that is written.
    const VERSION: u8 = 1;

    /// The bytes of this version's row, made of one of an earlier `version`; `None` where there
    /// is no such version.
    fn upgraded(version: u8, body: &[u8]) -> Option<Vec<u8>> {
        let _ = (version, body);
        None
    }
}

/// Number of a worker in rows: names are long and rows are many.
pub type LaneNumber = u32;

/// The changing part of a task. Its texts are rows of their own, written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The worker it is for.
    pub lane: LaneNumber,
    /// Where it stands.
    pub phase: Phase,
    /// Attempts ever started.
    pub attempts: u32,
    /// The highest attempt number ever shown; above `attempts` where a worker refused one.
    pub numbered: u32,
    /// Attempts that failed since it was submitted or retried.
    pub failures: u32,
    /// Attempts in a row that a crash or a drain broke off.
    pub broken_off: u32,
    /// The run of the server that changed `attempts` last. An attempt of an earlier run is over,
    /// whatever `phase` says.
    pub run: u64,
    /// When it was accepted, in milliseconds since the epoch, as all times here.
    pub created_ms: u64,
    /// When its last attempt started.
    pub dispatched_ms: Option<u64>,
    /// When it completed or failed.
    pub ended_ms: Option<u64>,
    /// When it may be claimed again after a failed attempt. Kept while that attempt runs.
    pub due_ms: Option<u64>,
    /// Bytes of its prompt.
    pub prompt_bytes: u64,
    /// Bytes of its context, if it has one.
    pub context_bytes: Option<u64>,
    /// Bytes of its result, if it has one.
    pub result_bytes: Option<u64>,
    /// Bytes of its error, if it has one.
    pub error_bytes: Option<u64>,
    /// Hash of its idempotency key, if it has one.
    pub key_hash: Option<[u8; 16]>,
    /// The event that it was made for, if it was. Since version 2.
    pub event: Option<[u8; 16]>,
    /// When it completed or failed by the store's own time, which decides how long it is kept.
    /// Since version 3; before, `ended_ms` did.
    pub ended_steady_ms: Option<u64>,
    /// Bytes of the row of its ended attempts, if it has one. Since version 4; of attempts that ended
    /// before, there is none.
    pub attempts_bytes: Option<u64>,
}

impl Row for TaskRecord {
    const VERSION: u8 = 4;

    fn upgraded(version: u8, body: &[u8]) -> Option<Vec<u8>> {
        // Version 1 ends in front of `event`, version 2 behind it, version 3 behind the field after that; a
        // zero is a field without a value.
        match version {
            1 => Some([body, &[0, 0, 0]].concat()),
            2 => Some([body, &[0, 0]].concat()),
            3 => Some([body, &[0]].concat()),
            _ => None,
        }
    }
}

/// A task's state on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Pending.
    Waiting,
    /// An attempt of the run `run` is under way.
    Running,
    /// Completed.
    Completed,
    /// Failed.
    Failed,
}

impl TaskRecord {
    /// A task of `lane` that nobody has claimed, made in run number `run`, with a prompt of so many bytes and nothing
    /// else.
    pub fn new(lane: LaneNumber, run: u64, created_ms: u64, prompt_bytes: u64) -> Self {
        Self {
            lane,
            phase: Phase::Waiting,
            attempts: 0,
            numbered: 0,
            failures: 0,
            broken_off: 0,
            run,
            created_ms,
            dispatched_ms: None,
            ended_ms: None,
            due_ms: None,
            prompt_bytes,
            context_bytes: None,
            result_bytes: None,
            error_bytes: None,
            key_hash: None,
            event: None,
            ended_steady_ms: None,
            attempts_bytes: None,
        }
    }

    /// The state to show while the server is in its run number `run`.
    pub fn state(&self, run: u64) -> State {
        match self.phase {
            Phase::Running if self.run == run => State::Dispatched,
            Phase::Waiting | Phase::Running => State::Pending,
            Phase::Completed => State::Completed,
            Phase::Failed => State::Failed,
        }
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Completed | Phase::Failed)
    }

    /// Since when it is kept for `limits.retention`, by the store's own time.
    pub fn kept_since_ms(&self) -> Option<u64> {
        self.ended_steady_ms.or(self.ended_ms)
    }

    /// Bytes of all its texts.
    pub fn text_bytes(&self) -> u64 {
        [
            Some(self.prompt_bytes),
            self.context_bytes,
            self.result_bytes,
            self.error_bytes,
        ]
        .into_iter()
        .flatten()
        .fold(0, u64::saturating_add)
    }
}

/// A worker's part of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRecord {
    /// The worker's name.
    pub worker: String,
    /// Its tasks that are pending or dispatched.
    pub waiting: u64,
    /// Its completed tasks.
    pub completed: u64,
    /// Its failed tasks.
    pub failed: u64,
    /// No task that waits for its first attempt, or runs one, has a lower id: where to look for
    /// work after a start.
    pub low: [u8; 16],
}

impl Row for LaneRecord {}

impl LaneRecord {
    /// The lowest id to look at.
    pub fn low_id(&self) -> Id {
        Id::from_bytes(&self.low).unwrap_or(Id::FIRST)
    }
}

/// What an idempotency key stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The task it belongs to.
    pub task: [u8; 16],
    /// SHA-256 of the body that came with it.
    pub body_hash: [u8; 32],
}

impl Row for KeyRecord {}

/// The part of an event that changes, and what a list may ask of it. Payload and attributes are
/// rows of their own, written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The name of its source.
    pub source: String,
    /// What happened, in the sender's words.
    pub event_type: String,
    /// Tells the delivery from others of its source.
    pub delivery_id: String,
    /// Who did it.
    pub actor: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Where it stands.
    pub stage: Stage,
    /// The worker of the rule that matched.
    pub worker: Option<String>,
    /// Its task.
    pub task: Option<[u8; 16]>,
    /// Why it was skipped, failed without a task, or waits.
    pub reason: Option<String>,
    /// When it was stored.
    pub created_ms: u64,
    /// When its stage changed last.
    pub updated_ms: u64,
    /// Bytes of its attributes as JSON.
    pub attributes_bytes: u64,
    /// Bytes of its payload.
    pub payload_bytes: u64,
    /// Bytes of the prompt that waits to be approved, if one does.
    pub prompt_bytes: Option<u64>,
    /// When its stage changed last by the store's own time, which decides how long it is kept.
    /// Since version 2; before, `updated_ms` did.
    pub updated_steady_ms: Option<u64>,
}

impl Row for EventRecord {
    const VERSION: u8 = 2;

    fn upgraded(version: u8, body: &[u8]) -> Option<Vec<u8>> {
        (version == 1).then(|| [body, &[0]].concat())
    }
}

impl EventRecord {
    /// Since when it is kept for `limits.retention`, by the store's own time, if it is in a stage
    /// in which that counts.
    pub fn kept_since_ms(&self) -> Option<u64> {
        let since_ms = self.updated_steady_ms.unwrap_or(self.updated_ms);
        self.stage.is_ended().then_some(since_ms)
    }
}

/// An event's state on disk. What its task does on the way to its end is read of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Received, and not matched yet.
    Received,
    /// Matched, and waits to be approved.
    Held,
    /// Its task is pending or dispatched.
    Open,
    /// Completed.
    Completed,
    /// Failed.
    Failed,
    /// Skipped.
    Skipped,
}

impl Stage {
    /// The state to show; an open event is dispatched while its task is.
    pub fn state(self, is_dispatched: bool) -> event::State {
        match self {
            Self::Received => event::State::Received,
            Self::Open if is_dispatched => event::State::Dispatched,
            Self::Held | Self::Open => event::State::Matched,
            Self::Completed => event::State::Completed,
            Self::Failed => event::State::Failed,
            Self::Skipped => event::State::Skipped,
        }
    }

    /// Whether nothing more happens to an event by itself, so that retention deletes it.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
    }

    /// The stages whose events may be in `state`.
    pub fn of(state: event::State) -> &'static [Self] {
        match state {
            event::State::Received => &[Self::Received],
            event::State::Matched => &[Self::Held, Self::Open],
            event::State::Dispatched => &[Self::Open],
            event::State::Completed => &[Self::Completed],
            event::State::Failed => &[Self::Failed],
            event::State::Skipped => &[Self::Skipped],
        }
    }
}

/// What is known of all events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    /// Events that wait to be matched.
    pub received: u64,
    /// None of them has a lower id.
    pub low: [u8; 16],
    /// The others by their stages. Since version 2; before, nobody counted them.
    pub stages: Option<StageCounts>,
}

impl Row for EventCounts {
    const VERSION: u8 = 2;

    fn upgraded(version: u8, body: &[u8]) -> Option<Vec<u8>> {
        (version == 1).then(|| [body, &[0]].concat())
    }
}

/// Events by their stages; those that wait are counted by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageCounts {
    /// Events whose task is pending or dispatched.
    pub open: u64,
    /// Completed events.
    pub completed: u64,
    /// Failed events.
    pub failed: u64,
    /// Skipped events.
    pub skipped: u64,
}

impl StageCounts {
    /// The count of `stage`, if it is one of these.
    pub fn of(&mut self, stage: Stage) -> Option<&mut u64> {
        match stage {
            Stage::Received | Stage::Held => None,
            Stage::Open => Some(&mut self.open),
            Stage::Completed => Some(&mut self.completed),
            Stage::Failed => Some(&mut self.failed),
            Stage::Skipped => Some(&mut self.skipped),
        }
    }
}

/// What the store's own time was, and the wall clock beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockRecord {
    /// The store's own time.
    pub steady_ms: u64,
    /// The latest time that the wall clock has ever said.
    pub wall_ms: u64,
}

impl Row for ClockRecord {}

/// `row` as bytes of the version that is written.
pub fn encode<T: Row>(row: &T) -> Vec<u8> {
    // A Vec takes whatever it is given, so this cannot fail; an empty row would be refused when
    // it is read.
    postcard::serialize_with_flavor(row, RowBytes::of_version(T::VERSION)).unwrap_or_default()
}

/// Reads the row that `bytes` hold; `place` names it in the error.
pub fn decode<T: Row>(bytes: &[u8], place: impl fmt::Display) -> Result<T, Error> {
    let Some((version, body)) = bytes.split_first() else {
        return Err(Error::damaged(place.to_string(), "empty row"));
    };
    if *version == T::VERSION {
        return decode_body(body, place);
    }
    let upgraded = T::upgraded(*version, body).ok_or_else(|| {
        Error::damaged(place.to_string(), format!("unknown row version {version}"))
    })?;
    decode_body(&upgraded, place)
}

fn decode_body<T: Row>(body: &[u8], place: impl fmt::Display) -> Result<T, Error> {
    match postcard::take_from_bytes(body) {
        Ok((row, [])) => Ok(row),
        Ok((_, rest)) => Err(Error::damaged(
            place.to_string(),
            format!("{} bytes too many", rest.len()),
        )),
        Err(error) => Err(Error::damaged(place.to_string(), error.to_string())),
    }
}

/// Milliseconds of a time that may be absent, as a time.
pub fn time(ms: Option<u64>) -> Option<Timestamp> {
    ms.map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests;
