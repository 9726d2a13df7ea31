//! What the torturer reads of the server's answers, and of the requests to its worker.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::id::Id;

/// A task as the API shows it.
#[derive(Debug, Deserialize)]
pub(super) struct TaskView {
    #[serde(deserialize_with = "parsed")]
    pub(super) id: Id,
    pub(super) prompt: String,
    pub(super) state: String,
    pub(super) attempts: u64,
    #[serde(default, deserialize_with = "maybe_parsed")]
    pub(super) event_id: Option<Id>,
    pub(super) result: Option<String>,
    pub(super) error: Option<String>,
}

/// An event as the API shows it, or what is said to a delivery that came before.
#[derive(Debug, Deserialize)]
pub(super) struct EventView {
    #[serde(deserialize_with = "parsed")]
    pub(super) id: Id,
    #[serde(default)]
    pub(super) delivery_id: String,
    pub(super) state: String,
    #[serde(default, deserialize_with = "maybe_parsed")]
    pub(super) task_id: Option<Id>,
}

/// What the worker is asked.
#[derive(Debug, Deserialize)]
pub(super) struct AttemptView {
    #[serde(deserialize_with = "parsed")]
    pub(super) id: Id,
    pub(super) prompt: String,
    pub(super) attempt: u64,
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn maybe_parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}
