//! The reading of one journal, batch by batch, as the engine wrote it.
//!
//! The format is that of fjall 3.1.13 (`journal/entry.rs`), which Cargo.toml pins. All numbers
//! are little-endian.
//!
//! | entry | bytes |
//! |---|---|
//! | start | 1, item count (4), sequence number (8) |
//! | item | 2, value type (1), compression (1), keyspace (8), key length (2), value length (4), stored length (4), key, value as stored |
//! | end | 3, XXH3-64 of the items (8), `FJL` 3 |
//! | clear | 4, keyspace (8) |

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::store::Error;

pub(super) const START: u8 = 1;
pub(super) const ITEM: u8 = 2;
pub(super) const END: u8 = 3;
const CLEAR: u8 = 4;
pub(super) const TRAILER: &[u8; 4] = b"FJL\x03";

/// Bytes of a start and an end.
const BATCH_BYTES: u64 = 13 + 13;

/// Bytes of an item besides its key and its value.
const ITEM_BYTES: u64 = 21;

/// Bytes of a batch of `items` whose keys and values have `bytes`. Of values from 4 KiB on the engine writes what compression
/// makes of them: as a rule less.
pub(in crate::store) fn batch_bytes(items: usize, bytes: u64) -> u64 {
    let items = ITEM_BYTES.saturating_mul(items as u64);
    BATCH_BYTES.saturating_add(items).saturating_add(bytes)
}

/// Reads one journal from front to back.
pub(super) struct Scan {
    path: PathBuf,
    reader: BufReader<File>,
    length: u64,
    /// The sequence number of the whole batch before.
    pub(super) last_seqno: Option<u64>,
}

/// What stands at a place of a journal.
enum Found {
    /// A whole batch.
    Batch {
        /// The offset behind it.
        end: u64,
        /// Its sequence number. They rise from batch to batch.
        seqno: u64,
    },
    /// Anything else.
    Nothing,
}

