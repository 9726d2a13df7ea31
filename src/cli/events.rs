//! `mecha events`: the last events, as a table or as JSON.

use serde::Deserialize;

use super::args::EventsArgs;
use super::remote::Remote;
use super::{Exit, output, table};
use crate::http::percent_encoded;
use crate::terminal;

/// What the table shows of an event.
#[derive(Debug, Deserialize)]
struct Shown {
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    state: String,
    subject: Option<String>,
    worker_name: Option<String>,
    task_id: Option<String>,
    reason: Option<String>,
    created_at: String,
}

/// Lists the events of a running server.
pub(super) fn run(args: &EventsArgs) -> Exit {
    let remote = match Remote::find(args.addr.as_deref(), args.api_key.as_ref()) {
        Ok(remote) => remote,
        Err(text) => {
            output::complain(&text);
            return Exit::Usage;
        }
    };
    let listed = remote
        .get(&path(args))
        .and_then(super::remote::Answer::accepted)
        .and_then(|body| {
            if args.json {
                text(body)
            } else {
                table_of(&body)
            }
        });
    output::finish(listed)
}

fn path(args: &EventsArgs) -> String {
    let mut query = joined(&[
        ("state", args.state.as_deref()),
        ("source", args.source.as_deref()),
        ("type", args.event_type.as_deref()),
        ("limit", args.limit.as_deref()),
    ]);
    if !query.is_empty() {
        query.insert(0, '?');
    }
    format!("/events{query}")
}

fn joined(parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = String::new();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        query.push_str(&percent_encoded(value));
    }
    query
}

fn text(body: Vec<u8>) -> Result<String, String> {
    let json = String::from_utf8(body).map_err(|_| "the answer is not UTF-8".to_owned())?;
    Ok(terminal::in_json(json))
}

fn table_of(body: &[u8]) -> Result<String, String> {
    let events: Vec<Shown> = serde_json::from_slice(body)
        .map_err(|error| format!("the answer is no list of events: {error}"))?;
    if events.is_empty() {
        return Ok("no events".to_owned());
    }
    let rows: Vec<_> = events.into_iter().map(row).collect();
    let header = [
        "EVENT",
        "CREATED",
        "SOURCE",
        "TYPE",
        "SUBJECT",
        "STATE",
        "WORKER",
        "TASK OR REASON",
    ];
    Ok(table::render(&header, &rows))
}

fn row(event: Shown) -> Vec<String> {
    let outcome = match (event.state.as_str(), event.reason, event.task_id) {
        ("failed" | "skipped", Some(reason), _) | (_, Some(reason), None) => reason,
        (_, _, Some(task)) => task,
        (_, None, None) => String::new(),
    };
    vec![
        event.id,
        // To the second.
        event
            .created_at
            .get(..19)
            .unwrap_or_default()
            .replace('T', " "),
        event.source,
        event.event_type,
        event.subject.unwrap_or_default(),
        event.state,
        event.worker_name.unwrap_or_default(),
        outcome,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_a_query() {
        let args = EventsArgs {
            event_type: Some("pull_request.opened & x".to_owned()),
            limit: Some("5".to_owned()),
            ..EventsArgs::default()
        };
        assert_eq!(
            path(&args),
            "/events?type=pull_request.opened%20%26%20x&limit=5"
        );
        assert_eq!(path(&EventsArgs::default()), "/events");
    }

    #[test]
    fn the_table_says_what_became_of_each_event() {
        let body = br#"[{"id":"1","source":"gh","type":"push","delivery_id":"d","state":"skipped",
            "reason":"no rule","attrs":{},"created_at":"2026-03-30T12:00:00.000Z","updated_at":""},
            {"id":"2","source":"gh","type":"push","delivery_id":"d","subject":"o/r",
            "state":"completed","worker_name":"w","task_id":"t","attrs":{},
            "created_at":"2026-03-30T12:00:01.000Z","updated_at":""}]"#;
        let table = table_of(body).unwrap();
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("EVENT  CREATED"), "{table}");
        assert!(lines[1].ends_with("no rule"), "{table}");
        assert!(lines[2].contains("2026-03-30 12:00:01  gh"), "{table}");
        assert!(lines[2].ends_with("completed  w       t"), "{table}");
        assert_eq!(table_of(b"[]").unwrap(), "no events");
        assert!(table_of(b"{}").is_err());
    }
}
