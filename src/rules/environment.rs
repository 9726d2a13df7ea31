//! The environment in which the texts of rules are evaluated: its names, filters and bounds.
//!
//! What a template has not is what it does not need: no macros, no inclusion, and no functions
//! that show more than they are given or collect before they count. `tojson`, `join`, `split` and
//! `lines` are the engine's own in form and bounded while they run; `fence` is ours.
//!
//! An environment is made once and shared. What is another one for each evaluation its filters find
//! among the names, under [`MARK`] and [`BYTES_MAX`].

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value,
    escape_formatter,
};

use super::payload::View;

/// Steps of an evaluation: some ten milliseconds. One step also pays for 64 bytes of text that
/// a template makes, so these are 6 MB of it as well.
pub(super) const FUEL: u64 = 100_000;

/// The name of what the fences of an evaluation carry. Like the next one it has a space in it, so
/// that no template can write it, and nothing in an environment shows all names there are.
pub(super) const MARK: &str = " mark";

/// The name of how many bytes the texts of an evaluation have at most.
pub(super) const BYTES_MAX: &str = " bytes_max";

/// Whether one value stands in a relation to another.
type Relation = fn(&Value, &Value) -> bool;

/// Tests that compare, with their other names.
const COMPARISONS: [(&[&str], Relation); 7] = [
    (&["eq", "equalto", "=="], |value, other| value == other),
    (&["ne", "!="], |value, other| value != other),
    (&["lt", "lessthan", "<"], |value, other| value < other),
    (&["le", "<="], |value, other| value <= other),
    (&["gt", "greaterthan", ">"], |value, other| value > other),
    (&["ge", ">="], |value, other| value >= other),
    (&["sameas"], |value, other| {
        value == other && value.kind() == other.kind()
    }),
];

/// As long as many texts are, so that they need not grow while they are written.
const LIKELY_BYTES: usize = 512;

/// Spaces of a level that `tojson` indents by at most.
const INDENT_MAX: usize = 16;

/// That of judgements: what is absent is an error.
pub(super) static STRICT: LazyLock<Environment<'static>> =
    LazyLock::new(|| environment(UndefinedBehavior::Strict));

/// That of checks, which have no event.
pub(super) static LENIENT: LazyLock<Environment<'static>> =
    LazyLock::new(|| environment(UndefinedBehavior::Chainable));

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
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
    environment.set_formatter(format);
    // They show the whole environment, or build lists and maps before they are counted.
    for name in ["debug", "dict", "namespace"] {
        environment.remove_global(name);
    }
    for name in ["chain", "pprint"] {
        environment.remove_filter(name);
    }
    // The engine's own compare what is absent, as its operators do not: `x is ne 1` would hold.
    for (names, holds) in COMPARISONS {
        for name in names {
            environment.add_test(*name, move |value: Value, other: Value| {
                compare(undefined, &value, &other, holds)
            });
        }
    }
    environment.add_filter("fence", |state: &mut State<'_, '_>, value: Value| {
        let mark = named(state, MARK)?;
        let mark = mark.as_str().unwrap_or_default();
        fence(&state.format(value)?, mark, bytes_max(state)?)
    });
    environment.add_filter(
        "tojson",
        |state: &mut State<'_, '_>, value: Value, indent: Option<Value>, more: Kwargs| {
            to_json(state, &value, indent, &more)
        },
    );
    environment.add_filter(
        "join",
        |state: &mut State<'_, '_>, list: Value, joiner: Option<Cow<'_, str>>, more: Kwargs| {
            join(state, list, joiner.as_deref(), &more)
        },
    );
    environment.add_filter(
        "split",
        |state: &State<'_, '_>,
         text: Cow<'_, str>,
         separator: Option<Cow<'_, str>>,
         splits_max: Option<i64>| split(state, &text, separator.as_deref(), splits_max),
    );
    environment.add_filter("lines", |state: &State<'_, '_>, text: Cow<'_, str>| {
        pieces(state, text.lines())
    });
    environment
}

/// What the evaluation has under a name that is no template's.
fn named(state: &State<'_, '_>, name: &str) -> Result<Value, Error> {
    let missing = || Error::new(ErrorKind::InvalidOperation, format!("there is no{name}"));
    state.lookup(name).ok_or_else(missing)
}

fn bytes_max(state: &State<'_, '_>) -> Result<usize, Error> {
    named(state, BYTES_MAX).map(|max| max.as_usize().unwrap_or(0))
}

fn compare(
    undefined: UndefinedBehavior,
    value: &Value,
    other: &Value,
    holds: Relation,
) -> Result<bool, Error> {
    let is_absent = value.is_undefined() || other.is_undefined();
    if is_absent && undefined == UndefinedBehavior::Strict {
        return Err(ErrorKind::UndefinedError.into());
    }
    Ok(holds(value, other))
}

/// Writes a value. An object is written piece by piece, so that one that prints endlessly is cut
/// before it takes memory, even where the template captures it.
fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() {
        return Err(Error::new(ErrorKind::UndefinedError, "null"));
    }
    if value.as_object().is_none() || *state.auto_escape() != AutoEscape::None {
        return escape_formatter(out, state, value);
    }
    let max = bytes_max(state)?;
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
    let text = if !mark.is_empty() && text.contains(mark) {
        Cow::Owned(text.replace(mark, "*"))
    } else {
        Cow::Borrowed(text)
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
    let max = bytes_max(state)?;
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
) -> Result<Value, Error> {
    if list.is_undefined() {
        return state.format(list).map(Value::from);
    }
    let attribute = more.get::<Option<&str>>("attribute")?;
    let named = more.get::<Option<Cow<'_, str>>>("d")?;
    more.assert_all_used()?;
    let joiner = joiner.or(named.as_deref()).unwrap_or_default();
    let max = bytes_max(state)?;
    let mut written = Bounded::new(max);
    for (at, item) in list.try_iter()?.enumerate() {
        state.consume_fuel(1)?;
        let item = match attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        let joiner = if at > 0 { joiner } else { "" };
        write!(written, "{joiner}{item}").map_err(|_| too_long(max))?;
    }
    Ok(Value::from(written.into_text()))
}

fn split(
    state: &State<'_, '_>,
    text: &str,
    separator: Option<&str>,
    splits_max: Option<i64>,
) -> Result<Value, Error> {
    let pieces_max = splits_max
        .and_then(|max| usize::try_from(max).ok())
        .map_or(usize::MAX, |max| max.saturating_add(1));
    match separator {
        Some(separator) => pieces(state, text.splitn(pieces_max, separator)),
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

/// Takes so many bytes and refuses more.
pub(super) struct Bounded {
    bytes: Vec<u8>,
    max: usize,
    pub(super) is_full: bool,
}

impl Bounded {
    pub(super) fn new(max: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(max.min(LIKELY_BYTES)),
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
    pub(super) fn into_text(self) -> String {
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
