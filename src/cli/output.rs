//! The one place that writes to the terminal.
//!
//! What is written may have come from outside, so whatever a terminal would obey is escaped here.
//! A reader that went away is no error: `mecha --help | head -1` ends as if all had been read. Output
//! that cannot be written otherwise, to a full disk, is told once, and fails the command.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Exit;
use crate::terminal;

/// Columns of a terminal that does not know its own.
const COLUMNS: usize = 80;

/// Whether something of what [`print()`] was given could not be written.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Writes `text` and a line break to standard output. An error is kept for [`judge`].
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let text = terminal::in_lines(text.trim_end());
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = read_by_someone(written)
        && !IS_LOST.swap(true, Ordering::Relaxed)
    {
        complain(&format!("standard output: {error}"));
    }
}

/// How a command ends that would end with `exit`, if all that it printed was written.
pub(super) fn judge(exit: Exit) -> Exit {
    match exit {
        Exit::Done if IS_LOST.load(Ordering::Relaxed) => Exit::Failed,
        other => other,
    }
}

/// Writes what a worker made to standard output: byte for byte, so that it can be kept or read by
/// the next program; where a terminal would obey it, escaped. A line break is added where none
/// ends it. The error is one of the disk or the pipe.
pub(super) fn print_content(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let shown = if io::stdout().is_terminal() {
        terminal::in_lines(text)
    } else {
        text.into()
    };
    let end = if shown.ends_with('\n') { "" } else { "\n" };
    let written = out
        .write_all(shown.as_bytes())
        .and_then(|()| out.write_all(end.as_bytes()));
    read_by_someone(written.and_then(|()| out.flush())).map(|_| ())
}

/// Writes a piece of JSON to standard output; `false` when nobody reads it any more.
pub(super) fn print_json_piece(json: String) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let json = terminal::in_json(json);
    read_by_someone(out.write_all(json.as_bytes()).and_then(|()| out.flush()))
}

/// Whether what was written found a reader.
fn read_by_someone(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
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

/// Columns of the terminal that standard output is; `None` where it is none.
pub(super) fn columns() -> Option<usize> {
    let out = io::stdout();
    out.is_terminal().then(|| columns_of(&out))
}

fn columns_of(terminal: impl std::os::fd::AsFd) -> usize {
    match rustix::termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        Ok(_) | Err(_) => COLUMNS,
    }
}

/// A line on standard error that says how far something is, and is gone in the end. Where standard
/// error is no terminal, it is never there.
#[derive(Debug)]
pub(super) struct Progress {
    is_terminal: bool,
    is_shown: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            is_shown: false,
        }
    }

    /// Shows `line` in place of what was shown before.
    pub(super) fn show(&mut self, line: &str) {
        if !self.is_terminal {
            return;
        }
        let mut err = io::stderr().lock();
        // A terminal breaks a line that reaches its last column.
        let columns = columns_of(&err).saturating_sub(1);
        let line = super::width::cut(&terminal::on_one_line(line), columns);
        let _ = write!(err, "\r{line}\x1b[K");
        self.is_shown = true;
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
