//! A check of the engine's journals before the engine opens them.
//!
//! The engine cuts a journal at the first bytes that it cannot read and drops what follows
//! without a word (fjall-rs/fjall#311), and it refuses to open when the last batch has its end
//! but not its middle. Every batch of ours is synced before the next one is written. So bytes
//! behind the last whole batch are a batch that was never acknowledged, to be cut, unless another
//! whole batch follows them: then acknowledged batches are damaged, and nothing is changed.
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

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use log::warn;
use xxhash_rust::xxh3::Xxh3;

use super::Error;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8; 4] = b"FJL\x03";

/// A server that was just ended may hold the lock a moment longer: a process that it was about
/// to start has it until it is started.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Takes the lock of the data directory; it is held as long as the file is open.
pub(super) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io(format!("open {}", path.display())))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::Error(source)) => {
                return Err(Error::Io {
                    action: format!("lock {}", path.display()),
                    source,
                });
            }
        }
    }
    Err(Error::Locked {
        dir: dir.to_owned(),
    })
}

/// Checks every journal in `rows`, and cuts a torn batch off the last one that holds any.
///
/// Journals behind a torn batch may be there, but empty: when a disk is full, the engine may
/// still begin a new journal behind the batch that it could not write.
///
/// Says whether there are batches at all.
pub(super) fn check(rows: &Path) -> Result<bool, Error> {
    let mut last_seqno = None;
    let mut torn: Option<(PathBuf, u64)> = None;
    for path in journals(rows)? {
        let mut scan = Scan::open(&path, last_seqno)?;
        let whole = scan.whole_batches()?;
        last_seqno = scan.last_seqno;
        let is_empty = scan.is_empty_from(whole)?;
        if let Some((torn, from)) = &torn
            && (whole > 0 || !is_empty)
        {
            return Err(Error::damaged(
                format!("journal {}", torn.display()),
                format!(
                    "its bytes from {from} on are no batch, but journal {} follows",
                    path.display()
                ),
            ));
        }
        if is_empty {
            continue;
        }
        if let Some(next) = scan.next_whole_batch(whole)? {
            let detail = format!(
                "its bytes from {whole} on are no batch, but a whole batch follows at {next}"
            );
            return Err(Error::damaged(
                format!("journal {}", path.display()),
                detail,
            ));
        }
        torn = Some((path, whole));
    }
    if let Some((path, whole)) = torn {
        cut(&path, whole)?;
        warn!(
            "cut a batch that was never acknowledged off {}, at byte {whole}",
            path.display()
        );
    }
    Ok(last_seqno.is_some())
}

/// Whether nothing was ever written to a journal.
pub(super) fn is_blank(path: &Path) -> Result<bool, Error> {
    Scan::open(path, None)?.is_empty_from(0)
}

/// The journal files of `rows`, oldest first.
pub(super) fn journals(rows: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(rows).map_err(Error::io(format!("read {}", rows.display())))?;
    let mut journals: Vec<(u64, PathBuf)> = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(Error::io(format!("read {}", rows.display())))?
            .path();
        let number = path
            .extension()
            .filter(|extension| *extension == "jnl")
            .and_then(|_| {
                path.file_stem()
                    .and_then(|stem| stem.to_str())
                    .and_then(|stem| stem.parse().ok())
            });
        if let Some(number) = number {
            journals.push((number, path));
        }
    }
    journals.sort();
    // The engine numbers them without gaps and deletes the oldest first.
    for ((number, _), (next, path)) in journals.iter().zip(journals.iter().skip(1)) {
        if number.checked_add(1) != Some(*next) {
            return Err(Error::damaged(
                format!("directory {}", rows.display()),
                format!("the journal in front of {} is missing", path.display()),
            ));
        }
    }
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

fn cut(path: &Path, length: u64) -> Result<(), Error> {
    let action = || Error::io(format!("cut {} to {length} bytes", path.display()));
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(action())?;
    file.set_len(length).map_err(action())?;
    file.sync_all().map_err(action())
}

