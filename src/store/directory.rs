//! The data directory for its owner alone.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use log::warn;

use super::Error;

/// What the group and others may do with a directory.
const OF_OTHERS: u32 = 0o077;

/// Makes `dir` and `rows` in it with mode 0700 where they do not exist. One that exists keeps its
/// mode, which may be that of a volume: that others can get at the rows is only warned of.
pub(super) fn prepare(dir: &Path, rows: &Path) -> Result<(), Error> {
    for dir in [dir, rows] {
        create(dir)?;
    }
    let modes = mode(dir).and_then(|of_dir| Ok((of_dir, mode(rows)?)));
    let (of_dir, of_rows) = modes.map_err(Error::io(format!("look at {}", dir.display())))?;
    // Where one of the two is closed, nobody gets to what is below it.
    if of_dir & OF_OTHERS != 0 && of_rows & OF_OTHERS != 0 {
        warn!(
            "other users of this machine can get at the data directory {0} (mode {of_dir:04o}), \
             prompts and results in it; close it to them: chmod 700 {0}",
            dir.display()
        );
    }
    Ok(())
}

/// Makes `dir` with mode 0700 where it does not exist.
pub(super) fn create(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(Error::io(format!(
            "create the data directory {}",
            dir.display()
        )))
}

fn mode(dir: &Path) -> io::Result<u32> {
    Ok(fs::metadata(dir)?.permissions().mode() & 0o7777)
}
