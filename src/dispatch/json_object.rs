//! Tells whether a text is a JSON object, without building a tree of it.
//!
//! BOUND: memory is a byte for each open bracket, so hostile nesting costs less than the text.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Why a text is no JSON object.
#[derive(Debug)]
pub(super) enum NotAnObject {
    /// Nothing but white space.
    Empty,
    /// It is not UTF-8.
    NotUtf8,
    /// It begins as no object does. The parser would quote all of it.
    NoObject,
    /// It is no JSON; the parser says what and where.
    Json(serde_json::Error),
}

impl fmt::Display for NotAnObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::NoObject => f.write_str("it does not start with {"),
            Self::Json(error) => error.fmt(f),
        }
    }
}

/// The text of `bytes` if it is one JSON object (RFC 8259) with nothing but white space around.
pub(super) fn parse(bytes: &[u8]) -> Result<&str, NotAnObject> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotAnObject::NotUtf8)?;
    match text
        .trim_start_matches([' ', '\t', '\r', '\n'])
        .chars()
        .next()
    {
        None => return Err(NotAnObject::Empty),
        Some('{') => {}
        Some(_) => return Err(NotAnObject::NoObject),
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    parser
        .deserialize_map(ObjectVisitor)
        .and_then(|()| parser.end())
        .map_err(NotAnObject::Json)?;
    Ok(text)
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_from_everything_else() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for (text, is_object) in [
            (&b"{}"[..], true),
            (
                b" \n{\"a\": [1, {\"b\": null}], \"a\": \"\\u00e4\"}\r\n\t",
                true,
            ),
            ("{\"ä\": \"ö\"}".as_bytes(), true),
            (b"{\"n\": 1e999}", true),
            (deep.as_bytes(), true),
            (b"", false),
            (b" \n", false),
            (b"[]", false),
            (b"null", false),
            (b"\"{}\"", false),
            (b"{", false),
            (b"{}{}", false),
            (b"{} x", false),
            (b"{\"a\": 1,}", false),
            (b"{a: 1}", false),
            (b"{1: 1}", false),
            (b"{\"a\": 'b'}", false),
            (b"{\"a\": \"\x01\"}", false),
            (b"{\"a\": \"\xff\"}", false),
            (b"\xef\xbb\xbf{}", false),
            (b"\0{}", false),
        ] {
            let shown = String::from_utf8_lossy(&text[..text.len().min(40)]);
            assert_eq!(parse(text).is_ok(), is_object, "{shown}");
        }
    }

    #[test]
    fn the_reason_says_what_was_found() {
        for (text, reason) in [
            (&b""[..], "it is empty"),
            (b"\xff", "it is not UTF-8"),
            (b" [1]", "it does not start with {"),
            (b"oops", "it does not start with {"),
            (b"{\"a\": oops}", "expected value at line 1 column 7"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn the_reason_quotes_nothing_of_the_text() {
        let secret = "hunter2".repeat(1_000);
        for text in [
            format!("\"{secret}\""),
            secret.clone(),
            format!("[\"{secret}\"]"),
            format!("{{\"{secret}\": \"{secret}"),
            format!("{{\"{secret}\" \"{secret}\"}}"),
            format!("{{\"a\": {secret}}}"),
            format!("{{\"a\": 1}} {secret}"),
        ] {
            let reason = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(!reason.contains("hunter") && reason.len() < 100, "{reason}");
        }
    }
}
