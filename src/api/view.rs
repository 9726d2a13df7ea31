//! What tasks and workers look like as JSON.
//!
//! A view borrows what it shows and is written straight into the answer. The length of one that may be long is
//! counted beforehand, so that the bytes can be taken from the budget and allocated exactly.

use std::io;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::clock::Timestamp;
use crate::event::EventId;
use crate::feed::WorkerLeft;
use crate::roster::Entry;
use crate::task::{State, Task, TaskId};
use crate::worker::{Availability, Target, WorkerName};

/// An answer that most likely has as many bytes or more is counted before it is made.
const COUNTED_BYTES: usize = 16 << 10;

/// A task, with its fields in the order of its life.
#[derive(Debug, Serialize)]
pub(super) struct TaskView<'a> {
    #[serde(serialize_with = "as_text")]
    id: TaskId,
    worker_name: &'a str,
    prompt: &'a str,
    #[serde(serialize_with = "as_text")]
    state: State,
    attempts: u32,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    dispatched_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    /// The worker's JSON, as the text that it came as.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Text<EventId>>,
    /// The JSON object that was submitted, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a RawValue>,
}

impl<'a> TaskView<'a> {
    pub(super) fn new(task: &'a Task) -> Result<Self, ApiError> {
        let context = match &task.context {
            None => None,
            // A stored context was checked when it came; this only finds its type again.
            Some(context) => Some(serde_json::from_str(context).map_err(|error| {
                log::error!("task {} has a context that is no JSON: {error}", task.id);
                ApiError::internal()
            })?),
        };
        Ok(Self {
            id: task.id,
            worker_name: task.worker.as_str(),
            prompt: &task.prompt,
            state: task.state,
            attempts: task.attempts,
            created_at: task.created_at,
            dispatched_at: task.dispatched_at,
            completed_at: task.completed_at,
            result: task.result.as_deref(),
            error: task.error.as_deref(),
            event_id: task.event.map(Text),
            context,
        })
    }
}

/// A worker as it is now, without its secrets.
#[derive(Debug, Serialize)]
pub(super) struct WorkerView {
    #[serde(serialize_with = "as_text")]
    name: WorkerName,
    kind: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    concurrency: u32,
    running: u32,
    pending: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Timestamp>,
}

impl WorkerView {
    /// The worker of `entry`, for which `pending` tasks wait.
    pub(super) fn new(entry: &Entry, pending: u64) -> Self {
        let (worker, condition) = (entry.worker(), entry.condition());
        let endpoint = match &worker.target {
            Target::Endpoint { endpoint, .. } => Some(endpoint.to_string()),
            Target::Command { .. } => None,
        };
        Self {
            name: worker.name.clone(),
            kind: kind(endpoint.is_some()),
            state: entry.availability().as_str(),
            endpoint,
            concurrency: worker.concurrency,
            running: entry.running(),
            pending,
            last_error: condition.last_error,
            checked_at: condition.checked_at,
        }
    }

    /// One that has left the roster.
    pub(super) fn left(worker: &WorkerLeft, pending: u64) -> Self {
        let endpoint = worker.endpoint.as_deref().map(str::to_owned);
        Self {
            name: worker.name.clone(),
            kind: kind(endpoint.is_some()),
            state: Availability::Offline.as_str(),
            endpoint,
            concurrency: worker.concurrency,
            running: 0,
            pending,
            last_error: None,
            checked_at: None,
        }
    }
}

fn kind(has_endpoint: bool) -> &'static str {
    if has_endpoint { "endpoint" } else { "command" }
}

/// A value that is shown as its text.
#[derive(Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<T: AsRef<str>> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_ref())
    }
}

/// Bytes of `view` as JSON.
pub(super) fn length(view: &impl Serialize) -> Result<usize, ApiError> {
    let mut counter = Counter(0);
    write(&mut counter, view)?;
    Ok(counter.0)
}

/// `view` as JSON, some `length` bytes long: that much memory is taken at first.
pub(super) fn render(view: &impl Serialize, length: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::with_capacity(length);
    write(&mut body, view)?;
    Ok(body)
}

/// `view` as JSON, of about `likely` bytes. A long one is counted first, and one that became long by its escapes
/// gives back what it does not fill, so that neither takes more memory than it has bytes.
pub(super) fn render_likely(view: &impl Serialize, likely: usize) -> Result<Vec<u8>, ApiError> {
    if likely >= COUNTED_BYTES {
        return render(view, length(view)?);
    }
    let mut body = render(view, likely)?;
    if body.capacity() > COUNTED_BYTES {
        body.shrink_to_fit();
    }
    Ok(body)
}

/// Adds `view` as JSON to `out`.
pub(super) fn write(out: &mut impl io::Write, view: &impl Serialize) -> Result<(), ApiError> {
    serde_json::to_writer(out, view).map_err(|error| {
        log::error!("an answer could not be rendered: {error}");
        ApiError::internal()
    })
}

