//! Counts what a judgement reads of its payload, and stops it.

use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that one judgement may walk over: ten times the largest payload, a fraction of a second.
pub(super) const SCANNED_BYTES_MAX: u64 = 256 << 20;

/// Bounds that a judgement can meet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    /// Too much was walked over.
    Scanned,
    /// What was named lies too deep.
    Depth,
    /// A text is too long.
    Text,
    /// An object or array is too large to be written.
    Part,
}

/// What one judgement has read of its payload, and which bound its evaluation has met.
#[derive(Debug)]
pub(super) struct Meter {
    scanned: AtomicU64,
    /// Bytes of a text that is decoded, or of a part that is copied, at most.
    pub(super) text_bytes_max: usize,
    met: Mutex<Option<Bound>>,
}

impl Meter {
    /// A meter for a judgement whose texts have at most `text_bytes_max` bytes.
    pub(super) fn new(text_bytes_max: usize) -> Self {
        Self {
            scanned: AtomicU64::new(0),
            text_bytes_max,
            met: Mutex::new(None),
        }
    }

    /// Forgets the bound that an earlier evaluation met. What that one has read stays counted.
    pub(super) fn begin(&self) {
        *self.met() = None;
    }

    /// Which bound was met, if one was.
    pub(super) fn problem(&self) -> Option<&'static str> {
        Some(match (*self.met())? {
            Bound::Scanned => "the payload is too large to be searched so often",
            Bound::Depth => "the payload is nested too deeply there",
            Bound::Text => "a text of the payload is longer than a prompt may be",
            Bound::Part => "a part of the payload is larger than a prompt may be",
        })
    }

    fn met(&self) -> MutexGuard<'_, Option<Bound>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `bytes` are read; `None` where that is too much.
    pub(super) fn charge(&self, bytes: usize) -> Option<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let before = self.scanned.fetch_add(bytes, Memory::Relaxed);
        if before.saturating_add(bytes) > SCANNED_BYTES_MAX {
            return self.refuse(Bound::Scanned);
        }
        Some(())
    }

    pub(super) fn refuse(&self, bound: Bound) -> Option<()> {
        self.met().get_or_insert(bound);
        None
    }
}
