//! What a program wrote becomes a result: its own JSON object, or its text as `output`.
//!
//! BOUND: a result is at most [`OUTPUT_MAX`] long, its escapes included, and is taken from the
//! budget; bytes that are not UTF-8 become U+FFFD without a copy in between.

use std::fmt;
use std::io;

use serde::{Serialize, Serializer};

use super::capture::{BUDGET_PATIENCE, OUTPUT_MAX, Overrun, bytes_owed};
use super::json_object;
use crate::budget::Permit;

/// The result that `written` is or becomes, and the budget's permit for it; `permit` is that for
/// `written`.
pub(super) async fn into_result(
    written: Vec<u8>,
    mut permit: Permit,
) -> Result<(String, Permit), Overrun> {
    if json_object::parse(&written).is_ok() {
        // The text was checked a line ago; taking the buffer over spares a copy.
        let mut result = String::from_utf8(written).unwrap_or_default();
        let white_space = [' ', '\t', '\r', '\n'];
        result.truncate(result.trim_end_matches(white_space).len());
        let start = result.len() - result.trim_start_matches(white_space).len();
        result.drain(..start);
        permit.shrink_to(bytes_owed(result.len()));
        return Ok((result, permit));
    }
    let document = PlainOutput {
        output: Lossy(&written),
    };
    let mut length = Length(0);
    let is_counted = serde_json::to_writer(&mut length, &document).is_ok();
    if !is_counted || length.0 > OUTPUT_MAX {
        return Err(Overrun::TooLarge);
    }
    // As it was written, and as it becomes.
    if !permit
        .grow_first_within(permit.growth(bytes_owed(length.0)), BUDGET_PATIENCE)
        .await
    {
        return Err(Overrun::NoMemory);
    }
    let mut result = Vec::with_capacity(length.0);
    serde_json::to_writer(&mut result, &document).map_err(|_| Overrun::TooLarge)?;
    let result = String::from_utf8(result).map_err(|_| Overrun::TooLarge)?;
    drop(written);
    permit.shrink_to(bytes_owed(result.len()));
    Ok((result, permit))
}

#[derive(Serialize)]
struct PlainOutput<'a> {
    output: Lossy<'a>,
}

/// Bytes as text, with U+FFFD where they are not UTF-8.
struct Lossy<'a>(&'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Lossy<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Counts what is written to it.
pub(super) struct Length(pub(super) usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn result(written: &[u8]) -> Result<String, Overrun> {
        let budget = Budget::new(64 << 20);
        smol::block_on(into_result(written.to_vec(), budget.empty())).map(|(result, _)| result)
    }

    #[test]
    fn an_object_is_the_result_and_all_else_is_output() {
        for (written, expected) in [
            (&b"{\"output\": \"x\"}\n"[..], r#"{"output": "x"}"#),
            (b"\r\n\t {\n \"a\": 1 }  \n\n", "{\n \"a\": 1 }"),
            (b"", r#"{"output":""}"#),
            (b"hello", r#"{"output":"hello"}"#),
            (b"hello\r\n", r#"{"output":"hello\r\n"}"#),
            (b"\n two \n\n", r#"{"output":"\n two \n\n"}"#),
            (b"[1]\n", r#"{"output":"[1]\n"}"#),
            (
                b"{\"a\": 1} {\"b\": 2}",
                r#"{"output":"{\"a\": 1} {\"b\": 2}"}"#,
            ),
            (
                b"a\xffb\0\xc3",
                "{\"output\":\"a\u{fffd}b\\u0000\u{fffd}\"}",
            ),
        ] {
            assert_eq!(result(written).as_deref(), Ok(expected));
            assert!(json_object::parse(expected.as_bytes()).is_ok());
        }
    }

    #[test]
    fn escapes_count_towards_the_limit() {
        let frame = br#"{"output":""}"#.len();
        let most = vec![b'x'; OUTPUT_MAX - frame];
        assert_eq!(result(&most).map(|result| result.len()), Ok(OUTPUT_MAX));
        assert_eq!(result(&[&most[..], b"x"].concat()), Err(Overrun::TooLarge));
        assert_eq!(result(&vec![0; OUTPUT_MAX / 5]), Err(Overrun::TooLarge));
    }

    #[test]
    fn a_result_is_taken_from_the_budget() {
        let budget = Budget::new(1 << 20);
        let written = vec![b'"'; 100_000];
        let (result, permit) = smol::block_on(into_result(written, budget.empty())).unwrap();
        assert_eq!(result.len(), 200_000 + 13);
        assert_eq!(permit.bytes(), 200_013 - 65_536);
        let white_space = [b"{}".to_vec(), vec![b' '; 200_000]].concat();
        let permit = budget.try_acquire(200_002 - 65_536).unwrap();
        let (result, permit) = smol::block_on(into_result(white_space, permit)).unwrap();
        assert_eq!((result.as_str(), permit.bytes()), ("{}", 0));
    }
}
