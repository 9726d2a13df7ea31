//! Walks over everything that the server has, page by page, and lets the oracle compare it.

use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::lock;
use super::oracle::Oracle;
use super::view::{EventView, TaskView};
use crate::cli::remote::Remote;
use crate::id::Id;

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
    for list in [
        "/events?state=received&limit=1",
        "/tasks?state=pending&limit=1",
        "/tasks?state=dispatched&limit=1",
        "/events?state=matched&limit=1",
    ] {
        if remote.get(list)?.accepted()? != b"[]" {
            return Ok(false);
        }
    }
    Ok(true)
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
