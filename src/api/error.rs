//! Every refusal: its status, its code, and what it says to people.
//!
//! Inner rooms know nothing of HTTP: their errors become answers here. What the text says is
//! about the request and the limits, never about the inside of the server.

use std::borrow::Cow;

use crate::event::EventId;
use crate::http::Reply;
use crate::queue;
use crate::task::TaskId;
use crate::worker::{NotAName, WorkerName};

/// A refusal: `{"error": message, "code": code}` under a status.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    /// 400 to 599.
    pub(super) status: u16,
    /// Stable, `snake_case`.
    pub(super) code: &'static str,
    /// For people: names the offending thing and what would be right.
    pub(super) message: Cow<'static, str>,
    /// A header field that belongs to the status: `Allow`, `WWW-Authenticate`.
    pub(super) header: Option<(&'static str, Cow<'static, str>)>,
}

impl ApiError {
    /// The code of [`ApiError::bad_signature`].
    pub(super) const BAD_SIGNATURE: &'static str = "bad_signature";

    pub(super) fn new(
        status: u16,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    /// 401, the same for a missing key and a wrong one.
    pub(super) fn unauthorized() -> Self {
        let message =
            "this server wants an API key: send Authorization: Bearer <key> or X-API-Key: <key>";
        Self {
            header: Some(("www-authenticate", "Bearer".into())),
            ..Self::new(401, "unauthorized", message)
        }
    }

    pub(super) fn unknown_path() -> Self {
        Self::new(404, "unknown_path", "there is nothing at this path")
    }

    pub(super) fn method_not_allowed(allow: &str) -> Self {
        Self {
            header: Some(("allow", allow.to_owned().into())),
            ..Self::new(
                405,
                "method_not_allowed",
                format!("this path takes the methods {allow}"),
            )
        }
    }

    pub(super) fn unknown_task(id: TaskId) -> Self {
        Self::new(404, "unknown_task", format!("there is no task {id}"))
    }

    pub(super) fn unknown_event(id: EventId) -> Self {
        Self::new(404, "unknown_event", format!("there is no event {id}"))
    }

    /// The name may be any text, so only one that a source could have is repeated.
    pub(super) fn unknown_source(name: &str) -> Self {
        let message = if name.parse::<WorkerName>().is_ok() {
            format!("there is no source {name}")
        } else {
            "there is no source of that name".to_owned()
        };
        Self::new(404, "unknown_source", message)
    }

    /// 401, the same whatever is wrong with a delivery's signature.
    pub(super) fn bad_signature() -> Self {
        Self::new(
            401,
            Self::BAD_SIGNATURE,
            "the delivery's signature is missing, wrong or too old; the server's log says which",
        )
    }

    pub(super) fn unknown_worker(name: &WorkerName) -> Self {
        Self::new(404, "unknown_worker", format!("there is no worker {name}"))
    }

    /// The name is one that no worker can have; it may be long, so it is not repeated.
    pub(super) fn impossible_worker(reason: NotAName) -> Self {
        Self::new(
            404,
            "unknown_worker",
            format!("there is no worker of that name: {reason}"),
        )
    }

    pub(super) fn no_online_workers() -> Self {
        Self::new(
            503,
            "no_online_workers",
            "no worker is online; name one in \"worker\" to let the task wait for it, or add one",
        )
    }

    pub(super) fn draining() -> Self {
        Self::new(
            503,
            "draining",
            "the server is stopping and takes nothing new",
        )
    }

    pub(super) fn store_failed() -> Self {
        Self::new(
            503,
            "store_failed",
            "the store failed and the server is stopping; whether a change that was under way was made is unknown",
        )
    }

    pub(super) fn overloaded() -> Self {
        Self::new(503, "overloaded", "the server is overloaded; try again")
    }

    /// A fault of the server, which its log tells of.
    pub(super) fn internal() -> Self {
        Self::new(500, "internal", "the server failed to answer this request")
    }

    /// The answer.
    pub(super) fn into_reply(self) -> Reply {
        let reply = Reply::error(self.status, self.code, &self.message);
        match self.header {
            Some((name, value)) => reply.with_header(name, value),
            None => reply,
        }
    }
}

impl From<queue::Error> for ApiError {
    fn from(error: queue::Error) -> Self {
        use queue::Error as E;
        match error {
            E::UnknownTask(id) => Self::unknown_task(id),
            E::QueueFull { limit } => Self::new(
                429,
                "queue_full",
                format!("{limit} tasks are pending, as many as may be"),
            ),
            E::IdempotencyMismatch { task } => Self::new(
                409,
                "idempotency_mismatch",
                format!("this Idempotency-Key was used with another body, for task {task}"),
            ),
            E::AlreadyEnded { task, state } => Self::new(
                409,
                "already_ended",
                format!("task {task} has ended: it is {state}"),
            ),
            E::NotFailed { task, state } => Self::new(
                409,
                "not_failed",
                format!("task {task} is {state}; only a failed task can be retried"),
            ),
            E::UnknownEvent(id) => Self::unknown_event(id),
            E::NotEnded { event, state } => Self::new(
                409,
                "not_ended",
                format!("event {event} is {state}; it can be replayed when it has ended"),
            ),
            E::NotWaiting { event, state } => Self::new(
                409,
                "not_waiting",
                format!("event {event} is {state} and does not wait to be approved"),
            ),
            E::DiskReserve { free, reserve } => Self::new(
                507,
                "disk_reserve",
                format!("{free} bytes are free on the server's disk; {reserve} must stay free"),
            ),
            E::WorkerHasTasks { worker, waiting } => Self::new(
                409,
                "worker_has_tasks",
                format!("worker {worker} has {waiting} tasks that have not ended"),
            ),
            E::BackupRunning => Self::new(
                503,
                "backup_running",
                "another backup is under way; try again when it has ended",
            ),
            E::Overloaded => Self::overloaded(),
            // Only the matcher settles events, and nobody asks it to.
            E::Unreadable | E::NotReceived { .. } => Self::internal(),
            E::StoreFailed => Self::store_failed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;
    use crate::task::State;

    #[test]
    fn every_error_of_the_queue_has_its_status_and_code() {
        use queue::Error as E;
        let task: TaskId = "0k3v00000000000a".parse().unwrap();
        let event: EventId = "0k3v00000000000b".parse().unwrap();
        let worker: WorkerName = "claude".parse().unwrap();
        for (error, status, code, named) in [
            (
                E::UnknownTask(task),
                404,
                "unknown_task",
                "0k3v00000000000a",
            ),
            (E::QueueFull { limit: 7 }, 429, "queue_full", "7"),
            (
                E::IdempotencyMismatch { task },
                409,
                "idempotency_mismatch",
                "0k3v00000000000a",
            ),
            (
                E::AlreadyEnded {
                    task,
                    state: State::Completed,
                },
                409,
                "already_ended",
                "completed",
            ),
            (
                E::NotFailed {
                    task,
                    state: State::Pending,
                },
                409,
                "not_failed",
                "pending",
            ),
            (
                E::UnknownEvent(event),
                404,
                "unknown_event",
                "0k3v00000000000b",
            ),
            (
                E::NotEnded {
                    event,
                    state: event::State::Matched,
                },
                409,
                "not_ended",
                "matched",
            ),
            (
                E::NotWaiting {
                    event,
                    state: event::State::Skipped,
                },
                409,
                "not_waiting",
                "skipped",
            ),
            (
                E::NotReceived {
                    event,
                    state: event::State::Skipped,
                },
                500,
                "internal",
                "failed",
            ),
            (
                E::DiskReserve {
                    free: 5,
                    reserve: 10,
                },
                507,
                "disk_reserve",
                "10",
            ),
            (
                E::WorkerHasTasks { worker, waiting: 3 },
                409,
                "worker_has_tasks",
                "claude",
            ),
            (E::BackupRunning, 503, "backup_running", "another backup"),
            (E::Overloaded, 503, "overloaded", "try again"),
            (E::Unreadable, 500, "internal", "failed"),
            (E::StoreFailed, 503, "store_failed", "store"),
        ] {
            let error = ApiError::from(error);
            assert_eq!((error.status, error.code), (status, code));
            assert!(error.message.contains(named), "{error:?}");
            assert!(!error.message.ends_with('.'), "{error:?}");
        }
    }

    #[test]
    fn refusals_carry_the_header_of_their_status() {
        assert_eq!(
            ApiError::unauthorized().header,
            Some(("www-authenticate", "Bearer".into()))
        );
        assert_eq!(
            ApiError::method_not_allowed("GET").header,
            Some(("allow", "GET".into()))
        );
    }
}
