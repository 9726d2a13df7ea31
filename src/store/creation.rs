//! Whether the engine's files were all made, and are all there, before the engine opens them.
//!
//! The engine makes a journal, then the marker `version`, then its keyspaces. Without the marker
//! it makes everything anew and fails at the journal that it finds, so a server that was killed
//! in its first moments could never start again. Without a journal it begins an empty one and
//! says nothing. A directory in which nothing was stored yet is cleared; one that has rows and
//! lacks a file is damaged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::journal;

/// The file that the engine writes when the first journal is there.
pub(super) const MARKER: &str = "version";

/// Bytes of the marker: `FJL` and the format's version.
const MARKER_LENGTH: u64 = 4;

/// Makes sure that the engine finds in `rows` either all of its files or none.
pub(super) fn check(rows: &Path) -> Result<(), Error> {
    for path in unused(rows)?.into_iter().flatten() {
        remove(&path)?;
    }
    Ok(())
}

/// The files that a start removes because nothing was stored yet; `None` where something was.
pub(super) fn unused(rows: &Path) -> Result<Option<Vec<PathBuf>>, Error> {
    let marker = rows.join(MARKER);
    let journals = journal::journals(rows)?;
    let has_marker = length(&marker)? >= MARKER_LENGTH;
    if has_marker && !journals.is_empty() {
        return Ok(None);
    }
    let mut is_unused = !has_entries(&rows.join("keyspaces"))?;
    for path in &journals {
        is_unused = is_unused && journal::is_blank(path)?;
    }
    if is_unused {
        return Ok(Some(journals.into_iter().chain([marker]).collect()));
    }
    let (place, detail) = if has_marker {
        (rows, "its journals (*.jnl) are missing")
    } else {
        (marker.as_path(), "it is missing or cut short")
    };
    Err(Error::damaged(place.display().to_string(), detail))
}

/// Bytes of a file; 0 where there is none.
fn length(path: &Path) -> Result<u64, Error> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::io(format!("read {}", path.display()))(error)),
    }
}

fn has_entries(directory: &Path) -> Result<bool, Error> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(format!("read {}", directory.display()))(error)),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}
