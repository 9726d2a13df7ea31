//! Blocks ahead of the end of the engine's journal.
//!
//! The engine makes its journal long beforehand, but without blocks. Whatever first reaches a page of it has the file
//! system find a block and write that down, with the sync that was asked for and with the one behind it, each of which
//! takes up to twice as long for that. So the pages ahead get their blocks many at a time: they are filled with the zeros
//! that they read as.
//!
//! INVARIANT: the file has the same bytes before and after, whatever the file system says of its holes. What is written
//! over was just read as zeros, and the engine writes nothing there meanwhile: only a commit makes it write batches and every commit
//! holds [`Ahead`], but for the one that begins a run, when nobody else has the store yet. What its own thread does to
//! a journal, it syncs it and begins the next one, finds nothing left to write. BOUND: less than two times [`FILLED`] bytes
//! ahead of the last batch, within the length that the file has.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use log::debug;
use rustix::fs::{Advice, Dir, Mode, OFlags, SeekFrom, fadvise, openat, seek};
use rustix::io::Errno;

use super::Error;

/// Bytes that are filled at a time: some hundred tasks that come one by one, and no long wait for the commit that syncs
/// them.
const FILLED: u64 = 128 << 10;

/// A batch of more bytes is one of many large requests as a rule. It finds its blocks at once, where zeros for each of its
/// pages would take the processor for longer than they spare the disk.
const LARGE: u64 = 16 << 10;

/// Batches behind a large one that find their blocks at once like it: the zeros for a small one among large ones would be for
/// them.
const AMONG_LARGE: u8 = 8;

/// Bytes of one read and one write: a page, because the kernel holds together what is written at once, and counts all
/// of that as written with each batch that changes a part of it.
const PAGE: usize = 4 << 10;

/// Fills the journal ahead of the batches that are committed.
#[derive(Debug)]
pub(super) struct Ahead {
    /// The engine's directory, which is this one wherever it is moved: what has its name may be another server's.
    rows: File,
    /// Bytes that may be committed before the journal is looked at again.
    left: u64,
    /// Batches that are still counted among large ones.
    among_large: u8,
}

impl Ahead {
    /// For the journals of the engine in `rows`.
    pub(super) fn new(rows: &Path) -> Result<Self, Error> {
        let opened = File::open(rows).map_err(Error::io(format!("open {}", rows.display())))?;
        Ok(Self {
            rows: opened,
            left: 0,
            among_large: 0,
        })
    }

    /// Sees to it that a batch of some `bytes` finds its blocks in the journal. Called in front of each commit. Where it cannot be done the
    /// batch finds them by itself, and so do all behind it.
    pub(super) fn prepare(&mut self, bytes: u64) {
        let is_among_large = self.is_among_large(bytes);
        if let Some(left) = self.left.checked_sub(bytes) {
            self.left = left;
            return;
        }
        if is_among_large {
            self.left = 0;
            return;
        }
        self.left = match self.fill() {
            Ok(()) => FILLED.saturating_sub(bytes),
            Err(failure) => {
                debug!("journals are not filled ahead from now on: {failure}");
                u64::MAX
            }
        };
    }

    /// Whether a batch of so many bytes is a large one, or not far behind one.
    fn is_among_large(&mut self, bytes: u64) -> bool {
        let before = self.among_large;
        self.among_large = if bytes > LARGE {
            AMONG_LARGE
        } else {
            before.saturating_sub(1)
        };
        before > 0 || bytes > LARGE
    }

    fn fill(&self) -> io::Result<()> {
        let Some(newest) = self.newest()? else {
            return Ok(());
        };
        // The engine may begin another one just now. Then zeros in this one do no harm.
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let journal = openat(&self.rows, format!("{newest}.jnl"), flags, Mode::empty())?;
        fill(&File::from(journal))
    }

    /// The highest number that a journal has.
    fn newest(&self) -> io::Result<Option<u64>> {
        let mut newest = None;
        for entry in Dir::read_from(&self.rows)? {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap_or_default();
            let number = name.strip_suffix(".jnl").and_then(|stem| stem.parse().ok());
            newest = newest.max(number);
        }
        Ok(newest)
    }
}

/// Fills the start of the hole that `journal` ends in.
fn fill(journal: &File) -> io::Result<()> {
    let from = seek(journal, SeekFrom::Hole(0))?;
    let length = journal.metadata()?.len();
    if from >= length {
        // One that was opened again ends with its last batch, and the engine makes it longer by each.
        return Ok(());
    }
    match seek(journal, SeekFrom::Data(from)) {
        Err(Errno::NXIO) => {}
        Err(errno) => return Err(errno.into()),
        Ok(behind) => {
            let what = format!("there are bytes behind its hole, at {behind}");
            return Err(io::Error::other(what));
        }
    }
    // What is read at once is held together, too.
    fadvise(journal, 0, None, Advice::Random)?;
    let mut page = [0; PAGE];
    if let Some(before) = from.checked_sub(FILLED) {
        // A batch is compressed and may take less than was reckoned with.
        journal.read_exact_at(&mut page, before)?;
        if is_zero(&page) {
            return Ok(());
        }
    }
    let until = length.min(from.saturating_add(FILLED));
    let mut at = from;
    while at < until {
        let left = until.saturating_sub(at).min(PAGE as u64);
        let length = usize::try_from(left).unwrap_or(PAGE);
        fill_piece(journal, page.get_mut(..length).unwrap_or_default(), at)?;
        at = at.saturating_add(left);
    }
    Ok(())
}

