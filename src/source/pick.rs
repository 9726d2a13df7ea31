//! Takes single values out of a JSON text, without building a tree of it.
//!
//! A path names members by their keys, `pull_request.title`; `[]` stands for each element of an
//! array, `labels[].name`. The whole text is checked to be JSON (RFC 8259); what no path leads to
//! is skipped, and what a path leads to is kept as the piece of text that it is, until it is asked
//! for. A value of another type than is asked for is as good as absent. Where a key stands twice,
//! the last counts.
//!
//! BOUND: it descends along the paths alone, however deep the text is nested, and keeps at most
//! [`ELEMENTS_MAX`] elements for each path.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Elements of a list that are kept at most.
pub(super) const ELEMENTS_MAX: usize = 100;

/// Bytes of a text at most; the rest is cut off.
const TEXT_MAX: usize = 1 << 20;

/// Bytes of a name in a list at most.
const NAME_MAX: usize = 255;

/// A text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson {
    /// Counted from 1.
    pub(super) line: usize,
    /// Counted from 1; 0 where the line has nothing.
    pub(super) column: usize,
}

impl From<serde_json::Error> for NotJson {
    fn from(error: serde_json::Error) -> Self {
        Self {
            line: error.line(),
            column: error.column(),
        }
    }
}

/// The values at some paths.
#[derive(Debug)]
pub(super) struct Picked<'t, 'p> {
    paths: Vec<&'p str>,
    /// For each path, the values it leads to; `None` where it leads nowhere.
    found: Vec<Option<Vec<&'t str>>>,
}

/// The values at `paths` in `text`.
pub(super) fn pick<'t, 'p>(
    text: &'t str,
    paths: impl IntoIterator<Item = &'p str>,
) -> Result<Picked<'t, 'p>, NotJson> {
    let paths: Vec<&str> = paths.into_iter().collect();
    let steps: Vec<Steps<'_>> = (0..).zip(paths.iter().copied()).collect();
    let mut found = vec![None; paths.len()];
    descend(text, &steps, &mut found, false)?;
    Ok(Picked { paths, found })
}

/// The first member of the object `text` whose key is not `other`: its key and its value.
pub(super) fn first_member_but<'t>(text: &'t str, other: &str) -> Option<(String, &'t str)> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.deserialize_map(FirstMember { other }).ok().flatten()
}

impl Picked<'_, '_> {
    /// Whether there is anything but `null` at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.first(path).is_some()
    }

    /// The text at `path`.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        text_of(self.first(path)?, TEXT_MAX)
    }

    /// The text at `path`, or the digits of a whole number, as senders write ids; not an empty one.
    pub(super) fn word(&self, path: &str) -> Option<String> {
        let raw = self.first(path)?;
        let digits = raw.strip_prefix('-').unwrap_or(raw);
        if digits.len() <= NAME_MAX && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(raw.to_owned());
        }
        text_of(raw, TEXT_MAX).filter(|word| !word.is_empty())
    }

    /// The first of the words at `paths`.
    pub(super) fn first_word(&self, paths: &[&str]) -> Option<String> {
        paths.iter().find_map(|path| self.word(path))
    }

    /// The whole number at `path`.
    pub(super) fn integer(&self, path: &str) -> Option<i64> {
        self.first(path)?.parse().ok()
    }

    /// The true or false at `path`.
    pub(super) fn flag(&self, path: &str) -> Option<bool> {
        self.first(path)?.parse().ok()
    }

    /// The last of the texts at `path`, which goes through an array.
    pub(super) fn last_text(&self, path: &str) -> Option<String> {
        text_of(self.raw(path)?.last()?, TEXT_MAX)
    }

    /// The texts at `path`, which goes through an array; none where there is no array.
    pub(super) fn names(&self, path: &str) -> Option<Vec<String>> {
        let raw = self.raw(path)?;
        Some(
            raw.iter()
                .filter_map(|raw| text_of(raw, NAME_MAX))
                .collect(),
        )
    }

    /// Where in the text that was given the value at `path` stands, as a piece of it.
    pub(super) fn first(&self, path: &str) -> Option<&str> {
        self.raw(path)?.first().copied()
    }

    fn raw(&self, path: &str) -> Option<&[&str]> {
        let at = self.paths.iter().position(|known| *known == path);
        debug_assert!(at.is_some(), "{path} was not picked");
        self.found.get(at?)?.as_deref()
    }
}

