//! Gives back the disk space of deleted texts.
//!
//! The engine removes a deleted row from disk when it merges its tombstone into the last level, which
//! it has no reason to do for rows that nobody writes any more (fjall-rs/lsm-tree#125): under a short
//! retention the directory would grow as if nothing were deleted. But texts stand in the order of
//! their ids, and so do tasks and events. So a table of texts in whose range of ids there is neither a
//! task nor an event has nothing that anybody could ask for, and is dropped whole, without being read.
//!
//! A table with tombstones is kept while an older table that is kept may have what they hide, so that
//! no deleted text comes back, and a look ends when the engine has changed its tables since. The other
//! keyspaces are small, and left to the engine.

use std::ops::RangeFrom;

use fjall::{AbstractTree, Keyspace, Readable, Slice};

use super::{Error, Store};
use crate::id::LENGTH as ID_LENGTH;

/// Tables that are dropped in one go: each costs a sync, and the rest comes the next time.
const TABLES_MAX: usize = 256;

/// A table of texts, as far as its space is concerned.
#[derive(Debug)]
struct Table {
    first: Slice,
    last: Slice,
    bytes: u64,
    has_tombstones: bool,
    /// Whether a task or event with an id of its range is stored.
    is_alive: bool,
}

impl Table {
    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn contains(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

impl Store {
    /// Drops tables of texts that nobody can ask for. It waits while the engine merges tables. Gives
    /// the bytes of the tables; the files go when the last snapshot that sees them is dropped and
    /// the engine writes out its next memtable, or at the next start.
    pub fn reclaim(&self) -> Result<u64, Error> {
        let tree = &self.texts.tree;
        let mut bytes = 0_u64;
        let mut seen = tree.current_version().id();
        let tables = dead(self.text_tables()?);
        for table in tables.into_iter().take(TABLES_MAX) {
            // What the engine has written out or merged meanwhile was not looked at.
            if tree.current_version().id() != seen {
                break;
            }
            let dropped = tree.drop_range(table.first..=table.last);
            dropped.map_err(fjall::Error::from)?;
            bytes = bytes.saturating_add(table.bytes);
            seen = seen.saturating_add(1);
        }
        Ok(bytes)
    }

    /// All tables of texts, the newest first: levels from above, and in the first one the last run first.
    fn text_tables(&self) -> Result<Vec<Table>, Error> {
        // The tables are taken first: what they hold was committed before the snapshot, and its
        // record is in it unless it was deleted. An id that is gone does not come back.
        let version = self.texts.tree.current_version();
        let mut tables: Vec<Table> = version
            .iter_tables()
            .map(|table| {
                let keys = &table.metadata.key_range;
                Table {
                    first: keys.min().clone(),
                    last: keys.max().clone(),
                    bytes: table.metadata.file_size,
                    has_tombstones: table.metadata.tombstone_count > 0,
                    is_alive: true,
                }
            })
            .collect();
        // Newer than all tables above, and not what was before a commit that is under way: part of what
        // that writes would seem to be nobody's.
        let snapshot = self.db.snapshot();
        let mut tasks = Living::new(&snapshot, &self.tasks);
        let mut events = Living::new(&snapshot, &self.events);
        let mut by_first: Vec<&mut Table> = tables.iter_mut().collect();
        by_first.sort_unstable_by(|a, b| a.first.cmp(&b.first));
        for table in by_first {
            let ids = (table.first.get(..ID_LENGTH), table.last.get(..ID_LENGTH));
            if let (Some(low), Some(high)) = ids {
                let task = tasks.next_from(low)?;
                let event = events.next_from(low)?;
                let is_within = |id: Slice| id.as_ref() <= high;
                table.is_alive = task.is_some_and(is_within) || event.is_some_and(is_within);
            }
        }
        Ok(tables)
    }
}

/// Those of `tables`, given the newest first, that can be dropped.
fn dead(tables: Vec<Table>) -> Vec<Table> {
    let mut kept: Vec<Table> = Vec::new();
    let mut dead: Vec<Table> = Vec::new();
    for table in tables.into_iter().rev() {
        // All that is kept so far is older: tombstones hide what is older than they are.
        let hides = table.has_tombstones && kept.iter().any(|kept| table.overlaps(kept));
        if table.is_alive || hides {
            kept.push(table);
        } else {
            dead.push(table);
        }
    }
    // Dropping takes whatever lies within the range.
    dead.retain(|table| !kept.iter().any(|kept| table.contains(kept)));
    dead
}

/// The ids that have a row in a keyspace, looked up in rising order: each row is stepped over once.
struct Living<'a> {
    snapshot: &'a fjall::Snapshot,
    keyspace: &'a Keyspace,
    /// Where the last look began, and what it found.
    found: Option<(Slice, Option<Slice>)>,
}

impl<'a> Living<'a> {
    fn new(snapshot: &'a fjall::Snapshot, keyspace: &'a Keyspace) -> Self {
        Self {
            snapshot,
            keyspace,
            found: None,
        }
    }

