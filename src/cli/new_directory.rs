//! A directory that is there whole or not at all.
//!
//! It is filled under another name beside its own and renamed when it is complete. What a failure
//! leaves is removed; what `kill -9` leaves shows by its name that it is partial.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A directory in the making; removed with all that is in it unless it is completed.
#[derive(Debug)]
pub(super) struct NewDirectory {
    /// Where it is filled.
    partial: PathBuf,
    /// Where it will be.
    target: PathBuf,
    parent: PathBuf,
    is_complete: bool,
}

impl NewDirectory {
    /// Begins the directory `target`, which does not exist or is empty. The error says what is
    /// wrong with it.
    pub(super) fn begin(target: &Path) -> Result<Self, String> {
        let name = target.file_name();
        let Some(name) = name.map(|name| name.to_string_lossy()) else {
            return Err(format!(
                "{} is no name for a new directory; name one that is to be made",
                shown(target)
            ));
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        check_free(target, &parent)?;
        let partial = parent.join(format!("{name}.partial-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&partial)
            .map_err(|error| format!("{} cannot be made: {error}", shown(&partial)))?;
        Ok(Self {
            partial,
            target: target.to_owned(),
            parent,
            is_complete: false,
        })
    }

    /// Where it is filled.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives it its name. DURABILITY: when it returns `Ok`, the name is on disk.
    pub(super) fn complete(mut self) -> Result<(), String> {
        // An empty directory of that name is replaced in the same step.
        fs::rename(&self.partial, &self.target)
            .map_err(|error| format!("{} cannot be made: {error}", shown(&self.target)))?;
        self.is_complete = true;
        File::open(&self.parent)
            .and_then(|parent| parent.sync_all())
            .map_err(|error| format!("{} cannot be synced: {error}", shown(&self.parent)))
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if !self.is_complete {
            // The error that ends the command is the one to tell.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

fn check_free(target: &Path, parent: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", shown(target));
    let found = match fs::symlink_metadata(target) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    let is_empty = found.is_dir() && fs::read_dir(target).map_err(unreadable)?.next().is_none();
    if !is_empty {
        return Err(format!(
            "{} exists and is left as it is; name a directory that is to be made",
            shown(target)
        ));
    }
    // The last step is a rename, which cannot replace what is mounted.
    let around = fs::metadata(parent).map_err(unreadable)?;
    if found.dev() != around.dev() {
        return Err(format!(
            "{} is where a file system is mounted; name a new directory within it",
            shown(target)
        ));
    }
    Ok(())
}

/// A path on one line.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn it_is_there_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("new");
        let count = || fs::read_dir(home.path()).unwrap().count();
        for is_there_empty in [false, true] {
            if is_there_empty {
                fs::create_dir(&target).unwrap();
            }
            let given_up = NewDirectory::begin(&target).unwrap();
            fs::write(given_up.path().join("file"), "half").unwrap();
            drop(given_up);
            assert_eq!(count(), usize::from(is_there_empty), "nothing is left");

            let new = NewDirectory::begin(&target).unwrap();
            fs::write(new.path().join("file"), "whole").unwrap();
            assert!(!target.join("file").exists());
            new.complete().unwrap();
            assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "whole");
            assert_eq!(count(), 1);
            let mode = fs::metadata(&target).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            fs::remove_dir_all(&target).unwrap();
        }
    }

    #[test]
    fn what_exists_is_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::write(path("file"), "mine").unwrap();
        fs::create_dir_all(path("full/inner")).unwrap();
        fs::create_dir(path("empty")).unwrap();
        symlink(path("empty"), path("link")).unwrap();
        for target in ["file", "full", "link", "full/..", "absent/new"] {
            let refused = NewDirectory::begin(&path(target));
            assert!(refused.is_err(), "{target}");
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 4);
        assert_eq!(fs::read_to_string(path("file")).unwrap(), "mine");

        // What was made meanwhile is not replaced, either.
        let new = NewDirectory::begin(&path("new")).unwrap();
        fs::create_dir_all(path("new/inner")).unwrap();
        assert!(new.complete().is_err());
        assert!(path("new/inner").is_dir());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 5);
    }
}