/// The number of a path, and what of the path lies ahead.
type Steps<'p> = (usize, &'p str);

/// Follows `steps` into the value `text`. Fails where `text` is no JSON, unless that is checked.
fn descend<'t>(
    text: &'t str,
    steps: &[Steps<'_>],
    found: &mut [Option<Vec<&'t str>>],
    is_checked: bool,
) -> Result<(), serde_json::Error> {
    for (path, _) in steps.iter().filter(|(_, ahead)| ahead.is_empty()) {
        if let Some(slot) = found.get_mut(*path)
            && text != "null"
        {
            let values = slot.get_or_insert_default();
            if values.len() < ELEMENTS_MAX {
                values.push(text);
            }
        }
    }
    if is_checked && steps.iter().all(|(_, ahead)| ahead.is_empty()) {
        return Ok(());
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'{') => {
            let ahead: Vec<(&str, Steps<'_>)> = steps
                .iter()
                .filter_map(|(path, ahead)| {
                    let (key, ahead) = split_key(ahead)?;
                    Some((key, (*path, ahead)))
                })
                .collect();
            let mut keys: Vec<&str> = ahead.iter().map(|(key, _)| *key).collect();
            keys.sort_unstable();
            keys.dedup();
            let members = parser.deserialize_map(Members { keys: &keys })?;
            parser.end()?;
            for (key, member) in keys.iter().zip(members) {
                let Some(member) = member else { continue };
                let steps: Vec<Steps<'_>> = ahead
                    .iter()
                    .filter(|(known, _)| known == key)
                    .map(|(_, steps)| *steps)
                    .collect();
                descend(member, &steps, found, true)?;
            }
        }
        Some(b'[') => {
            let steps: Vec<Steps<'_>> = steps
                .iter()
                .filter_map(|(path, ahead)| {
                    let ahead = ahead.strip_prefix("[]")?;
                    Some((*path, ahead.strip_prefix('.').unwrap_or(ahead)))
                })
                .collect();
            let elements = parser.deserialize_seq(Elements {
                are_wanted: !steps.is_empty(),
            })?;
            parser.end()?;
            for (path, _) in &steps {
                if let Some(slot) = found.get_mut(*path) {
                    slot.get_or_insert_default();
                }
            }
            for element in elements {
                descend(element, &steps, found, true)?;
            }
        }
        // What stands within a text was checked when that was read.
        _ if is_checked => {}
        _ => {
            parser.deserialize_ignored_any(IgnoredAny)?;
            parser.end()?;
        }
    }
    Ok(())
}

/// The next key of a path and what lies behind it; `None` where the path ends or goes on with
/// an array.
fn split_key(ahead: &str) -> Option<(&str, &str)> {
    let end = ahead.find(['.', '[']).unwrap_or(ahead.len());
    let (key, behind) = ahead.split_at_checked(end)?;
    let behind = behind.strip_prefix('.').unwrap_or(behind);
    (!key.is_empty()).then_some((key, behind))
}

/// Reads an object: the last value of each of `keys`, which are sorted.
struct Members<'k> {
    keys: &'k [&'k str],
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Option<&'de str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut members = vec![None; self.keys.len()];
        while let Some(key) = map.next_key::<&RawValue>()? {
            let at = key_among(key.get(), self.keys);
            match at.and_then(|at| members.get_mut(at)) {
                Some(member) => *member = Some(map.next_value::<&RawValue>()?.get()),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(members)
    }
}

/// Which of `keys` the JSON text `raw` is.
fn key_among(raw: &str, keys: &[&str]) -> Option<usize> {
    let key = raw.strip_prefix('"')?.strip_suffix('"')?;
    if key.contains('\\') {
        let key = text_of(raw, NAME_MAX)?;
        return keys.binary_search(&key.as_str()).ok();
    }
    keys.binary_search(&key).ok()
}

/// Reads an array: its first elements.
struct Elements {
    are_wanted: bool,
}

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        let mut elements = Vec::new();
        while self.are_wanted && elements.len() < ELEMENTS_MAX {
            match seq.next_element::<&RawValue>()? {
                Some(element) => elements.push(element.get()),
                None => return Ok(elements),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(elements)
    }
}

