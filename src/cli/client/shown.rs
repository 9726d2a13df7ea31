//! What is said of one task or event, in a line.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::cli::table;
use crate::config::quoted;
use crate::id::Id;
use crate::terminal::on_one_line;

/// A task as its line shows it.
#[derive(Debug, Deserialize)]
pub(super) struct TaskShown {
    #[serde(deserialize_with = "id")]
    pub(super) id: Id,
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
            self.id,
            table::shown(&self.state),
            table::shown(&self.worker_name)
        );
        if let Some(error) = &self.error {
            text.extend([": ", &on_one_line(error)]);
        }
        text
    }
}

/// Reads an id, which goes into lines and into the paths of further requests.
fn id<'de, D: Deserializer<'de>>(from: D) -> Result<Id, D::Error> {
    let text = String::deserialize(from)?;
    text.parse()
        .map_err(|_| D::Error::custom(format!("{} is no id", quoted(&text))))
}

fn some_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Id>, D::Error> {
    id(from).map(Some)
}

/// An event as its line shows it, or what the answer to a delivery says of one.
#[derive(Debug, Deserialize)]
pub(super) struct EventShown {
    #[serde(default, deserialize_with = "some_id")]
    pub(super) id: Option<Id>,
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
            self.id.map(|id| id.to_string()).unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_or_refused() {
        let task = |id: &str| {
            let json = format!(r#"{{"id": "{id}", "state": "odd\u001b", "worker_name": "w"}}"#);
            serde_json::from_str::<TaskShown>(&json).map(|task| task.line())
        };
        assert_eq!(
            task("0123456789abcdef").unwrap(),
            "task 0123456789abcdef: odd\\u{1b}, worker w"
        );
        let event = |json: &str| serde_json::from_str::<EventShown>(json).map(|event| event.id);
        assert_eq!(event(r#"{"status": "pong"}"#).unwrap(), None);
        for id in ["", "../workers", "0123456789ABCDEF", "0123456789abcdef0"] {
            assert!(task(id).unwrap_err().to_string().contains("no id"), "{id}");
            assert!(event(&format!(r#"{{"id": "{id}"}}"#)).is_err(), "{id}");
        }
    }
}
