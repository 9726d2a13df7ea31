//! The payload as rules and prompts see it: a view over its text, read where it is named.
//!
//! No tree of the payload is ever built. An object or array is a range of the text, and its
//! members are found by walking over that range, once for each name. Where a key stands twice the
//! last counts, as for the attributes. A `null` that is named is as good as absent; a loop over the
//! whole sees it as none. Objects and arrays are equal if they are written alike.
//!
//! BOUND: one judgement walks over at most [`super::meter::SCANNED_BYTES_MAX`] bytes, goes at most
//! [`DEPTH_MAX`] levels deep, and decodes no text longer than a prompt may be. What lies behind a
//! bound counts as absent, and the judgement fails with the reason that the [`Meter`] keeps.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use minijinja::Value;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr};
use serde::Deserializer as _;
use serde_json::value::RawValue;

use super::meter::{Bound, Meter};

/// Levels of objects and arrays that can be named: as many as JSON parsers commonly take.
const DEPTH_MAX: usize = 128;

/// `text` as a value for rules. Text that is no JSON has no members.
pub(super) fn value(text: &Arc<String>, meter: &Arc<Meter>) -> Option<Value> {
    let start = text.len() - text.trim_start_matches(is_space).len();
    let range = start..text.trim_end_matches(is_space).len();
    value_at(text, range, 0, meter)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The value that stands in `range`, `depth` levels deep.
fn value_at(
    text: &Arc<String>,
    range: Range<usize>,
    depth: usize,
    meter: &Arc<Meter>,
) -> Option<Value> {
    let written = text.get(range.clone())?;
    let shape = match written.as_bytes().first()? {
        b'{' => Shape::Object,
        b'[' => Shape::Array,
        b'"' => return decoded(written, meter).map(Value::from),
        b't' => return Some(Value::from(true)),
        b'f' => return Some(Value::from(false)),
        b'n' => return Some(Value::from(())),
        _ => return number(written),
    };
    if depth >= DEPTH_MAX {
        meter.refuse(Bound::Depth)?;
    }
    Some(Value::from_object(View {
        text: Arc::clone(text),
        range,
        shape,
        depth,
        length: OnceLock::new(),
        meter: Arc::clone(meter),
    }))
}

/// The text that `written` stands for. What is no Unicode in it is replaced.
fn decoded(written: &str, meter: &Meter) -> Option<String> {
    if written.len() > meter.text_bytes_max {
        meter.refuse(Bound::Text)?;
    }
    meter.charge(written.len())?;
    if let Ok(text) = serde_json::from_str(written) {
        return Some(text);
    }
    serde_json::Deserializer::from_str(written)
        .deserialize_bytes(Lossy)
        .ok()
}

/// Reads a text as bytes: an escaped half of a surrogate pair is valid JSON and no Unicode.
struct Lossy;

impl serde::de::Visitor<'_> for Lossy {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// A number with its value; whole ones beyond 64 bits become the nearest one with a fraction.
fn number(written: &str) -> Option<Value> {
    if let Ok(number) = written.parse::<u64>() {
        return Some(Value::from(number));
    }
    // Minus zero keeps its sign as a number with a fraction alone.
    if let Some(number) = written.parse::<i64>().ok().filter(|number| *number != 0) {
        return Some(Value::from(number));
    }
    let number: f64 = serde_json::from_str(written).ok()?;
    Some(Value::from(number))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Object,
    Array,
}

/// An object or array of the payload.
pub(super) struct View {
    text: Arc<String>,
    range: Range<usize>,
    shape: Shape,
    depth: usize,
    /// How many members it has, once they are counted.
    length: OnceLock<usize>,
    meter: Arc<Meter>,
}

impl View {
    /// The JSON as it was sent.
    pub(super) fn written(&self) -> &str {
        self.text.get(self.range.clone()).unwrap_or_default()
    }

    fn members(&self) -> Members {
        Members {
            text: Arc::clone(&self.text),
            at: self.range.start + 1,
            end: self.range.end,
            shape: self.shape,
            meter: Arc::clone(&self.meter),
        }
    }

    fn value(&self, range: Range<usize>) -> Option<Value> {
        value_at(&self.text, range, self.depth + 1, &self.meter)
    }

    fn length(&self) -> usize {
        *self.length.get_or_init(|| self.members().count())
    }

    fn member(&self, name: &str) -> Option<Value> {
        if self.shape != Shape::Object {
            return None;
        }
        let find = || {
            let members = self.members();
            let named = members.filter(|member| self.is_key(member, name));
            named.last().map(|member| member.value)
        };
        self.named(self.meter.place(self.range.start, name, find)?)
    }

    /// What stands in `range`, if it is not `null`.
    fn named(&self, range: Range<usize>) -> Option<Value> {
        let value = self.value(range)?;
        (!value.is_none()).then_some(value)
    }

    fn is_key(&self, member: &Member, name: &str) -> bool {
        let written = self.text.get(member.key.clone()).unwrap_or_default();
        if written.contains('\\') {
            return decoded(written, &self.meter).is_some_and(|key| key == name);
        }
        let plain = written.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
        plain == Some(name)
    }
}

/// The JSON as it was sent, for a list that holds the view.
impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.written())
    }
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match self.shape {
            Shape::Object => ObjectRepr::Map,
            Shape::Array => ObjectRepr::Seq,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if let Some(name) = key.as_str() {
            return self.member(name);
        }
        if self.shape != Shape::Array {
            return None;
        }
        let found = self.members().nth(key.as_usize()?)?;
        self.named(found.value)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.member(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let view = Arc::clone(self);
        let left = view.length();
        let members = Counted {
            members: view.members(),
            left,
        };
        // A member behind a bound is none here; the meter remembers that the judgement fails.
        match self.shape {
            Shape::Array => Enumerator::Iter(Box::new(
                members.map(move |member| view.value(member.value).unwrap_or_default()),
            )),
            Shape::Object => Enumerator::KeyValueIter(Box::new(members.map(move |member| {
                let written = view.text.get(member.key).unwrap_or_default();
                let key = decoded(written, &view.meter).unwrap_or_default();
                let value = view.value(member.value).unwrap_or_default();
                (Value::from(key), value)
            }))),
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.length())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.members().next().is_some()
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        self.meter.charge(self.range.len().min(other.range.len()))?;
        Some(self.written().cmp(other.written()))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a prompt cannot hold is not copied either.
        if self.range.len() > self.meter.text_bytes_max {
            self.meter.refuse(Bound::Part);
            return Ok(());
        }
        f.write_str(self.written())
    }
}