/// Reads an object: its first member whose key is another one.
struct FirstMember<'o> {
    other: &'o str,
}

impl<'de> Visitor<'de> for FirstMember<'_> {
    type Value = Option<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut first = None;
        while let Some(key) = map.next_key::<&RawValue>()? {
            let value = map.next_value::<&RawValue>()?.get();
            let key = text_of(key.get(), NAME_MAX).unwrap_or_default();
            if first.is_none() && key != self.other {
                first = Some((key, value));
            }
        }
        Ok(first)
    }
}

/// The text that `raw` writes, at most `max` bytes of it; `None` where it is no text. Half a
/// surrogate pair, which JSON may hold and text may not, becomes U+FFFD.
fn text_of(raw: &str, max: usize) -> Option<String> {
    let mut ahead = raw.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::new();
    while text.len() < max {
        let plain = ahead.find('\\').unwrap_or(ahead.len());
        let (front, behind) = ahead.split_at_checked(plain)?;
        let kept = cut(front, max - text.len());
        text.push_str(kept);
        let Some(escaped) = behind
            .strip_prefix('\\')
            .filter(|_| kept.len() == front.len())
        else {
            break;
        };
        let (c, behind) = unescape(escaped)?;
        if text.len() + c.len_utf8() > max {
            break;
        }
        text.push(c);
        ahead = behind;
    }
    Some(text)
}

/// The character that an escape stands for, without its backslash, and what follows it.
fn unescape(escaped: &str) -> Option<(char, &str)> {
    let mut chars = escaped.chars();
    let c = match chars.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unescape_unit(chars.as_str()),
        c => c,
    };
    Some((c, chars.as_str()))
}

fn unescape_unit(digits: &str) -> Option<(char, &str)> {
    let unit = |digits: &str| u32::from_str_radix(digits.get(..4)?, 16).ok();
    let first = unit(digits)?;
    let behind = digits.get(4..)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, behind));
    }
    let second = behind.strip_prefix("\\u").and_then(unit);
    let pair = second
        .filter(|second| first < 0xdc00 && (0xdc00..0xe000).contains(second))
        .and_then(|second| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
    match pair {
        Some(c) => Some((c, behind.get(6..)?)),
        None => Some((char::REPLACEMENT_CHARACTER, behind)),
    }
}

