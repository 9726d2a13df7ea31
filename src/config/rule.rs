//! The rules of a worker: its `[[worker.events]]` tables.
//!
//! A rule whose texts cannot be evaluated is a problem here, so that whoever holds a `Config`
//! holds rules that can. BOUND: a prompt has at most 64 KiB; the file bounds the rest.

use super::field;
use super::nearest::nearest;
use super::problem::Problems;
use super::table::{EVENTS, Table};
use super::tree::{Entry, Node, Value, quoted};
use crate::rules::{Definition, NAMES, Part, Rule, Wanted};
use crate::worker::WorkerName;

/// Rules of all workers at most: each is compared with every event of its source.
pub(super) const RULES_MAX: usize = 1_000;

/// Bytes of a prompt's template at most.
const PROMPT_LENGTH_MAX: usize = 64 * 1_024;

/// What an example of a type looks like.
const ON_WANTED: &str =
    "a type like \"pull_request.opened\" is wanted, or a list of them; \"*\" takes every type";

/// Reads the rules of the `[[worker]]` table `entries`. `sources` are the names of the file's
/// sources. Every problem is added to `problems`; with any, what is returned is of no use.
pub(super) fn from_file(entries: &[Entry], sources: &[&str], problems: &mut Problems) -> Vec<Rule> {
    let text_of = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key)?;
        field::text(&entry.node.value).ok()
    };
    // A worker without a name is a problem of its own; its rules are read under any.
    let named = text_of("name").and_then(|name| name.parse().ok());
    let Some(worker) = named.or_else(|| "unnamed".parse().ok()) else {
        return Vec::new();
    };
    let mut rules = Vec::new();
    for (number, node) in tables(entries, problems).iter().enumerate() {
        if let Value::Table(rule) = &node.value {
            let table = Table::of_file(&EVENTS, "worker.events.", rule, node.line);
            rules.extend(read(&table, &worker, number, sources, problems));
        }
    }
    rules
}

/// How many rules `entries` has.
pub(super) fn count(entries: &[Entry]) -> usize {
    let events = entries.iter().find(|entry| entry.key == "events");
    match events.map(|entry| &entry.node.value) {
        Some(Value::List(list)) => list.len(),
        _ => 0,
    }
}

fn tables<'a>(entries: &'a [Entry], problems: &mut Problems) -> &'a [Node] {
    let Some(entry) = entries.iter().find(|entry| entry.key == "events") else {
        return &[];
    };
    let text = "worker.events: a list of tables is wanted; write [[worker.events]] on a line of its own below its [[worker]]";
    let Value::List(list) = &entry.node.value else {
        problems.add(entry.line, text);
        return &[];
    };
    for node in list {
        if !matches!(node.value, Value::Table(_)) {
            problems.add(node.line, text);
        }
    }
    list
}

fn read(
    table: &Table<'_>,
    worker: &WorkerName,
    number: usize,
    sources: &[&str],
    problems: &mut Problems,
) -> Option<Rule> {
    table.refuse_unknown(problems);
    for (key, text) in [
        ("source", "missing; write the name of a [[source]]"),
        (
            "on",
            "missing; write the types it takes, or \"*\" for every type",
        ),
        ("prompt", "missing; write what the worker is to do"),
    ] {
        if table.entry(key).is_none() {
            table.miss(key, problems, text);
        }
    }
    let source = table.read("source", problems, source);
    if let Some(source) = &source {
        refuse_unknown_source(table, source, sources, problems);
    }
    let on = table.read("on", problems, on);
    let filter = read_filter(table, problems);
    let when = table.read("when", problems, |value| match field::text(value)? {
        text if text.trim().is_empty() => {
            Err("an empty expression; write one like number > 100, or leave it out".to_owned())
        }
        text => Ok(text.to_owned()),
    });
    let prompt = table.read("prompt", problems, prompt);
    let auto = table.read("auto", problems, field::flag);
    let rule = Rule::compile(Definition {
        worker: worker.clone(),
        number,
        source: source?,
        on: on?,
        filter,
        when,
        prompt: prompt?,
        auto: auto.unwrap_or(true),
    });
    rule.map_err(|error| {
        let key = match error.part {
            Part::When => "when",
            Part::Prompt => "prompt",
        };
        table.refuse(key, None, problems, &error.to_string());
    })
    .ok()
}

