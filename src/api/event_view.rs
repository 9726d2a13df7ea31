//! What events look like as JSON, and what the rules see of them.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::error::ApiError;
use super::view::{Text, as_text};
use crate::clock::Timestamp;
use crate::event::{self, Event, EventId};
use crate::rules::{Explanation, RuleReport};
use crate::task::TaskId;
use crate::worker::WorkerName;

/// An event, with its fields in the order of its life.
#[derive(Debug, Serialize)]
pub(super) struct EventView<'a> {
    #[serde(serialize_with = "as_text")]
    id: EventId,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    delivery_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(serialize_with = "as_text")]
    state: event::State,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<Text<TaskId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    attrs: AttributesView<'a>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// The sender's JSON, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
}

impl<'a> EventView<'a> {
    pub(super) fn new(event: &'a Event) -> Self {
        Self {
            id: event.id,
            source: &event.source,
            event_type: &event.event_type,
            delivery_id: &event.delivery_id,
            actor: event.actor.as_deref(),
            subject: event.subject.as_deref(),
            state: event.state,
            worker_name: event.worker.as_ref().map(WorkerName::as_str),
            task_id: event.task.map(Text),
            reason: event.reason.as_deref(),
            attrs: AttributesView(event),
            created_at: event.created_at,
            updated_at: event.updated_at,
            payload: None,
        }
    }

    /// The same with its payload.
    pub(super) fn with_payload(event: &'a Event, payload: &'a str) -> Result<Self, ApiError> {
        // A stored payload was checked when it came; this only finds its type again.
        let payload = serde_json::from_str(payload).map_err(|error| {
            log::error!("event {} has a payload that is no JSON: {error}", event.id);
            ApiError::internal()
        })?;
        Ok(Self {
            payload: Some(payload),
            ..Self::new(event)
        })
    }
}

/// Everything that a rule may ask of an event, its payload aside.
#[derive(Debug)]
struct AttributesView<'a>(&'a Event);

impl Serialize for AttributesView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut map = serializer.serialize_map(None)?;
        let of_all = [
            ("source", Some(&event.source)),
            ("type", Some(&event.event_type)),
            ("actor", event.actor.as_ref()),
            ("subject", event.subject.as_ref()),
        ];
        for (name, value) in of_all {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in &event.attributes {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The answer to a delivery that was stored before.
#[derive(Debug, Serialize)]
pub(super) struct DuplicateView {
    status: &'static str,
    #[serde(serialize_with = "as_text")]
    id: EventId,
    #[serde(serialize_with = "as_text")]
    state: event::State,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<Text<TaskId>>,
}

impl DuplicateView {
    pub(super) fn new(id: EventId, state: event::State, task: Option<TaskId>) -> Self {
        Self {
            status: "duplicate",
            id,
            state,
            task_id: task.map(Text),
        }
    }
}

/// The answer to a sender that wants to know whether an endpoint is its owner's.
#[derive(Debug, Serialize)]
pub(super) struct ChallengeView<'a> {
    pub(super) challenge: &'a str,
}

/// What the rules see of an event.
#[derive(Debug, Serialize)]
pub(super) struct WhyView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Text<EventId>>,
    rules: &'a [RuleReport],
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
}

impl<'a> WhyView<'a> {
    /// What they see of the stored event `id`, or of one that is only tried out.
    pub(super) fn new(id: Option<EventId>, explanation: &'a Explanation) -> Self {
        let is_matched = explanation.rules.iter().any(|rule| rule.matched);
        Self {
            event: id.map(Text),
            rules: &explanation.rules,
            // Where no rule matched, the checks say why.
            reason: explanation.reason.as_deref().filter(|_| is_matched),
            prompt: explanation.prompt.as_deref(),
        }
    }
}
