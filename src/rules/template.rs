//! Evaluates the `when` and the `prompt` of a rule.
//!
//! What the texts are is compiled already; an evaluation adds the names of its event, the mark of its
//! fences and its bounds.
//!
//! BOUND: [`FUEL`] steps, and with them the bytes that a template makes of other texts; the
//! prompt's own length while it is written; what [`Meter`] bounds of the payload. What remains is in
//! the hands of who writes the rules alone: a list multiplied in the template and made a text by `~`
//! takes memory before it is counted.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};
use serde_json::Value as Json;

use super::Facts;
use super::compile::{Names, PROMPT, Prompt, When};
use super::environment::{BYTES_MAX, Bounded, FUEL, MARK};
use super::meter::Meter;
use super::payload;
use crate::event::Attribute;

/// A prompt may need more: 4 bytes of work for each byte that it can have.
const PROMPT_BYTES_OF_STEP: usize = 16;

/// Bytes of a message about an evaluation, which may quote what came from outside.
pub(super) const MESSAGE_BYTES_MAX: usize = 300;

/// The largest number of bytes of a value that is shown to a person.
const SHOWN_BYTES_MAX: usize = 256;

/// What a `when` gave.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A value, as it is shown, and whether it counts as true.
    Value(Json, bool),
    /// None, and why.
    Nothing(String),
}

/// Evaluates texts of rules over one event.
pub(super) struct Evaluator<'a> {
    facts: &'a Facts<'a>,
    prompt_bytes_max: usize,
    meter: Arc<Meter>,
    /// What was named so far, mostly little: most of what an event has is named by no rule.
    named: RefCell<Vec<(&'a str, Value)>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(facts: &'a Facts<'a>) -> Self {
        Self {
            facts,
            prompt_bytes_max: facts.prompt_bytes_max,
            meter: Arc::new(Meter::new(facts.prompt_bytes_max)),
            named: RefCell::default(),
        }
    }

    /// The same with prompts of at most `room` bytes. Conditions are evaluated as ever.
    pub(super) fn within(self, room: usize) -> Self {
        Self {
            prompt_bytes_max: self.prompt_bytes_max.min(room),
            ..self
        }
    }

    /// The value of an expression.
    pub(super) fn when(&self, when: &'a When) -> Outcome {
        self.meter.begin();
        let expression = when.text.as_str();
        let value = when.compiled.eval(self.names(&when.names));
        if let Some(problem) = self.meter.problem() {
            return Outcome::Nothing(problem.to_owned());
        }
        match value {
            Ok(value) if value.is_undefined() => {
                Outcome::Nothing(format!("`{}` is absent", cut(expression.trim(), 60)))
            }
            Ok(value) => {
                let outcome = Outcome::Value(shown(&value), value.is_true());
                match self.meter.problem() {
                    Some(problem) => Outcome::Nothing(problem.to_owned()),
                    None => outcome,
                }
            }
            Err(error) => Outcome::Nothing(match missing_name(&error, expression) {
                Some(Missing::Absent(name)) => format!("`{name}` is absent"),
                Some(Missing::Null(name)) => format!("`{name}` is null"),
                None => explained(&error),
            }),
        }
    }

    /// The prompt that a template makes, or why it makes none.
    pub(super) fn prompt(&self, prompt: &'a Prompt) -> Result<String, String> {
        self.meter.begin();
        let max = self.prompt_bytes_max;
        // The fuel is the environment's; a copy shares all the rest.
        let mut environment = prompt.environment.clone();
        let more = u64::try_from(max / PROMPT_BYTES_OF_STEP).unwrap_or(u64::MAX);
        environment.set_fuel(Some(FUEL.saturating_add(more)));
        let mut written = Bounded::new(max);
        let unmade = |error: &Error| format!("the prompt cannot be made: {}", explained(error));
        let template = environment
            .get_template(PROMPT)
            .map_err(|error| unmade(&error))?;
        let rendered = template
            .render_captured_to(self.names(&prompt.names), &mut written)
            .map(drop);
        if let Some(problem) = self.meter.problem() {
            return Err(format!("the prompt cannot be made: {problem}"));
        }
        if written.is_full {
            return Err(format!("the prompt grows beyond {max} bytes"));
        }
        if let Err(error) = rendered {
            return Err(match missing_name(&error, template.source()) {
                Some(Missing::Absent(name)) => {
                    format!("the prompt names `{name}`, which this event has not")
                }
                Some(Missing::Null(name)) => {
                    format!("the prompt names `{name}`, which is null in this event")
                }
                None => {
                    let place = error
                        .line()
                        .map(|line| format!(" (its line {line})"))
                        .unwrap_or_default();
                    format!("{}{place}", unmade(&error))
                }
            });
        }
        let prompt = written.into_text();
        if prompt.trim().is_empty() {
            return Err("the prompt is empty".to_owned());
        }
        Ok(prompt)
    }

    /// What the event has under the names that a text may ask for, and what the filters look for.
    fn names(&self, names: &'a Names) -> Value {
        let of_event = names
            .iter()
            .filter_map(|name| Some((name, self.value(name)?)));
        let of_filters = [
            (MARK, Value::from(self.facts.mark)),
            (BYTES_MAX, Value::from(self.facts.prompt_bytes_max)),
        ];
        Value::from_pairs(of_event.chain(of_filters))
    }

    /// What the event has under `name`, made when it is first asked for.
    fn value(&self, name: &'a str) -> Option<Value> {
        let is_same = |(known, _): &&(&str, Value)| *known == name;
        if let Some((_, value)) = self.named.borrow().iter().find(is_same) {
            return Some(value.clone());
        }
        let facts = self.facts;
        let value = match name {
            "source" => Value::from(facts.source),
            "type" => Value::from(facts.event_type),
            "actor" => Value::from(facts.actor?),
            "subject" => Value::from(facts.subject?),
            "payload" => payload::value(facts.payload.as_ref()?, &self.meter)?,
            name => attribute_value(facts.attributes.get(name)?),
        };
        self.named.borrow_mut().push((name, value.clone()));
        Some(value)
    }
}

