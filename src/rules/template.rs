//! Evaluates the `when` and the `prompt` of a rule.
//!
//! Each evaluation has an environment of its own: its bounds and its fence depend on the event,
//! and a rule's text is read in microseconds. What a template has not is what it does not need:
//! no macros, no inclusion, and no functions and filters that show more than they are given or
//! collect before they count.
//!
//! BOUND: [`FUEL`] steps, and with them the bytes that a template makes of other texts; the
//! prompt's own length while it is written; what [`Meter`] bounds of the payload. What remains is
//! in the hands of who writes the rules alone: a list multiplied in the template and made a text
//! by `~` takes memory before it is counted.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value,
    escape_formatter,
};
use serde_json::Value as Json;

use super::payload::{self, Meter, View};
use super::{CompileError, Facts, Part};
use crate::event::Attribute;

/// Steps of an evaluation: some ten milliseconds. One step also pays for 64 bytes of text that
/// a template makes, so these are 6 MB of it as well.
const FUEL: u64 = 100_000;

/// A prompt may need more: 4 bytes of work for each byte that it can have.
const PROMPT_BYTES_OF_STEP: usize = 16;

/// Bytes of a message about an evaluation, which may quote what came from outside.
const MESSAGE_BYTES_MAX: usize = 300;

/// Spaces of a level that `tojson` indents by at most.
const INDENT_MAX: usize = 16;

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
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(facts: &'a Facts<'a>) -> Self {
        Self {
            facts,
            meter: Arc::new(Meter::new(facts.prompt_bytes_max)),
            names: OnceCell::new(),
        }
    }

    /// The value of `expression`.
    pub(super) fn when(&self, expression: &str) -> Outcome {
        self.meter.begin();
        let environment = self.environment();
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
        let refused = |error| refusal(Part::When, when, &error);
        let compiled = environment.compile_expression(when).map_err(refused)?;
        names_payload |= compiled.undeclared_variables(false).contains("payload");
        refuse_unknown(Part::When, when, compiled.eval(()).map(drop))?;
    }
    let compiled = environment
        .template_from_named_str("prompt", prompt)
        .map_err(|error| refusal(Part::Prompt, prompt, &error))?;
    names_payload |= compiled.undeclared_variables(false).contains("payload");
    let rendered = compiled.render_captured_to((), io::sink()).map(drop);
    refuse_unknown(Part::Prompt, prompt, rendered)?;
    Ok(names_payload)
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

fn environment(undefined: UndefinedBehavior, mark: &str, max: usize) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(undefined);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    // Names of what is absent are known in this mode alone.
    environment.set_debug(true);
    // A prompt ends as it is written.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_formatter(move |out, state, value| format(out, state, value, max));
    // They show the whole environment, or build lists and maps before they are counted.
    for name in ["debug", "dict", "namespace"] {
        environment.remove_global(name);
    }
    for name in ["chain", "pprint"] {
        environment.remove_filter(name);
    }
    let mark: Arc<str> = Arc::from(mark);
    environment.add_filter("fence", move |state: &mut State<'_, '_>, value: Value| {
        fence(&state.format(value)?, &mark, max)
    });
    environment.add_filter(
        "tojson",
        move |state: &mut State<'_, '_>, value: Value, indent: Option<Value>, more: Kwargs| {
            to_json(state, &value, indent, &more, max)
        },
    );
    environment.add_filter(
        "join",
        move |state: &mut State<'_, '_>,
              list: Value,
              joiner: Option<Cow<'_, str>>,
              more: Kwargs| { join(state, list, joiner.as_deref(), &more, max) },
    );
    environment.add_filter("split", split);
    environment.add_filter("lines", |state: &State<'_, '_>, text: Cow<'_, str>| {
        pieces(state, text.lines())
    });
    environment
}

/// Writes a value. An object is written piece by piece, so that one that prints endlessly is cut
/// before it takes memory, even where the template captures it.
fn format(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
    max: usize,
) -> Result<(), Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::UndefinedError, "null"));
    }
    if value.as_object().is_none() || *state.auto_escape() != AutoEscape::None {
        return escape_formatter(out, state, value);
    }
    let mut bounded = BoundedOutput { out, left: max };
    write!(bounded, "{value}").map_err(|_| too_long(max))
}

fn too_long(max: usize) -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        format!("a text grows beyond {max} bytes"),
    )
}

