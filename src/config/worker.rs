//! The fields of a worker, in a `[[worker]]` table or in the JSON of `PUT /worker/{name}`.
//!
//! One set of rules reads both. Over the API a secret is a literal, and what belongs to the file
//! alone (`command`, `env`, `cwd`, `events`) is refused: a caller must reach neither the
//! server's own secrets nor its programs. `events` are read in `rule`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::problem::Problems;
use super::secrets::{Reference, Secrets, check_header_secret, sounds_secret};
use super::table::{OF_FILE_ALONE, Table, WORKER};
use super::tree::{Entry, Node, Value};
use super::{endpoint, field};
use crate::secret::Secret;
use crate::worker::{Endpoint, Target, Worker, WorkerName};

const TIMEOUT: Duration = Duration::from_secs(10 * 60);
const TIMEOUT_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(7 * 86_400);
const CONCURRENCY: u32 = 1;
const CONCURRENCY_RANGE: RangeInclusive<u64> = 1..=1_000;
const MAX_ATTEMPTS: u32 = 4;
const MAX_ATTEMPTS_RANGE: RangeInclusive<u64> = 1..=1_000;
const BACKOFF: Duration = Duration::from_secs(30);
const BACKOFF_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(86_400);

/// Bytes of a worker's JSON at most.
const JSON_LENGTH_MAX: usize = 64 * 1_024;

/// Problems that an answer over the API names at most.
const JSON_PROBLEMS_MAX: usize = 8;

/// Variables that mecha sets for each attempt.
const ATTEMPT_VARIABLES: [&str; 3] = ["MECHA_TASK_ID", "MECHA_ATTEMPT", "MECHA_CONTEXT"];

/// Reads a `[[worker]]` table whose header stands on `line`. Every problem is added to
/// `problems`; with any, what is returned is of no use.
pub(super) fn from_file(
    entries: &[Entry],
    line: usize,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Option<Worker> {
    let table = Table::of_file(&WORKER, "worker.", entries, line);
    table.refuse_unknown(problems);
    if table.entry("name").is_none() {
        table.miss(
            "name",
            problems,
            "missing; every worker has a name of its own",
        );
    }
    let name = table.read("name", problems, name);
    let target = target_from_file(&table, secrets, problems);
    with_limits(&table, name, target, problems)
}

/// Reads the JSON of a worker registered over the API.
pub(super) fn from_json(name: &WorkerName, json: &[u8]) -> Result<Worker, String> {
    if json.len() > JSON_LENGTH_MAX {
        return Err(format!(
            "a worker's JSON has at most {JSON_LENGTH_MAX} bytes"
        ));
    }
    let node: Node = serde_json::from_slice(json).map_err(|error| {
        format!(
            "not valid JSON (line {}, column {}); send an object like {{\"endpoint\": \"http://127.0.0.1:9000\"}}",
            error.line(),
            error.column()
        )
    })?;
    let Value::Table(entries) = &node.value else {
        return Err(format!(
            "{}; send an object like {{\"endpoint\": \"http://127.0.0.1:9000\"}}",
            node.value.kind()
        ));
    };
    let mut problems = Problems::default();
    let table = Table::of_json(&WORKER, entries);
    table.refuse_unknown(&mut problems);
    refuse_what_is_the_files(&table, &mut problems);
    table.read("name", &mut problems, |value| {
        if field::text(value)? == name.as_str() {
            return Ok(());
        }
        Err(format!(
            "not the name in the path; leave it out or write {name}"
        ))
    });
    let endpoint = read_endpoint(&table, &mut problems);
    if table.entry("endpoint").is_none() {
        table.miss(
            "endpoint",
            &mut problems,
            "missing; write a URL like http://127.0.0.1:9000",
        );
    }
    let token = table.read_hidden("token", &mut problems, literal_token);
    let target = endpoint.map(|endpoint| Target::Endpoint { endpoint, token });
    let worker = with_limits(&table, Some(name.clone()), target, &mut problems);
    match (worker, problems.in_one_line(JSON_PROBLEMS_MAX)) {
        (Some(worker), None) => Ok(worker),
        (_, Some(text)) => Err(text),
        (None, None) => Err("an incomplete worker".to_owned()),
    }
}

/// The limits that every worker has, read into a whole worker.
fn with_limits(
    table: &Table<'_>,
    name: Option<WorkerName>,
    target: Option<Target>,
    problems: &mut Problems,
) -> Option<Worker> {
    let timeout = table.read("timeout", problems, |v| field::duration(v, &TIMEOUT_RANGE));
    let concurrency = table.read("concurrency", problems, |v| count(v, &CONCURRENCY_RANGE));
    let rate = table.read("rate", problems, field::rate);
    let max_attempts = table.read("max_attempts", problems, |v| count(v, &MAX_ATTEMPTS_RANGE));
    let backoff = table.read("backoff", problems, |v| field::duration(v, &BACKOFF_RANGE));
    Some(Worker {
        name: name?,
        target: target?,
        timeout: timeout.unwrap_or(TIMEOUT),
        concurrency: concurrency.unwrap_or(CONCURRENCY),
        rate,
        max_attempts: max_attempts.unwrap_or(MAX_ATTEMPTS),
        backoff: backoff.unwrap_or(BACKOFF),
    })
}

fn target_from_file(
    table: &Table<'_>,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Option<Target> {
    let endpoint = read_endpoint(table, problems);
    // Arguments may hold secrets.
    let argv = table.read_hidden("command", problems, argv);
    let token = read_token(table, secrets, problems);
    let env = read_env(table, secrets, problems);
    let cwd = table.read("cwd", problems, |v| field::path(v, secrets.environment()));
    match (table.entry("endpoint"), table.entry("command")) {
        (Some(_), Some(_)) => {
            table.refuse(
                "command",
                None,
                problems,
                "endpoint is given, too; keep one of the two",
            );
            None
        }
        (None, None) => {
            table.miss(
                "endpoint",
                problems,
                "missing; a worker has an endpoint = \"http://HOST:PORT\" or a command = [\"PROGRAM\", \"ARGUMENT\"]",
            );
            None
        }
        (Some(_), None) => {
            for key in ["env", "cwd"] {
                if table.entry(key).is_some() {
                    table.refuse(
                        key,
                        None,
                        problems,
                        "belongs to a worker with a command; remove it",
                    );
                }
            }
            endpoint.map(|endpoint| Target::Endpoint { endpoint, token })
        }
        (None, Some(_)) => {
            if table.entry("token").is_some() {
                table.refuse(
                    "token",
                    None,
                    problems,
                    "belongs to a worker with an endpoint; a command gets its secrets by env",
                );
            }
            argv.map(|argv| Target::Command {
                argv,
                env: env.unwrap_or_default(),
                cwd,
            })
        }
    }
}

fn read_endpoint(table: &Table<'_>, problems: &mut Problems) -> Option<Endpoint> {
    // A URL with user information holds a password.
    let holds_secret = matches!(
        table.entry("endpoint").map(|entry| &entry.node.value),
        Some(Value::Text(url)) if url.contains('@')
    );
    let parse = |value| endpoint::parse(field::text(value)?);
    if holds_secret {
        table.read_hidden("endpoint", problems, parse)
    } else {
        table.read("endpoint", problems, parse)
    }
}

fn read_token(
    table: &Table<'_>,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Option<Secret> {
    table.read_hidden("token", problems, |value| {
        let written = match value {
            Value::List(list) => match list.as_slice() {
                [only] => &only.value,
                _ => return Err("a list; a token is sent, so it is one secret".to_owned()),
            },
            value => value,
        };
        check_header_secret(secrets.read(field::text(written)?)?)
    })
}

/// A token over the API.
fn literal_token(value: &Value) -> Result<Secret, String> {
    let text = field::text(value)?;
    if !matches!(Reference::parse(text), Ok(Reference::Literal)) {
        return Err(
            "env: and file: are for the configuration file alone; send the token itself".to_owned(),
        );
    }
    if text.is_empty() {
        return Err("an empty token; send the token itself or leave it out".to_owned());
    }
    check_header_secret(Secret::new(text))
}

/// The `env` table of a command. Each variable has its own problem; values are never shown.
fn read_env(
    table: &Table<'_>,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Option<Vec<(String, Secret)>> {
    let entries = table.read_hidden("env", problems, |value| match value {
        Value::Table(entries) => Ok(entries),
        other => Err(format!(
            "{}; a table is wanted, like {{ NAME = \"value\" }}",
            other.kind()
        )),
    })?;
    let mut variables = Vec::new();
    for entry in entries {
        match variable(entry, secrets) {
            Ok(variable) => variables.push(variable),
            Err(text) => {
                let key = format!("env.{}", entry.key.escape_debug());
                table.refuse_at(entry.line, &key, Some("***"), problems, &text);
            }
        }
    }
    Some(variables)
}

fn variable(entry: &Entry, secrets: &mut Secrets<'_>) -> Result<(String, Secret), String> {
    let name = &entry.key;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b'=') {
        return Err("not a variable's name; use visible ASCII without =".to_owned());
    }
    if ATTEMPT_VARIABLES.contains(&name.as_str()) {
        return Err("mecha sets this variable for each attempt; use another name".to_owned());
    }
    let text = field::text(&entry.node.value)?;
    let is_plain = Reference::parse(text)? == Reference::Literal && !sounds_secret(name);
    // A plain setting may be empty and is nothing to hide.
    let value = if is_plain {
        Secret::new(text)
    } else {
        secrets.read(text)?
    };
    if value.reveal().contains('\0') {
        return Err("a variable has no NUL character in it".to_owned());
    }
    Ok((name.clone(), value))
}

