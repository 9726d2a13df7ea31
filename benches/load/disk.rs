//! What the disk itself can do.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use mecha::clock::monotonic;

use crate::client::{Measured, percentile};
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