fn attribute_value(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Text(text) => Value::from(text.as_str()),
        Attribute::Integer(number) => Value::from(*number),
        Attribute::Flag(flag) => Value::from(*flag),
        Attribute::Names(names) => names.iter().map(String::as_str).collect(),
    }
}

/// What an evaluation named in vain.
enum Missing {
    Absent(String),
    Null(String),
}

/// The name in `text` that made `error`, if one did.
fn missing_name(error: &Error, text: &str) -> Option<Missing> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(error) = current.downcast_ref::<Error>() {
            let detail = error.detail().unwrap_or_default();
            if error.kind() == ErrorKind::UndefinedError && detail == "null" {
                return Some(Missing::Null(name_at(error, text)));
            }
            let named = detail
                .split_once("` is undefined")
                .and_then(|(before, _)| before.rsplit_once('`'))
                .map(|(_, name)| name);
            let is_undefined = error.kind() == ErrorKind::UndefinedError;
            match named {
                Some(name) => return Some(Missing::Absent(name_shown(name))),
                None if is_undefined => return Some(Missing::Absent(name_at(error, text))),
                None => {}
            }
        }
        next = current.source();
    }
    None
}

/// What stands at the place of `error`; of a filter or a test, what stands in front of it.
fn name_at(error: &Error, text: &str) -> String {
    let Some(range) = error.range() else {
        return "a value".to_owned();
    };
    let before = text.get(..range.start).unwrap_or_default().trim_end();
    let operators = ["|", " is not", " is"];
    let operand = operators.iter().find_map(|it| before.strip_suffix(it));
    let name = match operand {
        Some(filtered) => {
            let is_name = |c: char| c.is_alphanumeric() || "_.[]'\"".contains(c);
            let filtered = filtered.trim_end();
            let rest = filtered.trim_end_matches(is_name);
            filtered.get(rest.len()..).filter(|name| !name.is_empty())
        }
        None => text.get(range),
    };
    name_shown(name.unwrap_or("a value"))
}

fn name_shown(name: &str) -> String {
    let name = name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '-'));
    cut(name, 100).into_owned()
}

/// What went wrong, without the place.
fn explained(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "it takes more steps than allowed".to_owned();
    }
    match error.detail() {
        Some(detail) => cut(detail, MESSAGE_BYTES_MAX).into_owned(),
        None => error.kind().to_string(),
    }
}

/// `text`, or its beginning where it has more than `bytes_max` bytes.
pub(super) fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let beginning = (0..=bytes_max).rev().find_map(|end| text.get(..end));
    Cow::Owned(format!("{}...", beginning.unwrap_or_default()))
}

/// A value as a person sees it.
fn shown(value: &Value) -> Json {
    match value.kind() {
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => serde_json::to_value(value).unwrap_or(Json::Null),
        ValueKind::None => Json::Null,
        _ => {
            // One byte more than is shown tells that there is more.
            let mut written = Bounded::new(SHOWN_BYTES_MAX + 1);
            let _ = write!(written, "{value}");
            Json::String(cut(&written.into_text(), SHOWN_BYTES_MAX).into_owned())
        }
    }
}

/// A text as a person sees it.
pub(super) fn shown_text(text: &str) -> Json {
    Json::String(cut(text, SHOWN_BYTES_MAX).into_owned())
}