/// Counts what is written to it.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn as_text<S: Serializer>(
    value: &impl AsRef<str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.as_ref())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::roster::{Origin, Roster};
    use crate::secret::Secret;
    use crate::worker::{Endpoint, Worker};

    fn json(view: &impl Serialize) -> String {
        let length = length(view).unwrap();
        let body = render(view, length).unwrap();
        assert_eq!((body.len(), body.capacity()), (length, length));
        String::from_utf8(body).unwrap()
    }

    fn pending_task() -> Task {
        Task {
            id: "0k3v00000000000a".parse().unwrap(),
            worker: "claude".parse().unwrap(),
            prompt: "Say \"hi\"\n\u{0}ä".to_owned(),
            context: None,
            state: State::Pending,
            attempts: 0,
            created_at: Timestamp::from_millis(1_774_872_000_000),
            dispatched_at: None,
            completed_at: None,
            result: None,
            error: None,
            event: None,
        }
    }

    #[test]
    fn a_new_task_shows_what_is_known() {
        let task = pending_task();
        assert_eq!(
            json(&TaskView::new(&task).unwrap()),
            concat!(
                r#"{"id":"0k3v00000000000a","worker_name":"claude","#,
                r#""prompt":"Say \"hi\"\n\u0000ä","state":"pending","attempts":0,"#,
                r#""created_at":"2026-03-30T12:00:00.000Z"}"#
            )
        );
    }

    #[test]
    fn an_ended_task_shows_everything_and_its_json_unchanged() {
        let task = Task {
            prompt: "p".to_owned(),
            context: Some(r#"{ "a":1.0e5, "a":[ ] }"#.to_owned()),
            state: State::Completed,
            attempts: 2,
            dispatched_at: Some(Timestamp::from_millis(1_774_872_000_001)),
            completed_at: Some(Timestamp::from_millis(1_774_872_000_002)),
            result: Some(r#"{"output": "done"}"#.to_owned()),
            error: Some("refused".to_owned()),
            event: Some("0k3v00000000000b".parse().unwrap()),
            ..pending_task()
        };
        assert_eq!(
            json(&TaskView::new(&task).unwrap()),
            concat!(
                r#"{"id":"0k3v00000000000a","worker_name":"claude","prompt":"p","#,
                r#""state":"completed","attempts":2,"created_at":"2026-03-30T12:00:00.000Z","#,
                r#""dispatched_at":"2026-03-30T12:00:00.001Z","#,
                r#""completed_at":"2026-03-30T12:00:00.002Z","#,
                r#""result":"{\"output\": \"done\"}","error":"refused","#,
                r#""event_id":"0k3v00000000000b","#,
                r#""context":{ "a":1.0e5, "a":[ ] }}"#
            )
        );
    }

    #[test]
    fn a_context_nested_without_end_is_shown() {
        let depth = 1_000_000;
        let context = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let task = Task {
            context: Some(context.clone()),
            ..pending_task()
        };
        assert!(json(&TaskView::new(&task).unwrap()).contains(&context));
    }

    fn worker(target: Target) -> Worker {
        Worker {
            name: "claude".parse().unwrap(),
            target,
            timeout: Duration::from_secs(1),
            concurrency: 2,
            rate: None,
            max_attempts: 4,
            backoff: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_worker_is_shown_without_its_secrets() {
        let roster = Roster::new();
        let endpoint = Endpoint {
            host: "127.0.0.1".to_owned(),
            port: 9_000,
            path: "/v1".to_owned(),
        };
        let target = Target::Endpoint {
            endpoint,
            token: Some(Secret::new("hunter2")),
        };
        roster.put(worker(target), Origin::Api).unwrap();
        let entry = roster.find(&"claude".parse().unwrap()).unwrap();
        assert_eq!(
            json(&WorkerView::new(&entry, 3)),
            concat!(
                r#"{"name":"claude","kind":"endpoint","state":"offline","#,
                r#""endpoint":"http://127.0.0.1:9000/v1","concurrency":2,"running":0,"pending":3}"#
            )
        );
        entry.observe(
            Availability::Online,
            Some("timeout".to_owned()),
            Timestamp::from_millis(0),
        );
        entry.attempt_started();
        entry.attempt_started();
        assert_eq!(
            json(&WorkerView::new(&entry, 0)),
            concat!(
                r#"{"name":"claude","kind":"endpoint","state":"busy","#,
                r#""endpoint":"http://127.0.0.1:9000/v1","concurrency":2,"running":2,"pending":0,"#,
                r#""last_error":"timeout","checked_at":"1970-01-01T00:00:00.000Z"}"#
            )
        );
    }

    #[test]
    fn a_command_worker_shows_neither_program_nor_environment() {
        let target = Target::Command {
            argv: vec!["claude".to_owned()],
            env: vec![("KEY".to_owned(), Secret::new("hunter2"))],
            cwd: None,
        };
        let roster = Roster::new();
        roster.put(worker(target), Origin::File).unwrap();
        let entry = roster.find(&"claude".parse().unwrap()).unwrap();
        assert_eq!(
            json(&WorkerView::new(&entry, 0)),
            concat!(
                r#"{"name":"claude","kind":"command","state":"offline","concurrency":2,"#,
                r#""running":0,"pending":0}"#
            )
        );
    }
}
