//! Log lines on standard error, as text for people or as JSON for machines.
//!
//! Each line is written with one call, so lines of several threads do not mix. No text that is
//! logged can forge a line: line breaks and control characters are escaped. A line that cannot
//! be written is lost, and nothing else happens. BOUND: 8 KiB of a message are kept, and `pace`
//! bounds the lines.

mod pace;

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::panic;
use std::sync::OnceLock;

use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::Serialize;

use self::pace::{Pace, Turn, place};
use crate::clock::{Clock, Timestamp, monotonic};
use crate::config::LogFormat;
use crate::terminal;

/// Bytes of a message at most; the rest is cut.
const MESSAGE_LENGTH_MAX: usize = 8 * 1_024;

/// Stands behind a message that was cut.
const CUT_MARK: &str = " [cut]";

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Sends what the `log` macros are given to standard error: mecha's own lines from `info` on,
/// those of other crates from `warn` on. The first call counts.
pub fn init(format: LogFormat) {
    let logger = LOGGER.get_or_init(|| Logger {
        format,
        clock: Clock::system(),
        pace: Pace::default(),
    });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(LevelFilter::Info);
        // A panic is caught where it is run; without this its message would break the form of the
        // log.
        panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    }
}

#[derive(Debug)]
struct Logger {
    format: LogFormat,
    clock: Clock,
    pace: Pace,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let is_own = target == "mecha" || target.starts_with("mecha::");
        metadata.level() <= if is_own { Level::Info } else { Level::Warn }
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let left_out = match self.pace.turn(place(record), monotonic()) {
            Turn::LeftOut => return,
            Turn::Written { left_out } => left_out,
        };
        let now = self.clock.now();
        let mut lines = match left_out {
            0 => String::new(),
            _ => note(self.format, now, record, left_out),
        };
        lines.push_str(&line(self.format, now, record));
        let _ = io::stderr().lock().write_all(lines.as_bytes());
    }

    fn flush(&self) {
        let _ = io::stderr().lock().flush();
    }
}

/// The line that so many lines like `record` were left out.
fn note(format: LogFormat, now: Timestamp, record: &Record<'_>, left_out: u64) -> String {
    let mut note = Record::builder();
    note.level(record.level()).target(record.target());
    let args = format_args!("{left_out} lines like the next one were left out");
    line(format, now, &note.args(args).build())
}

/// The line of `record`, its line break included.
fn line(format: LogFormat, now: Timestamp, record: &Record<'_>) -> String {
    let message = message(*record.args());
    match format {
        LogFormat::Text => {
            let mut line = format!("{now} {:<5} {:<15}  ", record.level(), record.target());
            line.push_str(&terminal::on_one_line(&message));
            line.push('\n');
            line
        }
        LogFormat::Json => {
            let line = JsonLine {
                time: now,
                level: level_name(record.level()),
                target: record.target(),
                message: &message,
            };
            // Four texts always are JSON; an empty line would be the sign of the contrary.
            let mut line = terminal::in_json(serde_json::to_string(&line).unwrap_or_default());
            line.push('\n');
            line
        }
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    time: Timestamp,
    level: &'static str,
    target: &'a str,
    message: &'a str,
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The message, cut to its limit while it is made, so that a long one is never held.
fn message(args: fmt::Arguments<'_>) -> String {
    let mut message = Bounded(String::new());
    // The only error is the limit's.
    if message.write_fmt(args).is_err() {
        message.0.push_str(CUT_MARK);
    }
    message.0
}

struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MESSAGE_LENGTH_MAX.saturating_sub(self.0.len());
        let kept = start_within(text, room);
        self.0.push_str(kept);
        if kept.len() < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// The start of `text` that has at most `room` bytes.
fn start_within(text: &str, room: usize) -> &str {
    (0..=room.min(text.len()))
        .rev()
        .find_map(|end| text.get(..end))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: LogFormat, level: Level, target: &str, message: &str) -> String {
        let now = Timestamp::from_millis(1_774_872_000_000);
        line(
            format,
            now,
            &Record::builder()
                .level(level)
                .target(target)
                .args(format_args!("{message}"))
                .build(),
        )
    }

    #[test]
    fn lines_are_aligned_text_or_json() {
        assert_eq!(
            written(
                LogFormat::Text,
                Level::Info,
                "mecha::dispatch",
                "worker a is online"
            ),
            "2026-03-30T12:00:00.000Z INFO  mecha::dispatch  worker a is online\n"
        );
        assert_eq!(
            written(LogFormat::Text, Level::Error, "fjall", "poisoned"),
            "2026-03-30T12:00:00.000Z ERROR fjall            poisoned\n"
        );
        assert_eq!(
            written(LogFormat::Json, Level::Warn, "mecha", "say \"a\"\n"),
            "{\"time\":\"2026-03-30T12:00:00.000Z\",\"level\":\"warn\",\"target\":\"mecha\",\
             \"message\":\"say \\\"a\\\"\\n\"}\n"
        );
    }

    #[test]
    fn no_message_forges_a_line() {
        for message in [
            "a\nb",
            "a\r\nb",
            "a\u{1b}[2Jb",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{202e}b",
            "a\u{9b}2Jb",
            "a\u{7f}b",
            "a\0b",
        ] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let line = written(format, Level::Info, "mecha", message);
                assert_eq!(line.matches('\n').count(), 1, "{line:?}");
                assert!(line.ends_with('\n'));
                let body = line.trim_end_matches('\n');
                assert!(!body.chars().any(terminal::is_obeyed), "{line:?}");
            }
        }
        assert!(written(LogFormat::Text, Level::Info, "mecha", "a\nb").contains("a\\nb"));
        assert!(written(LogFormat::Text, Level::Info, "mecha", "käse 日本").contains("käse 日本"));
    }

    #[test]
    fn lines_that_were_left_out_are_counted_in_one() {
        let record = Record::builder()
            .level(Level::Warn)
            .target("mecha::dispatch")
            .build();
        let now = Timestamp::from_millis(0);
        assert_eq!(
            note(LogFormat::Text, now, &record, 17),
            "1970-01-01T00:00:00.000Z WARN  mecha::dispatch  17 lines like the next one were left out\n"
        );
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        for (message, kept) in [
            ("a".repeat(MESSAGE_LENGTH_MAX), MESSAGE_LENGTH_MAX),
            ("a".repeat(MESSAGE_LENGTH_MAX + 1), MESSAGE_LENGTH_MAX),
            (
                format!("a{}", "ä".repeat(MESSAGE_LENGTH_MAX)),
                MESSAGE_LENGTH_MAX - 1,
            ),
        ] {
            let found = super::message(format_args!("{message}"));
            let is_cut = kept < message.len();
            assert_eq!(found.ends_with(CUT_MARK), is_cut);
            let mark = if is_cut { CUT_MARK.len() } else { 0 };
            assert_eq!(found.len(), kept + mark);
        }
    }

    #[test]
    fn other_crates_are_heard_from_warnings_on() {
        let logger = Logger {
            format: LogFormat::Text,
            clock: Clock::system(),
            pace: Pace::default(),
        };
        for (target, level, heard) in [
            ("mecha", Level::Info, true),
            ("mecha::queue::writer", Level::Info, true),
            ("mecha", Level::Debug, false),
            ("mechanic", Level::Info, false),
            ("fjall::worker_pool", Level::Info, false),
            ("fjall::worker_pool", Level::Warn, true),
            ("async_h1::server", Level::Error, true),
        ] {
            let metadata = Metadata::builder().target(target).level(level).build();
            assert_eq!(logger.enabled(&metadata), heard, "{target} {level}");
        }
    }
}