/// Writes the zeros that the file has at that place.
fn fill_piece(journal: &File, piece: &mut [u8], at: u64) -> io::Result<()> {
    journal.read_exact_at(piece, at)?;
    if !is_zero(piece) {
        let what = format!("there are bytes in its hole, at {at}");
        return Err(io::Error::other(what));
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
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::{Id, IdSource};
    use crate::store::keys::Text;
    use crate::store::record::TaskRecord;
    use crate::store::{Store, journal};
    use crate::task::TaskId;

    /// What a file system may give a file at once.
    const CLUSTER_MAX: u64 = 2 << 20;

    fn journal_of(dir: &Path) -> (PathBuf, u64) {
        let journals = journal::examine(&dir.join("store")).unwrap();
        let [found] = &journals.files[..] else {
            panic!("{journals:?}");
        };
        found.clone()
    }

    /// Of how many bytes of the one journal the blocks are there.
    fn present(dir: &Path) -> u64 {
        let path = dir.join("store").join("0.jnl");
        fs::metadata(path).unwrap().blocks() * 512
    }

    fn commit(store: &Store, ids: &mut IdSource, prompt: &str) -> TaskId {
        let mut batch = store.batch();
        let id = TaskId(ids.next(Timestamp::from_millis(0)));
        batch.put_text(id, Text::Prompt, prompt);
        batch.commit().unwrap();
        id
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
        let mut found_none = 0;
        for _ in 0..300 {
            let before = present(dir.path());
            commit(&store, &mut ids, &prompt);
            found_none += u64::from(present(dir.path()) != before);
        }
        let (_, written) = journal_of(dir.path());
        assert!(written > 300_000, "{written}");
        assert!(found_none <= 2 + written / FILLED, "{found_none}");
        let present = present(dir.path());
        assert!(present >= written, "{present}, {written}");
        assert!(present < written + 2 * FILLED + CLUSTER_MAX, "{present}");
    }

    #[test]
    fn what_takes_less_than_reckoned_is_not_run_away_from() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut ids = new_ids();
        let prompt = "x".repeat(15_000);
        for _ in 0..400 {
            commit(&store, &mut ids, &prompt);
        }
        let (_, written) = journal_of(dir.path());
        assert!(written < 100_000, "{written}");
        let present = present(dir.path());
        assert!(present < written + 2 * FILLED + CLUSTER_MAX, "{present}");
    }

    #[test]
    fn a_journal_that_is_opened_again_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (mut ids, mut stored) = (new_ids(), Vec::new());
        let record = TaskRecord::new(0, 1, 0, 5);
        for _ in 0..3 {
            let store = Store::open(dir.path()).unwrap();
            stored.extend((0..200).map(|_| commit(&store, &mut ids, "do it")));
            for id in &stored {
                let text = store.snapshot().text(*id, Text::Prompt, &record);
                assert_eq!(text.unwrap().as_deref(), Some("do it"));
            }
        }
        let (path, written) = journal_of(dir.path());
        assert_eq!(fs::metadata(path).unwrap().len(), written);
    }

    #[test]
    fn a_directory_that_was_moved_is_known_and_the_one_in_its_place_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
        let lay = || {
            fs::create_dir(&here).unwrap();
            let journal = File::create(here.join("7.jnl")).unwrap();
            journal.set_len(4 * FILLED).unwrap();
        };
        lay();
        let mut ahead = Ahead::new(&here).unwrap();
        fs::rename(&here, &there).unwrap();
        lay();
        let blocks = |dir: &Path| fs::metadata(dir.join("7.jnl")).unwrap().blocks();
        let (before, other_before) = (blocks(&there), blocks(&here));
        ahead.prepare(1);
        assert!(blocks(&there) >= before + FILLED / 512);
        assert_eq!(blocks(&here), other_before);
    }

    #[test]
    fn large_batches_are_not_filled_for_and_a_failure_is_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let mut ahead = Ahead::new(dir.path()).unwrap();
        ahead.prepare(LARGE + 1);
        assert_eq!(ahead.left, 0);
        for _ in 0..AMONG_LARGE {
            ahead.prepare(LARGE);
            assert_eq!(ahead.left, 0, "it is among large ones");
        }
        ahead.prepare(LARGE);
        assert_eq!(ahead.left, FILLED - LARGE);
        ahead.prepare(FILLED - LARGE);
        assert_eq!(ahead.left, 0);
        fs::create_dir(dir.path().join("1.jnl")).unwrap();
        for _ in 0..AMONG_LARGE {
            ahead.prepare(LARGE);
            assert_eq!(ahead.left, 0, "it is among large ones");
        }
        ahead.prepare(LARGE);
        assert_eq!(ahead.left, u64::MAX);
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
            (10, Some(PAGE as u64 + 7)),
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
            let journal = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .unwrap();
            let filled = fill(&journal);
            assert!(fs::read(&path).unwrap() == before, "{written}, {behind:?}");
            assert!(filled.is_ok() || behind.is_some(), "{written}: {filled:?}");
        }
        let journal = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        journal.write_all_at(b"x", PAGE as u64 - 1).unwrap();
        assert!(fill_piece(&journal, &mut [0; PAGE], 0).is_err());
    }
}
