//! Where a bench keeps its data: on a disk, because a sync in memory costs nothing.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

/// `f_type` of tmpfs and ramfs, see statfs(2).
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// A new directory that is removed on drop: in `MECHA_BENCH_DIR`, else in the build's own
/// temporary directory.
pub(crate) fn on_disk() -> io::Result<TempDir> {
    let parent = parent()?;
    let kind = rustix::fs::statfs(&parent)?.f_type;
    if IN_MEMORY.contains(&kind) {
        return Err(io::Error::other(format!(
            "{} is in memory; set MECHA_BENCH_DIR to a directory on a disk",
            parent.display()
        )));
    }
    tempfile::Builder::new().prefix("bench-").tempdir_in(parent)
}

/// Where those directories are made.
pub(crate) fn parent() -> io::Result<PathBuf> {
    let parent = env::var_os("MECHA_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    fs::create_dir_all(&parent)?;
    Ok(parent)
}
