//! Every row of one moment, for a backup.
//!
//! The engine keeps each state of its lists since the oldest open snapshot, and with them every
//! memtable that was written out since: under load a snapshot that is held for long costs memory
//! without bound. So an [`Export`] holds no snapshot. While one is open it begins an iterator over
//! each keyspace, and these keep what they need by themselves: the tables of that moment, whose
//! files are deleted when the iterators are gone, and its memtables. BOUND: the memtables are at
//! most those that the store had anyway, and go with their keyspace; the last keyspace is the one
//! with the large rows.

use fjall::{AnyTree, Slice};

use super::{Error, SPACES, Snapshot, Space};

type Rows = Box<dyn Iterator<Item = Result<(Slice, Slice), fjall::LsmError>> + Send>;

/// The rows of one moment, keyspace after keyspace, each in the order of its keys.
pub struct Export {
    spaces: std::vec::IntoIter<(Space, Rows)>,
    current: Option<(Space, Rows)>,
    #[cfg(test)]
    faults: super::faults::Faults,
}

/// A row as it is stored.
#[derive(Clone, Debug)]
pub struct ExportedRow {
    space: Space,
    key: Slice,
    value: Slice,
}

impl ExportedRow {
    /// The name of its keyspace.
    pub fn space(&self) -> &'static str {
        self.space.name()
    }

    pub(super) fn stored_in(&self) -> Space {
        self.space
    }

    /// Its key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Its value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let current = self.current.as_ref().map(|(space, _)| space);
        write!(f, "Export(in {current:?})")
    }
}

impl Snapshot {
    /// The rows of this snapshot, which need not be kept for them.
    pub fn export(&self) -> Result<Export, Error> {
        let mut spaces = Vec::with_capacity(SPACES.len());
        for space in SPACES {
            let AnyTree::Standard(tree) = &self.store.space(space).tree else {
                return Err(Error::damaged(
                    format!("keyspace {}", space.name()),
                    "it is not of the kind that mecha makes",
                ));
            };
            let rows: Rows = Box::new(tree.create_iter(self.rows.seqno(), None));
            spaces.push((space, rows));
        }
        Ok(Export {
            spaces: spaces.into_iter(),
            current: None,
            #[cfg(test)]
            faults: self.store.faults.clone(),
        })
    }
}

impl Iterator for Export {
    type Item = Result<ExportedRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        #[cfg(test)]
        if let Err(failure) = self.faults.meet(super::faults::Operation::Read) {
            return Some(Err(failure));
        }
        loop {
            if let Some((space, rows)) = &mut self.current {
                let space = *space;
                if let Some(row) = rows.next() {
                    let row = row.map(|(key, value)| ExportedRow { space, key, value });
                    return Some(row.map_err(|error| fjall::Error::from(error).into()));
                }
            }
            // What an iterator over a keyspace keeps is let go of as soon as it is through.
            self.current = None;
            self.current = Some(self.spaces.next()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::store::Store;

    /// Writes `rows` rows with a value that tells the round, or removes them.
    fn write(store: &Store, rows: u32, round: Option<u32>) {
        let mut batch = store.batch();
        for space in SPACES {
            for row in 0..rows {
                let key = format!("row {row:08}").into_bytes();
                match round {
                    Some(round) => batch.write(space, key, &value(space, row, round)),
                    None => batch.remove(space, key),
                }
            }
        }
        batch.commit().unwrap();
    }

    fn value(space: Space, row: u32, round: u32) -> Vec<u8> {
        format!("{space:?} {row} {round} ").repeat(20).into_bytes()
    }

    fn write_out(store: &Store) {
        for space in SPACES {
            store.space(space).rotate_memtable_and_wait().unwrap();
        }
    }

    fn compact(store: &Store) {
        for space in SPACES {
            store.space(space).major_compact().unwrap();
        }
    }

    fn table_files(dir: &Path) -> Vec<PathBuf> {
        let keyspaces = std::fs::read_dir(dir.join("store/keyspaces")).unwrap();
        let tables = keyspaces.filter_map(|entry| {
            let tables = entry.unwrap().path().join("tables");
            // Of the engine's own keyspace, which no export reads, this is not so.
            (!tables.ends_with("0/tables")).then(|| std::fs::read_dir(tables).unwrap())
        });
        tables
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    #[test]
    fn the_rows_of_a_moment_outlast_whatever_becomes_of_them() {
        const ROWS: u32 = 500;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        // Of each moment some rows are in tables and some in memory only.
        write(&store, ROWS / 2, Some(0));
        write_out(&store);
        write(&store, ROWS, Some(1));
        let files = table_files(dir.path());
        assert_eq!(files.len(), SPACES.len());
        let whole = store.snapshot().export().unwrap();
        let mut begun = store.snapshot().export().unwrap();
        let first = begun.next().unwrap().unwrap();
        for round in 2..6 {
            write(&store, ROWS, Some(round));
            write_out(&store);
            write(&store, ROWS, None);
            write_out(&store);
            // Snapshots come and go meanwhile: the engine forgets what only they would need.
            drop(store.snapshot());
            compact(&store);
        }
        assert!(files.iter().all(|file| file.exists()), "they are in use");
        for rows in [whole.collect::<Vec<_>>(), {
            let mut rows = vec![Ok(first)];
            rows.extend(begun);
            rows
        }] {
            let mut seen = 0;
            for row in rows {
                let row = row.unwrap();
                let Some(number) = row.key().strip_prefix(b"row ") else {
                    continue;
                };
                let number = std::str::from_utf8(number).unwrap().parse().unwrap();
                assert_eq!(row.value(), value(row.space, number, 1));
                seen += 1;
            }
            assert_eq!(seen, ROWS as usize * SPACES.len());
        }
        // What they kept is deleted with them, so that a backup costs disk while it runs alone.
        for round in 6..8 {
            write(&store, 1, Some(round));
            write_out(&store);
            compact(&store);
        }
        write(&store, 1, None);
        assert!(!files.iter().any(|file| file.exists()), "nobody uses them");
        let left = store.snapshot().export().unwrap();
        let left = left.filter(|row| row.as_ref().unwrap().key().starts_with(b"row "));
        assert_eq!(left.count(), 0);
    }
}
