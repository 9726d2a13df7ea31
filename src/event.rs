//! What an event is: something that happened elsewhere, told by a signed webhook.
//!
//! States go `received -> skipped | matched -> dispatched -> completed | failed`. From `matched`
//! on they are those of the event's task. An event whose rule wants an approval stays `matched`
//! without a task until it is approved; one whose prompt cannot be made is `failed`. An ended
//! event goes back to `received` when its sender delivers it again after a failure, and through
//! the rules again when somebody replays it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{Id, NotAnId};
use crate::task::TaskId;
use crate::worker::WorkerName;

/// An event's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub Id);

impl AsRef<str> for EventId {
    fn as_ref(&self) -> &str {
        self.0.as_ref()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.parse().map(Self)
    }
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is stored and waits to be matched.
    Received,
    /// A rule matched; its task is pending, or it waits to be approved.
    Matched,
    /// Its task's attempt runs.
    Dispatched,
    /// Its task completed.
    Completed,
    /// Its task failed, or its prompt could not be made.
    Failed,
    /// No rule matched.
    Skipped,
}

impl State {
    /// Every state, in the order in which an event passes them.
    pub const ALL: [Self; 6] = [
        Self::Received,
        Self::Matched,
        Self::Dispatched,
        Self::Completed,
        Self::Failed,
        Self::Skipped,
    ];

    /// `received`, `matched`, `dispatched`, `completed`, `failed` or `skipped`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Matched => "matched",
            Self::Dispatched => "dispatched",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing more happens to the event by itself.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped)
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
        f.write_str(
            "an event's state is received, matched, dispatched, completed, failed or skipped",
        )
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

/// What rules may ask of an event and prompts may name, by name: `number`, `title`, `labels`.
/// What a payload lacks or has as null is absent.
/// Their names are mostly those that a sender's table has.
pub type Attributes = BTreeMap<Cow<'static, str>, Attribute>;

/// The value of an attribute. As JSON it is a string, an integer, a boolean or a list of strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Flag(bool),
    /// A list of names.
    Names(Vec<String>),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What a sender delivered, verified and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The name of the source it came to, as in `/webhook/{source}`.
    pub source: String,
    /// What happened, in the sender's words: `pull_request.opened`.
    pub event_type: String,
    /// Tells the delivery from others of its source; the same when it is sent again.
    pub delivery_id: String,
    /// Who did it.
    pub actor: Option<String>,
    /// What it is about: a repository, a channel.
    pub subject: Option<String>,
    /// What else rules and prompts may name. `actor`, `subject`, `source` and `type` are not
    /// among them.
    pub attributes: Attributes,
    /// The body as JSON, byte for byte as it came; of a form, the JSON that it carries.
    pub payload: String,
}

impl Delivery {
    /// Bytes of the texts among its attributes.
    pub fn attribute_bytes(&self) -> usize {
        let bytes = |attribute: &Attribute| match attribute {
            Attribute::Text(text) => text.len(),
            Attribute::Names(names) => names.iter().map(String::len).sum(),
            Attribute::Integer(_) | Attribute::Flag(_) => 0,
        };
        self.attributes.values().map(bytes).sum()
    }
}

/// An event as it is shown. The payload is read separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
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
    pub state: State,
    /// The worker of the rule that matched.
    pub worker: Option<WorkerName>,
    /// Its task.
    pub task: Option<TaskId>,
    /// Why it was skipped or failed, or that it waits for an approval.
    pub reason: Option<String>,
    /// What else rules and prompts may name.
    pub attributes: Attributes,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When its state changed last.
    pub updated_at: Timestamp,
}

impl Event {
    /// What was delivered, as an event of `created_at` about which nothing is decided yet.
    pub fn received(id: EventId, delivery: Delivery, created_at: Timestamp) -> Self {
        Self {
            id,
            source: delivery.source,
            event_type: delivery.event_type,
            delivery_id: delivery.delivery_id,
            actor: delivery.actor,
            subject: delivery.subject,
            state: State::Received,
            worker: None,
            task: None,
            reason: None,
            attributes: delivery.attributes,
            created_at,
            updated_at: created_at,
        }
    }

    /// Whether a rule matched that wants an approval first, and nobody has given it.
    pub fn awaits_approval(&self) -> bool {
        self.state == State::Matched && self.task.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!("pending".parse::<State>(), Err(NotAState));
    }

    #[test]
    fn attributes_are_plain_json() {
        let json = r#"{"draft":false,"labels":["bug"],"number":7,"title":"t"}"#;
        let attributes: Attributes = serde_json::from_str(json).unwrap();
        assert_eq!(attributes.get("number"), Some(&Attribute::Integer(7)));
        assert_eq!(serde_json::to_string(&attributes).unwrap(), json);
    }
}
