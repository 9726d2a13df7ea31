//! TOML and JSON as one kind of tree, so that one set of rules reads both.
//!
//! Each key and value knows the line it stands on; in JSON the line is 0.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Characters of a value that a message shows at most.
const SHOWN_MAX: usize = 60;

/// A value and its line.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Line of the value's first character.
    pub(super) line: usize,
}

/// A value.
#[derive(Debug)]
pub(super) enum Value {
    /// JSON's `null`.
    Null,
    Text(String),
    Integer {
        /// Absent where it is negative or above 2^64 - 1.
        value: Option<u64>,
        written: String,
    },
    Flag(bool),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// What no setting is made of.
    Other {
        /// `a number with a fraction`, `a date`.
        kind: &'static str,
        written: String,
    },
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Line of the key.
    pub(super) line: usize,
    pub(super) node: Node,
}

impl Value {
    /// What it is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "a text",
            Self::Integer { .. } => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other { kind, .. } => kind,
        }
    }

    /// The value as a message shows it: on one line, without control characters, and short.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Text(text) => quoted(text),
            Self::Integer { written, .. } | Self::Other { written, .. } => {
                shortened(written).escape_debug().to_string()
            }
            Self::Flag(flag) => flag.to_string(),
            Self::List(_) => "[...]".to_owned(),
            Self::Table(_) => "{...}".to_owned(),
        }
    }
}

/// `text` in quotation marks, escaped and cut to a readable length.
pub(crate) fn quoted(text: &str) -> String {
    let shown = shortened(text);
    let dots = if shown.len() < text.len() { "..." } else { "" };
    format!("{shown:?}{dots}")
}

fn shortened(text: &str) -> &str {
    text.char_indices()
        .nth(SHOWN_MAX)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

/// Turns byte offsets into line numbers.
#[derive(Debug)]
pub(super) struct Lines {
    /// Offset of each line's first byte.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let behind_breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            starts: std::iter::once(0).chain(behind_breaks).collect(),
        }
    }

    /// The line, counted from 1, that holds the byte at `offset`.
    pub(super) fn at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }
}

/// The tree of a TOML document's table, its entries in the order of the file.
pub(super) fn from_toml(table: DeTable<'_>, lines: &Lines) -> Vec<Entry> {
    let mut entries: Vec<(usize, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let offset = key.span().start;
            let entry = Entry {
                key: key.into_inner().into_owned(),
                line: lines.at(offset),
                node: node_from_toml(value, lines),
            };
            (offset, entry)
        })
        .collect();
    entries.sort_unstable_by_key(|(offset, _)| *offset);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn node_from_toml(value: Spanned<DeValue<'_>>, lines: &Lines) -> Node {
    let line = lines.at(value.span().start);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => Value::Integer {
            value: u64::from_str_radix(integer.as_str(), integer.radix()).ok(),
            written: integer.to_string(),
        },
        DeValue::Float(float) => Value::Other {
            kind: "a number with a fraction",
            written: float.to_string(),
        },
        DeValue::Boolean(boolean) => Value::Flag(boolean),
        DeValue::Datetime(date) => Value::Other {
            kind: "a date",
            written: date.to_string(),
        },
        DeValue::Array(list) => Value::List(
            list.into_iter()
                .map(|value| node_from_toml(value, lines))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(from_toml(table, lines)),
    };
    Node { value, line }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(ValueVisitor)?;
        Ok(Self { value, line: 0 })
    }
}

/// Keeps the members of an object in order, repeated ones included.
struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Value, E> {
        Ok(Value::Flag(boolean))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer {
            value: Some(number),
            written: number.to_string(),
        })
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer {
            value: u64::try_from(number).ok(),
            written: number.to_string(),
        })
    }

    /// JSON has one kind of numbers: 2.0 is as whole as 2 (JSON Schema, section 4.2.3).
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        let written = number.to_string();
        Ok(match written.parse() {
            Ok(whole) => Value::Integer {
                value: Some(whole),
                written,
            },
            Err(_) => Value::Other {
                kind: "a number with a fraction",
                written,
            },
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = members.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut table = Vec::new();
        while let Some((key, node)) = members.next_entry()? {
            table.push(Entry { key, line: 0, node });
        }
        Ok(Value::Table(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines() {
        let lines = Lines::of("ab\nc\n\nd");
        for (offset, line) in [
            (0, 1),
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 3),
            (6, 4),
            (7, 4),
            (99, 4),
        ] {
            assert_eq!(lines.at(offset), line, "{offset}");
        }
    }

    #[test]
    fn entries_of_toml_keep_the_order_of_the_file() {
        let text = "b = 1\na = 2\n\n[[c]]\nx = 1\n[[c]]\nx = 0x10\n";
        let table = DeTable::parse(text).unwrap().into_inner();
        let entries = from_toml(table, &Lines::of(text));
        let keys: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.line)).collect();
        assert_eq!(keys, [("b", 1), ("a", 2), ("c", 4)]);
        let Value::List(tables) = &entries[2].node.value else {
            panic!("{entries:?}");
        };
        let lines: Vec<_> = tables.iter().map(|node| node.line).collect();
        assert_eq!(lines, [4, 6]);
        let Value::Table(last) = &tables[1].value else {
            panic!("{tables:?}");
        };
        assert!(matches!(
            last[0].node.value,
            Value::Integer {
                value: Some(16),
                ..
            }
        ));
    }

    #[test]
    fn shown_values_are_short_and_on_one_line() {
        assert_eq!(
            Value::Text("a\nb\u{1b}".to_owned()).shown(),
            r#""a\nb\u{1b}""#
        );
        let long = Value::Text("ä".repeat(100)).shown();
        assert_eq!(long, format!("\"{}\"...", "ä".repeat(SHOWN_MAX)));
    }
}
