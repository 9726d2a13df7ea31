//! `mecha events`: the last events.

use serde::Deserialize;

use super::list::{self, Kind, Row};
use crate::cli::Exit;
use crate::cli::args::ListArgs;
use crate::cli::table::{Column, cell};

const EVENTS: Kind = Kind {
    path: "/events",
    name: "events",
    columns: &[
        Column::whole("EVENT"),
        Column::time("CREATED UTC"),
        Column::text("SOURCE").leaving(2),
        Column::text("TYPE"),
        Column::text("SUBJECT").leaving(3),
        Column::whole("STATE"),
        Column::text("WORKER").leaving(1),
        Column::text("TASK OR REASON"),
    ],
};

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

impl Row for Shown {
    fn cells(self) -> Vec<String> {
        let outcome = match (self.state.as_str(), self.reason, self.task_id) {
            ("failed" | "skipped", Some(reason), _) | (_, Some(reason), None) => reason,
            (_, _, Some(task)) => task,
            (_, None, None) => String::new(),
        };
        vec![
            self.id,
            self.created_at,
            self.source,
            cell(&self.event_type),
            cell(self.subject.as_deref().unwrap_or_default()),
            self.state,
            self.worker_name.unwrap_or_default(),
            cell(&outcome),
        ]
    }
}

/// Lists the events of a running server.
pub(in crate::cli) fn run(args: &ListArgs) -> Exit {
    list::run::<Shown>(&EVENTS, args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_became_of_each_event() {
        let body = br#"[{"id":"1","source":"gh","type":"push","delivery_id":"d","state":"skipped",
            "reason":"no rule","attrs":{},"created_at":"2026-03-30T12:00:00.000Z","updated_at":""},
            {"id":"2","source":"gh","type":"push","delivery_id":"d","subject":"o/r",
            "state":"completed","worker_name":"w","task_id":"t","attrs":{},
            "created_at":"2026-03-30T12:00:01.000Z","updated_at":""}]"#;
        let events: Vec<Shown> = serde_json::from_slice(body).unwrap();
        let table = list::table(&EVENTS, events);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("EVENT  CREATED"), "{table}");
        assert!(lines[1].ends_with("no rule"), "{table}");
        assert!(lines[2].contains("2026-03-30 12:00:01  gh"), "{table}");
        assert!(lines[2].ends_with("completed  w       t"), "{table}");
        assert_eq!(list::table::<Shown>(&EVENTS, Vec::new()), "no events");
    }
}
