//! What the kernel says of the process, by `/proc` (proc(5)).
//!
//! Each value is absent where it cannot be read, as in a container without `/proc`.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Ticks of a second in `/proc/PID/stat`: the same on every Linux of today (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// What the kernel says of this process now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Processor time used, in seconds: user and system.
    pub cpu_seconds: Option<f64>,
    /// Bytes of memory that are its own now.
    pub resident_bytes: Option<u64>,
    /// Bytes of its address space.
    pub virtual_bytes: Option<u64>,
    /// Files, sockets and pipes that are open.
    pub open_files: Option<u64>,
    /// As many as may be open.
    pub open_files_max: Option<u64>,
}

impl Process {
    /// Asks the kernel.
    pub fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            cpu_seconds: cpu_seconds(&stat),
            resident_bytes: kib_of(&status, "VmRSS:"),
            virtual_bytes: kib_of(&status, "VmSize:"),
            open_files: open_files(),
            open_files_max: getrlimit(Resource::Nofile).current,
        }
    }
}

/// `utime` and `stime`, the fields 14 and 15.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name in parentheses may have blanks and parentheses; the state behind it is field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_ascii_whitespace().skip(11);
    let mut next = || ticks.next()?.parse::<u32>().ok().map(f64::from);
    Some((next()? + next()?) / TICKS_PER_SECOND)
}

/// The bytes of a line such as `VmRSS: 1024 kB`.
fn kib_of(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1_024)
}

fn open_files() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?;
    // The directory that is read is among them.
    let count = entries.count().saturating_sub(1);
    u64::try_from(count).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_files_are_read() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 250 50 9 9 20 0 12 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        for cut in [
            "",
            "7 (a",
            "7 (a) S 1 1",
            "7 (a) S 1 1 1 0 -1 4 1 0 0 0 x 50",
        ] {
            assert_eq!(cpu_seconds(cut), None, "{cut}");
        }
        let status = "Name:\tmecha\nVmSize:\t  2048 kB\nVmRSS:\t    10 kB\n";
        assert_eq!(kib_of(status, "VmRSS:"), Some(10_240));
        assert_eq!(kib_of(status, "VmSize:"), Some(2 << 20));
        assert_eq!(kib_of(status, "VmSwap:"), None);
        assert_eq!(kib_of("VmRSS:\tlots kB", "VmRSS:"), None);
    }

    #[test]
    fn this_process_is_seen() {
        let process = Process::read();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(process.virtual_bytes > process.resident_bytes);
        assert!(process.cpu_seconds.is_some());
        assert!(process.open_files.is_some_and(|count| count >= 3));
    }
}
