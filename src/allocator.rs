//! How the executable's allocator, mimalloc, keeps memory that was given back.
//!
//! Left alone, it keeps pages that were freed for a while, and looks for those to give back only when more is asked
//! for: a server that once held 25 MB in each of several threads stays that large while nobody comes. Given a delay
//! of nothing it gives them back at once. It reads that from the environment when a process starts, and to change it
//! later takes a call of C. So the server starts itself once more with it, in the same process, before it has opened
//! or read anything. What an operator sets of mimalloc counts instead.
//! <https://microsoft.github.io/mimalloc/environment.html>

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Command};

use async_signal::{Signal, Signals};

/// What the names of mimalloc's variables begin with.
const VARIABLES: &str = "MIMALLOC_";

/// The one that is set here: how many milliseconds pages are kept that were freed.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";
const AT_ONCE: &str = "0";

/// Holds the number of the process that has started itself again, which its programs have not.
const STARTED_AGAIN: &str = "MECHA_STARTED_AGAIN";

/// Starts this program again, with the same arguments, where its allocator needs the setting.
/// Returns where it has it, and where it cannot have it: then it takes more memory. Gives what an
/// operator should know of that, where there is something.
#[must_use]
pub fn settle() -> Option<String> {
    let number = process::id().to_string();
    let started = std::env::var_os(STARTED_AGAIN);
    let names = std::env::vars_os().map(|(name, _)| name);
    if started.is_some_and(|started| started == *number) || is_set(names) {
        return None;
    }
    // Without /proc it is not known.
    let executable = std::env::current_exe().ok()?;
    if is_loader(&executable) {
        return None;
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new(&executable);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // It returns when it fails.
    let failure = command
        .args(arguments)
        .env(PURGE_DELAY, AT_ONCE)
        .env(STARTED_AGAIN, number)
        .exec();
    survive_broken_pipes();
    Some(format!(
        "it could not start itself again with another setting of its allocator and may take more memory: \
         {failure}; start it with {PURGE_DELAY}={AT_ONCE}"
    ))
}

/// Whether one of the variables is mimalloc's.
fn is_set(names: impl IntoIterator<Item = OsString>) -> bool {
    let is_its = |name: OsString| name.to_string_lossy().starts_with(VARIABLES);
    names.into_iter().any(is_its)
}

/// A program that is started by naming the dynamic loader would be that.
fn is_loader(executable: &Path) -> bool {
    let name = executable.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("ld-")
}

/// The attempt to start again leaves SIGPIPE as programs expect it that are started: it ends them. This one
/// wants errors of its writes instead.
fn survive_broken_pipes() {
    if let Ok(signals) = Signals::new([Signal::Pipe]) {
        std::mem::forget(signals);
    }
}

/// The variables that this program has given itself and that are not for the programs that it starts.
pub fn own_variables() -> &'static [&'static str] {
    if std::env::var_os(STARTED_AGAIN).is_some() {
        &[STARTED_AGAIN, PURGE_DELAY]
    } else {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_an_operator_are_found() {
        let is_set = |names: &[&str]| is_set(names.iter().map(OsString::from));
        assert!(is_set(&["PATH", "MIMALLOC_VERBOSE"]));
        for none in [&[][..], &["PATH", "MALLOC_ARENA_MAX", "NO_MIMALLOC_"]] {
            assert!(!is_set(none), "{none:?}");
        }
    }

    #[test]
    fn a_loader_is_no_program_to_start_again() {
        assert!(is_loader(Path::new("/lib64/ld-linux-x86-64.so.2")));
        assert!(is_loader(Path::new("/lib/ld-musl-aarch64.so.1")));
        assert!(!is_loader(Path::new("/usr/local/bin/mecha")));
    }
}
