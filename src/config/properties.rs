//! Properties of configurations that hold for every file; see `http::properties`.
#![doc(hidden)]

use std::collections::BTreeSet;

use serde_json::json;

use super::environment::Environment;
use super::file::{self, Settings};
use super::problem::Problems;
use super::secrets::Secrets;
use super::{endpoint, value, worker_from_json};
use crate::rules;
use crate::source::Source;
use crate::worker::{Endpoint, Target, Worker};

/// A variable that a file may name, and what no message may show.
const VARIABLE: (&str, &str) = ("MECHA_FUZZ", "q7XfVw2Rk9-never-shown-Zp4Lt8Ns");

/// A file is refused with a line for each of its problems, or accepted; and what is accepted is
/// within its bounds, is accepted again as it was read, and shows no secret.
pub fn config(input: &[u8]) {
    let environment = Environment::of(&[("HOME", "/home/ann"), VARIABLE]);
    for keys_replaced in [false, true] {
        let mut problems = Problems::of_file("mecha.toml");
        let mut secrets = Secrets::new(&environment);
        let settings = file::read_bytes(input, keys_replaced, &mut secrets, &mut problems);
        let shown = format!("{settings:?}");
        match problems.or(settings) {
            Ok(settings) => {
                refuses_to_show(input, &shown);
                holds_again(&settings);
            }
            Err(error) => {
                let lines = input.split(|byte| *byte == b'\n').count();
                for problem in error.problems() {
                    let text = problem.to_string();
                    refuses_to_show(input, &text);
                    assert!(!text.chars().any(char::is_control), "{text:?}");
                    let line = problem.line().unwrap_or_else(|| panic!("no line: {text}"));
                    assert!((1..=lines).contains(&line), "{text}");
                }
            }
        }
    }
}

fn refuses_to_show(input: &[u8], text: &str) {
    let (_, secret) = VARIABLE;
    let is_written = input
        .windows(secret.len())
        .any(|window| window == secret.as_bytes());
    assert!(is_written || !text.contains(secret), "{text}");
}

fn holds_again(settings: &Settings) {
    let limits = &settings.limits;
    for size in [
        limits.task_body,
        limits.webhook_body(limits.memory),
        limits.memory,
    ] {
        assert!(size >= 64);
        assert_eq!(value::parse_size(&value::size_text(size)), Ok(size));
    }
    for span in settings.drain.into_iter().chain([limits.retention]) {
        assert_eq!(value::parse_duration(&value::duration_text(span)), Ok(span));
    }
    let mut names = BTreeSet::new();
    for worker in &settings.workers {
        assert!(names.insert(worker.name.as_str()), "{}", worker.name);
        worker_holds_again(worker);
    }
    let mut names = BTreeSet::new();
    for source in &settings.sources {
        assert!(names.insert(source.name()), "{}", source.name());
        assert_eq!(Source::new(source.settings().clone()).as_ref(), Ok(source));
    }
    for rule in &settings.rules {
        rules::properties::compiles_again(rule);
    }
}

/// The worker's settings, as they are shown, make the same worker over the API.
fn worker_holds_again(worker: &Worker) {
    assert!(worker.concurrency >= 1 && worker.max_attempts >= 1);
    let (endpoint, token) = match &worker.target {
        Target::Endpoint { endpoint, token } => (endpoint, token),
        Target::Command { argv, .. } => {
            assert!(argv.first().is_some_and(|program| !program.is_empty()));
            return;
        }
    };
    let url = endpoint.to_string();
    assert_eq!(endpoint::parse(&url).as_ref(), Ok(endpoint));
    fits_a_head(endpoint);
    let mut json = json!({
        "endpoint": url,
        "timeout": value::duration_text(worker.timeout),
        "concurrency": worker.concurrency,
        "rate": worker.rate.map(value::rate_text),
        "max_attempts": worker.max_attempts,
        "backoff": value::duration_text(worker.backoff),
    });
    if let Some(token) = token {
        let text = token.reveal();
        assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()));
        // Over the API that is a reference, which is refused.
        if text.starts_with("env:") || text.starts_with("file:") {
            return;
        }
        if let Some(fields) = json.as_object_mut() {
            fields.insert("token".to_owned(), text.into());
        }
    }
    let again = worker_from_json(&worker.name, json.to_string().as_bytes());
    assert_eq!(again.as_ref(), Ok(worker));
}

/// Nothing of an endpoint can end a line or a field of the requests that are sent there.
pub(crate) fn fits_a_head(endpoint: &Endpoint) {
    let texts = [&endpoint.host, &endpoint.path];
    for text in texts {
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    }
    assert!(!endpoint.host.is_empty() && !endpoint.path.ends_with('/'));
}