/// Reads one journal from front to back.
struct Scan {
    path: PathBuf,
    reader: BufReader<File>,
    length: u64,
    /// The sequence number of the whole batch before.
    last_seqno: Option<u64>,
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
    fn open(path: &Path, last_seqno: Option<u64>) -> Result<Self, Error> {
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
    fn whole_batches(&mut self) -> Result<u64, Error> {
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
    fn is_empty_from(&mut self, offset: u64) -> Result<bool, Error> {
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
    fn next_whole_batch(&mut self, offset: u64) -> Result<Option<u64>, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes batches as the engine does.
    fn batch(seqno: u64, items: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = vec![START];
        bytes.extend(u32::try_from(items.len()).unwrap().to_le_bytes());
        bytes.extend(seqno.to_le_bytes());
        let mut hash = Xxh3::new();
        for (key, value) in items {
            let mut item = vec![ITEM, 0, 0];
            item.extend(1_u64.to_le_bytes());
            item.extend(u16::try_from(key.len()).unwrap().to_le_bytes());
            item.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
            item.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
            item.extend(*key);
            item.extend(*value);
            hash.update(&item);
            bytes.extend(item);
        }
        bytes.push(END);
        bytes.extend(hash.digest().to_le_bytes());
        bytes.extend(TRAILER);
        bytes
    }

    fn journal(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
        path
    }

    #[test]
    fn a_torn_last_batch_is_cut_at_every_length() {
        let dir = tempfile::tempdir().unwrap();
        let whole = batch(1, &[(b"a", b"1"), (b"b", &[1; 300])]);
        let torn = batch(2, &[(b"c", &[START; 40]), (b"d", b"3")]);
        for cut in 1..torn.len() {
            let mut bytes = whole.clone();
            bytes.extend(&torn[..cut]);
            let path = journal(dir.path(), "0.jnl", &bytes);
            check(dir.path()).unwrap();
            assert_eq!(
                fs::metadata(&path).unwrap().len(),
                whole.len() as u64,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_whole_journal_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = [batch(1, &[(b"a", b"1")]), batch(2, &[])].concat();
        let path = journal(dir.path(), "7.jnl", &bytes);
        check(dir.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 20);
    }

    #[test]
    fn damage_before_a_whole_batch_is_refused_at_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let first = batch(1, &[(b"a", b"1")]);
        let bytes = [
            first.clone(),
            batch(2, &[(b"b", b"2")]),
            batch(3, &[(b"c", b"3")]),
        ]
        .concat();
        for place in 0..first.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0xff;
            let path = journal(dir.path(), "0.jnl", &damaged);
            assert!(
                matches!(check(dir.path()), Err(Error::Damaged { .. })),
                "byte {place}"
            );
            assert_eq!(
                fs::metadata(&path).unwrap().len(),
                1 << 20,
                "nothing is changed"
            );
        }
    }

    #[test]
    fn a_torn_batch_in_an_older_journal_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let torn = batch(1, &[(b"a", b"1")]);
        journal(dir.path(), "0.jnl", &torn[..torn.len() - 1]);
        journal(dir.path(), "1.jnl", &batch(2, &[]));
        assert!(matches!(check(dir.path()), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_torn_batch_may_have_an_empty_journal_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let whole = batch(1, &[(b"a", b"1")]);
        let torn = batch(2, &[(b"b", b"2")]);
        let bytes = [&whole[..], &torn[..torn.len() - 1]].concat();
        let path = journal(dir.path(), "0.jnl", &bytes);
        journal(dir.path(), "1.jnl", &[]);
        check(dir.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), whole.len() as u64);
        check(dir.path()).unwrap();
    }

    #[test]
    fn a_missing_journal_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), "3.jnl", &batch(1, &[(b"a", b"1")]));
        journal(dir.path(), "5.jnl", &batch(9, &[(b"c", b"3")]));
        assert!(matches!(check(dir.path()), Err(Error::Damaged { .. })));
        journal(dir.path(), "4.jnl", &batch(5, &[(b"b", b"2")]));
        check(dir.path()).unwrap();
    }

    #[test]
    fn batches_that_are_not_in_order_are_damage() {
        let dir = tempfile::tempdir().unwrap();
        for (first, second) in [(5, 5), (5, 4), (u64::MAX, 6)] {
            let bytes = [
                batch(first, &[(b"a", b"1")]),
                batch(second, &[(b"b", b"2")]),
            ]
            .concat();
            journal(dir.path(), "0.jnl", &bytes);
            assert!(matches!(check(dir.path()), Err(Error::Damaged { .. })));
        }
    }

    /// A torn batch may hold millions of bytes that could start a batch.
    #[test]
    fn a_torn_batch_is_found_torn_in_a_short_time() {
        let dir = tempfile::tempdir().unwrap();
        let torn = batch(1, &[(b"a", &vec![START; 8 << 20])]);
        journal(dir.path(), "0.jnl", &torn[..torn.len() - 1]);
        let begun = crate::clock::monotonic();
        check(dir.path()).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn one_process_at_a_time_has_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(matches!(lock(dir.path()), Err(Error::Locked { .. })));
        drop(held);
        lock(dir.path()).unwrap();
    }
}
