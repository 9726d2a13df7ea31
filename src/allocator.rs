//! How the C library keeps memory that was given back.
//!
//! glibc learns from a large block that is freed to keep blocks up to that size for later, in an
//! arena for each thread: a server that once held 25 MB in each of several threads stays that large.
//! It also merges all small free chunks whenever 64 KiB are freed at once, which every body of a webhook
//! does. Both are settings that it reads of `GLIBC_TUNABLES` when a process starts and that nothing
//! but a call of C changes later. So the server starts itself once more with them, in the same
//! process, before it has opened anything or read more than how much memory it is to take. What an operator sets of glibc's allocator counts
//! instead; a build with another C library does nothing of this.
//! <https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html>

use std::ffi::OsString;

/// glibc's variable with settings, `name=value` with colons between them.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// What the names of the allocator's settings begin with.
const OF_ALLOCATOR: &str = "glibc.malloc.";

/// What the names of glibc's older variables for them begin with.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ALIASES: &str = "MALLOC_";

/// Blocks from 128 KiB on go back to the system when they are freed, and 2 MiB of smaller ones are
/// kept at the end of a heap, of which there are two, however many the cores; small chunks are merged when
/// they are freed and not all at once. Each thread keeps 256 chunks of a size for itself instead of 7: what one
/// thread makes, a row for instance, another one frees.
const SETTINGS: &str = concat!(
    "glibc.malloc.mmap_threshold=131072:",
    "glibc.malloc.trim_threshold=2097152:",
    "glibc.malloc.arena_max=2:",
    "glibc.malloc.mxfast=0:",
    "glibc.malloc.tcache_count=256"
);

/// Those of a small host: blocks from 32 KiB on go back to the system, threads share one heap, of which less is
/// kept, and keep few chunks for themselves.
const SMALL_SETTINGS: &str = concat!(
    "glibc.malloc.mmap_threshold=32768:",
    "glibc.malloc.trim_threshold=65536:",
    "glibc.malloc.top_pad=16384:",
    "glibc.malloc.arena_max=1:",
    "glibc.malloc.mxfast=0:",
    "glibc.malloc.tcache_count=16"
);

/// Holds the number of the process that has started itself again, and behind a space the settings as
/// they were before. The settings themselves tell neither: the kernel may keep them from a program with
/// capabilities of its own, and the C library cuts them up where it reads them.
const STARTED_AGAIN: &str = "MECHA_STARTED_AGAIN";

/// Starts this program again, with the same arguments, where its allocator needs other settings.
/// Returns where it has them, and where it cannot have them: then it takes more memory. Gives what an
/// operator should know of that, where there is something. `is_small` says whether the host is, and is asked only where that counts.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[must_use]
pub fn settle(is_small: impl FnOnce() -> bool) -> Option<String> {
    use std::os::unix::process::CommandExt as _;
    use std::process::{self, Command};

    let number = process::id().to_string();
    let started = std::env::var(STARTED_AGAIN).unwrap_or_default();
    if before_start(&started).0 == number {
        return None;
    }
    let is_alias = |(name, _): (OsString, OsString)| name.to_string_lossy().starts_with(ALIASES);
    if std::env::vars_os().any(is_alias) {
        return None;
    }
    let settings = if is_small() { SMALL_SETTINGS } else { SETTINGS };
    let (tunables, before) = tuned(std::env::var_os(TUNABLES), settings)?;
    // Without /proc it is not known.
    let executable = std::env::current_exe().ok()?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(&executable);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    if is_loader(&executable) {
        return None;
    }
    // It returns when it fails.
    let failure = command
        .args(arguments)
        .env(TUNABLES, tunables)
        .env(STARTED_AGAIN, format!("{number} {before}"))
        .exec();
    survive_broken_pipes();
    Some(format!(
        "it could not start itself again with other settings of its allocator and may take more memory: \
         {failure}; start it with {TUNABLES}={settings}"
    ))
}

/// A program that is started by naming the dynamic loader would be that.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn is_loader(executable: &std::path::Path) -> bool {
    let name = executable.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("ld-")
}

/// The attempt to start again leaves SIGPIPE as programs expect it that are started: it ends them. This one
/// wants errors of its writes instead.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn survive_broken_pipes() {
    use async_signal::{Signal, Signals};

    if let Ok(signals) = Signals::new([Signal::Pipe]) {
        std::mem::forget(signals);
    }
}

/// No other C library has these settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
#[must_use]
pub fn settle(_is_small: impl FnOnce() -> bool) -> Option<String> {
    None
}

/// What of the environment is this program's own and not for the programs that it starts: names, and
/// the value each had before, `None` where it was not set. `current` gives today's values.
pub fn undone(current: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, Option<String>)> {
    let Some(started) = current(STARTED_AGAIN).and_then(|started| started.into_string().ok())
    else {
        return Vec::new();
    };
    let (_, before) = before_start(&started);
    let before = (!before.is_empty()).then(|| before.to_owned());
    vec![(STARTED_AGAIN, None), (TUNABLES, before)]
}

/// The number of the process and the settings that [`STARTED_AGAIN`] holds.
fn before_start(started: &str) -> (&str, &str) {
    started.split_once(' ').unwrap_or((started, ""))
}

/// The settings to start with, and those there were; `None` where somebody else has set some.
fn tuned(tunables: Option<OsString>, settings: &str) -> Option<(String, String)> {
    let before = tunables.unwrap_or_default().into_string().ok()?;
    if before.contains(OF_ALLOCATOR) {
        return None;
    }
    let all = if before.is_empty() {
        settings.to_owned()
    } else {
        format!("{before}:{settings}")
    };
    Some((all, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_an_operator_outrank_these() {
        let tuned = |before| tuned(before, SETTINGS);
        for none in [None, Some(OsString::new())] {
            assert_eq!(tuned(none), Some((SETTINGS.to_owned(), String::new())));
        }
        assert_eq!(tuned(Some("glibc.malloc.check=3".into())), None);
        let others = "glibc.pthread.rseq=0";
        let (all, before) = tuned(Some(others.into())).unwrap();
        assert_eq!(all, format!("{others}:{SETTINGS}"));
        assert_eq!(before, others);
    }

    #[test]
    fn what_was_set_before_is_what_is_passed_on() {
        for (started, before) in [
            ("1 ", None),
            ("1 glibc.a.b=0:glibc.c.d=1", Some("glibc.a.b=0:glibc.c.d=1")),
        ] {
            let current = |name: &str| match name {
                TUNABLES => Some("glibc.malloc.mmap_threshold=131072".into()),
                STARTED_AGAIN => Some(started.into()),
                _ => None,
            };
            let expected = [(STARTED_AGAIN, None), (TUNABLES, before.map(str::to_owned))];
            assert_eq!(undone(current), expected);
        }
        let foreign = |name: &str| (name == TUNABLES).then(|| "glibc.malloc.check=3".into());
        assert_eq!(undone(foreign), []);
    }
}
