//! What the messages of `GET /stream` look like.
//!
//! A message is lines of `field: value` and an empty one. JSON has no line breaks of its own, so
//! `data` is always one line.

use std::io::Write as _;

use serde::Serialize;

use super::error::ApiError;
use super::view::{self, Text, WorkerView, as_text};
use crate::clock::Timestamp;
use crate::event::{self, EventId};
use crate::feed::{EventChange, Loss, Position, TaskChange, WorkerLeft};
use crate::queue::EventHead;
use crate::roster::Entry;
use crate::task::{self, TaskId};

/// How long a browser waits before it connects again, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// What is sent first: where the reader stands. A message without data sets the id and is not shown.
pub(super) fn opening(position: Option<Position>) -> Vec<u8> {
    let id = position.map_or_else(String::new, |position| format!("id: {position}\n"));
    format!("retry: {RETRY_MS}\n{id}\n").into_bytes()
}

/// What tells a reader that it has lost something, and now stands at `position`.
pub(super) fn reset(position: Position, loss: Loss) -> Vec<u8> {
    let reason = match loss {
        Loss::Restarted => "restarted",
        Loss::Overrun => "overrun",
    };
    format!("id: {position}\nevent: reset\ndata: {{\"reason\":\"{reason}\"}}\n\n").into_bytes()
}

/// What is said of one change.
#[derive(Debug)]
pub(super) enum Message {
    Task(TaskChange),
    Event(EventView),
    Worker(Box<WorkerView>),
    WorkerLeft(Box<WorkerLeftView>),
}

impl Message {
    pub(super) fn task(change: TaskChange) -> Self {
        Self::Task(change)
    }

    /// `None` where the change is one of a task that is not the event's any more.
    pub(super) fn event(change: &EventChange, head: &EventHead) -> Option<Self> {
        if change.is_of_attempt && change.task != head.task {
            return None;
        }
        Some(Self::Event(EventView {
            id: change.id,
            source: head.source.clone(),
            event_type: head.event_type.clone(),
            subject: head.subject.clone(),
            state: change.state,
            worker_name: change.worker.as_deref().map(str::to_owned),
            task_id: change.task.map(Text),
            created_at: head.created_at,
            updated_at: change.updated_at.unwrap_or(head.updated_at),
        }))
    }

    pub(super) fn worker(entry: &Entry, pending: u64) -> Self {
        Self::Worker(Box::new(WorkerView::new(entry, pending)))
    }

    pub(super) fn worker_left(worker: &WorkerLeft, pending: u64) -> Self {
        Self::WorkerLeft(Box::new(WorkerLeftView {
            worker: WorkerView::left(worker, pending),
            removed: true,
        }))
    }

    /// Adds the message to `out`; its id is `position`.
    pub(super) fn write(&self, position: Position, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let name = match self {
            Self::Task(_) => "task",
            Self::Event(_) => "event",
            Self::Worker(_) | Self::WorkerLeft(_) => "worker",
        };
        // Writing to a Vec cannot fail.
        let _ = write!(out, "id: {position}\nevent: {name}\ndata: ");
        match self {
            Self::Task(change) => view::write(out, &TaskView::new(change)),
            Self::Event(event) => view::write(out, event),
            Self::Worker(worker) => view::write(out, worker),
            Self::WorkerLeft(worker) => view::write(out, worker),
        }?;
        out.extend_from_slice(b"\n\n");
        Ok(())
    }
}

/// A task, without its texts.
#[derive(Debug, Serialize)]
struct TaskView<'a> {
    #[serde(serialize_with = "as_text")]
    id: TaskId,
    worker_name: &'a str,
    #[serde(serialize_with = "as_text")]
    state: task::State,
    attempts: u32,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    dispatched_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Text<EventId>>,
}

impl<'a> TaskView<'a> {
    fn new(change: &'a TaskChange) -> Self {
        Self {
            id: change.id,
            worker_name: &change.worker,
            state: change.state,
            attempts: change.attempts,
            created_at: change.created_at,
            dispatched_at: change.dispatched_at,
            completed_at: change.completed_at,
            event_id: change.event.map(Text),
        }
    }
}

/// An event, without its attributes.
#[derive(Debug, Serialize)]
pub(super) struct EventView {
    #[serde(serialize_with = "as_text")]
    id: EventId,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(serialize_with = "as_text")]
    state: event::State,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<Text<TaskId>>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A worker that there is no longer.
