//! `mecha workers`, `mecha worker add` and `mecha worker remove`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::list::{self, Kind, Row};
use super::{json, parsed, with_remote};
use crate::cli::args::{Access, WorkerArgs};
use crate::cli::remote::Answer;
use crate::cli::table::{self, Column, cell};
use crate::cli::{Exit, output};
use crate::config::{self, quoted};
use crate::http::percent_encoded;
use crate::worker::WorkerName;

const WORKERS: Kind = Kind {
    path: "/workers",
    name: "workers",
    columns: &[
        Column::text("WORKER"),
        Column::whole("KIND").leaving(1),
        Column::whole("STATE"),
        Column::whole("RUNNING"),
        Column::whole("PENDING"),
        Column::text("ENDPOINT").leaving(2),
        Column::text("LAST ERROR"),
    ],
};

/// What the table shows of a worker.
#[derive(Debug, Deserialize)]
struct Shown {
    name: String,
    kind: String,
    state: String,
    endpoint: Option<String>,
    concurrency: u64,
    running: u64,
    pending: u64,
    last_error: Option<String>,
}

impl Row for Shown {
    fn cells(self) -> Vec<String> {
        vec![
            self.name,
            self.kind,
            self.state,
            format!("{} of {}", self.running, self.concurrency),
            self.pending.to_string(),
            cell(self.endpoint.as_deref().unwrap_or_default()),
            cell(self.last_error.as_deref().unwrap_or_default()),
        ]
    }
}

/// Lists the workers of a running server.
pub(in crate::cli) fn list(access: &Access, as_json: bool) -> Exit {
    with_remote(access, |remote| {
        let listed = remote.get(WORKERS.path).and_then(Answer::accepted);
        output::finish(listed.and_then(|body| {
            if as_json {
                return json(body);
            }
            Ok(list::table::<Shown>(
                &WORKERS,
                parsed(&body, "list of workers")?,
            ))
        }))
    })
}

/// Registers a worker or replaces its settings.
pub(in crate::cli) fn add(args: &WorkerArgs) -> Exit {
    let body = match body(args) {
        Ok(body) => body,
        Err(text) => {
            output::complain(&text);
            return Exit::Usage;
        }
    };
    with_remote(&args.access, |remote| {
        let added = remote.put(&path(&args.name), body).and_then(|answer| {
            let is_new = answer.status == 201;
            let body = answer.accepted()?;
            if args.json {
                return json(body);
            }
            let worker: Shown = parsed(&body, "worker")?;
            let done = if is_new { "registered" } else { "replaced" };
            Ok(format!(
                "worker {}: {done}, {}",
                table::shown(&worker.name),
                table::shown(&worker.state)
            ))
        });
        output::finish(added)
    })
}

/// Removes a worker that was registered over the API.
pub(in crate::cli) fn remove(access: &Access, name: &str) -> Exit {
    with_remote(access, |remote| {
        let removed = remote.delete(&path(name)).and_then(Answer::accepted);
        output::finish(removed.map(|_| format!("worker {}: removed", table::shown(name))))
    })
}

fn path(name: &str) -> String {
    format!("/worker/{}", percent_encoded(name))
}

/// The JSON of `PUT /worker/{name}`, held to the rules that the server holds it to, so that what is
/// wrong is a wrong command line.
fn body(args: &WorkerArgs) -> Result<Vec<u8>, String> {
    let name: WorkerName = args
        .name
        .parse()
        .map_err(|error| format!("{} is not a worker's name; {error}", quoted(&args.name)))?;
    let mut fields = Map::new();
    for (field, text) in &args.texts {
        fields.insert((*field).to_owned(), Value::from(text.as_str()));
    }
    for (field, number) in &args.numbers {
        fields.insert((*field).to_owned(), Value::from(*number));
    }
    if let Some(token) = &args.token {
        let token = config::client_secret(token).map_err(|error| format!("--token: {error}"))?;
        fields.insert("token".to_owned(), Value::from(token.reveal()));
    }
    let body = Value::Object(fields).to_string().into_bytes();
    config::worker_from_json(&name, &body)?;
    Ok(body)
}