/// The start of `text`, at most `max` bytes, whole characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let start = (0..=max).rev().find_map(|end| text.get(..end));
    start.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#" {"a": {"b": "x", "n": -7, "f": true, "z": null, "l": [{"n": "p"}, {"n": 2}, 3, {"n": "q"}]},
        "a.b": "dotted", "list": ["one", 2, "three"], "empty": [], "esc\u0061pe": "\u00e4\n\ud83d\ude00\ud83d!",
        "twice": {"x": 1, "y": 2}, "twice": {"x": 3}, "big": 99999999999999999999, "e": 1e2, "blank": ""} "#;

    #[test]
    fn values_are_found_by_their_paths() {
        let paths = [
            "a",
            "a.b",
            "a.b.c",
            "a.n",
            "a.f",
            "a.z",
            "a.l[].n",
            "a.l.n",
            "list[]",
            "list",
            "empty[]",
            "escape",
            "twice.x",
            "twice.y",
            "big",
            "e",
            "blank",
            "absent.x",
            "a.absent[]",
        ];
        let picked = pick(TEXT, paths).unwrap();
        assert_eq!(picked.text("a.b").as_deref(), Some("x"));
        assert_eq!(picked.integer("a.n"), Some(-7));
        assert_eq!(picked.flag("a.f"), Some(true));
        assert_eq!(picked.names("a.l[].n").unwrap(), ["p", "q"]);
        assert_eq!(picked.last_text("a.l[].n").as_deref(), Some("q"));
        assert_eq!(picked.names("list[]").unwrap(), ["one", "three"]);
        assert_eq!(picked.names("empty[]").unwrap(), [] as [&str; 0]);
        assert_eq!(picked.names("a.absent[]"), None);
        assert_eq!(picked.text("escape").unwrap(), "\u{e4}\n\u{1f600}\u{fffd}!");
        assert_eq!(picked.integer("twice.x"), Some(3));
        assert_eq!(picked.word("a.n").as_deref(), Some("-7"));
        assert_eq!(picked.word("big").as_deref(), Some("99999999999999999999"));
        assert_eq!(picked.word("blank"), None);
        assert_eq!(picked.text("blank").as_deref(), Some(""));
        assert_eq!(
            picked.first_word(&["a", "e", "a.z", "a.b"]).as_deref(),
            Some("x")
        );
        assert!(picked.has("a") && picked.has("list") && !picked.has("a.z"));
        for path in ["a.b.c", "a.z", "a.l.n", "twice.y", "absent.x", "a", "list"] {
            assert_eq!(picked.text(path), None, "{path}");
            assert_eq!(picked.integer(path), None, "{path}");
            assert_eq!(picked.flag(path), None, "{path}");
            assert_eq!(picked.word(path), None, "{path}");
        }
        assert_eq!(picked.integer("big").or(picked.integer("e")), None);
    }

    #[test]
    fn the_first_member_but_one_is_found() {
        let text = r#"{"update_id": 1, "m\u0065ssage": {"a": 1}, "more": 2}"#;
        let found = first_member_but(text, "update_id");
        assert_eq!(found, Some(("message".to_owned(), r#"{"a": 1}"#)));
        assert_eq!(first_member_but(r#"{"update_id": 1}"#, "update_id"), None);
        assert_eq!(first_member_but("[]", "update_id"), None);
    }

    #[test]
    fn json_of_any_shape_is_taken_and_nothing_else() {
        let deep =
            |open: &str, close: &str| format!("{}1{}", open.repeat(300_000), close.repeat(300_000));
        let (arrays, objects) = (deep("[", "]"), deep("{\"a\":", "}"));
        let nested = format!("{{\"a\": {{\"b\": {arrays}, \"l\": {objects}}}}}");
        for (text, is_json) in [
            ("{}", true),
            ("[]", true),
            ("null", true),
            (" 1e999 ", true),
            ("\"\\ud800\"", true),
            ("{\"\\ud800\": 1, \"a\": \"\\udfff\"}", true),
            ("{\"a\": 1e999, \"b\": {\"a\": -0}}", true),
            ("[{\"a\": {\"l\": {}}}]", true),
            (&arrays, true),
            (&objects, true),
            (&nested, true),
            ("", false),
            (" ", false),
            ("{", false),
            ("{} x", false),
            ("{}{}", false),
            ("[1,]", false),
            ("{\"a\": {\"b\": tru}}", false),
            ("{\"a\": {\"b\": \"\n\"}}", false),
            ("{\"a\n\": 1}", false),
            ("{\"a\": \"\\x\"}", false),
            ("{\"a\": 01}", false),
            ("{a: 1}", false),
            ("{1: 1}", false),
            ("\u{feff}{}", false),
            ("\u{b}{}", false),
            ("nul", false),
        ] {
            let shown: String = text.chars().take(40).collect();
            assert_eq!(
                pick(text, ["a.b", "a.l[].x", "a"]).is_ok(),
                is_json,
                "{shown}"
            );
        }
        assert_eq!(
            pick("{\n \"a\": x}", ["b"]).unwrap_err(),
            NotJson { line: 2, column: 7 }
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let texts = "\u{e4}".repeat(TEXT_MAX);
        let escapes = "\\u00e4".repeat(TEXT_MAX);
        let name = format!("\"{}\"", "n".repeat(300));
        let names = vec![name; 1_000].join(",");
        let long = format!(r#"{{"t": "{texts}", "e": "a{escapes}", "l": [{names}]}}"#);
        let picked = pick(&long, ["t", "e", "l[]"]).unwrap();
        assert_eq!(picked.text("t").unwrap().len(), TEXT_MAX);
        assert_eq!(picked.text("e").unwrap().len(), TEXT_MAX - 1);
        let names = picked.names("l[]").unwrap();
        assert_eq!((names.len(), names[0].len()), (ELEMENTS_MAX, NAME_MAX));
        assert_eq!(cut("\u{e4}\u{e4}", 3), "\u{e4}");
        assert_eq!(cut("ab", 2), "ab");
        assert_eq!(cut("\u{e4}", 1), "");
    }
}