#[derive(Debug, Serialize)]
pub(super) struct WorkerLeftView {
    #[serde(flatten)]
    worker: WorkerView,
    removed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Feed;

    fn written(message: &Message) -> String {
        let position = Feed::default().follow(None).unwrap().position();
        let mut out = Vec::new();
        message.write(position, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rest = text.strip_prefix(&format!("id: {position}\n")).unwrap();
        rest.to_owned()
    }

    #[test]
    fn a_task_is_told_of_without_its_texts() {
        let change = TaskChange {
            id: "0k3v00000000000a".parse().unwrap(),
            worker: "claude".into(),
            state: task::State::Completed,
            attempts: 2,
            created_at: Timestamp::from_millis(1_774_872_000_000),
            dispatched_at: Some(Timestamp::from_millis(1_774_872_000_001)),
            completed_at: Some(Timestamp::from_millis(1_774_872_000_002)),
            event: Some("0k3v00000000000b".parse().unwrap()),
        };
        assert_eq!(
            written(&Message::task(change.clone())),
            concat!(
                "event: task\n",
                r#"data: {"id":"0k3v00000000000a","worker_name":"claude","state":"completed","#,
                r#""attempts":2,"created_at":"2026-03-30T12:00:00.000Z","#,
                r#""dispatched_at":"2026-03-30T12:00:00.001Z","#,
                r#""completed_at":"2026-03-30T12:00:00.002Z","event_id":"0k3v00000000000b"}"#,
                "\n\n"
            )
        );
        let new = TaskChange {
            state: task::State::Pending,
            attempts: 0,
            dispatched_at: None,
            completed_at: None,
            event: None,
            ..change
        };
        assert_eq!(
            written(&Message::task(new)),
            concat!(
                "event: task\n",
                r#"data: {"id":"0k3v00000000000a","worker_name":"claude","state":"pending","#,
                r#""attempts":0,"created_at":"2026-03-30T12:00:00.000Z"}"#,
                "\n\n"
            )
        );
    }

    #[test]
    fn an_event_follows_the_attempts_of_its_own_task_alone() {
        let task: TaskId = "0k3v00000000000a".parse().unwrap();
        let head = EventHead {
            source: "github".to_owned(),
            event_type: "push".to_owned(),
            subject: Some("a\n\u{2028}b".to_owned()),
            created_at: Timestamp::from_millis(1_774_872_000_000),
            updated_at: Timestamp::from_millis(1_774_872_000_001),
            task: Some(task),
        };
        let change = EventChange {
            id: "0k3v00000000000b".parse().unwrap(),
            state: event::State::Dispatched,
            worker: Some("claude".into()),
            task: Some(task),
            updated_at: None,
            is_of_attempt: true,
        };
        let message = Message::event(&change, &head).unwrap();
        assert_eq!(
            written(&message),
            concat!(
                "event: event\n",
                r#"data: {"id":"0k3v00000000000b","source":"github","type":"push","#,
                "\"subject\":\"a\\n\u{2028}b\",",
                r#""state":"dispatched","worker_name":"claude","task_id":"0k3v00000000000a","#,
                r#""created_at":"2026-03-30T12:00:00.000Z","updated_at":"2026-03-30T12:00:00.001Z"}"#,
                "\n\n"
            )
        );
        let of_another = EventHead { task: None, ..head };
        assert!(Message::event(&change, &of_another).is_none());
        let of_its_row = EventChange {
            is_of_attempt: false,
            ..change
        };
        assert!(Message::event(&of_its_row, &of_another).is_some());
    }

    #[test]
    fn a_worker_that_left_is_marked() {
        let command = WorkerLeft {
            name: "claude".parse().unwrap(),
            endpoint: None,
            concurrency: 2,
        };
        assert_eq!(
            written(&Message::worker_left(&command, 3)),
            concat!(
                "event: worker\n",
                r#"data: {"name":"claude","kind":"command","state":"offline","concurrency":2,"#,
                r#""running":0,"pending":3,"removed":true}"#,
                "\n\n"
            )
        );
        let endpoint = WorkerLeft {
            endpoint: Some("http://127.0.0.1:9000".into()),
            ..command
        };
        assert_eq!(
            written(&Message::worker_left(&endpoint, 0)),
            concat!(
                "event: worker\n",
                r#"data: {"name":"claude","kind":"endpoint","state":"offline","#,
                r#""endpoint":"http://127.0.0.1:9000","concurrency":2,"#,
                r#""running":0,"pending":0,"removed":true}"#,
                "\n\n"
            )
        );
    }
}
