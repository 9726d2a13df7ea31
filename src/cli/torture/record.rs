//! What is known of one task or event.

use std::fmt;

use crate::id::Id;

/// What the server said to a submission or delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing yet.
    #[default]
    Asked,
    /// Nothing, and the server is gone.
    InDoubt,
    /// That it did not take it.
    Refused,
    /// 2xx.
    Acknowledged,
}

/// What somebody did to a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing, or it was retried after it had been cancelled.
    #[default]
    None,
    /// It was cancelled, and the server said so.
    Cancelled,
    /// A cancel or retry is on its way, or got no answer.
    Unsure,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    Failed,
}

impl End {
    /// The state's name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A submission or a delivery.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) standing: Standing,
    /// The id of the task or event.
    pub(super) id: Option<Id>,
    /// The task of an event.
    pub(super) task: Option<Id>,
    /// The numbers of the attempts that the worker was given, a bit for each.
    pub(super) attempts: u128,
    /// How it ended, and how many attempts the server showed then.
    pub(super) ended: Option<(End, u64)>,
    pub(super) change: Change,
    /// Whether the walk has met it, and its task.
    pub(super) is_listed: bool,
    pub(super) is_task_listed: bool,
}

impl Record {
    /// The highest number of an attempt that the worker was given; 0 if there was none.
    pub(super) fn last_attempt(&self) -> u32 {
        u128::BITS
            .saturating_sub(self.attempts.leading_zeros())
            .saturating_sub(1)
    }
}
