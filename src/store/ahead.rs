//! Blocks ahead of the end of the engine's journal.
//!
//! The engine makes its journal long beforehand, but without blocks. Whatever first reaches a page of it has the file
//! system find a block and write that down in a journal of its own, with the sync that was asked for and with the one
//! behind it: each of these takes up to twice as long. So the pages ahead get their blocks many at a time, by being filled with the zeros
//! that they read as.
//!
//! INVARIANT: nothing is written but zeros over bytes that were just read as zeros, and no commit is under way meanwhile:
//! the file has the same bytes before and after, whatever the file system says of its holes. BOUND: less than
//! two times [`FILLED`] bytes ahead of the last batch, within the length that the file has.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use log::debug;
use rustix::fs::{SeekFrom, seek};

use super::{Error, journal};

/// Bytes that are filled at a time: some hundred tasks that come one by one, and no long wait for the commit that syncs them.
const FILLED: u64 = 128 << 10;

/// A batch of more bytes finds its blocks at once, and is not worth it.
const LARGE: u64 = FILLED / 2;

/// Bytes of one read and one write.
const PIECE: usize = 64 << 10;

/// Bytes at the start of what was filled before that say whether the batches have come there.
const PAGE: usize = 4 << 10;

/// Fills the journal ahead of the batches that are committed.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Where the journals are.
    rows: PathBuf,
    /// Bytes that may be committed before the journal is looked at again.
    left: u64,
}

impl Ahead {
    pub(super) fn new(rows: &Path) -> Self {
        Self {
            rows: rows.to_owned(),
            left: 0,
        }
    }

    /// Sees to it that a batch which takes `bytes` of the journal finds its blocks there. Called in front of each commit,
    /// by whoever makes the only one. Where it cannot be done the batch finds them by itself.
    pub(super) fn prepare(&mut self, bytes: u64) {
        if let Some(left) = self.left.checked_sub(bytes) {
            self.left = left;
            return;
        }
        if bytes > LARGE {
            self.left = 0;
            return;
        }
        self.left = FILLED - bytes;
        if let Err(failure) = self.fill() {
            debug!("the journal is not filled ahead: {failure}");
        }
    }

    fn fill(&self) -> Result<(), Error> {
        let journals = journal::journals(&self.rows)?;
        match journals.last() {
            // The engine's worker may begin another one just now. Then this one is the worse for nothing.
            Some(newest) => {
                fill(newest).map_err(Error::io(format!("fill {} ahead", newest.display())))
            }
            None => Ok(()),
        }
    }
}

/// Fills what follows the first hole of that journal, which begins behind all that was written.
fn fill(path: &Path) -> io::Result<()> {
    let journal = OpenOptions::new().read(true).write(true).open(path)?;
    let from = seek(&journal, SeekFrom::Hole(0))?;
    let mut piece = vec![0; PIECE];
    if let Some(before) = from.checked_sub(FILLED) {
        // A batch is compressed and takes less than was reckoned with.
        let first = piece.get_mut(..PAGE).unwrap_or_default();
        journal.read_exact_at(first, before)?;
        if is_zero(first) {
            return Ok(());
        }
    }
    // One that was opened again ends with its last batch, and the engine makes it longer by each.
    let until = journal.metadata()?.len().min(from.saturating_add(FILLED));
    let mut at = from;
    while at < until {
        let length = until.saturating_sub(at).min(PIECE as u64);
        piece.truncate(usize::try_from(length).unwrap_or(PIECE));
        fill_piece(&journal, &mut piece, at)?;
        at = at.saturating_add(length);
    }
    Ok(())
}

/// Writes the zeros that the file has at that place.
fn fill_piece(journal: &File, piece: &mut [u8], at: u64) -> io::Result<()> {
    journal.read_exact_at(piece, at)?;
    if !is_zero(piece) {
        return Err(io::Error::other(format!(
            "there are bytes behind its hole, at {at}"
        )));
    }
    journal.write_all_at(piece, at)
}

