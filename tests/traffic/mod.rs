//! Streams of bytes for an HTTP server, each with what has to become of it.
//!
//! Data alone: the real program is held to the rows by `tests/it/strictness.rs`, the server in
//! `src/http` by `src/http/tests/cuts.rs`, which also cuts them at every byte. [`grammar`] makes up
//! further streams, without an outcome, for comparisons with other servers.

mod chunks;
mod codings;
mod connections;
mod fields;
pub(crate) mod grammar;
mod hosts;
mod lengths;
mod request_lines;

use std::fmt;

/// One case of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What stands in the stream.
    pub(crate) what: String,
    /// Where the rule comes from.
    pub(crate) rule: &'static str,
    /// What is sent.
    pub(crate) bytes: Vec<u8>,
    /// What has to become of it.
    pub(crate) outcome: Outcome,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = String::from_utf8_lossy(&self.bytes);
        write!(
            f,
            "{} ({}): {bytes:?} has to be {:?}",
            self.what, self.rule, self.outcome
        )
    }
}

/// What becomes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// One refusal with this status, and the connection's end.
    Refused(u16),
    /// These requests are read and answered, and the connection goes on.
    Read(Vec<Seen>),
    /// These requests are read and answered, and the connection ends.
    Closed(Vec<Seen>),
}

/// A request as it has to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) target: String,
    /// The authority that is asked for; empty where there is none.
    pub(crate) host: &'static str,
    pub(crate) body: String,
    /// What the program answers it with.
    pub(crate) status: u16,
}

impl Seen {
    /// A request without a body, to `localhost`.
    pub(crate) fn new(method: &'static str, target: &str, status: u16) -> Self {
        Self {
            method,
            target: target.to_owned(),
            host: "localhost",
            body: String::new(),
            status,
        }
    }

    pub(crate) fn host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }
}

/// `GET /health`, whatever else the head says.
fn health() -> Seen {
    Seen::new("GET", "/health", 200)
}

/// A task's submission with the body [`TASK`].
fn submission() -> Seen {
    Seen::new("POST", "/task", 202).body(TASK)
}

/// The body of a submission. Its worker never takes a task.
const TASK: &str = r#"{"prompt":"p","worker":"offline"}"#;

/// A request that must never be read where it stands in, or behind, a refused message.
pub(crate) const SMUGGLED: &str = "POST /task HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n\
     {\"prompt\":\"smuggled\",\"worker\":\"offline\"}";

/// How the names of rows begin in which requests of all kinds follow each other.
pub(crate) const PIPELINED: &str = "all kinds in a row";

/// What is asked behind a stream that leaves its connection open.
pub(crate) const BEHIND: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A `POST /task` with these header lines, and these bytes behind its head.
fn post(lines: &str, bytes: &str) -> String {
    format!("POST /task HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{bytes}")
}

/// A `GET /health` with these header lines.
fn get(lines: &str) -> String {
    format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")
}

fn row(
    rule: &'static str,
    what: impl Into<String>,
    bytes: impl Into<Vec<u8>>,
    outcome: Outcome,
) -> Row {
    Row {
        what: what.into(),
        rule,
        bytes: bytes.into(),
        outcome,
    }
}

/// Rows of streams that are refused.
fn refused<B: Into<Vec<u8>>>(
    rule: &'static str,
    status: u16,
    cases: impl IntoIterator<Item = (&'static str, B)>,
) -> Vec<Row> {
    let cases = cases.into_iter();
    cases
        .map(|(what, bytes)| row(rule, what, bytes, Outcome::Refused(status)))
        .collect()
}

/// The same header lines, with the same bytes behind the head, on a request that wants a body and
/// on one that wants none.
fn both(rule: &'static str, what: &str, lines: &str, behind: &str, status: u16) -> [Row; 2] {
    [("POST", post(lines, behind)), ("GET", get(lines) + behind)].map(|(method, bytes)| {
        row(
            rule,
            format!("{what}, {method}"),
            bytes,
            Outcome::Refused(status),
        )
    })
}

/// A number from the environment: how much is tried, and from where on.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    [
        request_lines::rows(),
        fields::rows(),
        hosts::rows(),
        lengths::rows(),
        codings::rows(),
        chunks::rows(),
        connections::rows(),
    ]
    .concat()
}
