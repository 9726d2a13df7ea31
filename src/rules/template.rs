//! Evaluates the `when` and the `prompt` of a rule.
//!
//! Each judgement has an environment of its own, since bounds and fence depend on the event. A
//! rule's text is read anew each time, which takes microseconds.
//!
//! BOUND: [`FUEL`] steps, and with them the bytes that a template makes of other texts; the
//! prompt's own length while it is written; the length of a tag and their number; what [`Meter`]
//! bounds of the payload. What remains is in the hands of who writes the rules alone: a list
//! multiplied in the template and made a text by `~` takes memory before it is counted.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde_json::Value as Json;

use super::environment::{Bounded, FUEL, environment};
use super::meter::Meter;
use super::payload;
use super::{CompileError, Facts, Part};
use crate::event::Attribute;

/// A prompt may need more: 4 bytes of work for each byte that it can have.
const PROMPT_BYTES_OF_STEP: usize = 16;

/// Bytes of an expression or of what stands between the marks of a tag, at most. A parser calls
/// itself for each operator, so these bound its stack: `1+1+1` is a level for each two bytes.
const TAG_BYTES_MAX: usize = 2_048;

/// Tags of a template at most: each may put what the one before made one level deeper.
const TAGS_MAX: usize = 1_000;

/// Bytes of a message about an evaluation, which may quote what came from outside.
const MESSAGE_BYTES_MAX: usize = 300;

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
    meter: Arc<Meter>,
    /// Made with the first evaluation: most events match no rule before it.
    names: OnceCell<Value>,
    /// That of every `when`: there may be many, and making it takes longer than using it.
    of_whens: OnceCell<Environment<'static>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(facts: &'a Facts<'a>) -> Self {
        Self {
            facts,
            meter: Arc::new(Meter::new(facts.prompt_bytes_max)),
            names: OnceCell::new(),
            of_whens: OnceCell::new(),
        }
    }

    /// The value of `expression`.
    pub(super) fn when(&self, expression: &str) -> Outcome {
        self.meter.begin();
        let environment: &Environment<'_> = self.of_whens.get_or_init(|| self.environment());
        let value = environment
            .compile_expression(expression)
            .and_then(|compiled| compiled.eval(self.names()));
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

    /// The prompt that `template` makes, or why it makes none.
    pub(super) fn prompt(&self, template: &str) -> Result<String, String> {
        self.meter.begin();
        let max = self.facts.prompt_bytes_max;
        let mut environment = self.environment();
        let more = u64::try_from(max / PROMPT_BYTES_OF_STEP).unwrap_or(u64::MAX);
        environment.set_fuel(Some(FUEL.saturating_add(more)));
        let mut written = Bounded::new(max);
        let rendered = environment
            .template_from_named_str("prompt", template)
            .and_then(|compiled| {
                compiled
                    .render_captured_to(self.names(), &mut written)
                    .map(drop)
            });
        if let Some(problem) = self.meter.problem() {
            return Err(format!("the prompt cannot be made: {problem}"));
        }
        if written.is_full {
            return Err(format!("the prompt grows beyond {max} bytes"));
        }
        if let Err(error) = rendered {
            return Err(match missing_name(&error, template) {
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
                    format!("the prompt cannot be made: {}{place}", explained(&error))
                }
            });
        }
        let prompt = written.into_text();
        if prompt.trim().is_empty() {
            return Err("the prompt is empty".to_owned());
        }
        Ok(prompt)
    }

    fn names(&self) -> Value {
        self.names.get_or_init(|| self.read_names()).clone()
    }

    fn read_names(&self) -> Value {
        let facts = self.facts;
        let mut names: BTreeMap<&str, Value> = facts
            .attributes
            .iter()
            .map(|(name, attribute)| (name.as_str(), attribute_value(attribute)))
            .collect();
        names.insert("source", Value::from(facts.source));
        names.insert("type", Value::from(facts.event_type));
        for (name, text) in [("actor", facts.actor), ("subject", facts.subject)] {
            names.remove(name);
            if let Some(text) = text {
                names.insert(name, Value::from(text));
            }
        }
        names.remove("payload");
        let payload = facts.payload.as_ref();
        if let Some(value) = payload.and_then(|text| payload::value(text, &self.meter)) {
            names.insert("payload", value);
        }
        Value::from_pairs(names)
    }

    fn environment(&self) -> Environment<'static> {
        environment(
            UndefinedBehavior::Strict,
            self.facts.mark,
            self.facts.prompt_bytes_max,
        )
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

/// What is wrong with `when` or `prompt`, whatever the event. `Ok` holds whether the texts name
/// the payload.
pub(super) fn check(when: Option<&str>, prompt: &str) -> Result<bool, CompileError> {
    let environment = environment(UndefinedBehavior::Chainable, "", MESSAGE_BYTES_MAX);
    let mut names_payload = false;
    if let Some(when) = when {
        if when.len() > TAG_BYTES_MAX {
            return Err(CompileError {
                part: Part::When,
                line: 1,
                message: format!("an expression has at most {TAG_BYTES_MAX} bytes"),
            });
        }
        let refused = |error| refusal(Part::When, when, &error);
        let compiled = environment.compile_expression(when).map_err(refused)?;
        names_payload |= compiled.undeclared_variables(false).contains("payload");
        refuse_unknown(Part::When, when, compiled.eval(()).map(drop))?;
    }
    bound_tags(prompt)?;
    let compiled = environment
        .template_from_named_str("prompt", prompt)
        .map_err(|error| refusal(Part::Prompt, prompt, &error))?;
    names_payload |= compiled.undeclared_variables(false).contains("payload");
    let rendered = compiled.render_captured_to((), io::sink()).map(drop);
    refuse_unknown(Part::Prompt, prompt, rendered)?;
    Ok(names_payload)
}

/// Refuses tags that are too long or too many.
fn bound_tags(prompt: &str) -> Result<(), CompileError> {
    let refused = |at: usize, message: String| {
        let before = prompt.get(..at).unwrap_or_default();
        Err(CompileError {
            part: Part::Prompt,
            line: before.matches('\n').count() + 1,
            message,
        })
    };
    let mut rest = prompt;
    let mut count = 0;
    while let Some((open, close)) = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
        .into_iter()
        .filter_map(|(open, close)| rest.find(open).map(|at| (at, close)))
        .min()
    {
        let tag = rest.get(open..).unwrap_or_default();
        let length = tag.find(close).unwrap_or(tag.len());
        let at = prompt.len() - tag.len();
        count += 1;
        if count > TAGS_MAX {
            return refused(at, format!("a template has at most {TAGS_MAX} tags"));
        }
        if length > TAG_BYTES_MAX && close != "#}" {
            return refused(at, format!("a tag has at most {TAG_BYTES_MAX} bytes"));
        }
        rest = tag.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// A run without an event fails for many reasons; that a filter does not exist is one whatever
/// the event.
fn refuse_unknown(part: Part, text: &str, run: Result<(), Error>) -> Result<(), CompileError> {
    match run {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnknownFilter | ErrorKind::UnknownTest
            ) =>
        {
            Err(refusal(part, text, &error))
        }
        _ => Ok(()),
    }
}

fn refusal(part: Part, text: &str, error: &Error) -> CompileError {
    // An error without a line is about the end.
    let end = text.lines().count().max(1);
    CompileError {
        part,
        line: error.line().unwrap_or(end),
        message: match error.detail() {
            Some(detail) => cut(detail, MESSAGE_BYTES_MAX).into_owned(),
            None => error.kind().to_string(),
        },
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
