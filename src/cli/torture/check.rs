//! Walks over everything that the server has, page by page, and lets the oracle compare it.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::Value;

use super::lock;
use super::oracle::Oracle;
use super::view::{EventView, TaskView};
use crate::cli::remote::{Answer, Remote};
use crate::id::Id;
use crate::terminal::on_one_line;

/// The lists of what waits.
const WAITING: [&str; 4] = [
    "/events?state=received",
    "/tasks?state=pending",
    "/tasks?state=dispatched",
    "/events?state=matched",
];

/// Rows that are shown of each list of what waits, and of the workers. BOUND: ten lines in all.
const SHOWN: usize = 2;

/// Characters that are shown of a value.
const VALUE_MAX: usize = 200;

/// Compares all tasks and events; gives how many there should be. Nobody but the worker may be at work.
/// `is_settled` says that nothing waits any more.
pub(super) fn check(
    remote: &Remote,
    oracle: &Arc<Mutex<Oracle>>,
    is_settled: bool,
) -> Result<u64, String> {
    lock(oracle).begin_walk();
    let task = |task: &TaskView| task.id;
    walk("/tasks", remote, task, |task| lock(oracle).walk_task(task))?;
    let event = |event: &EventView| event.id;
    walk("/events", remote, event, |event| {
        lock(oracle).walk_event(event);
    })?;
    Ok(lock(oracle).end_walk(is_settled))
}

/// Whether no task and no event waits any more.
pub(super) fn is_settled(remote: &Remote) -> Result<bool, String> {
    for list in WAITING {
        if remote.get(&format!("{list}&limit=1"))?.accepted()? != b"[]" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Some of what waits, and the workers that it waits for: a line for each.
pub(super) fn waiting(remote: &Remote) -> Vec<String> {
    let lists = WAITING.map(|list| format!("{list}&limit={SHOWN}"));
    let mut lines = Vec::new();
    for path in lists.into_iter().chain(["/workers".to_owned()]) {
        let rows = remote.get(&path).and_then(Answer::accepted);
        let rows = rows.and_then(|rows| {
            serde_json::from_slice::<Vec<Value>>(&rows).map_err(|error| error.to_string())
        });
        match rows {
            Ok(rows) => lines.extend(rows.iter().take(SHOWN).map(|row| shown(&path, row))),
            Err(problem) => lines.push(format!("GET {path}: {problem}")),
        }
    }
    lines
}

/// What a row of `path` says about why it waits.
fn shown(path: &str, row: &Value) -> String {
    let mut line = path.split('?').next().unwrap_or_default().to_owned();
    for name in [
        "id",
        "name",
        "state",
        "task_id",
        "attempts",
        "running",
        "pending",
        "error",
        "last_error",
    ] {
        let value = match row.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => on_one_line(text),
            Some(value) => value.to_string(),
        };
        let value: String = value.chars().take(VALUE_MAX).collect();
        let _ = write!(line, "  {name} {value}");
    }
    line
}

/// Takes a whole list, the newest first. A page may be short, and only an empty one is the last.
fn walk<T: for<'de> Deserialize<'de>>(
    list: &str,
    remote: &Remote,
    id: impl Fn(&T) -> Id,
    mut visit: impl FnMut(&T),
) -> Result<(), String> {
    let mut before: Option<Id> = None;
    loop {
        let path = match before {
            Some(before) => format!("{list}?limit=1000&before={before}"),
            None => format!("{list}?limit=1000"),
        };
        let page = remote.get(&path)?.accepted()?;
        let page: Vec<T> = serde_json::from_slice(&page)
            .map_err(|error| format!("GET {path} is no such list: {error}"))?;
        let Some(lowest) = page.last().map(&id) else {
            return Ok(());
        };
        if before.is_some_and(|before| lowest >= before) {
            return Err(format!("GET {path} does not go on: it ends with {lowest}"));
        }
        before = Some(lowest);
        page.iter().for_each(&mut visit);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_is_shown_on_a_line_of_bounded_length() {
        let task = json!({
            "id": "1", "prompt": "p", "state": "pending", "attempts": 3, "result": null,
            "error": format!("no\n{}", "x".repeat(5_000)),
        });
        let line = shown("/tasks?state=pending&limit=2", &task);
        let start = "/tasks  id 1  state pending  attempts 3  error no\\nxxx";
        assert!(line.starts_with(start), "{line}");
        assert!(line.len() < 300 && !line.contains('\n'), "{line}");
        let worker = json!({"name": "w", "state": "busy", "running": 16, "pending": 2});
        assert_eq!(
            shown("/workers", &worker),
            "/workers  name w  state busy  running 16  pending 2"
        );
    }

    #[test]
    fn a_server_that_is_gone_is_said_to_be_gone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let lines = waiting(&Remote::open(addr));
        assert_eq!(lines.len(), WAITING.len() + 1, "{lines:?}");
        assert!(
            lines.iter().all(|line| line.contains("refused")),
            "{lines:?}"
        );
        assert!(WAITING.len() * SHOWN + SHOWN <= 10);
    }
}