/// Compares the bytes with themselves, one further on, which is done many at a time.
fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .split_first()
        .is_none_or(|(first, others)| *first == 0 && bytes.get(..others.len()) == Some(others))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::{Id, IdSource};
    use crate::store::Store;
    use crate::store::keys::Text;
    use crate::task::TaskId;

    /// Of how many bytes of the store's one journal the blocks are there, and how many are batches.
    fn present_and_written(store: &Store) -> (u64, u64) {
        let journals = journal::examine(&store.dir.join("store")).unwrap();
        let [(path, written)] = &journals.files[..] else {
            panic!("{journals:?}");
        };
        (fs::metadata(path).unwrap().blocks() * 512, *written)
    }

    fn commit(store: &Store, ids: &mut IdSource, prompt: &str) {
        let mut batch = store.batch();
        let id = TaskId(ids.next(Timestamp::from_millis(0)));
        batch.put_text(id, Text::Prompt, prompt);
        batch.commit().unwrap();
    }

    fn new_ids() -> IdSource {
        IdSource::above(Id::FIRST, fastrand::Rng::with_seed(1))
    }

    #[test]
    fn a_batch_finds_its_blocks_there() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut ids = new_ids();
        let prompt = "x".repeat(1_000);
        for _ in 0..1_000 {
            commit(&store, &mut ids, &prompt);
            let (present, written) = present_and_written(&store);
            assert!(present >= written, "{present}, {written}");
        }
        let (present, written) = present_and_written(&store);
        assert!(written > 1_000_000);
        assert!(present < written + 2 * FILLED, "{present}, {written}");
    }

    #[test]
    fn what_takes_less_than_reckoned_is_not_run_away_from() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut ids = new_ids();
        let prompt = "x".repeat(60_000);
        for _ in 0..100 {
            commit(&store, &mut ids, &prompt);
        }
        let (present, written) = present_and_written(&store);
        assert!(written < 100_000, "{written}");
        assert!(present < written + 2 * FILLED, "{present}, {written}");
    }

    #[test]
    fn a_large_batch_is_not_waited_for() {
        let mut ahead = Ahead::new(Path::new("/nowhere"));
        ahead.prepare(LARGE + 1);
        assert_eq!(ahead.left, 0);
        ahead.prepare(LARGE);
        ahead.prepare(FILLED - LARGE);
        assert_eq!(ahead.left, 0);
    }

    #[test]
    fn zeros_are_told_from_all_else() {
        for length in 0..100 {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes));
            for at in 0..length {
                bytes[at] = 7;
                assert!(!is_zero(&bytes), "{length}, {at}");
                bytes[at] = 0;
            }
        }
        assert!(!is_zero(&[7; 100]));
    }

    #[test]
    fn no_byte_is_changed_and_none_added() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.jnl");
        let length = 4 * FILLED;
        // What the batches are, and what stands behind the hole, which nothing ever should.
        for (written, behind) in [
            (0, None),
            (1, None),
            (FILLED + 5, None),
            (length, None),
            (3 * FILLED + 5, None),
            (10, Some(PIECE as u64 + 7)),
            (10, Some(2 * FILLED + 7)),
        ] {
            let journal = File::create(&path).unwrap();
            journal.set_len(length).unwrap();
            let batches = vec![1; usize::try_from(written).unwrap()];
            journal.write_all_at(&batches, 0).unwrap();
            if let Some(behind) = behind {
                journal.write_all_at(b"x", behind).unwrap();
            }
            let before = fs::read(&path).unwrap();
            let filled = fill(&path);
            assert_eq!(fs::read(&path).unwrap(), before);
            let is_met = behind.is_some_and(|behind| behind < 2 * FILLED);
            assert_eq!(filled.is_err(), is_met, "{written}, {behind:?}: {filled:?}");
        }
    }
}
