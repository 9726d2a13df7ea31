//! The directory that is tried: nothing that was there before is touched.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// An empty directory that is used for the time of the torture.
pub(super) struct Place {
    pub(super) dir: PathBuf,
    /// It did not exist before.
    is_new: bool,
}

impl Place {
    /// Takes `dir`, which must not exist or be empty.
    pub(super) fn take(dir: &Path) -> Result<Self, String> {
        let shown = dir.display();
        let is_new = match fs::read_dir(dir) {
            Ok(mut entries) => match entries.next() {
                None => false,
                Some(_) => {
                    return Err(format!(
                        "--data {shown} is not empty; name a directory that is empty or does not \
                         exist, on the disk to be tried"
                    ));
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = fs::DirBuilder::new();
                let made = builder.mode(0o700).create(dir);
                made.map_err(|error| format!("--data {shown} cannot be created: {error}"))?;
                true
            }
            Err(error) => return Err(format!("--data {shown} cannot be read: {error}")),
        };
        // The server is started elsewhere than a relative path may mean.
        let dir = fs::canonicalize(dir).map_err(|error| format!("--data {shown}: {error}"))?;
        Ok(Self { dir, is_new })
    }

    /// Removes what the torture made.
    pub(super) fn remove(&self, names: &[PathBuf]) -> io::Result<()> {
        for name in names {
            let removed = match fs::symlink_metadata(name) {
                Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(name),
                Ok(_) => fs::remove_file(name),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.is_new {
            fs::remove_dir(&self.dir)?;
        }
        Ok(())
    }
}

/// Bytes on disk below `dir`. What goes away meanwhile does not count.
pub(super) fn disk_bytes(dir: &Path) -> u64 {
    let mut bytes = 0_u64;
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            if let Ok(metadata) = entry.metadata() {
                // `st_blocks` counts units of 512 bytes, see stat(3type).
                bytes = bytes.saturating_add(metadata.blocks().saturating_mul(512));
                if metadata.is_dir() {
                    directories.push(entry.path());
                }
            }
        }
    }
    bytes
}
