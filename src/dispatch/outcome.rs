//! How an attempt can end, and the texts that say so.

use std::fmt;
use std::time::Duration;

use crate::budget::Permit;
use crate::secret::Secret;

/// Bytes of a worker's answer that an error text quotes.
const EXCERPT_MAX: usize = 1_024;

/// Bytes of a worker's answer that its token is looked for in.
const REDACTED_MAX: usize = 64 << 10;

/// Characters of an error text that a log line shows.
const LOGGED_MAX: usize = 500;

/// How an attempt ended that came to its end.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The worker gave its result.
    Completed {
        /// A JSON object.
        result: String,
        /// The budget's permit for it.
        permit: Permit,
    },
    /// It failed, and another attempt may succeed.
    Failed(Failure),
    /// It failed as any other attempt would: the task fails at once.
    Rejected(String),
    /// The worker did not take the task (429, 503): the attempt does not count.
    Refused {
        /// What it asked for with `Retry-After`.
        pause: Option<Duration>,
        /// What it answered.
        reason: String,
    },
    /// The budget had no bytes left for the result: the server broke the attempt off.
    NoMemory,
}

/// Why an attempt failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For people.
    pub(super) error: String,
    /// Whether the worker itself seems to be gone, so that it is looked at at once.
    pub(super) is_unreachable: bool,
}

impl Outcome {
    /// A failure of the attempt by a worker that is there.
    pub(super) fn failed(error: String) -> Self {
        Self::Failed(Failure {
            error,
            is_unreachable: false,
        })
    }

    /// A failure that says that the worker may be gone.
    pub(super) fn unreachable(error: String) -> Self {
        Self::Failed(Failure {
            error,
            is_unreachable: true,
        })
    }
}

/// The beginning of what a worker wrote, about 1 KiB on one line, fit to be shown. A worker may
/// quote the header that it was sent; its `token` in there is not passed on.
pub(super) fn excerpt(bytes: &[u8], token: Option<&Secret>) -> String {
    match token.map(Secret::reveal) {
        Some(token) if !token.is_empty() => {
            // Taken out before the text is cut, or half a token could stay.
            let start = bytes.get(..REDACTED_MAX).unwrap_or(bytes);
            let text = String::from_utf8_lossy(start).replace(token, "***");
            one_line(text.as_bytes())
        }
        _ => one_line(bytes),
    }
}

fn one_line(bytes: &[u8]) -> String {
    let is_cut = bytes.len() > EXCERPT_MAX;
    let start = bytes.get(..EXCERPT_MAX).unwrap_or(bytes);
    let mut text = String::with_capacity(start.len());
    for chunk in start.utf8_chunks() {
        for char in chunk.valid().chars() {
            let char = if char.is_control() { ' ' } else { char };
            // One space for each run of them: answers are often indented.
            if char != ' ' || !text.ends_with(' ') {
                text.push(char);
            }
        }
        // A character that the cut went through is not the worker's mistake.
        if !chunk.invalid().is_empty() && !is_cut {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    let mut text = text.trim().to_owned();
    if is_cut {
        text.push('…');
    }
    text
}

/// An error text as a log line shows it: without line breaks and control characters, and cut.
pub(super) fn logged(text: &str) -> String {
    let mut shown: String = text.chars().take(LOGGED_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string().replace("\\\"", "\"")
}

/// A duration as the configuration writes it: `200ms`, `30s`, `10m`, `6h`, `30d`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written(pub(super) Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if self.0.subsec_nanos() != 0 {
            return write!(f, "{}ms", self.0.as_millis());
        }
        for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
            if seconds > 0 && seconds.is_multiple_of(unit) {
                return write!(f, "{}{name}", seconds / unit);
            }
        }
        write!(f, "{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"plain", "plain"),
            (b"  two\r\n\x1b[31mlines\0 ", "two [31mlines"),
            (b"a\xffb", "a\u{fffd}b"),
        ] {
            assert_eq!(excerpt(bytes, None), text);
        }
        let long = excerpt("xä".repeat(1_000).as_bytes(), None);
        assert!(long.len() <= EXCERPT_MAX + '…'.len_utf8());
        assert!(long.ends_with("x…") && !long.contains('\u{fffd}'), "{long}");
    }

    #[test]
    fn an_excerpt_never_holds_the_token() {
        let token = Secret::new("hunter2");
        let body = format!("{}hunter2 and hunter2", "x".repeat(EXCERPT_MAX - 4));
        for start in [0, EXCERPT_MAX / 2, EXCERPT_MAX - 10] {
            let text = excerpt(&body.as_bytes()[start..], Some(&token));
            assert!(!text.contains("hun") && text.contains("***"), "{text}");
        }
        assert_eq!(excerpt(b"x", Some(&Secret::new(""))), "x");
    }

    #[test]
    fn a_logged_text_is_one_short_line() {
        assert_eq!(logged("say \"no\"\n\x1b[0m"), "say \"no\"\\n\\u{1b}[0m");
        assert_eq!(logged(&"x".repeat(501)).chars().count(), 501);
    }

    #[test]
    fn durations_are_written_as_they_are_configured() {
        for (ms, text) in [
            (200, "200ms"),
            (1_500, "1500ms"),
            (0, "0s"),
            (30_000, "30s"),
            (90_000, "90s"),
            (600_000, "10m"),
            (21_600_000, "6h"),
            (2_592_000_000, "30d"),
        ] {
            assert_eq!(Written(Duration::from_millis(ms)).to_string(), text);
        }
    }
}