impl Scan {
    pub(super) fn open(path: &Path, last_seqno: Option<u64>) -> Result<Self, Error> {
        let action = || Error::io(format!("read {}", path.display()));
        let file = File::open(path).map_err(action())?;
        let length = file.metadata().map_err(action())?.len();
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(64 << 10, file),
            length,
            last_seqno,
        })
    }

    /// Where the row of whole batches from the front ends.
    pub(super) fn whole_batches(&mut self) -> Result<u64, Error> {
        let mut end = 0;
        self.seek(0)?;
        while let Found::Batch { end: next, seqno } = self.batch(end)? {
            // The engine keeps no checksum of it, and would take the batch for an old one.
            if self.last_seqno.is_some_and(|last| seqno <= last) {
                return Err(Error::damaged(
                    format!("journal {}", self.path.display()),
                    format!("the batch at {end} and the one before are not in order"),
                ));
            }
            self.last_seqno = Some(seqno);
            end = next;
        }
        Ok(end)
    }

    /// Whether only zeros follow `offset`: the file is made longer before it is written.
    pub(super) fn is_empty_from(&mut self, offset: u64) -> Result<bool, Error> {
        const ZEROS: [u8; 8 << 10] = [0; 8 << 10];
        let mut chunk = [0_u8; 8 << 10];
        let mut at = offset;
        loop {
            // What was never written is a hole of the file and need not be read.
            match rustix::fs::seek(self.reader.get_ref(), rustix::fs::SeekFrom::Data(at)) {
                Ok(data) => at = data,
                Err(rustix::io::Errno::NXIO) => return Ok(true),
                // A file system that knows no holes is read.
                Err(_) => {}
            }
            self.seek(at)?;
            let count = self.reader.read(&mut chunk).map_err(self.failed())?;
            if count == 0 {
                return Ok(true);
            }
            if chunk.get(..count) != ZEROS.get(..count) {
                return Ok(false);
            }
            at = at.saturating_add(count as u64);
        }
    }

    /// The first place behind `offset` where a whole batch starts.
    pub(super) fn next_whole_batch(&mut self, offset: u64) -> Result<Option<u64>, Error> {
        let mut at = offset.saturating_add(1);
        self.seek(at)?;
        while at < self.length {
            let Some(start) = self.next_start(at)? else {
                return Ok(None);
            };
            self.go_to(start)?;
            if let Found::Batch { seqno, .. } = self.batch(start)?
                && self.last_seqno.is_none_or(|last| seqno > last)
            {
                return Ok(Some(start));
            }
            at = start.saturating_add(1);
        }
        Ok(None)
    }

    /// The first byte from `offset` on that could be a start entry.
    fn next_start(&mut self, offset: u64) -> Result<Option<u64>, Error> {
        self.go_to(offset)?;
        let mut chunk = [0_u8; 4 << 10];
        let mut at = offset;
        loop {
            let count = self.reader.read(&mut chunk).map_err(self.failed())?;
            if count == 0 {
                return Ok(None);
            }
            match chunk
                .iter()
                .take(count)
                .zip(at..)
                .find(|(byte, _)| **byte == START)
            {
                Some((_, place)) => return Ok(Some(place)),
                None => at = at.saturating_add(count as u64),
            }
        }
    }

    /// Reads what stands at `offset`, where the reader is.
    fn batch(&mut self, offset: u64) -> Result<Found, Error> {
        let mut at = offset;
        let Some(start) = self.take::<13>(&mut at)? else {
            return Ok(Found::Nothing);
        };
        let [START, c0, c1, c2, c3, seqno @ ..] = start else {
            return Ok(Found::Nothing);
        };
        let mut items_left = u32::from_le_bytes([c0, c1, c2, c3]);
        let mut hash = Xxh3::new();
        loop {
            let Some([tag]) = self.take::<1>(&mut at)? else {
                return Ok(Found::Nothing);
            };
            let is_whole = match tag {
                ITEM if items_left > 0 => self.item(&mut at, &mut hash)?,
                CLEAR if items_left > 0 => self.clear(&mut at, &mut hash)?,
                END if items_left == 0 => {
                    let Some(end) = self.take::<12>(&mut at)? else {
                        return Ok(Found::Nothing);
                    };
                    let is_right =
                        end.ends_with(TRAILER) && end.starts_with(&hash.digest().to_le_bytes());
                    return Ok(if is_right {
                        Found::Batch {
                            end: at,
                            seqno: u64::from_le_bytes(seqno),
                        }
                    } else {
                        Found::Nothing
                    });
                }
                _ => false,
            };
            if !is_whole {
                return Ok(Found::Nothing);
            }
            items_left = items_left.saturating_sub(1);
        }
    }

    fn item(&mut self, at: &mut u64, hash: &mut Xxh3) -> Result<bool, Error> {
        let Some(head) = self.take::<20>(at)? else {
            return Ok(false);
        };
        hash.update(&[ITEM]);
        hash.update(&head);
        let [.., k0, k1, _, _, _, _, s0, s1, s2, s3] = head;
        let key_bytes = u64::from(u16::from_le_bytes([k0, k1]));
        let stored_bytes = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
        self.hash(key_bytes + stored_bytes, at, hash)
    }

    fn clear(&mut self, at: &mut u64, hash: &mut Xxh3) -> Result<bool, Error> {
        let Some(keyspace) = self.take::<8>(at)? else {
            return Ok(false);
        };
        hash.update(&[CLEAR]);
        hash.update(&keyspace);
        Ok(true)
    }

    /// Reads `count` bytes into the hash; `false` where the file ends first.
    fn hash(&mut self, count: u64, at: &mut u64, hash: &mut Xxh3) -> Result<bool, Error> {
        if count > self.length.saturating_sub(*at) {
            return Ok(false);
        }
        let mut chunk = [0_u8; 8 << 10];
        let mut left = count;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            let Some(part) = chunk.get_mut(..wanted) else {
                return Ok(false);
            };
            self.reader.read_exact(part).map_err(|source| Error::Io {
                action: format!("read {}", self.path.display()),
                source,
            })?;
            hash.update(part);
            left = left.saturating_sub(wanted as u64);
        }
        *at = at.saturating_add(count);
        Ok(true)
    }

    /// The next `N` bytes, or `None` where the file ends first.
    fn take<const N: usize>(&mut self, at: &mut u64) -> Result<Option<[u8; N]>, Error> {
        let mut bytes = [0_u8; N];
        match self.reader.read_exact(&mut bytes) {
            Ok(()) => {
                *at = at.saturating_add(N as u64);
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(Error::Io {
                action: format!("read {}", self.path.display()),
                source,
            }),
        }
    }

    /// As `seek`, from where the reader is: bytes that it has at hand are not read again.
    fn go_to(&mut self, offset: u64) -> Result<(), Error> {
        let at = self.reader.stream_position().map_err(self.failed())?;
        self.reader
            .seek_relative(offset.cast_signed().wrapping_sub(at.cast_signed()))
            .map_err(self.failed())
    }

    fn seek(&mut self, offset: u64) -> Result<(), Error> {
        self.reader
            .seek(SeekFrom::Start(offset))
            .map_err(self.failed())?;
        Ok(())
    }

    fn failed(&self) -> impl FnOnce(std::io::Error) -> Error + use<> {
        Error::io(format!("read {}", self.path.display()))
    }
}
