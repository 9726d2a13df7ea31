//! What the disk itself is and can do.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use mecha::clock::monotonic;

use crate::directory;
use crate::generator::{Measured, percentile};
use crate::report::per_second;

/// About the bytes that a task takes in a journal.
const RECORD_BYTES: usize = 512;

/// Appends a record to a new file in `dir` and syncs it, again and again for `time`.
pub(crate) fn append_and_sync(dir: &Path, time: Duration) -> io::Result<Measured> {
    let mut file = File::create(dir.join("appended"))?;
    let record = [b'x'; RECORD_BYTES];
    let mut latencies = Vec::new();
    let began = monotonic();
    let mut now = began;
    while now.duration_since(began) < time {
        file.write_all(&record)?;
        // fdatasync(2) on Linux.
        file.sync_data()?;
        let synced = monotonic();
        latencies.push(synced.duration_since(now));
        now = synced;
    }
    Ok(Measured {
        rate: per_second(latencies.len(), now.duration_since(began)),
        p50: percentile(&mut latencies, 50),
        p99: percentile(&mut latencies, 99),
    })
}

/// The file system under the bench's directories, its device and its options.
pub(crate) fn file_system() -> io::Result<String> {
    let place = fs::canonicalize(directory::parent()?)?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let found = mounts
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            match fields.as_slice() {
                [device, at, kind, options, ..] if place.starts_with(at) => {
                    Some((at.len(), format!("{kind} ({device}, {options})")))
                }
                _ => None,
            }
        })
        // Of two at the same place the later one is on top.
        .max_by_key(|(length, _)| *length);
    Ok(found.map_or_else(|| "an unknown file system".to_owned(), |(_, text)| text))
}
