//! A check of the engine's lists of tables before the engine opens them.
//!
//! The engine takes a keyspace without its list for one that was never finished and deletes it
//! with all its tables; without the list of keyspaces it deletes all of them. It does not compare
//! a list with the checksum that is kept for it, and a damaged one may ask for so much memory
//! that the process aborts; so may a damaged table, by the contents that stand at its end.
//!
//! Small tables are read whole, which are all of the engine's list of keyspaces and of the settings,
//! and in a small store all there are. Of larger ones the contents at their end are read. What is read of
//! them later is compared with checksums by the engine itself, block by block: damage there is an error of
//! whoever reads it, and never another row. `mecha check --data` reads all tables whole.
//!
//! The format is that of lsm-tree 3.1.10 (`version/persist.rs`), which Cargo.lock pins. A
//! keyspace's file `current` is 25 bytes: the number of its list (8), XXH3-128 of the list's
//! file `v<number>` (16), 0; all little-endian. Keyspace 0 is the list of keyspaces.

mod list;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

pub(super) use self::list::Listed;
use super::Error;

/// BOUND: a table of more bytes is not read whole when the store is opened.
const WHOLE_BYTES_MAX: u64 = 1 << 20;

/// A keyspace as its list has it.
#[derive(Debug)]
pub(super) struct Keyspace {
    /// Its directory.
    pub(super) dir: PathBuf,
    /// The file of its list.
    pub(super) list: PathBuf,
    /// The tables that it consists of.
    pub(super) tables: Vec<Listed>,
}

impl Keyspace {
    /// The file of one of its tables.
    pub(super) fn table(&self, table: &Listed) -> PathBuf {
        self.dir.join("tables").join(table.number.to_string())
    }
}

/// Checks the list of each keyspace in `rows`, and that each table on it is there.
pub(super) fn check(rows: &Path) -> Result<(), Error> {
    for keyspace in lists(rows)? {
        let keyspace = keyspace?;
        for table in &keyspace.tables {
            let path = keyspace.table(table);
            if list::check_contents(&path)? <= WHOLE_BYTES_MAX {
                check_sum(&path, table)?;
            }
        }
    }
    Ok(())
}

/// The list of each keyspace in `rows`, or what is wrong with it; without those that were never finished.
pub(super) fn lists(rows: &Path) -> Result<Vec<Result<Keyspace, Error>>, Error> {
    let dir = rows.join("keyspaces");
    let mut dirs = Vec::new();
    for entry in entries(&dir)? {
        if entry.is_dir() {
            dirs.push(entry);
        }
    }
    let count = dirs.len();
    let read = |dir| read(dir, count).transpose();
    Ok(dirs.into_iter().filter_map(read).collect())
}

/// Checks a table whole, and gives its bytes.
pub(super) fn check_table(path: &Path, table: &Listed) -> Result<u64, Error> {
    list::check_contents(path)?;
    check_sum(path, table)
}

/// Reads a table whole and compares it with the checksum that its list has.
fn check_sum(path: &Path, table: &Listed) -> Result<u64, Error> {
    let action = || Error::io(format!("read {}", path.display()));
    let mut file = File::open(path).map_err(action())?;
    let mut hash = Xxh3::new();
    let mut bytes = 0_u64;
    let mut chunk = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut chunk).map_err(action())?;
        if count == 0 {
            break;
        }
        hash.update(chunk.get(..count).unwrap_or_default());
        bytes = bytes.saturating_add(count as u64);
    }
    if hash.digest128() != table.checksum {
        return Err(Error::damaged(
            format!("table {}", path.display()),
            "its checksum is wrong",
        ));
    }
    Ok(bytes)
}

/// Reads the list of the keyspace in `dir`, one of `count`; `None` where it was never finished.
fn read(dir: PathBuf, count: usize) -> Result<Option<Keyspace>, Error> {
    let current = dir.join("current");
    let place = || format!("file {}", current.display());
    let bytes = match fs::read(&current) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let is_first = dir.ends_with("0");
            if is_first && count == 1 {
                return Ok(None);
            }
            if is_first || !entries(&dir.join("tables"))?.is_empty() {
                return Err(Error::damaged(place(), "it is missing"));
            }
            // A keyspace that was never finished has no tables.
            return Ok(None);
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
    let list = dir.join(format!("v{}", u64::from_le_bytes(*number)));
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
    let damaged = |detail| Error::damaged(format!("file {}", list.display()), detail);
    if xxh3_128(&bytes).to_le_bytes() != *checksum {
        return Err(damaged("its checksum is wrong"));
    }
    let tables = list::tables(&bytes).ok_or_else(|| damaged("it lists no tables"))?;
    Ok(Some(Keyspace { dir, list, tables }))
}

/// What is in `dir`, which may be missing.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
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
