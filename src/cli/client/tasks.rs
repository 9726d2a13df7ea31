//! `mecha tasks`: the last tasks.

use serde::Deserialize;

use super::list::{self, Kind, Row};
use crate::cli::Exit;
use crate::cli::args::ListArgs;
use crate::cli::table::{Column, cell};

const TASKS: Kind = Kind {
    path: "/tasks",
    name: "tasks",
    columns: &[
        Column::whole("TASK"),
        Column::time("CREATED UTC"),
        Column::whole("STATE"),
        Column::text("WORKER").leaving(1),
        Column::whole("TRIES").leaving(2),
        Column::text("ERROR"),
        Column::text("PROMPT"),
    ],
};

/// What the table shows of a task.
#[derive(Debug, Deserialize)]
struct Shown {
    id: String,
    created_at: String,
    state: String,
    worker_name: String,
    attempts: u64,
    error: Option<String>,
    prompt: String,
}

impl Row for Shown {
    fn cells(self) -> Vec<String> {
        vec![
            self.id,
            self.created_at,
            self.state,
            self.worker_name,
            self.attempts.to_string(),
            cell(self.error.as_deref().unwrap_or_default()),
            cell(self.prompt.trim()),
        ]
    }
}

/// Lists the tasks of a running server.
pub(in crate::cli) fn run(args: &ListArgs) -> Exit {
    list::run::<Shown>(&TASKS, args)
}
