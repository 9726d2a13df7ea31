//! A check of the engine's journals before the engine opens them.
//!
//! The engine cuts a journal at the first bytes that it cannot read and drops what follows
//! without a word (fjall-rs/fjall#311), and it refuses to open when the last batch has its end
//! but not its middle. Every batch of ours is synced before the next one is written. So bytes
//! behind the last whole batch are a batch that was never acknowledged, to be cut, unless another
//! whole batch follows them: then acknowledged batches are damaged, and nothing is changed.

mod scan;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use log::warn;

use self::scan::Scan;
pub(super) use self::scan::batch_bytes;
use super::Error;

/// A server that was just ended may hold the lock a moment longer: a process that it was about
/// to start has it until it is started.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Takes the lock of the data directory; it is held as long as the file is open.
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io(format!("open {}", path.display())))?;
    wait_for_lock(file, dir, File::try_lock)
}

/// Keeps servers off the data directory as long as the file is open, and creates nothing: `None`
/// where no server has ever locked it.
pub(super) fn lock_for_reading(dir: &Path) -> Result<Option<File>, Error> {
    let path = dir.join("lock");
    match File::open(&path) {
        Ok(file) => wait_for_lock(file, dir, File::try_lock_shared).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io {
            action: format!("open {}", path.display()),
            source,
        }),
    }
}

fn wait_for_lock(
    file: File,
    dir: &Path,
    lock: fn(&File) -> Result<(), fs::TryLockError>,
) -> Result<File, Error> {
    for _ in 0..LOCK_TRIES {
        match lock(&file) {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::Error(source)) => {
                return Err(Error::Io {
                    action: format!("lock {}", dir.join("lock").display()),
                    source,
                });
            }
        }
    }
    Err(Error::Locked {
        dir: dir.to_owned(),
    })
}

/// What is in the journals.
#[derive(Debug)]
pub(super) struct Journals {
    /// Each journal and the bytes of its whole batches, oldest first.
    pub(super) files: Vec<(PathBuf, u64)>,
    /// The number of the one that ends in a batch that was never finished.
    pub(super) torn: Option<usize>,
    has_batches: bool,
}

/// Checks every journal in `rows`, and cuts a torn batch off the last one that holds any.
///
/// Says whether there are batches at all.
pub(super) fn check(rows: &Path) -> Result<bool, Error> {
    let journals = examine(rows)?;
    if let Some((path, whole)) = journals.torn.and_then(|torn| journals.files.get(torn)) {
        cut(path, *whole)?;
        warn!(
            "cut a batch that was never acknowledged off {}, at byte {whole}",
            path.display()
        );
    }
    Ok(journals.has_batches)
}

/// Reads every journal in `rows` and changes nothing.
///
/// Journals behind a torn batch may be there, but empty: when a disk is full, the engine may
/// still begin a new journal behind the batch that it could not write.
pub(super) fn examine(rows: &Path) -> Result<Journals, Error> {
    let mut last_seqno = None;
    let mut files: Vec<(PathBuf, u64)> = Vec::new();
    let mut torn: Option<usize> = None;
    for path in journals(rows)? {
        let mut scan = Scan::open(&path, last_seqno)?;
        let whole = scan.whole_batches()?;
        last_seqno = scan.last_seqno;
        let is_empty = scan.is_empty_from(whole)?;
        if let Some((torn, from)) = torn.and_then(|torn| files.get(torn))
            && (whole > 0 || !is_empty)
        {
            return Err(Error::damaged(
                format!("journal {}", torn.display()),
                format!(
                    "its bytes from {from} on are no batch, but journal {} follows",
                    path.display()
                ),
            ));
        }
        if !is_empty {
            if let Some(next) = scan.next_whole_batch(whole)? {
                let detail = format!(
                    "its bytes from {whole} on are no batch, but a whole batch follows at {next}"
                );
                return Err(Error::damaged(
                    format!("journal {}", path.display()),
                    detail,
                ));
            }
            torn = Some(files.len());
        }
        files.push((path, whole));
    }
    Ok(Journals {
        files,
        torn,
        has_batches: last_seqno.is_some(),
    })
}

/// Whether nothing was ever written to a journal.
pub(super) fn is_blank(path: &Path) -> Result<bool, Error> {
    Scan::open(path, None)?.is_empty_from(0)
}

/// The journal files of `rows`, oldest first.
pub(super) fn journals(rows: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(rows).map_err(Error::io(format!("read {}", rows.display())))?;
    let mut journals: Vec<(u64, PathBuf)> = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(Error::io(format!("read {}", rows.display())))?
            .path();
        let number = path
            .extension()
            .filter(|extension| *extension == "jnl")
            .and_then(|_| {
                path.file_stem()
                    .and_then(|stem| stem.to_str())
                    .and_then(|stem| stem.parse().ok())
            });
        if let Some(number) = number {
            journals.push((number, path));
        }
    }
    journals.sort_unstable();
    // The engine numbers them without gaps and deletes the oldest first.
    for ((number, _), (next, path)) in journals.iter().zip(journals.iter().skip(1)) {
        if number.checked_add(1) != Some(*next) {
            return Err(Error::damaged(
                format!("directory {}", rows.display()),
                format!("the journal in front of {} is missing", path.display()),
            ));
        }
    }
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

fn cut(path: &Path, length: u64) -> Result<(), Error> {
    let action = || Error::io(format!("cut {} to {length} bytes", path.display()));
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(action())?;
    file.set_len(length).map_err(action())?;
    file.sync_all().map_err(action())
}
