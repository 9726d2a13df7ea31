//! How the engine is set up: its database and the kinds of its keyspaces.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::config::{BlockSizePolicy, CompressionPolicy, PinningPolicy};
use fjall::{Database, KeyspaceCreateOptions};

use super::Error;

/// Tables of this size are compacted without long pauses on a small disk.
const TABLE_BYTES: u64 = 8 << 20;

/// The smallest total of journal files that the engine takes.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// File handles that the engine keeps open.
const CACHED_FILES: usize = 64;

/// Opens the engine's database in `rows`, which belongs to the data directory `dir`. It has `cache` bytes for
/// blocks and index blocks, and one background worker, or none: then nothing is written out and no tables
/// are merged.
///
/// BOUND: one worker cannot meet the full message channel that stalls it, because `rotate` is
/// called by the writer and not posted as a message.
pub(super) fn open(rows: &Path, dir: &Path, workers: usize, cache: u64) -> Result<Database, Error> {
    let builder = Database::builder(rows)
        .cache_size(cache)
        .worker_threads_unchecked(workers)
        .max_cached_files(Some(CACHED_FILES))
        .max_journaling_size(JOURNAL_BYTES_MAX);
    // The engine takes some kinds of damage for its own defects.
    catch_unwind(AssertUnwindSafe(|| builder.open()))
        .map_err(|_| {
            Error::damaged(
                format!("data directory {}", dir.display()),
                "the storage engine panicked when it read it",
            )
        })?
        .map_err(|error| opening(error, dir))
}

/// A failure of the engine to open the data directory `dir`, in words for an operator.
pub(super) fn opening(error: fjall::Error, dir: &Path) -> Error {
    match error {
        fjall::Error::Locked => Error::Locked {
            dir: dir.to_owned(),
        },
        fjall::Error::Io(source) => unopened(source, dir),
        fjall::Error::Storage(fjall::LsmError::Io(source)) if is_the_systems(&source) => {
            unopened(source, dir)
        }
        fjall::Error::JournalRecovery(_)
        | fjall::Error::Unrecoverable
        | fjall::Error::InvalidVersion(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::Storage(_) => Error::damaged(
            format!("data directory {}", dir.display()),
            error.to_string(),
        ),
        other => Error::Engine(other),
    }
}

fn unopened(source: io::Error, dir: &Path) -> Error {
    Error::Io {
        action: format!("open the data directory {}", dir.display()),
        source,
    }
}

/// Whether the system refused something, because the disk is full for instance. A file that is
/// missing or ends early is damage.
fn is_the_systems(error: &io::Error) -> bool {
    error.raw_os_error().is_some() && error.kind() != io::ErrorKind::NotFound
}

/// The settings of keyspaces of small rows that are looked up by their keys. BOUND: what a table's
/// index and filter take is in the cache. The engine would keep that of new tables outside it, as
/// long as they are open, though they move to a level below: 1 MiB for 100,000 tasks until the next
/// start.
pub(super) fn row_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(64 << 20)
        .expect_point_read_hits(true)
        .index_block_pinning_policy(PinningPolicy::all(false))
        .filter_block_pinning_policy(PinningPolicy::all(false))
        .compaction_strategy(Arc::new(
            Leveled::default().with_table_target_size(TABLE_BYTES),
        ))
}

/// Most keys that are looked up here (of deliveries, of idempotency) are new: a filter spares the
/// search for them.
pub(super) fn index_options() -> KeyspaceCreateOptions {
    row_options().expect_point_read_hits(false)
}

/// The settings of the keyspace of texts, which are large and compress well.
pub(super) fn text_options() -> KeyspaceCreateOptions {
    row_options()
        .data_block_size_policy(BlockSizePolicy::all(16 << 10))
        .data_block_compression_policy(CompressionPolicy::all(fjall::CompressionType::Lz4))
}

#[cfg(test)]
mod tests {
    use fjall::{AbstractTree, Slice};

    use super::*;
    use crate::store::{SPACES, Store};

    #[test]
    fn no_table_has_memory_beside_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut batch = store.batch();
        for number in 0..10_000_u32 {
            for space in SPACES {
                batch.write(space, Slice::from(number.to_be_bytes()), b"a row");
            }
        }
        batch.commit().unwrap();
        for keyspace in store.spaces() {
            keyspace.rotate_memtable_and_wait().unwrap();
            let tree = &keyspace.tree;
            assert!(tree.table_count() > 0);
            assert_eq!(tree.pinned_filter_size(), 0);
            assert_eq!(tree.pinned_block_index_size(), 0);
        }
    }

    #[test]
    fn a_full_disk_is_not_told_as_damage() {
        let full = || io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        for error in [
            fjall::Error::Io(full()),
            fjall::Error::Storage(fjall::LsmError::Io(full())),
        ] {
            let text = opening(error, Path::new("/data")).to_string();
            assert!(
                text.starts_with("cannot open the data directory /data: No space"),
                "{text}"
            );
        }
        for error in [
            fjall::Error::Io(full()),
            fjall::Error::Storage(fjall::LsmError::Io(full())),
        ] {
            let text = Error::from(error).to_string();
            assert!(text.contains("data directory: No space left"), "{text}");
        }
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData] {
            let error = fjall::Error::Storage(fjall::LsmError::Io(kind.into()));
            let error = opening(error, Path::new("/data"));
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
        }
    }
}
