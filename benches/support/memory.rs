//! Memory of a process, as the kernel counts it.

use std::fs;
use std::io;

/// Bytes in memory now.
pub(crate) const NOW: &str = "VmRSS:";

/// Bytes of `field` of /proc/PID/status.
pub(crate) fn of(pid: u32, field: &str) -> io::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path)?;
    let kib = |line: &str| {
        line.strip_prefix(field)?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    };
    let kib: Option<u64> = status.lines().find_map(kib);
    kib.map(|kib| kib << 10)
        .ok_or_else(|| io::Error::other(format!("{path} has no {field}")))
}
