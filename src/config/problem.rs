//! What is wrong with a configuration: every problem, each with its place.

use std::collections::BTreeSet;
use std::fmt;

use crate::terminal::on_one_line;

/// Problems that are told at most; of the rest, their number.
const PROBLEMS_MAX: usize = 1_000;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: Option<String>,
    /// Counted from 1; 0 where a problem has no line.
    line: usize,
    text: String,
    /// Whether it is about something that is not there.
    is_absence: bool,
}

impl Problem {
    /// The line of the file, counted from 1, or `None` where the problem is not in a line.
    pub fn line(&self) -> Option<usize> {
        (self.line > 0).then_some(self.line)
    }
}

/// `FILE:LINE: key = value: what is wrong; what is allowed`, on one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if self.line > 0 {
                write!(f, "{}:", self.line)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&self.text)
    }
}

/// Why there is no configuration: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    problems: Vec<Problem>,
}

impl Error {
    /// Every problem: flags and environment first, then the file's in the order of its lines.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// The problems, one line each.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Collects problems while a configuration is read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    file: Option<String>,
    found: Vec<Problem>,
}

impl Problems {
    /// A collection whose lines are those of `file`.
    pub(super) fn of_file(file: &str) -> Self {
        Self {
            file: Some(on_one_line(file)),
            found: Vec::new(),
        }
    }

    /// Adds a problem; `line` is 0 where it has none.
    pub(super) fn add(&mut self, line: usize, text: impl AsRef<str>) {
        self.push(line, text.as_ref(), false);
    }

    /// Adds the problem that something is missing behind `line`.
    pub(super) fn add_absence(&mut self, line: usize, text: impl AsRef<str>) {
        self.push(line, text.as_ref(), true);
    }

    fn push(&mut self, line: usize, text: &str, is_absence: bool) {
        self.found.push(Problem {
            file: self.file.clone(),
            line,
            text: on_one_line(text),
            is_absence,
        });
    }

    pub(super) fn append(&mut self, other: Self) {
        self.found.extend(other.found);
    }

    /// Drops what may only follow from syntax errors in `lines`: problems in the same line, and
    /// whatever seems to be missing.
    pub(super) fn drop_consequences(&mut self, lines: &BTreeSet<usize>) {
        self.found
            .retain(|problem| !problem.is_absence && !lines.contains(&problem.line));
    }

    /// `value`, or the problems in order if there are any.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Error> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found
            .sort_by_key(|problem| (problem.file.is_some(), problem.line));
        let more = self.found.len().saturating_sub(PROBLEMS_MAX);
        if more > 0 {
            self.found.truncate(PROBLEMS_MAX);
            self.add(0, format!("and {more} more problems"));
        }
        Err(Error {
            problems: self.found,
        })
    }

    /// The texts without their places, the first `max` of them, in one line.
    pub(super) fn in_one_line(&self, max: usize) -> Option<String> {
        let mut texts: Vec<&str> = self
            .found
            .iter()
            .take(max)
            .map(|problem| problem.text.as_str())
            .collect();
        let more = match self.found.len().saturating_sub(max) {
            0 => String::new(),
            more => format!("and {more} more"),
        };
        if !more.is_empty() {
            texts.push(&more);
        }
        (!texts.is_empty()).then(|| texts.join(" | "))
    }
}
