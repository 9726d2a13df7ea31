//! A backup: all rows of one moment as a document, made piece by piece on the readers' threads.
//!
//! Neither the writer nor other readings wait for it: between two pieces the thread is free. BOUND:
//! there is one at a time; it holds a row, the piece that is made of it, and what an
//! [`Export`] keeps. For how long it may go on, the caller decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Error, Queue};
use crate::backup::Writer;
use crate::store::{self, Export, ExportedRow, SCHEMA_VERSION};

/// A piece ends when it has so many bytes: few hand-overs between threads, and a short time on
/// one of them.
const PIECE_BYTES: usize = 256 << 10;

/// A backup under way; it ends when it is dropped.
#[derive(Debug)]
pub struct Backup {
    queue: Queue,
    /// Absent behind the end and after a failure.
    document: Option<Box<Document>>,
    rows: u64,
}

/// A part of the document.
#[derive(Debug)]
pub struct Piece {
    /// Its bytes, never none.
    pub bytes: Vec<u8>,
    /// Bytes of the row that it ends within and that is held for the next piece.
    pub held_bytes: u64,
}

impl Piece {
    /// Bytes of a piece at most: what it should have, and the key of a last row.
    pub const BYTES_MAX: u64 = 2 * PIECE_BYTES as u64;
}

impl Queue {
    /// Begins a backup of the rows as they are now, or refuses with `BackupRunning`.
    pub async fn back_up(&self) -> Result<Backup, Error> {
        let slot = Slot::take(&self.inner.is_backing_up).ok_or(Error::BackupRunning)?;
        let export = self.read(store::Snapshot::export).await?;
        Ok(Backup {
            queue: self.clone(),
            document: Some(Box::new(Document {
                export,
                writer: None,
                row: None,
                rows: 0,
                _slot: slot,
            })),
            rows: 0,
        })
    }
}

impl Backup {
    /// The next piece; `None` behind the last one.
    pub async fn next(&mut self) -> Result<Option<Piece>, Error> {
        let Some(mut document) = self.document.take() else {
            return Ok(None);
        };
        let made = self.queue.read(move |_| {
            let (bytes, is_last) = document.piece()?;
            Ok((document, bytes, is_last))
        });
        let (document, bytes, is_last) = made.await?;
        self.rows = document.rows;
        let held_bytes = document.held_bytes();
        if !is_last {
            self.document = Some(document);
        }
        Ok(Some(Piece { bytes, held_bytes }))
    }