fn source(value: &Value) -> Result<String, String> {
    match field::text(value)? {
        "" => Err("an empty name; write that of a [[source]]".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// In a file with a syntax error the source may be there, unread: this is about an absence.
fn refuse_unknown_source(
    table: &Table<'_>,
    source: &str,
    sources: &[&str],
    problems: &mut Problems,
) {
    if sources.contains(&source) {
        return;
    }
    let advice = match (nearest(source, sources), sources) {
        (Some(meant), _) => format!("did you mean {meant}?"),
        (None, []) => {
            format!(
                "the file has no [[source]]; add one with name = {}",
                quoted(source)
            )
        }
        (None, known) => {
            let known: Vec<String> = known.iter().take(20).map(|name| quoted(name)).collect();
            format!("the sources are {}", known.join(", "))
        }
    };
    let line = table.entry("source").map_or(0, |entry| entry.line);
    let shown = quoted(source);
    problems.add_absence(
        line,
        format!("worker.events.source = {shown}: no such source; {advice}"),
    );
}

fn on(value: &Value) -> Result<Vec<String>, String> {
    let nodes = match value {
        Value::List(list) if list.is_empty() => {
            return Err(format!("an empty list takes no event; {ON_WANTED}"));
        }
        Value::List(list) => list.iter().map(|node| &node.value).collect(),
        value => vec![value],
    };
    let mut types = Vec::new();
    for value in nodes {
        let Value::Text(text) = value else {
            return Err(format!("{}; {ON_WANTED}", value.kind()));
        };
        let beginning = text.strip_suffix('*').unwrap_or(text);
        if text.is_empty() {
            return Err(format!("an empty type; {ON_WANTED}"));
        }
        if beginning.contains('*') {
            return Err(format!(
                "{}: a star stands at the end alone, for any rest",
                quoted(text)
            ));
        }
        types.push(text.clone());
    }
    Ok(types)
}

/// The `filter` table. Each attribute has its own problem.
fn read_filter(table: &Table<'_>, problems: &mut Problems) -> Vec<(String, Vec<Wanted>)> {
    let entries = table.read("filter", problems, |value| match value {
        Value::Table(entries) => Ok(entries),
        other => Err(format!(
            "{}; a table is wanted, like {{ base_branch = \"main\" }}",
            other.kind()
        )),
    });
    let mut filter = Vec::new();
    for entry in entries.map(Vec::as_slice).unwrap_or_default() {
        match attribute(entry) {
            Ok(wanted) => filter.push((entry.key.clone(), wanted)),
            Err(text) => {
                let key = format!("filter.{}", entry.key.escape_debug());
                table.refuse_at(entry.line, &key, None, problems, &text);
            }
        }
    }
    filter
}

/// What an attribute is to be: a value, or one of a list.
fn attribute(entry: &Entry) -> Result<Vec<Wanted>, String> {
    if !NAMES.contains(&entry.key.as_str()) {
        let advice = match nearest(&entry.key, &NAMES) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("the attributes are {}", NAMES.join(", ")),
        };
        return Err(format!("no attribute has this name; {advice}"));
    }
    match &entry.node.value {
        Value::List(list) if list.is_empty() => {
            Err("an empty list lets no event pass; write the values that may".to_owned())
        }
        Value::List(list) => list.iter().map(|node| wanted(&node.value)).collect(),
        value => Ok(vec![wanted(value)?]),
    }
}

fn wanted(value: &Value) -> Result<Wanted, String> {
    match value {
        Value::Text(text) => Ok(Wanted::Text(text.clone())),
        Value::Flag(flag) => Ok(Wanted::Flag(*flag)),
        Value::Integer { value, written } => {
            let number = match value {
                Some(number) => i64::try_from(*number).ok(),
                None => written.replace('_', "").parse().ok(),
            };
            number.map(Wanted::Integer).ok_or_else(|| {
                format!(
                    "{written}: out of range; whole numbers go up to {}",
                    i64::MAX
                )
            })
        }
        other => Err(format!(
            "{}; a text, a whole number, true or false is wanted, or a list of them",
            other.kind()
        )),
    }
}

fn prompt(value: &Value) -> Result<String, String> {
    let text = field::text(value)?;
    if text.trim().is_empty() {
        return Err("an empty prompt; write what the worker is to do".to_owned());
    }
    if text.len() > PROMPT_LENGTH_MAX {
        return Err(format!(
            "{} bytes; a prompt's template has at most {PROMPT_LENGTH_MAX}",
            text.len()
        ));
    }
    Ok(text.to_owned())
}
