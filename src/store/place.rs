//! Where a row is.

use std::cmp::Ordering;

use fjall::Slice;

use super::Space;

/// The keyspace and the key of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) space: Space,
    pub(super) key: Slice,
}

impl Ord for Place {
    /// The order in which rows are read. The bytes are compared here: the engine's own comparison of keys is a
    /// call for each, and looks at their starts twice.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let of_space = self.space.cmp(&other.space);
        of_space.then_with(|| self.key.as_ref().cmp(other.key.as_ref()))
    }
}

impl PartialOrd for Place {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
