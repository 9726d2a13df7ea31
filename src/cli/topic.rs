//! The commands there are.

use super::manual::{self, Page};

/// The commands there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Serve,
    Demo,
    Init,
    Check,
    Health,
    Backup,
    Torture,
    Task,
    Tasks,
    Cancel,
    Retry,
    Events,
    Why,
    Replay,
    Approve,
    Webhook,
    Workers,
    WorkerAdd,
    WorkerRemove,
    Completions,
    Man,
}

impl Topic {
    /// In the order in which they are listed.
    pub(super) const ALL: [Self; 21] = [
        Self::Serve,
        Self::Demo,
        Self::Init,
        Self::Check,
        Self::Health,
        Self::Backup,
        Self::Torture,
        Self::Task,
        Self::Tasks,
        Self::Cancel,
        Self::Retry,
        Self::Events,
        Self::Why,
        Self::Replay,
        Self::Approve,
        Self::Webhook,
        Self::Workers,
        Self::WorkerAdd,
        Self::WorkerRemove,
        Self::Completions,
        Self::Man,
    ];

    pub(super) fn page(self) -> &'static Page {
        match self {
            Self::Serve => &manual::SERVE,
            Self::Demo => &manual::DEMO,
            Self::Init => &manual::INIT,
            Self::Check => &manual::CHECK,
            Self::Health => &manual::HEALTH,
            Self::Backup => &manual::BACKUP,
            Self::Torture => &manual::TORTURE,
            Self::Task => &manual::TASK,
            Self::Tasks => &manual::TASKS,
            Self::Cancel => &manual::CANCEL,
            Self::Retry => &manual::RETRY,
            Self::Events => &manual::EVENTS,
            Self::Why => &manual::WHY,
            Self::Replay => &manual::REPLAY,
            Self::Approve => &manual::APPROVE,
            Self::Webhook => &manual::WEBHOOK,
            Self::Workers => &manual::WORKERS,
            Self::WorkerAdd => &manual::WORKER_ADD,
            Self::WorkerRemove => &manual::WORKER_REMOVE,
            Self::Completions => &manual::COMPLETIONS,
            Self::Man => &manual::MAN,
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.page().name
    }

    /// The command of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// The commands whose names begin with the word `first` and have another behind it.
    pub(super) fn below(first: &str) -> Vec<Self> {
        let is_below = |topic: &Self| {
            let rest = topic.name().strip_prefix(first);
            rest.is_some_and(|rest| rest.starts_with(' '))
        };
        Self::ALL.into_iter().filter(is_below).collect()
    }
}