/// Where a member stands; an array's has no key.
struct Member {
    key: Range<usize>,
    value: Range<usize>,
}

/// Walks over an object or array, one member at a time.
struct Members {
    text: Arc<String>,
    at: usize,
    end: usize,
    shape: Shape,
    meter: Arc<Meter>,
}

impl Members {
    /// The first byte that is no space and stands at or behind the mark, which goes there.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..self.end)?;
        self.at = self.end - rest.trim_start_matches(is_space).len();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes `byte` if it is the next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    /// Walks over the next value, however deep it is.
    fn skip(&mut self) -> Option<Range<usize>> {
        self.peek()?;
        let rest = self.text.get(self.at..self.end)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        values.next()?.ok()?;
        let start = self.at;
        self.at += values.byte_offset();
        Some(start..self.at)
    }

    fn walk(&mut self) -> Option<Member> {
        // Once the bound is met, nothing is walked over before it is counted.
        self.meter.charge(0)?;
        let start = self.at;
        let first = self.peek()?;
        let key = match self.shape {
            Shape::Array if first == b']' => return None,
            Shape::Array => 0..0,
            Shape::Object if first != b'"' => return None,
            Shape::Object => {
                let key = self.skip()?;
                if !self.take(b':') {
                    return None;
                }
                key
            }
        };
        let value = self.skip()?;
        self.take(b',');
        self.meter.charge(self.at - start)?;
        Some(Member { key, value })
    }
}

impl Iterator for Members {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        let member = self.walk();
        if member.is_none() {
            // It stays at its end.
            self.at = self.end;
        }
        member
    }
}

/// Members whose number is known, so that a loop knows its last one.
struct Counted {
    members: Members,
    left: usize,
}

impl Iterator for Counted {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        let member = self.members.next();
        self.left = match member {
            Some(_) => self.left.saturating_sub(1),
            None => 0,
        };
        member
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
