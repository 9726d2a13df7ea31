//! The one place that writes to the terminal.
//!
//! What is written may have come from outside, so whatever a terminal would obey is escaped here.
//! A reader that went away is no error: `mecha --help | head -1` ends as if all had been read.

use std::io::{self, Write};

use super::Exit;
use crate::terminal;

/// Writes `text` and a line break to standard output.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let text = terminal::in_lines(text.trim_end());
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes an error to standard error: one line, with the program's name in front.
pub(super) fn complain(text: &str) {
    report(&format!("mecha: {text}"));
}

/// Writes a line to standard error.
pub(super) fn report(line: &str) {
    let line = terminal::on_one_line(line) + "\n";
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Prints what a command found, or says what was wrong.
pub(super) fn finish(found: Result<String, String>) -> Exit {
    match found {
        Ok(text) => {
            print(&text);
            Exit::Done
        }
        Err(problem) => {
            complain(&problem);
            Exit::Failed
        }
    }
}
