//! A check of the engine's lists of tables before the engine opens them.
//!
//! The engine takes a keyspace without its list for one that was never finished and deletes it
//! with all its tables; without the list of keyspaces it deletes all of them. It does not compare
//! a list with the checksum that is kept for it, and a damaged one may ask for so much memory
//! that the process aborts.
//!
//! The format is that of lsm-tree 3.1.10 (`version/persist.rs`), which Cargo.lock pins. A
//! keyspace's file `current` is 25 bytes: the number of its list (8), XXH3-128 of the list's
//! file `v<number>` (16), 0; all little-endian. Keyspace 0 is the list of keyspaces.

use std::fs;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::Error;

/// Checks the list of each keyspace in `rows`.
pub(super) fn check(rows: &Path) -> Result<(), Error> {
    let dir = rows.join("keyspaces");
    let mut keyspaces = Vec::new();
    for entry in entries(&dir)? {
        if entry.is_dir() {
            keyspaces.push(entry);
        }
    }
    for keyspace in &keyspaces {
        let current = keyspace.join("current");
        let place = || format!("file {}", current.display());
        let bytes = match fs::read(&current) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_first = keyspace.ends_with("0");
                if is_first && keyspaces.len() == 1 {
                    continue;
                }
                if is_first || !entries(&keyspace.join("tables"))?.is_empty() {
                    return Err(Error::damaged(place(), "it is missing"));
                }
                // A keyspace that was never finished has no tables.
                continue;
            }
            Err(source) => {
                return Err(Error::Io {
                    action: format!("read {}", current.display()),
                    source,
                });
            }
        };
        let Some((number, [checksum @ .., 0])) = bytes
            .split_first_chunk::<8>()
            .and_then(|(number, rest)| Some((number, <&[u8; 17]>::try_from(rest).ok()?)))
        else {
            return Err(Error::damaged(place(), "it names no list of tables"));
        };
        let list = keyspace.join(format!("v{}", u64::from_le_bytes(*number)));
        let bytes = match fs::read(&list) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::damaged(
                    place(),
                    format!("the list that it names, {}, is missing", list.display()),
                ));
            }
            Err(source) => {
                return Err(Error::Io {
                    action: format!("read {}", list.display()),
                    source,
                });
            }
        };
        if xxh3_128(&bytes).to_le_bytes() != *checksum {
            return Err(Error::damaged(
                format!("file {}", list.display()),
                "its checksum is wrong",
            ));
        }
    }
    Ok(())
}

/// What is in `dir`, which may be missing.
fn entries(dir: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let failed = |source| Error::Io {
        action: format!("read {}", dir.display()),
        source,
    };
    match fs::read_dir(dir) {
        Ok(found) => found
            .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;
    use crate::id::Id;
    use std::path::PathBuf;

    /// A data directory with a row in each keyspace, written out to tables where `in_tables`.
    fn store(dir: &Path, in_tables: bool) {
        let store = Store::open(dir).unwrap();
        let mut batch = store.batch();
        batch.put_text(
            crate::task::TaskId(Id::FIRST),
            super::super::keys::Text::Prompt,
            "prompt",
        );
        batch.commit().unwrap();
        if in_tables {
            for space in [&store.tasks, &store.texts, &store.index, &store.meta] {
                space.rotate_memtable_and_wait().unwrap();
            }
        }
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in entries(from).unwrap() {
            let target = to.join(entry.file_name().unwrap());
            if entry.is_dir() {
                copy(&entry, &target);
            } else {
                fs::copy(&entry, &target).unwrap();
            }
        }
    }

    /// The files that are checked; of older lists some may be left.
    fn lists(dir: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for keyspace in entries(&dir.join("store/keyspaces")).unwrap() {
            let current = keyspace.join("current");
            let bytes = fs::read(&current).unwrap();
            let number = u64::from_le_bytes(*bytes.first_chunk().unwrap());
            files.extend([keyspace.join(format!("v{number}")), current]);
        }
        files
    }

    #[test]
    fn a_list_that_is_missing_or_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for in_tables in [false, true] {
            let whole = dir.path().join(format!("whole-{in_tables}"));
            store(&whole, in_tables);
            let count = lists(&whole).len();
            assert_eq!(count, 12, "two files for each of six keyspaces");
            for number in 0..count {
                let damages: [fn(&Path); 3] = [
                    |path| fs::remove_file(path).unwrap(),
                    |path| {
                        let mut bytes = fs::read(path).unwrap();
                        bytes[9] ^= 1;
                        fs::write(path, bytes).unwrap();
                    },
                    |path| {
                        let bytes = fs::read(path).unwrap();
                        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
                    },
                ];
                for (kind, damage) in damages.iter().enumerate() {
                    let copied = dir.path().join(format!("{in_tables}-{number}-{kind}"));
                    copy(&whole, &copied);
                    let path = lists(&copied)[number].clone();
                    damage(&path);
                    assert!(
                        matches!(Store::open(&copied), Err(Error::Damaged { .. })),
                        "{} {kind}",
                        path.display()
                    );
                    fs::remove_dir_all(copied).unwrap();
                }
            }
            drop(Store::open(&whole).unwrap());
        }
    }

    #[test]
    fn a_keyspace_that_is_missing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for in_tables in [false, true] {
            let whole = dir.path().join(format!("whole-{in_tables}"));
            store(&whole, in_tables);
            for number in ["0", "1", "2", "3", "4", "5", ""] {
                let copied = dir.path().join(format!("{in_tables}-{number}"));
                copy(&whole, &copied);
                fs::remove_dir_all(copied.join("store/keyspaces").join(number)).unwrap();
                assert!(
                    matches!(Store::open(&copied), Err(Error::Damaged { .. })),
                    "{number}"
                );
            }
        }
    }

    #[test]
    fn a_first_start_that_was_cut_short_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        for version in [None, Some("")] {
            let rows = dir.path().join("store");
            fs::create_dir_all(rows.join("keyspaces")).unwrap();
            fs::write(rows.join("lock"), "").unwrap();
            fs::write(rows.join("0.jnl"), [0; 100]).unwrap();
            if let Some(version) = version {
                fs::write(rows.join("version"), version).unwrap();
            }
            drop(Store::open(dir.path()).unwrap());
            drop(Store::open(dir.path()).unwrap());
            fs::remove_file(rows.join("version")).unwrap();
            assert!(matches!(
                Store::open(dir.path()),
                Err(Error::Damaged { .. })
            ));
            fs::remove_dir_all(rows).unwrap();
        }
    }
}
