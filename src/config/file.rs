//! Reads a configuration file: TOML with its lines, every problem collected.
//!
//! What follows from a syntax error is not reported beside it: problems on the same line, and
//! keys that seem to be missing. BOUND: a file has at most 1 MiB, and nesting is limited by the
//! parser.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::addr::{self, Addr};
use super::problem::Problems;
use super::rule::RULES_MAX;
use super::secrets::{Secrets, check_header_secret, read_bounded};
use super::table::{LIMITS, TOP, Table};
use super::tree::{self, Entry, Lines, Node, Value, quoted};
use super::{Limits, field, rule, source, worker};
use crate::roster::WORKERS_MAX;
use crate::rules::Rule;
use crate::secret::Secret;
use crate::source::Source;
use crate::worker::Worker;

/// Bytes of a configuration file at most.
const FILE_LENGTH_MAX: usize = 1 << 20;

/// API keys at most: each is compared with what every request brings.
const API_KEYS_MAX: usize = 100;

/// Sources at most.
const SOURCES_MAX: usize = 100;

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;
const DRAIN_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3_600);
/// The smallest body that is a task at all has some 16 bytes.
const BODY_RANGE: RangeInclusive<u64> = 64..=GIB;
const MEMORY_RANGE: RangeInclusive<u64> = 64 * KIB..=1_024 * GIB;
const CONNECTIONS_RANGE: RangeInclusive<u64> = 1..=65_536;
const QUEUE_RANGE: RangeInclusive<u64> = 1..=1_000_000_000;
const RETENTION_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(36_500 * 86_400);
const DISK_RESERVE_RANGE: RangeInclusive<u64> = 0..=u64::MAX;

/// What a file says; what it leaves out is absent or the default.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) addr: Option<Addr>,
    pub(super) api_keys: Option<Vec<Secret>>,
    pub(super) data: Option<PathBuf>,
    pub(super) drain: Option<Duration>,
    pub(super) limits: Limits,
    pub(super) workers: Vec<Worker>,
    pub(super) rules: Vec<Rule>,
    pub(super) sources: Vec<Source>,
    /// Whether the file could not be read whole, so that what is absent may yet be in it.
    pub(super) is_partial: bool,
}

impl Settings {
    /// What is known of a file that cannot be read.
    fn unknown() -> Self {
        Self {
            is_partial: true,
            ..Self::default()
        }
    }
}

/// Reads the file at `path`. With `keys_replaced` the file's API keys are checked for their form
/// alone, since others take their place.
pub(super) fn read(
    path: &Path,
    keys_replaced: bool,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Settings {
    let mut found = Problems::of_file(&path.display().to_string());
    let settings = match read_bounded(path, FILE_LENGTH_MAX) {
        Ok(bytes) => read_bytes(&bytes, keys_replaced, secrets, &mut found),
        Err(error) => {
            found.add(0, format!("cannot be read: {error}"));
            Settings::unknown()
        }
    };
    problems.append(found);
    settings
}

/// The same for the bytes of a file.
pub(super) fn read_bytes(
    bytes: &[u8],
    keys_replaced: bool,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Settings {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = valid.split(|byte| *byte == b'\n').count();
            problems.add(line, "not UTF-8; save the file in this encoding");
            return Settings::unknown();
        }
    };
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let entries = tree::from_toml(table.into_inner(), &lines);
    let mut settings = read_top(&entries, keys_replaced, secrets, problems);
    // The first error of a line says it best. The message alone is told: the error's own display
    // shows the line, which may hold a secret.
    let mut broken: BTreeMap<usize, &str> = BTreeMap::new();
    for error in &errors {
        let line = error.span().map_or(1, |span| lines.at(span.start));
        broken.entry(line).or_insert(error.message());
    }
    if !broken.is_empty() {
        settings.is_partial = true;
        let broken_lines = broken.keys().copied().collect();
        problems.drop_consequences(&unreliable_lines(text, &broken_lines));
    }
    for (line, message) in broken {
        problems.add(line, syntax_text(message));
    }
    settings
}