fn name(value: &Value) -> Result<WorkerName, String> {
    field::text(value)?
        .parse()
        .map_err(|error| format!("not a worker's name; {error}"))
}

/// Program and arguments.
fn argv(value: &Value) -> Result<Vec<String>, String> {
    let wanted = "a list of texts is wanted, as in [\"claude\", \"--print\"]; no shell reads it";
    let Value::List(list) = value else {
        return Err(format!("{}; {wanted}", value.kind()));
    };
    let mut argv = Vec::new();
    for node in list {
        let Value::Text(text) = &node.value else {
            return Err(format!("{} in the list; {wanted}", node.value.kind()));
        };
        if text.contains('\0') {
            return Err("an argument has no NUL character in it".to_owned());
        }
        argv.push(text.clone());
    }
    match argv.first().map(String::as_str) {
        None => Err(format!("an empty list; {wanted}")),
        Some("") => Err(format!("an empty program; {wanted}")),
        Some(_) => Ok(argv),
    }
}

fn count(value: &Value, range: &RangeInclusive<u64>) -> Result<u32, String> {
    let number = field::integer(value, range)?;
    u32::try_from(number).map_err(|_| format!("out of range; allowed is at most {}", u32::MAX))
}

fn refuse_what_is_the_files(table: &Table<'_>, problems: &mut Problems) {
    for key in OF_FILE_ALONE {
        let text = match key {
            "command" => {
                "a command worker is declared in the configuration file alone; send an endpoint"
            }
            "events" => "rules are declared in the configuration file alone; leave it out",
            _ => "belongs to a command worker, which is declared in the configuration file alone",
        };
        if table.entry(key).is_some() {
            table.refuse(key, None, problems, text);
        }
    }
}
