//! A configuration in a few lines for people, its secrets left out.

use super::{Config, value};
use crate::source::Source;
use crate::worker::{Target, Worker};

impl Config {
    /// Name and value of each setting, in the order in which an operator asks for them. Of
    /// secrets only their number is told, of a command only its program.
    pub fn summary(&self) -> Vec<(&'static str, String)> {
        let keys = match (self.api_keys.len(), self.allow_anonymous) {
            (0, false) => "none: the API is open to this machine".to_owned(),
            (0, true) => "none: the API is open".to_owned(),
            (number, _) => format!("{number} set"),
        };
        // Port 0 is no address that anybody could be led to.
        let addr = match self.addr.port() {
            0 => format!("{}, on a port that is free", self.addr.ip()),
            _ => self.addr.to_string(),
        };
        let limits = &self.limits;
        let mut lines = vec![
            ("addr", addr),
            ("api_key", keys),
            (
                "data",
                self.data.display().to_string().escape_debug().to_string(),
            ),
            ("drain", value::duration_text(self.drain)),
            (
                "limits",
                format!(
                    "task_body {}, webhook_body {}, memory {}, connections {}, queue {}, retention {}, disk_reserve {}",
                    value::size_text(limits.task_body),
                    value::size_text(limits.webhook_body(limits.memory)),
                    value::size_text(limits.memory),
                    limits.connections,
                    limits.queue,
                    value::duration_text(limits.retention),
                    value::size_text(limits.disk_reserve)
                ),
            ),
        ];
        if self.workers.is_empty() {
            lines.push(("workers", "none in the file".to_owned()));
        }
        lines.extend(
            self.workers
                .iter()
                .map(|worker| ("worker", worker_line(worker))),
        );
        if !self.rules.is_empty() {
            lines.push(("rules", self.rules.len().to_string()));
        }
        lines.extend(
            self.sources
                .iter()
                .map(|source| ("source", source_line(source))),
        );
        lines
    }
}

fn source_line(source: &Source) -> String {
    let number = source.settings().secrets.len();
    let secrets = if number == 1 { "secret" } else { "secrets" };
    format!(
        "{}: kind {}, {number} {secrets}",
        source.name(),
        source.kind()
    )
}

fn worker_line(worker: &Worker) -> String {
    let target = match &worker.target {
        Target::Endpoint { endpoint, token } => {
            let token = if token.is_some() { " with a token" } else { "" };
            format!("{endpoint}{token}")
        }
        Target::Command { argv, .. } => {
            format!("command {:?}", argv.first().map_or("", String::as_str))
        }
    };
    let rate = worker
        .rate
        .map(|rate| format!(", rate {}", value::rate_text(rate)))
        .unwrap_or_default();
    format!(
        "{}: {target}, timeout {}, concurrency {}{rate}, max_attempts {}, backoff {}",
        worker.name,
        value::duration_text(worker.timeout),
        worker.concurrency,
        worker.max_attempts,
        value::duration_text(worker.backoff)
    )
}
