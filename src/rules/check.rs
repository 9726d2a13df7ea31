//! What a filter wants, and what an event has for it.

use serde::Serialize;
use serde_json::Value as Json;

use super::Facts;
use super::template::shown_text;
use crate::event::Attribute;

/// Names of a list that are shown at most.
const NAMES_SHOWN_MAX: usize = 20;

/// A value that a filter wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Wanted {
    /// A text; it also is the number or the flag that is written so.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Flag(bool),
}

/// Whether what the event has under `name` is one of `wanted`. What is absent is none.
pub(super) fn passes(facts: &Facts<'_>, name: &str, wanted: &[Wanted]) -> bool {
    wanted.iter().any(|wanted| match text_of(facts, name) {
        Some(text) => is_text(wanted, text),
        None => facts
            .attributes
            .get(name)
            .is_some_and(|attribute| is_attribute(wanted, attribute)),
    })
}

/// What the event has under `name`, as it is shown.
pub(super) fn found(facts: &Facts<'_>, name: &str) -> Json {
    if let Some(text) = text_of(facts, name) {
        return shown_text(text);
    }
    match facts.attributes.get(name) {
        None => Json::Null,
        Some(Attribute::Text(text)) => shown_text(text),
        Some(Attribute::Integer(number)) => Json::from(*number),
        Some(Attribute::Flag(flag)) => Json::from(*flag),
        Some(Attribute::Names(names)) => {
            let shown = names.iter().take(NAMES_SHOWN_MAX);
            shown.map(|name| shown_text(name)).collect()
        }
    }
}

/// The value or the list as it was written.
pub(super) fn wanted_json(wanted: &[Wanted]) -> Json {
    let value = match wanted {
        [only] => serde_json::to_value(only),
        list => serde_json::to_value(list),
    };
    value.unwrap_or(Json::Null)
}

/// The names that are no attributes.
fn text_of<'a>(facts: &Facts<'a>, name: &str) -> Option<&'a str> {
    match name {
        "source" => Some(facts.source),
        "type" => Some(facts.event_type),
        "actor" => facts.actor,
        "subject" => facts.subject,
        _ => None,
    }
}

fn is_attribute(wanted: &Wanted, attribute: &Attribute) -> bool {
    match attribute {
        Attribute::Text(text) => is_text(wanted, text),
        Attribute::Integer(number) => match wanted {
            Wanted::Text(text) => *text == number.to_string(),
            Wanted::Integer(wanted) => wanted == number,
            Wanted::Flag(_) => false,
        },
        Attribute::Flag(flag) => match wanted {
            Wanted::Text(text) => *text == flag.to_string(),
            Wanted::Integer(_) => false,
            Wanted::Flag(wanted) => wanted == flag,
        },
        Attribute::Names(names) => names.iter().any(|name| is_text(wanted, name)),
    }
}

#[inline]
fn is_text(wanted: &Wanted, text: &str) -> bool {
    match wanted {
        Wanted::Text(wanted) => wanted == text,
        // A number of one sender may be a text of another.
        Wanted::Integer(wanted) => wanted.to_string() == text,
        Wanted::Flag(_) => false,
    }
}
