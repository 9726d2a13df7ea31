//! What is allowed and unwise, to be logged at start.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::environment::Environment;
use super::{Limits, value};
use crate::source::{Algorithm, Source};
use crate::worker::{Target, Worker};

pub(super) fn warn_of_readable_secrets(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.mode();
    (mode & 0o004 != 0).then(|| {
        format!(
            "{} holds a secret and every user of this machine may read it; chmod 600 the file, or write env:NAME or file:/path for the secret",
            path.display()
        )
    })
}

pub(super) fn warn_of_limits(limits: &Limits, has_sources: bool) -> Vec<String> {
    let bodies = [
        ("task_body", limits.task_body, true),
        (
            "webhook_body",
            limits.webhook_body(limits.memory),
            has_sources,
        ),
    ];
    let too_large = bodies
        .into_iter()
        .filter(|(_, bytes, is_used)| *is_used && *bytes > limits.memory);
    too_large
        .map(|(name, bytes, _)| {
            format!(
                "limits.{name} ({}) is above limits.memory ({}), which is the limit that counts",
                value::size_text(bytes),
                value::size_text(limits.memory)
            )
        })
        .collect()
}

pub(super) fn warn_of_source(source: &Source) -> Option<String> {
    let scheme = source.settings().hmac.as_ref()?;
    (scheme.algorithm == Algorithm::Sha1).then(|| {
        format!(
            "source {}: signatures with sha1 are weak; use sha256 as soon as the sender can",
            source.name()
        )
    })
}

/// What would fail every attempt, if it is still so when they start.
pub(super) fn warn_of_command(worker: &Worker, environment: &Environment) -> Option<String> {
    let Target::Command { argv, env, cwd } = &worker.target else {
        return None;
    };
    if let Some(cwd) = cwd.as_ref().filter(|cwd| !cwd.is_dir()) {
        return Some(format!(
            "worker {}: the directory {} does not exist",
            worker.name,
            cwd.display()
        ));
    }
    let program = argv.first()?;
    let own_path = env
        .iter()
        .find(|(name, _)| name == "PATH")
        .map(|(_, path)| OsStr::new(path.reveal()));
    let search = own_path.or_else(|| environment.variable("PATH"))?;
    let is_there = if program.contains('/') {
        // A relative path counts from the worker's directory.
        is_executable(&cwd.as_deref().unwrap_or(Path::new("")).join(program))
    } else {
        std::env::split_paths(search).any(|directory| is_executable(&directory.join(program)))
    };
    (!is_there).then(|| {
        let place = if program.contains('/') {
            ""
        } else {
            " in PATH"
        };
        format!(
            "worker {}: there is no program {program:?}{place}",
            worker.name
        )
    })
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
