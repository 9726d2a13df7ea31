//! What is held in memory beside what `limits.memory` counts, by the size of that limit.
//!
//! From [`SMALL_MAX`] on down the server is on a small host: its caches, memtables and commits are smaller,
//! large texts are worked on and written out one by one, and a body counts with the copies that are made of it. It is
//! slower then. Above, nothing depends on the limit.

use std::num::NonZeroUsize;

/// The largest `limits.memory` of a small host, in bytes.
pub const SMALL_MAX: u64 = 24 << 20;

/// The sizes of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Whether the host is small.
    pub is_small: bool,
    /// Bytes of the store's cache of blocks and index blocks.
    pub cache: u64,
    /// A memtable of small rows is written out when it has more bytes.
    pub row_memtable: u64,
    /// One of texts is written out when it has more bytes: what is committed at once comes on top.
    pub text_memtable: u64,
    /// So many bytes of text at once join no memtable that waits to be written out.
    pub many_text: usize,
    /// Bytes of text in one commit; a command that has more is alone in its own.
    pub group: usize,
    /// Work on texts of more bytes is done one at a time.
    pub alone_beyond: usize,
    /// Threads for what takes long: names to look up, large bodies, rules that somebody asks about. More
    /// than there are cores, because a name may take seconds.
    pub blocking_threads: NonZeroUsize,
}

const SMALL: Footprint = Footprint {
    is_small: true,
    cache: 512 << 10,
    row_memtable: 256 << 10,
    text_memtable: 512 << 10,
    many_text: 256 << 10,
    group: 512 << 10,
    alone_beyond: 128 << 10,
    blocking_threads: NonZeroUsize::new(4).unwrap(),
};

impl Footprint {
    /// That of a host that is not small.
    pub const ROOMY: Self = Self {
        is_small: false,
        cache: 8 << 20,
        row_memtable: 4 << 20,
        text_memtable: 2 << 20,
        many_text: 1 << 20,
        group: 2 << 20,
        alone_beyond: 1 << 20,
        blocking_threads: NonZeroUsize::new(8).unwrap(),
    };

    /// The sizes beside a `limits.memory` of so many bytes.
    pub fn of(memory: u64) -> Self {
        if memory > SMALL_MAX {
            Self::ROOMY
        } else {
            SMALL
        }
    }
}

/// Bytes of a webhook's body at most, unless somebody says otherwise, beside a `limits.memory` of so many: on a small host five
/// eighths of it, because one that cannot be compressed is there twice until it is stored.
pub fn webhook_body_max(memory: u64) -> u64 {
    if Footprint::of(memory).is_small {
        memory / 8 * 5
    } else {
        u64::MAX
    }
}

impl Default for Footprint {
    fn default() -> Self {
        Self::ROOMY
    }
}
