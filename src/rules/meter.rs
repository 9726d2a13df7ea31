//! Counts what a judgement reads of its payload, and stops it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that one judgement may walk over: ten times the largest payload, a fraction of a second.
pub(super) const SCANNED_BYTES_MAX: u64 = 256 << 20;

/// Places of members that are remembered, so that none is searched for twice; a prompt names few.
const PLACES_MAX: usize = 256;

/// Bytes of a name whose place is remembered, at most.
const NAME_BYTES_MAX: usize = 128;

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

/// Where members stand, if they are there, by the start of their object and their name.
type Places = HashMap<(usize, String), Option<Range<usize>>>;

/// What one judgement has read of its payload, and which bound its evaluation has met.
#[derive(Debug)]
pub(super) struct Meter {
    scanned: AtomicU64,
    /// Bytes of a text that is decoded, or of a part that is copied, at most.
    pub(super) text_bytes_max: usize,
    met: Mutex<Option<Bound>>,
    /// Where the members stand that were named.
    places: Mutex<Places>,
}

impl Meter {
    /// A meter for a judgement whose texts have at most `text_bytes_max` bytes.
    pub(super) fn new(text_bytes_max: usize) -> Self {
        Self {
            scanned: AtomicU64::new(0),
            text_bytes_max,
            met: Mutex::new(None),
            places: Mutex::default(),
        }
    }

    /// Where the member `name` of the object at `start` stands: what `find` says, once.
    pub(super) fn place(
        &self,
        start: usize,
        name: &str,
        find: impl FnOnce() -> Option<Range<usize>>,
    ) -> Option<Range<usize>> {
        let key = (start, name.to_owned());
        if let Some(known) = self.places().get(&key) {
            return known.clone();
        }
        let found = find();
        let mut places = self.places();
        // What was not found because a bound was met may be found by a later evaluation.
        let is_certain = found.is_some() || self.met().is_none();
        if is_certain && places.len() < PLACES_MAX && name.len() <= NAME_BYTES_MAX {
            places.insert(key, found.clone());
        }
        found
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
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