    /// Rows that are in the pieces so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// The one place that a backup has.
#[derive(Debug)]
struct Slot(Arc<AtomicBool>);

impl Slot {
    fn take(place: &Arc<AtomicBool>) -> Option<Self> {
        let was_taken = place.swap(true, Ordering::SeqCst);
        (!was_taken).then(|| Self(Arc::clone(place)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// The document as far as it is written.
#[derive(Debug)]
struct Document {
    export: Export,
    /// Absent before the first piece.
    writer: Option<Writer>,
    /// The row that is being written, and how much of its value has been.
    row: Option<(ExportedRow, usize)>,
    /// Rows that were begun.
    rows: u64,
    _slot: Slot,
}

impl Document {
    fn held_bytes(&self) -> u64 {
        self.row
            .as_ref()
            .map_or(0, |(row, _)| row.value().len() as u64)
    }

    /// The next piece, and whether it is the last one.
    fn piece(&mut self) -> Result<(Vec<u8>, bool), store::Error> {
        let mut out = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 16);
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::begin(SCHEMA_VERSION, &mut out),
        };
        while out.len() < PIECE_BYTES {
            let Some((row, written)) = &mut self.row else {
                let Some(row) = self.export.next().transpose()? else {
                    writer.finish(&mut out);
                    return Ok((out, true));
                };
                writer.begin_row(row.space(), row.key(), &mut out);
                self.rows = writer.rows();
                self.row = Some((row, 0));
                continue;
            };
            let left = row.value().get(*written..).unwrap_or_default();
            // Three bytes become four of base64.
            let room = PIECE_BYTES.saturating_sub(out.len()).div_ceil(4) * 3;
            let part = left.get(..room.max(3)).unwrap_or(left);
            writer.value(part, &mut out);
            *written += part.len();
            if part.len() == left.len() {
                writer.end_row(&mut out);
                self.row = None;
            }
        }
        self.writer = Some(writer);
        Ok((out, false))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backup::{Reader, Row};
    use crate::budget::Budget;
    use crate::clock::Clock;
    use crate::drain::Drain;
    use crate::queue::Settings;
    use crate::store::Store;
    use crate::store::faults::{Failure, Operation};
    use crate::task::NewTask;

    /// Workers' settings, which are stored as they come, of sizes around those of a piece and of what
    /// base64 joins.
    const SIZES: [usize; 8] = [
        1,
        2,
        3,
        PIECE_BYTES / 4 * 3 - 1,
        PIECE_BYTES,
        PIECE_BYTES + 1,
        3 * PIECE_BYTES,
        1,
    ];

    fn queue(store: &Store) -> Queue {
        let settings = Settings {
            queue: 100,
            retention: Duration::from_secs(3_600),
            disk_reserve: 0,
        };
        let queue = Queue::open(store.clone(), Clock::system(), settings, Drain::new()).unwrap();
        for (number, size) in SIZES.into_iter().enumerate() {
            let worker = format!("w{number}").parse().unwrap();
            smol::block_on(queue.save_worker(&worker, "x".repeat(size))).unwrap();
            let task = NewTask {
                worker,
                prompt: "x".repeat(size),
                context: None,
                idempotency: None,
            };
            let nothing = Budget::new(0).empty();
            smol::block_on(queue.submit(task, nothing)).unwrap();
        }
        queue
    }

    /// The document, and the most that a piece ended within.
    fn whole(queue: &Queue) -> Result<(Vec<u8>, u64), Error> {
        smol::block_on(async {
            let mut backup = queue.back_up().await?;
            let (mut document, mut held) = (Vec::new(), 0);
            while let Some(piece) = backup.next().await? {
                let bytes = piece.bytes.len() as u64;
                assert!((1..=Piece::BYTES_MAX).contains(&bytes), "{bytes}");
                document.extend(piece.bytes);
                held = held.max(piece.held_bytes);
            }
            assert!(backup.next().await?.is_none());
            let rows = Reader::open(&document[..]).unwrap();
            assert_eq!(rows.map(Result::unwrap).count() as u64, backup.rows());
            Ok((document, held))
        })
    }

    #[test]
    fn rows_of_any_size_are_whole_and_pieces_stay_small() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let queue = queue(&store);
        let (document, held) = whole(&queue).unwrap();
        assert_eq!(
            held,
            3 * PIECE_BYTES as u64,
            "what a piece ended within is told"
        );
        let rows: Vec<_> = Reader::open(&document[..])
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let is_worker = |row: &&Row| row.space == "meta" && row.key.starts_with(b"w");
        let sizes: Vec<usize> = rows
            .iter()
            .filter(is_worker)
            .map(|row| row.value.len())
            .collect();
        assert_eq!(sizes, SIZES);
        let texts = rows.iter().filter(|row| row.space == "texts");
        let bytes: usize = texts.map(|row| row.value.len()).sum();
        assert_eq!(bytes, SIZES.iter().sum::<usize>());
    }

    #[test]
    fn a_row_that_cannot_be_read_ends_the_backup_and_not_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let queue = queue(&store);
        let (expected, _) = whole(&queue).unwrap();
        let mut number = 1_u64;
        loop {
            let failure = if number.is_multiple_of(2) {
                Failure::Before
            } else {
                Failure::Panic
            };
            store.faults.arm(Operation::Read, failure, number);
            let taken = whole(&queue);
            if store.faults.disarm().is_some() {
                assert_eq!(taken.unwrap().0, expected);
                break;
            }
            assert_eq!(taken.unwrap_err(), Error::Unreadable, "{number}");
            number += 1;
        }
        assert!(number > 20, "{number}");
    }

    #[test]
    fn there_is_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let queue = queue(&store);
        smol::block_on(async {
            let mut first = queue.back_up().await.unwrap();
            first.next().await.unwrap().unwrap();
            assert_eq!(queue.back_up().await.unwrap_err(), Error::BackupRunning);
            drop(first);
            queue.back_up().await.unwrap();
        });
    }
}
