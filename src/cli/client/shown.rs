//! What is said of one task or event, in a line.

use serde::Deserialize;

use crate::cli::table;
use crate::terminal::on_one_line;

/// A task as its line shows it.
#[derive(Debug, Deserialize)]
pub(super) struct TaskShown {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) worker_name: String,
    pub(super) result: Option<String>,
    pub(super) error: Option<String>,
}

impl TaskShown {
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "failed")
    }

    /// `task ID: failed, worker w: cancelled`
    pub(super) fn line(&self) -> String {
        let mut text = format!(
            "task {}: {}, worker {}",
            table::shown(&self.id),
            table::shown(&self.state),
            table::shown(&self.worker_name)
        );
        if let Some(error) = &self.error {
            text.extend([": ", &on_one_line(error)]);
        }
        text
    }
}

/// An event as its line shows it, or what the answer to a delivery says of one.
#[derive(Debug, Deserialize)]
pub(super) struct EventShown {
    pub(super) id: Option<String>,
    pub(super) status: Option<String>,
    pub(super) state: Option<String>,
    pub(super) worker_name: Option<String>,
    pub(super) task_id: Option<String>,
    pub(super) reason: Option<String>,
}

impl EventShown {
    /// `event ID: matched, worker w, task t`
    pub(super) fn line(&self) -> String {
        let mut text = format!(
            "event {}: {}",
            table::shown(self.id.as_deref().unwrap_or_default()),
            table::shown(self.state.as_deref().unwrap_or_default())
        );
        if let Some(worker) = &self.worker_name {
            text.extend([", worker ", &table::shown(worker)]);
        }
        if let Some(task) = &self.task_id {
            text.extend([", task ", &table::shown(task)]);
        }
        if let Some(reason) = &self.reason {
            text.extend([": ", &on_one_line(reason)]);
        }
        text
    }
}
