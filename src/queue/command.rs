//! What the writer is asked to do, and what it says.

use std::sync::Arc;
use std::time::Duration;

use super::{Error, gathering};
use crate::budget::Permit;
use crate::clock::Timestamp;
use crate::event::{self, Delivery, Event, EventId};
use crate::footprint::Footprint;
use crate::store::record::TaskRecord;
use crate::store::{ATTEMPTS_BYTES_MAX, Payload};
use crate::task::{NewTask, TaskId};
use crate::worker::WorkerName;

/// What a text counts that is not read yet: more than any commit of several has.
const UNKNOWN_TEXT_BYTES: usize = Footprint::ROOMY.group + 1;

/// One step of a task or a worker. Check and change are one step: nothing comes in between.
#[derive(Clone, Debug)]
pub enum Command {
    /// Store a new task.
    Submit(Arc<NewTask>),
    /// Give up to `count` tasks of a worker as soon as there are any. A worker has one demand at
    /// a time: a new one replaces the last.
    Demand {
        /// The worker.
        worker: WorkerName,
        /// Tells this demand from others.
        ticket: u64,
        /// Tasks at most, at least 1.
        count: u32,
    },
    /// Take back a demand.
    Withdraw {
        /// The worker.
        worker: WorkerName,
        /// The demand's ticket.
        ticket: u64,
    },
    /// An attempt gave a result.
    Complete {
        /// Which attempt.
        attempt: Attempt,
        /// JSON object as text.
        result: String,
    },
    /// An attempt failed.
    Fail {
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        error: String,
        /// Whether and when another may follow.
        policy: Option<RetryPolicy>,
    },
    /// An attempt did not run to its end through no fault of the task.
    PutBack {
        /// Which attempt.
        attempt: Attempt,
        /// Whose doing it was.
        how: PutBack,
    },
    /// Fail a task that has not ended.
    Cancel(TaskId),
    /// Put a failed task back.
    Retry(TaskId),
    /// Store an event and what is decided about it at once, unless its delivery is known.
    Receive(Arc<NewEvent>),
    /// The rules decided about an event that waits to be matched.
    Settle {
        /// The event.
        event: EventId,
        /// What is to become of it.
        decision: Decision,
    },
    /// The rules decided anew about an event that has ended.
    Replay {
        /// The event.
        event: EventId,
        /// What is to become of it.
        decision: Decision,
    },
    /// Start the task of an event that waits to be approved.
    Approve(EventId),
    /// Store a worker registered over the API.
    SaveWorker {
        /// Its name.
        worker: WorkerName,
        /// Its fields, as they came.
        json: String,
    },
    /// Forget a registered worker that has no tasks.
    ForgetWorker(WorkerName),
    /// Use other limits from now on.
    Configure(Settings),
}

impl Command {
    /// Whether an attempt is over with this command: it is never refused, because nobody would say
    /// it again.
    pub(super) fn ends_attempt(&self) -> bool {
        matches!(
            self,
            Self::Complete { .. }
                | Self::Fail { .. }
                | Self::PutBack { .. }
                | Self::Withdraw { .. }
        )
    }

    /// Whether it is a delivery that took long to read.
    pub(super) fn is_large_delivery(&self) -> bool {
        matches!(self, Self::Receive(_)) && self.text_bytes() >= gathering::LARGE
    }

    /// Bytes of text that it stores, but for prompts that are made meanwhile, which have a bound of their own.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            Self::Submit(task) => task.prompt.len() + task.context.as_ref().map_or(0, String::len),
            Self::Complete { result, .. } => result.len(),
            // The row of the task's attempts is written with it.
            Self::Fail { error, .. } => error.len() + ATTEMPTS_BYTES_MAX,
            Self::PutBack { how, .. } => how.text_bytes(),
            Self::SaveWorker { json, .. } => json.len(),
            Self::Receive(event) => event.payload.stored_bytes() + event.attributes_json.len(),
            Self::Settle { decision, .. } | Self::Replay { decision, .. } => {
                decision.prompt_bytes()
            }
            // Its prompt is read when it is carried out, and may be as large as any.
            Self::Approve(_) => UNKNOWN_TEXT_BYTES,
            _ => 0,
        }
    }
}

/// A delivery that is not stored yet.
#[derive(Debug)]
pub struct NewEvent {
    /// What came. Its payload is beside it.
    pub delivery: Delivery,
    /// The payload as it is stored.
    pub payload: Payload,
    /// Its attributes as JSON.
    pub attributes_json: String,
    /// Stands for the bytes of all until they are stored, though who waits for it be gone.
    pub permit: Permit,
}

/// What the rules decided about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No rule matched.
    Skip {
        /// Why none did.
        reason: String,
    },
    /// A rule matched, and its prompt cannot be made.
    Fail {
        /// The rule's worker, where it is known.
        worker: Option<WorkerName>,
        /// Why not.
        reason: String,
    },
    /// A rule matched: a task is to be done.
    Start {
        /// Who does it.
        worker: WorkerName,
        /// What is to be done.
        prompt: String,
    },
    /// A rule matched that wants an approval first.
    Hold {
        /// Who would do it.
        worker: WorkerName,
        /// What would be done.
        prompt: String,
    },
}

impl Decision {
    /// Bytes of the prompt that it made.
    pub fn prompt_bytes(&self) -> usize {
        match self {
            Self::Start { prompt, .. } | Self::Hold { prompt, .. } => prompt.len(),
            Self::Skip { .. } | Self::Fail { .. } => 0,
        }
    }
}

/// A task and the number of its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The task.
    pub task: TaskId,
    /// 1 for the first.
    pub number: u32,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The task is stored: its id, and when it was created.
    Stored((TaskId, Timestamp)),
    /// The event is stored, or is to be matched again.
    Received {
        /// Its id.
        event: EventId,
        /// The event, if it is new; otherwise its delivery came before, and it failed.
        new: Option<Arc<Event>>,
    },
    /// The delivery is one that was stored before.
    Duplicate {
        /// The event that it made.
        event: EventId,
        /// Where that stands.
        state: event::State,
        /// Its task.
        task: Option<TaskId>,
    },
    /// The request is a repetition of the one that made this task.
    Replayed(TaskId),
    /// The task is pending again, as its record shows.
    Retried(Box<TaskRecord>),
    /// It is done.
    Done,
}

/// What a command's sender is told.
pub type Answer = Result<Outcome, Error>;

/// How an attempt that failed goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failed attempts that fail the task.
    pub max_attempts: u32,
    /// Pause after the first failed attempt; doubled for each further one, with jitter.
    pub backoff: Duration,
}

/// Why an attempt is put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutBack {
    /// The worker did not take it (429, 503): the attempt does not count.
    Refused {
        /// What the worker said.
        reason: String,
    },
    /// The worker was never asked: there was no attempt.
    NotStarted,
    /// The server broke it off (drain): it counts as started, not as failed.
    BrokenOff {
        /// Why.
        reason: String,
    },
}

impl PutBack {
    fn text_bytes(&self) -> usize {
        match self {
            // What they said is part of the row of the task's attempts.
            Self::Refused { .. } | Self::BrokenOff { .. } => ATTEMPTS_BYTES_MAX,
            Self::NotStarted => 0,
        }
    }
}

/// The queue's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Pending tasks; over it new ones are refused.
    pub queue: u64,
    /// Ended tasks are deleted after it.
    pub retention: Duration,
    /// Free bytes of disk below which new tasks are refused.
    pub disk_reserve: u64,
}
