use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fjall::AbstractTree as _;

use super::*;

/// Commits, and rows of each in both of two keyspaces.
const COMMITS: u64 = 800;
const ROWS: u64 = 40;

/// The engine's worker is kept at writing out memtables meanwhile, which moves the moment of new
/// snapshots.
#[test]
fn a_snapshot_shows_no_part_of_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    let snapshot = store.snapshot();
                    let seen = |space, row: u64| {
                        let value = snapshot.get(space, &row.to_be_bytes()).unwrap();
                        value.map(|value| value.to_vec())
                    };
                    // The first row that a commit puts in place, and the last.
                    let (first, last) = (seen(Space::Tasks, 0), seen(Space::Events, ROWS));
                    assert_eq!(first, last);
                }
            });
        }
        let written = (0..COMMITS).try_for_each(|number| write(&store, number));
        is_done.store(true, Ordering::Relaxed);
        written.unwrap();
    });
}

/// Writes `number` into all rows in one commit, and sets the engine's worker to work when it has none.
fn write(store: &Store, number: u64) -> Result<(), Error> {
    let mut batch = store.batch();
    for row in 0..=ROWS {
        for space in [Space::Tasks, Space::Events] {
            batch.write(space, row.to_be_bytes().to_vec(), &number.to_be_bytes());
        }
    }
    batch.commit()?;
    if store.texts.tree.sealed_memtable_count() == 0 {
        let mut batch = store.batch();
        batch.write(Space::Texts, b"text".to_vec(), b"text");
        batch.commit()?;
        store.texts.rotate_memtable()?;
    }
    Ok(())
}
