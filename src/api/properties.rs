//! Properties of what callers send that hold for every input; see `http::properties`.
#![doc(hidden)]

use serde_json::value::RawValue;

use super::error::ApiError;
use super::query;
use super::rules::Trial;
use super::submission::Submission;
use super::workers;
use crate::config::properties::fits_a_head;
use crate::worker::{Target, WorkerName};

/// Bytes of the text of a refusal at most: a caller must not have his body sent back.
const MESSAGE_BYTES_MAX: usize = 8 << 10;

/// Whatever `input` is, each endpoint that reads a body refuses it with a short text, or has what
/// its answer rests on; and the query of a list names the same page again in the link to the next.
pub fn api_body(input: &[u8]) {
    submission(input);
    trial(input);
    worker(input);
    if let Ok(text) = str::from_utf8(input) {
        queries(text);
    }
}

/// A task has a prompt and, if any, a context that is a JSON object.
fn submission(input: &[u8]) {
    let Some(submission) = taken(Submission::parse(input.to_vec())) else {
        return;
    };
    assert!(!submission.prompt.is_empty());
    assert_ne!(submission.worker.as_deref(), Some(""));
    if let Some(context) = submission.context {
        is_object(&context);
    }
}

/// A trial of the rules names a source and a type, and has a payload that is a JSON object.
fn trial(input: &[u8]) {
    let Some(trial) = taken(Trial::parse(input)) else {
        return;
    };
    assert!(!trial.source.is_empty() && !trial.event_type.is_empty());
    is_object(&trial.payload);
}

/// A worker has the name of the path, and an endpoint and a token that fit into a request.
fn worker(input: &[u8]) {
    let name: WorkerName = "fuzz".parse().unwrap_or_else(|error| panic!("{error}"));
    let Some((worker, json)) = taken(workers::parse(&name, input)) else {
        return;
    };
    assert_eq!((&worker.name, json.as_bytes()), (&name, input));
    assert!((1..=1_000).contains(&worker.concurrency));
    assert!((1..=1_000).contains(&worker.max_attempts));
    assert!(
        worker
            .rate
            .is_none_or(|rate| rate.count > 0 && !rate.per.is_zero())
    );
    let Target::Endpoint { endpoint, token } = &worker.target else {
        panic!("{worker:?}");
    };
    fits_a_head(endpoint);
    if let Some(token) = token {
        let text = token.reveal();
        assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!text.starts_with("env:") && !text.starts_with("file:"));
    }
}

fn queries(text: &str) {
    if let Some(filter) = taken(query::filter(text)) {
        let target = query::tasks_target(&filter);
        assert_eq!(
            of_next_page(&target, query::filter, query::tasks_target),
            target
        );
    }
    if let Some(filter) = taken(query::event_filter(text)) {
        let target = query::events_target(&filter);
        assert_eq!(
            of_next_page(&target, query::event_filter, query::events_target),
            target
        );
    }
    taken(query::wait(text));
}

/// The target that is made of what `target` asks for.
fn of_next_page<F>(
    target: &str,
    read: fn(&str) -> Result<F, ApiError>,
    write: fn(&F) -> String,
) -> String {
    assert!(
        target.bytes().all(|byte| byte.is_ascii_graphic()),
        "{target}"
    );
    let (_, query) = target.split_once('?').unwrap_or_default();
    let filter = read(query).unwrap_or_else(|error| panic!("{target}: {error:?}"));
    write(&filter)
}

fn taken<T>(read: Result<T, ApiError>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(error) => {
            assert_eq!(error.status, 400);
            assert!((1..=MESSAGE_BYTES_MAX).contains(&error.message.len()));
            None
        }
    }
}

/// Checks that `text` is one JSON object, with nothing around it.
fn is_object(text: &str) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    assert!(values.next().is_some_and(|value| value.is_ok()));
    assert!(values.next().is_none());
    assert!(text.starts_with('{') && text.ends_with('}'));
}
