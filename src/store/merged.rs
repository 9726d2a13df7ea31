//! Rows of the disk with a batch's changes on top.

use std::collections::btree_map;
use std::iter::Peekable;

use fjall::Slice;

use super::Error;
#[cfg(test)]
use super::faults::Operation;
use super::place::Place;

type ChangedRange<'a> = Peekable<btree_map::Range<'a, Place, Option<Slice>>>;

/// Disk rows and changed rows in one order; a changed row hides the one on disk.
pub(super) struct Merged<'a> {
    #[cfg(test)]
    pub(super) faults: super::faults::Faults,
    pub(super) disk: fjall::Iter,
    pub(super) next_on_disk: Option<(Slice, Slice)>,
    pub(super) disk_is_done: bool,
    pub(super) changed: ChangedRange<'a>,
}

impl Merged<'_> {
    fn fill(&mut self) -> Result<(), Error> {
        if self.next_on_disk.is_none() && !self.disk_is_done {
            #[cfg(test)]
            self.faults.meet(Operation::Read)?;
            match self.disk.next() {
                Some(row) => self.next_on_disk = Some(row.into_inner()?),
                None => self.disk_is_done = true,
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(Slice, Slice)>, Error> {
        loop {
            self.fill()?;
            let order = match (&self.next_on_disk, self.changed.peek()) {
                (None, None) => return Ok(None),
                (Some(_), None) => return Ok(self.next_on_disk.take()),
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((on_disk, _)), Some((changed, _))) => on_disk.cmp(&changed.key),
            };
            if order == std::cmp::Ordering::Less {
                return Ok(self.next_on_disk.take());
            }
            if order == std::cmp::Ordering::Equal {
                self.next_on_disk = None;
            }
            if let Some((place, Some(value))) = self.changed.next() {
                return Ok(Some((place.key.clone(), value.clone())));
            }
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<(Slice, Slice), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