/// What is wrong with a line that is not TOML, in the words of who writes it.
fn syntax_text(message: &str) -> String {
    let advice = if message.starts_with("duplicate key") {
        "this key or table stands twice; keep one"
    } else if message.starts_with("string values must be quoted")
        || message.starts_with("invalid float")
        || message.starts_with("invalid integer")
        || message.starts_with("invalid date")
    {
        "not TOML: a text stands in quotation marks, a number is made of digits"
    } else if message.starts_with("invalid basic string")
        || message.starts_with("invalid literal string")
    {
        "not TOML: a quotation mark is missing at the end of the text"
    } else {
        return format!("not TOML: {message}");
    };
    advice.to_owned()
}

/// The lines that a syntax error makes unreliable: its own, and where it is in a table's header,
/// the whole table, whose keys now seem to belong to the one before.
fn unreliable_lines(text: &str, broken: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut in_broken_table = false;
    let mut unreliable = BTreeSet::new();
    for (line, content) in (1..).zip(text.lines()) {
        let is_broken = broken.contains(&line);
        if content.trim_start().starts_with('[') {
            in_broken_table = is_broken;
        }
        if is_broken || in_broken_table {
            unreliable.insert(line);
        }
    }
    unreliable
}

fn read_top(
    entries: &[Entry],
    keys_replaced: bool,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Settings {
    let table = Table::of_file(&TOP, "", entries, 0);
    table.refuse_unknown(problems);
    Settings {
        addr: table.read("addr", problems, |value| addr::parse(field::text(value)?)),
        api_keys: read_api_keys(&table, keys_replaced, secrets, problems),
        data: table.read("data", problems, |v| field::path(v, secrets.environment())),
        drain: table.read("drain", problems, |v| field::duration(v, &DRAIN_RANGE)),
        limits: read_limits(&table, problems),
        workers: read_workers(&table, secrets, problems),
        rules: read_rules(&table, problems),
        sources: read_sources(&table, secrets, problems),
        is_partial: false,
    }
}

fn read_limits(top: &Table<'_>, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let Some(entry) = top.entry("limits") else {
        return limits;
    };
    let Value::Table(entries) = &entry.node.value else {
        let text = "a table is wanted; write [limits] on a line of its own";
        top.refuse("limits", None, problems, text);
        return limits;
    };
    let table = Table::of_file(&LIMITS, "limits.", entries, entry.line);
    table.refuse_unknown(problems);
    let mut read_size = |key, range: &RangeInclusive<u64>, limit: &mut u64| {
        let size = table.read(key, problems, |v| field::size(v, range));
        *limit = size.unwrap_or(*limit);
    };
    read_size("task_body", &BODY_RANGE, &mut limits.task_body);
    read_size("memory", &MEMORY_RANGE, &mut limits.memory);
    read_size(
        "disk_reserve",
        &DISK_RESERVE_RANGE,
        &mut limits.disk_reserve,
    );
    limits.webhook_body = table.read("webhook_body", problems, |v| field::size(v, &BODY_RANGE));
    let connections = table.read("connections", problems, |v| {
        field::integer(v, &CONNECTIONS_RANGE)
    });
    if let Some(connections) = connections.and_then(|number| usize::try_from(number).ok()) {
        limits.connections = connections;
    }
    if let Some(queue) = table.read("queue", problems, |v| field::integer(v, &QUEUE_RANGE)) {
        limits.queue = queue;
    }
    if let Some(retention) = table.read("retention", problems, |v| {
        field::duration(v, &RETENTION_RANGE)
    }) {
        limits.retention = retention;
    }
    limits
}

fn read_workers(
    top: &Table<'_>,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Vec<Worker> {
    let nodes = tables("worker", top, problems);
    refuse_shared_names("worker", nodes, problems);
    let mut workers = Vec::new();
    for node in nodes {
        if let Value::Table(entries) = &node.value {
            workers.extend(worker::from_file(entries, node.line, secrets, problems));
        }
    }
    if nodes.len() > WORKERS_MAX {
        let text = format!("{} workers; at most {WORKERS_MAX} are allowed", nodes.len());
        top.refuse("worker", None, problems, &text);
    }
    workers
}