/// Puts `text` between lines that carry `mark`. Whoever wrote the text does not know the mark and
/// so cannot write the line that ends it.
fn fence(text: &str, mark: &str, max: usize) -> Result<String, Error> {
    if text.len() > max {
        return Err(too_long(max));
    }
    // A text that has the mark nonetheless loses it: the star is in no mark.
    let text = match mark.is_empty() {
        false if text.contains(mark) => Cow::Owned(text.replace(mark, "*")),
        _ => Cow::Borrowed(text),
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(format!(
        "<<<untrusted text, {mark}>>>\n{text}\n<<<end of untrusted text, {mark}>>>"
    ))
}

fn to_json(
    state: &mut State<'_, '_>,
    value: &Value,
    indent: Option<Value>,
    more: &Kwargs,
    max: usize,
) -> Result<Value, Error> {
    if value.is_undefined() {
        // The error of a template that writes it.
        return state.format(value.clone()).map(Value::from);
    }
    let indent = match indent {
        Some(indent) => Some(indent),
        None => more.get::<Option<Value>>("indent")?,
    };
    more.assert_all_used()?;
    let spaces = match indent {
        Some(indent) if indent.kind() == ValueKind::Bool => usize::from(indent.is_true()) * 2,
        Some(indent) => indent.as_usize().unwrap_or(0).min(INDENT_MAX),
        None => 0,
    };
    if let Some(view) = value.downcast_object_ref::<View>().filter(|_| spaces == 0) {
        return match view.written() {
            written if written.len() > max => Err(too_long(max)),
            written => Ok(Value::from(written)),
        };
    }
    let mut written = Bounded::new(max);
    let done = if spaces == 0 {
        serde_json::to_writer(&mut written, value)
    } else {
        let spaces = " ".repeat(spaces);
        let pretty = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
        let mut serializer = serde_json::Serializer::with_formatter(&mut written, pretty);
        serde::Serialize::serialize(value, &mut serializer)
    };
    match done {
        Ok(()) => Ok(Value::from(written.into_text())),
        Err(_) if written.is_full => Err(too_long(max)),
        Err(error) => Err(Error::new(ErrorKind::BadSerialization, error.to_string())),
    }
}

fn join(
    state: &mut State<'_, '_>,
    list: Value,
    joiner: Option<&str>,
    more: &Kwargs,
    max: usize,
) -> Result<Value, Error> {
    if list.is_undefined() {
        return state.format(list).map(Value::from);
    }
    let attribute = more.get::<Option<&str>>("attribute")?;
    let named = more.get::<Option<Cow<'_, str>>>("d")?;
    more.assert_all_used()?;
    let joiner = joiner.or(named.as_deref()).unwrap_or_default();
    let mut joined = Bounded::new(max);
    for (at, item) in list.try_iter()?.enumerate() {
        state.consume_fuel(1)?;
        let item = match attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        let joiner = if at > 0 { joiner } else { "" };
        write!(joined, "{joiner}{item}").map_err(|_| too_long(max))?;
    }
    Ok(Value::from(joined.into_text()))
}

fn split(
    state: &State<'_, '_>,
    text: Cow<'_, str>,
    separator: Option<Cow<'_, str>>,
    splits_max: Option<i64>,
) -> Result<Value, Error> {
    let pieces_max = splits_max
        .and_then(|max| usize::try_from(max).ok())
        .map_or(usize::MAX, |max| max.saturating_add(1));
    match separator {
        Some(separator) => pieces(state, text.splitn(pieces_max, separator.as_ref())),
        None if pieces_max == usize::MAX => pieces(state, text.split_whitespace()),
        None => Err(Error::new(
            ErrorKind::InvalidOperation,
            "name a separator where the number of splits is limited",
        )),
    }
}

/// A list of texts, each paid for before it is made.
fn pieces<'a>(state: &State<'_, '_>, texts: impl Iterator<Item = &'a str>) -> Result<Value, Error> {
    let mut list = Vec::new();
    for text in texts {
        state.consume_fuel(1)?;
        list.push(Value::from(text));
    }
    Ok(Value::from(list))
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

/// What stands at the place of `error`; of a filter, what stands in front of it.
fn name_at(error: &Error, text: &str) -> String {
    let Some(range) = error.range() else {
        return "a value".to_owned();
    };
    let before = text.get(..range.start).unwrap_or_default().trim_end();
    let name = match before.strip_suffix('|') {
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

/// Takes so many bytes and refuses more.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
    is_full: bool,
}

impl Bounded {
    fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
            is_full: false,
        }
    }

    /// Adds what there is room for.
    fn add(&mut self, bytes: &[u8]) -> bool {
        let room = self.max.saturating_sub(self.bytes.len());
        self.is_full |= bytes.len() > room;
        self.bytes
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        !self.is_full
    }

    /// The text; a character that was cut is replaced.
    fn into_text(self) -> String {
        String::from_utf8(self.bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.add(bytes) {
            Ok(bytes.len())
        } else {
            Err(io::ErrorKind::FileTooLarge.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.add(text.as_bytes()) {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// Hands so many bytes on and refuses more.
struct BoundedOutput<'a, 'b> {
    out: &'a mut Output<'b>,
    left: usize,
}

impl fmt::Write for BoundedOutput<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
        self.out.write_str(text)
    }
}
