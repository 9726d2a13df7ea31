//! How the value of a single setting is read: its type, its form and its range.
//!
//! Every function gives the value, or a text that says what is wrong and what is allowed.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::environment::Environment;
use super::tree::Value;
use super::value::{self, NotAValue};
use crate::worker::Rate;

/// A text in quotation marks.
pub(super) fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!(
            "{}; a text in quotation marks is wanted",
            other.kind()
        )),
    }
}

/// A duration within `range`.
pub(super) fn duration(
    value: &Value,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let read = match value {
        Value::Text(text) => value::parse_duration(text),
        _ => Err(NotAValue::Duration),
    };
    in_range(read.map_err(|e| e.to_string())?, range, |duration| {
        value::duration_text(*duration)
    })
}

/// A size within `range`, in bytes.
pub(super) fn size(value: &Value, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let read = match value {
        Value::Text(text) => value::parse_size(text),
        _ => Err(NotAValue::Size),
    };
    in_range(read.map_err(|e| e.to_string())?, range, |bytes| {
        value::size_text(*bytes)
    })
}

/// A rate.
pub(super) fn rate(value: &Value) -> Result<Rate, String> {
    match value {
        Value::Text(text) => value::parse_rate(text),
        _ => Err(NotAValue::Rate),
    }
    .map_err(|e| e.to_string())
}

/// A whole number within `range`.
pub(super) fn integer(value: &Value, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let (min, max) = range.clone().into_inner();
    match value {
        Value::Integer { value, .. } => value
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("out of range; allowed is {min} to {max}")),
        other => Err(format!(
            "{}; a whole number from {min} to {max} is wanted, without quotation marks",
            other.kind()
        )),
    }
}

/// True or false.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Flag(flag) => Ok(*flag),
        other => Err(format!(
            "{}; true or false is wanted, without quotation marks",
            other.kind()
        )),
    }
}

/// A path that is not empty, its leading `~` replaced by the home directory.
pub(super) fn path(value: &Value, environment: &Environment) -> Result<PathBuf, String> {
    match text(value)? {
        "" => Err("an empty path; write a directory".to_owned()),
        text if text.contains('\0') => Err("a path has no NUL character in it".to_owned()),
        text => environment.expand_home(text.as_ref()),
    }
}

fn in_range<T: PartialOrd>(
    value: T,
    range: &RangeInclusive<T>,
    written: impl Fn(&T) -> String,
) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(format!(
        "out of range; allowed is {} to {}",
        written(range.start()),
        written(range.end())
    ))
}