/// The rules of all workers.
fn read_rules(top: &Table<'_>, problems: &mut Problems) -> Vec<Rule> {
    let sources = names("source", top);
    let mut rules = Vec::new();
    let mut count = 0;
    for node in list("worker", top) {
        if let Value::Table(entries) = &node.value {
            count += rule::count(entries);
            rules.extend(rule::from_file(entries, &sources, problems));
        }
    }
    if count > RULES_MAX {
        let text = format!("{count} [[worker.events]]; at most {RULES_MAX} are allowed");
        top.refuse("worker", None, problems, &text);
    }
    rules
}

/// The names that the tables of an array have, whatever else is right or wrong about them.
fn names<'a>(key: &'static str, top: &Table<'a>) -> Vec<&'a str> {
    let entries = list(key, top).iter().filter_map(|node| match &node.value {
        Value::Table(entries) => entries.iter().find(|entry| entry.key == "name"),
        _ => None,
    });
    entries
        .filter_map(|entry| field::text(&entry.node.value).ok())
        .collect()
}

/// The elements of a list; none where there is no list.
fn list<'a>(key: &'static str, top: &Table<'a>) -> &'a [Node] {
    match top.entry(key).map(|entry| &entry.node.value) {
        Some(Value::List(list)) => list,
        _ => &[],
    }
}

fn read_sources(
    top: &Table<'_>,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Vec<Source> {
    let nodes = tables("source", top, problems);
    refuse_shared_names("source", nodes, problems);
    let mut sources = Vec::new();
    for node in nodes {
        if let Value::Table(entries) = &node.value {
            sources.extend(source::from_file(entries, node.line, secrets, problems));
        }
    }
    if nodes.len() > SOURCES_MAX {
        let text = format!("{} sources; at most {SOURCES_MAX} are allowed", nodes.len());
        top.refuse("source", None, problems, &text);
    }
    sources
}

/// Adds a problem for each name that an earlier table of its kind has.
fn refuse_shared_names(what: &'static str, tables: &[Node], problems: &mut Problems) {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for node in tables {
        let Value::Table(entries) = &node.value else {
            continue;
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == "name") else {
            continue;
        };
        let Value::Text(name) = &entry.node.value else {
            continue;
        };
        if let Some(first) = lines.get(name.as_str()) {
            let text = format!(
                "{what}.name = {}: the {what} of line {first} has this name, too; give each its own",
                quoted(name)
            );
            problems.add(entry.line, text);
        } else {
            lines.insert(name, entry.line);
        }
    }
}

/// The tables of an array of tables; a problem for whatever is none.
fn tables<'a>(key: &'static str, top: &Table<'a>, problems: &mut Problems) -> &'a [Node] {
    let Some(entry) = top.entry(key) else {
        return &[];
    };
    let text = format!("a list of tables is wanted; write [[{key}]] on a line of its own");
    let Value::List(list) = &entry.node.value else {
        top.refuse(key, None, problems, &text);
        return &[];
    };
    for node in list {
        if !matches!(node.value, Value::Table(_)) {
            top.refuse_at(node.line, key, None, problems, &text);
        }
    }
    list
}

/// One key or a list of keys. `Some` where the file has any, even bad ones.
fn read_api_keys(
    top: &Table<'_>,
    keys_replaced: bool,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems,
) -> Option<Vec<Secret>> {
    let entry = top.entry("api_key")?;
    let nodes = match &entry.node.value {
        Value::List(list) => list.as_slice(),
        _ => std::slice::from_ref(&entry.node),
    };
    if nodes.is_empty() || nodes.len() > API_KEYS_MAX {
        let text = format!(
            "a list of {}; write 1 to {API_KEYS_MAX} keys, or leave api_key out",
            nodes.len()
        );
        top.refuse("api_key", None, problems, &text);
        return Some(Vec::new());
    }
    let mut keys = Vec::new();
    for node in nodes {
        let read = field::text(&node.value).and_then(|written| {
            if keys_replaced {
                return secrets.note(written).map(|()| None);
            }
            check_header_secret(secrets.read(written)?).map(Some)
        });
        match read {
            Ok(key) => keys.extend(key),
            Err(text) => top.refuse_at(node.line, "api_key", Some("***"), problems, &text),
        }
    }
    Some(keys)
}