    /// The lowest id from `low` on. `low` never falls from call to call.
    fn next_from(&mut self, low: &[u8]) -> Result<Option<Slice>, Error> {
        if let Some((_, found)) = &self.found
            && found.as_deref().is_none_or(|found| found >= low)
        {
            return Ok(found.clone());
        }
        let range: RangeFrom<&[u8]> = low..;
        let next = self.snapshot.range(self.keyspace, range).next();
        let found = next.map(fjall::Guard::key).transpose()?;
        self.found = Some((Slice::from(low), found.clone()));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::store::keys::{self, Text};
    use crate::store::{Space, Store};
    use crate::task::TaskId;

    fn id(number: u8) -> Id {
        format!("{number:016}").parse().unwrap()
    }

    /// Writes a table with a text of each of `ids`.
    fn table(store: &Store, ids: &[u8]) {
        let mut batch = store.batch();
        for number in ids {
            batch.put_text(TaskId(id(*number)), Text::Prompt, "prompt");
        }
        batch.commit().unwrap();
        store.texts.rotate_memtable_and_wait().unwrap();
    }

    fn keep(store: &Store, space: Space, number: u8) {
        let mut batch = store.batch();
        batch.write(space, Slice::from(id(number).as_bytes()), b"a record");
        batch.commit().unwrap();
    }

    fn texts(store: &Store) -> Vec<u8> {
        let snapshot = store.snapshot();
        (0..20)
            .filter(|number| {
                let key = keys::text(TaskId(id(*number)), Text::Prompt);
                snapshot.get(Space::Texts, &key).unwrap().is_some()
            })
            .collect()
    }

    // The tests make few tables: from four on the engine may merge them meanwhile.

    #[test]
    fn only_tables_without_a_task_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        table(&store, &[1, 2]);
        table(&store, &[3, 4]);
        table(&store, &[5, 8]);
        // A task of a text, and one between two texts of a table.
        keep(&store, Space::Tasks, 4);
        keep(&store, Space::Tasks, 6);
        assert!(store.reclaim().unwrap() > 0);
        assert_eq!(texts(&store), [3, 4, 5, 8]);
        assert_eq!(store.reclaim().unwrap(), 0);
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(texts(&store), [3, 4, 5, 8]);
    }

    #[test]
    fn only_tables_without_an_event_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        table(&store, &[1, 2]);
        table(&store, &[3, 4]);
        keep(&store, Space::Events, 3);
        assert!(store.reclaim().unwrap() > 0);
        assert_eq!(texts(&store), [3, 4]);
    }

    #[test]
    fn what_is_not_in_a_table_yet_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        table(&store, &[1]);
        let mut batch = store.batch();
        batch.put_text(TaskId(id(2)), Text::Prompt, "prompt");
        batch.commit().unwrap();
        keep(&store, Space::Tasks, 2);
        store.reclaim().unwrap();
        assert_eq!(texts(&store), [2]);
    }

    #[test]
    fn a_deleted_text_does_not_come_back_with_its_tombstone_s_table() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        table(&store, &[1, 4]);
        keep(&store, Space::Tasks, 4);
        let mut batch = store.batch();
        batch.remove_text(TaskId(id(1)), Text::Prompt, 6);
        batch.commit().unwrap();
        store.texts.rotate_memtable_and_wait().unwrap();
        store.reclaim().unwrap();
        assert_eq!(texts(&store), [4]);
    }

    /// A table by its ids, for the rule alone.
    fn given(first: u8, last: u8, has_tombstones: bool, is_alive: bool) -> Table {
        Table {
            first: Slice::from(id(first).as_bytes()),
            last: Slice::from(id(last).as_bytes()),
            bytes: 1,
            has_tombstones,
            is_alive,
        }
    }

    #[test]
    fn tombstones_stay_above_what_they_hide_and_nothing_else_does() {
        // A table with tombstones over one that is kept, over one that is not.
        let over_kept = vec![given(1, 2, true, false), given(2, 9, false, true)];
        assert_eq!(dead(over_kept).len(), 0);
        let over_dead = vec![given(1, 2, true, false), given(2, 3, false, false)];
        assert_eq!(dead(over_dead).len(), 2);
        // What is newer cannot be hidden.
        let below = vec![given(2, 9, false, true), given(1, 2, true, false)];
        assert_eq!(dead(below).len(), 1);
        // A range that has something within that must be kept is not dropped.
        let around = vec![
            given(3, 4, true, false),
            given(1, 6, false, false),
            given(4, 9, false, true),
        ];
        assert_eq!(dead(around).len(), 0);
    }
}
