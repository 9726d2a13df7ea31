//! What a sender's file finds in a delivery, and how it becomes a [`Delivery`].

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Message;
use super::form::BadForm;
use super::pick::NotJson;
use super::text::cut;
use crate::event::{Attributes, Delivery};

/// Bytes of a type, a delivery id or an actor at most.
const WORD_MAX: usize = 255;

/// Bytes of a subject at most.
const SUBJECT_MAX: usize = 512;

/// The type of a delivery that names none.
const TYPE: &str = "event";

/// Why a verified delivery cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// There is nothing in it.
    Empty,
    /// It is not UTF-8.
    NotUtf8,
    /// It is no JSON from here on.
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is a form that cannot be decoded.
    BadForm(
        /// What is wrong with it.
        &'static str,
    ),
    /// It is a form without the field `payload`, in which the sender puts its JSON.
    NoPayload,
}

impl Unreadable {
    /// A stable name of what is wrong.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty | Self::NotUtf8 | Self::NotJson { .. } => "invalid_json",
            Self::BadForm(_) | Self::NoPayload => "bad_form",
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the payload is empty"),
            Self::NotUtf8 => f.write_str("the payload is not UTF-8"),
            Self::NotJson { line, column } => {
                write!(f, "the payload is not JSON (line {line}, column {column})")
            }
            Self::BadForm(problem) => write!(f, "the form cannot be decoded: {problem}"),
            Self::NoPayload => f.write_str("the form has no field \"payload\""),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<NotJson> for Unreadable {
    fn from(error: NotJson) -> Self {
        Self::NotJson {
            line: error.line,
            column: error.column,
        }
    }
}

impl From<BadForm> for Unreadable {
    fn from(error: BadForm) -> Self {
        Self::BadForm(error.as_str())
    }
}

/// The text of a body, without a copy.
pub(super) fn text(body: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(body).map_err(|_| Unreadable::NotUtf8)
}

/// What was found in a delivery. An empty text is as good as none.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) event_type: Option<String>,
    pub(super) delivery_id: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) attributes: Attributes,
    /// What the sender wants to see in the answer.
    pub(super) challenge: Option<String>,
}

impl Reading {
    /// What it is: a delivery to the source of that name, or a sender's question.
    pub(super) fn into_message(self, source: &str, payload: String) -> Message {
        match self.challenge {
            Some(challenge) => Message::Challenge(challenge),
            None => Message::Delivery(self.into_delivery(source, payload)),
        }
    }

    /// The delivery to the source of that name, its texts cut to what is kept.
    pub(super) fn into_delivery(self, source: &str, payload: String) -> Delivery {
        let event_type = word(self.event_type, WORD_MAX).unwrap_or_else(|| TYPE.to_owned());
        let delivery_id = match self.delivery_id.filter(|id| !id.is_empty()) {
            Some(id) if id.len() <= WORD_MAX => id,
            Some(id) => fingerprint(&[&id]),
            None => fingerprint(&[source, &event_type, &payload]),
        };
        Delivery {
            source: source.to_owned(),
            event_type,
            delivery_id,
            actor: word(self.actor, WORD_MAX),
            subject: word(self.subject, SUBJECT_MAX),
            attributes: self.attributes,
            payload,
        }
    }
}

/// `text` cut to `max` bytes; an empty one is none.
fn word(text: Option<String>, max: usize) -> Option<String> {
    let mut text = text.filter(|text| !text.is_empty())?;
    text.truncate(cut(&text, max).len());
    Some(text)
}

/// The hash of `parts`, each with its length in front, so that no two lists look alike.
fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hash.update(length.to_be_bytes());
        hash.update(part);
    }
    HEXLOWER.encode(&hash.finalize())
}

/// `event.action`, or what there is of the two.
pub(super) fn joined(event: Option<String>, action: Option<String>) -> Option<String> {
    match (event, action.filter(|action| !action.is_empty())) {
        (Some(event), Some(action)) => Some(format!("{event}.{action}")),
        (event, action) => event.or(action),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(reading: Reading) -> Delivery {
        match reading.into_message("s", "{}".to_owned()) {
            Message::Delivery(delivery) => delivery,
            Message::Challenge(text) => panic!("{text}"),
        }
    }

    #[test]
    fn texts_are_cut_and_empty_ones_are_none() {
        let long = || Some("\u{e4}".repeat(1_000));
        let read = delivery(Reading {
            event_type: long(),
            delivery_id: long(),
            actor: long(),
            subject: long(),
            ..Reading::default()
        });
        assert_eq!(read.event_type.len(), 254);
        assert_eq!(read.delivery_id.len(), 64);
        assert_eq!(read.actor.map(|actor| actor.len()), Some(254));
        assert_eq!(read.subject.map(|subject| subject.len()), Some(512));
        let empty = || Some(String::new());
        let read = delivery(Reading {
            event_type: empty(),
            delivery_id: empty(),
            actor: empty(),
            subject: empty(),
            ..Reading::default()
        });
        assert_eq!(read.event_type, "event");
        assert_eq!(read.delivery_id.len(), 64);
        assert_eq!((read.actor, read.subject), (None, None));
    }

    #[test]
    fn a_delivery_without_an_id_is_told_apart_by_what_it_is() {
        let id = |source: &str, event_type: &str, payload: &str| {
            let reading = Reading {
                event_type: Some(event_type.to_owned()),
                ..Reading::default()
            };
            match reading.into_message(source, payload.to_owned()) {
                Message::Delivery(delivery) => delivery.delivery_id,
                Message::Challenge(text) => panic!("{text}"),
            }
        };
        let known = id("a", "bc", "{}");
        assert_eq!(known, id("a", "bc", "{}"));
        for other in [
            id("ab", "c", "{}"),
            id("a", "b", "c{}"),
            id("a", "bc", "{} "),
        ] {
            assert_ne!(known, other);
        }
    }

    #[test]
    fn an_event_and_its_action_are_joined_by_a_dot() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(joined(text("a"), text("b")), text("a.b"));
        assert_eq!(joined(text("a"), text("")), text("a"));
        assert_eq!(joined(text("a"), None), text("a"));
        assert_eq!(joined(None, text("b")), text("b"));
        assert_eq!(joined(None, None), None);
    }
}
