//! The commands that ask a running server.
//!
//! All of them reach it by one [`Remote`], list by one maker of tables, and end in one of three
//! ways: done, refused or failed (1), or wrongly called (2).

mod change;
mod events;
mod list;
mod shown;
mod task;
mod tasks;
mod wait;
mod webhook;
mod why;
mod workers;

pub(super) use self::webhook::run as webhook;
pub(super) use self::workers::{add as add_worker, list as workers, remove as remove_worker};
pub(super) use self::{change::run as change, events::run as events, task::run as task};
pub(super) use self::{tasks::run as tasks, why::run as why};

use super::args::Access;
use super::remote::Remote;
use super::{Exit, output};
use crate::terminal;

/// Asks the server of `access`; with an address or a key that is none, the command is wrong.
fn with_remote(access: &Access, ask: impl FnOnce(&Remote) -> Exit) -> Exit {
    match Remote::find(access) {
        Ok(remote) => ask(&remote),
        Err(text) => {
            output::complain(&text);
            Exit::Usage
        }
    }
}

/// The JSON of an answer, as a terminal can have it.
fn json(body: Vec<u8>) -> Result<String, String> {
    let json = String::from_utf8(body).map_err(|_| "the answer is not UTF-8".to_owned())?;
    Ok(terminal::in_json(json))
}

/// Reads the JSON of an answer; `what` says what it should be.
fn parsed<'a, T: serde::Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the answer is no {what}: {error}"))
}
