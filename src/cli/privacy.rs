//! What other processes may learn of this one: its memory and its environment hold secrets.

use super::output;

/// Keeps the memory and the environment of this process from other processes of its user, the
/// programs of command workers among them: no core dump is written, no debugger attaches, and
/// `/proc/PID/environ` and `/proc/PID/mem` are root's (`PR_SET_DUMPABLE` of `prctl(2)`). A program
/// that is executed is not bound by it.
#[cfg(target_os = "linux")]
pub(super) fn close() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    if let Err(errno) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        output::complain(&format!(
            "other processes of this user can read this one's memory and environment: {errno}"
        ));
    }
}

/// Other systems have no such setting.
#[cfg(not(target_os = "linux"))]
pub(super) fn close() {}
