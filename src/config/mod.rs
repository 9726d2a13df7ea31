//! Flags, environment and a TOML file become one checked [`Config`].
//!
//! Whoever holds a `Config` holds settings that are complete, within their ranges and free of
//! contradictions. Whatever is wrong is reported at once, each problem with its file and line,
//! what is wrong and what is allowed. No message, `Debug` or `Display` shows a secret. BOUND: the
//! size of each file and the number of problems told are limited; looking up the host of an
//! address waits for the system's resolver.
//!
//! - `load` joins the sources, `file` reads the TOML, `worker` a worker's fields from either form,
//!   `rule` its rules, `source` a source's;
//! - `tree` and `table` are TOML and JSON made alike, `field` reads one value of it;
//! - `value`, `addr`, `endpoint` and `secrets` know the forms in which things are written.

pub(crate) mod addr;
mod endpoint;
pub(crate) mod environment;
mod field;
mod file;
mod load;
mod nearest;
mod problem;
pub mod properties;
mod rule;
mod secrets;
mod source;
mod summary;
mod table;
mod tree;
pub mod value;
mod warnings;
mod worker;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use load::DEFAULT_ADDR;
pub(crate) use nearest::nearest;
pub use problem::{Error, Problem};
pub(crate) use tree::quoted;

use self::environment::Environment;
use crate::footprint;
use crate::rules::Rulebook;
use crate::secret::Secret;
use crate::source::Source;
use crate::worker::{Worker, WorkerName};

/// Every key of a file, for the test of the file that `mecha init` writes.
#[cfg(test)]
pub(crate) const TOP_KEYS: &[&str] = table::TOP.keys;
#[cfg(test)]
pub(crate) const LIMIT_KEYS: &[&str] = table::LIMITS.keys;
#[cfg(test)]
pub(crate) const WORKER_KEYS: &[&str] = table::WORKER.keys;
#[cfg(test)]
pub(crate) const EVENTS_KEYS: &[&str] = table::EVENTS.keys;
#[cfg(test)]
pub(crate) const SOURCE_KEYS: &[&str] = table::SOURCE.keys;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object on each line.
    Json,
}

/// Every limit of the `[limits]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a `POST /task` body.
    pub task_body: u64,
    /// Bytes of a webhook body, where somebody has said it: see [`Limits::webhook_body`].
    pub webhook_body: Option<u64>,
    /// Bytes of all bodies, prompts and results in memory at once.
    pub memory: u64,
    /// Client connections at once.
    pub connections: usize,
    /// Pending tasks; over it new ones get 429.
    pub queue: u64,
    /// Finished tasks are deleted after it.
    pub retention: Duration,
    /// Free bytes of disk below which new work gets 507.
    pub disk_reserve: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            task_body: 8 << 20,
            webhook_body: None,
            memory: 64 << 20,
            connections: 1_024,
            queue: 100_000,
            retention: Duration::from_secs(30 * 86_400),
            disk_reserve: 256 << 20,
        }
    }
}

impl Limits {
    /// Bytes of a webhook body of a server that runs with `memory` bytes of `limits.memory`: what the file says, or what
    /// GitHub sends at most and such a server can hold.
    pub fn webhook_body(&self, memory: u64) -> u64 {
        let likely = footprint::webhook_body_max(memory).min(WEBHOOK_BODY);
        self.webhook_body.unwrap_or(likely)
    }
}

/// Bytes of a webhook body, unless the file says otherwise.
const WEBHOOK_BODY: u64 = 25 << 20;

/// What the command line says about the configuration, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// `--addr HOST:PORT`.
    pub addr: Option<String>,
    /// `--api-key KEY`: a literal, `env:NAME` or `file:/path`.
    pub api_key: Option<Secret>,
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// `--data DIR`.
    pub data: Option<PathBuf>,
    /// `--log text|json`.
    pub log: Option<String>,
    /// `--allow-anonymous`.
    pub allow_anonymous: bool,
}

/// The checked configuration of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address to listen on; port 0 picks one.
    pub addr: SocketAddr,
    /// Keys that open the API; empty: it is open.
    pub api_keys: Vec<Secret>,
    /// Whether an open API may be bound to an address that is not loopback.
    pub allow_anonymous: bool,
    /// The data directory.
    pub data: PathBuf,
    /// How log lines are written.
    pub log: LogFormat,
    /// How long running attempts may go on after SIGTERM.
    pub drain: Duration,
    /// Every limit.
    pub limits: Limits,
    /// The workers of the file, in its order.
    pub workers: Vec<Worker>,
    /// The rules of all workers, in the order of the file.
    pub rules: Rulebook,
    /// The sources of events, in the file's order.
    pub sources: Vec<Source>,
    /// Names of the variables that hold secrets: removed from the environment of child processes.
    pub secret_variables: Vec<String>,
    /// What is allowed and unwise, to be logged at start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads the configuration anew from flags, the process's environment and the file they name.
    /// Blocks: it reads files and may look up a host.
    pub fn load(args: &Args) -> Result<Self, Error> {
        load::load(args, &Environment::of_process())
    }

    /// Names of the settings that differ from those of `running` and that only a restart changes.
    /// API keys, `drain`, workers, sources, rules and the other limits take effect while the server
    /// runs.
    pub fn needs_restart(&self, running: &Self) -> Vec<&'static str> {
        let (new, old) = (&self.limits, &running.limits);
        [
            ("addr", self.addr != running.addr),
            ("data", self.data != running.data),
            ("limits.memory", new.memory != old.memory),
            ("limits.connections", new.connections != old.connections),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
    }
}

/// The file that `--config` or `MECHA_CONFIG` names, if any does.
pub fn file_path(args: &Args) -> Option<PathBuf> {
    load::file_path(args, &Environment::of_process())
        .ok()
        .flatten()
}

/// The source of that name in the file that `args` name. Of what is wrong elsewhere in the file
/// nothing is said; the errors are lines that say what would be right.
pub fn find_source(args: &Args, name: &str) -> Result<Source, Vec<String>> {
    load::find_source(args, name, &Environment::of_process())
}

/// The key with which a client opens a server's API: that of `--api-key`, else of
/// `MECHA_API_KEY`; and what is to be warned of.
pub fn client_key(given: Option<&Secret>) -> Result<(Option<Secret>, Vec<String>), String> {
    load::client_key(given, &Environment::of_process())
}

/// The secret that a client was given: itself, `env:NAME` or `file:/path`. It can be sent in a
/// header.
pub fn client_secret(given: &Secret) -> Result<Secret, String> {
    let environment = Environment::of_process();
    secrets::check_header_secret(secrets::Secrets::new(&environment).read(given.reveal())?)
}

/// Reads a worker registered over the API: `json` holds the fields of a `[[worker]]` table.
/// The error is one text that names field, value and what would be right.
pub fn worker_from_json(name: &WorkerName, json: &[u8]) -> Result<Worker, String> {
    worker::from_json(name, json)
}
