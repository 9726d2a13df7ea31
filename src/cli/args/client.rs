//! What the commands that ask a running server are asked for.

use std::path::PathBuf;

use super::options::Options;
use crate::config::{self, quoted};
use crate::secret::Secret;

/// Entries of a list at most, over all its pages.
const LIMIT_MAX: u32 = 100_000;

/// Entries of a list, if nothing is said.
const LIMIT: u32 = 100;

/// Where a server is and what opens it, as far as the command line says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Access {
    pub(in crate::cli) addr: Option<String>,
    pub(in crate::cli) api_key: Option<Secret>,
}

/// What `mecha task` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct TaskArgs {
    pub(in crate::cli) access: Access,
    /// `-` is standard input.
    pub(in crate::cli) prompt: String,
    pub(in crate::cli) worker: Option<String>,
    /// The text of a JSON object.
    pub(in crate::cli) context: Option<String>,
    pub(in crate::cli) idempotency_key: Option<String>,
    pub(in crate::cli) wait: bool,
    pub(in crate::cli) json: bool,
}

/// What a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct ListArgs {
    pub(in crate::cli) access: Access,
    /// Parameters of the request that choose entries.
    pub(in crate::cli) filters: Vec<(&'static str, String)>,
    /// Entries at most.
    pub(in crate::cli) limit: u32,
    pub(in crate::cli) json: bool,
}

/// What is asked of one task or event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct OneArgs {
    pub(in crate::cli) access: Access,
    pub(in crate::cli) id: String,
    pub(in crate::cli) json: bool,
}

/// What `mecha worker add` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct WorkerArgs {
    pub(in crate::cli) access: Access,
    pub(in crate::cli) name: String,
    pub(in crate::cli) token: Option<Secret>,
    /// Fields that are texts, by their names in the configuration.
    pub(in crate::cli) texts: Vec<(&'static str, String)>,
    /// Fields that are numbers.
    pub(in crate::cli) numbers: Vec<(&'static str, u64)>,
    pub(in crate::cli) json: bool,
}

/// What `mecha webhook` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct WebhookArgs {
    pub(in crate::cli) access: Access,
    /// Where the configuration is that has the source's secret.
    pub(in crate::cli) config: config::Args,
    pub(in crate::cli) source: String,
    pub(in crate::cli) event: String,
    /// `-` is standard input.
    pub(in crate::cli) file: PathBuf,
}

/// What `mecha backup` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct BackupArgs {
    pub(in crate::cli) access: Access,
    /// The directory that is to be made.
    pub(in crate::cli) dir: PathBuf,
}

/// Reads where the server is.
pub(super) fn access(options: &mut Options) -> Result<Access, String> {
    Ok(Access {
        addr: options.value("--addr")?,
        api_key: options.value("--api-key")?.map(Secret::new),
    })
}

/// Reads what `mecha task` is asked for.
pub(super) fn task(mut options: Options) -> Result<TaskArgs, String> {
    let access = access(&mut options)?;
    let worker = options.value("--worker")?;
    let context = options.value("--context")?;
    if let Some(context) = &context {
        check_object(context)?;
    }
    let idempotency_key = options.value("--idempotency-key")?;
    let wait = options.flag("--wait");
    let json = options.flag("--json");
    let prompt = options.finish_with_text("no prompt: say what is to be done, or - to read it")?;
    Ok(TaskArgs {
        access,
        prompt,
        worker,
        context,
        idempotency_key,
        wait,
        json,
    })
}

/// Checks that `text` is a JSON object. It goes to the worker as it is.
fn check_object(text: &str) -> Result<(), String> {
    let wanted = "--context wants a JSON object, like '{\"ticket\": 7}'";
    if !text.trim_start().starts_with('{') {
        return Err(format!("{wanted}, and not {}", quoted(text)));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{wanted}; this one is none: {error}")),
    }
}

/// Reads what a list is asked for: it can be chosen from by the options `filters`, whose names are those of the
/// request's parameters.
pub(super) fn list(mut options: Options, filters: &[&'static str]) -> Result<ListArgs, String> {
    let mut list = ListArgs {
        access: access(&mut options)?,
        limit: LIMIT,
        ..ListArgs::default()
    };
    for filter in filters {
        if let Some(value) = options.value(filter)? {
            list.filters.push((filter.trim_start_matches('-'), value));
        }
    }
    if let Some(limit) = options.value("--limit")? {
        let limit = limit.parse().ok();
        list.limit = limit
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| format!("--limit wants a number from 1 to {LIMIT_MAX}"))?;
    }
    list.json = options.flag("--json");
    options.finish()?;
    Ok(list)
}

/// Reads the one thing that a command is about; `missing` is said where it is not named.
pub(super) fn one(mut options: Options, missing: &str) -> Result<OneArgs, String> {
    let access = access(&mut options)?;
    let json = options.flag("--json");
    let id = options.finish_with_text(missing)?;
    Ok(OneArgs { access, id, json })
}

/// Reads what `mecha worker add` is asked for.
pub(super) fn worker(mut options: Options) -> Result<WorkerArgs, String> {
    let access = access(&mut options)?;
    let token = options.value("--token")?.map(Secret::new);
    let mut texts = Vec::new();
    for (option, field) in [
        ("--endpoint", "endpoint"),
        ("--timeout", "timeout"),
        ("--rate", "rate"),
        ("--backoff", "backoff"),
    ] {
        if let Some(value) = options.value(option)? {
            texts.push((field, value));
        }
    }
    let mut numbers = Vec::new();
    for (option, field) in [
        ("--concurrency", "concurrency"),
        ("--max-attempts", "max_attempts"),
    ] {
        if let Some(value) = options.value(option)? {
            let number = value.parse();
            let number =
                number.map_err(|_| format!("{option} {}: a number is wanted", quoted(&value)))?;
            numbers.push((field, number));
        }
    }
    let json = options.flag("--json");
    let name = options.finish_with_text("no worker: write its name")?;
    if !texts.iter().any(|(field, _)| *field == "endpoint") {
        return Err(
            "--endpoint is missing: where the worker listens, like http://127.0.0.1:9000"
                .to_owned(),
        );
    }
    Ok(WorkerArgs {
        access,
        name,
        token,
        texts,
        numbers,
        json,
    })
}

/// Reads what `mecha webhook` is asked for.
pub(super) fn webhook(mut options: Options) -> Result<WebhookArgs, String> {
    let access = access(&mut options)?;
    let config = config::Args {
        config: options.value("--config")?.map(PathBuf::from),
        ..config::Args::default()
    };
    let source = options.value("--source")?;
    let event = options.value("--event")?;
    let file = options.finish_with_path()?;
    let missing = |what| format!("{what}; see 'mecha webhook --help'");
    Ok(WebhookArgs {
        access,
        config,
        source: source.ok_or_else(|| missing("--source is missing: the name of a [[source]]"))?,
        event: event.ok_or_else(|| {
            missing("--event is missing: what happened, like pull_request.opened")
        })?,
        file: file
            .ok_or_else(|| missing("no file: name the one with the payload, or - to type it"))?,
    })
}

/// Reads what `mecha backup` is asked for.
pub(super) fn backup(mut options: Options) -> Result<BackupArgs, String> {
    let access = access(&mut options)?;
    let dir = options
        .finish_with_path()?
        .ok_or("no directory: name the one that is to be made; see 'mecha backup --help'")?;
    Ok(BackupArgs { access, dir })
}
