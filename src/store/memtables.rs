//! When the engine writes out what it holds in memory, and when it has let go of it.

use fjall::{AbstractTree, PersistMode};

#[cfg(test)]
use super::faults;
use super::{Error, SPACES, Space, Store};
use crate::footprint::Footprint;

/// Memtables of texts that may wait to be written out while little more joins them. With one more the
/// engine would hold up commits by pauses of 100 ms.
const TEXT_MEMTABLES_MAX: usize = 3;

impl Store {
    /// The sizes that it keeps to.
    pub fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    /// Starts writing out memtables that are large. Called by the writer between commits. Says
    /// whether there were any.
    pub fn rotate(&self) -> Result<bool, Error> {
        #[cfg(test)]
        let failure = self.faults.meet(faults::Operation::Rotate)?;
        let mut has_begun = false;
        for space in SPACES {
            if self.is_full(space) {
                has_begun |= self.space(space).rotate_memtable()?;
            }
        }
        #[cfg(test)]
        if let Some(failure) = failure {
            return Err(failure);
        }
        Ok(has_begun)
    }

    /// Whether the rows that are not written out pass what their memtable should have.
    fn is_full(&self, space: Space) -> bool {
        let most = match space {
            Space::Texts => self.footprint.text_memtable,
            _ => self.footprint.row_memtable,
        };
        self.space(space).tree.active_memtable().size() > most
    }

    /// Whether so many texts wait to be written out that `bytes` more should not join them yet. Those
    /// that wait are with the engine's worker, so this ends by itself while the worker lives.
    pub fn is_behind(&self, bytes: usize) -> bool {
        let waiting = self.texts.tree.sealed_memtable_count();
        waiting >= TEXT_MEMTABLES_MAX || (waiting > 0 && bytes >= self.footprint.many_text)
    }

    /// Whether memtables wait to be written out. Those that do are with the engine's worker.
    pub fn has_waiting(&self) -> bool {
        self.spaces()
            .iter()
            .any(|space| space.tree.sealed_memtable_count() > 0)
    }

    /// Fails where the engine has given up writing.
    pub fn check_engine(&self) -> Result<(), Error> {
        if self.is_poisoned() {
            return Err(Error::Engine(fjall::Error::Poisoned));
        }
        Ok(())
    }

    /// Whether memtables wait to be written out, or tables are merged.
    pub fn has_background_work(&self) -> bool {
        self.db.outstanding_flushes() > 0 || self.db.active_compactions() > 0 || self.has_waiting()
    }

    /// Whether the engine has given up writing because of an earlier failure.
    pub fn is_poisoned(&self) -> bool {
        matches!(
            self.db.persist(PersistMode::Buffer),
            Err(fjall::Error::Poisoned)
        )
    }

    /// Whether the texts that are not written out pass what their memtable should have.
    pub fn has_many_texts(&self) -> bool {
        self.is_full(Space::Texts)
    }

    /// Whether texts wait to be written out. Those that do are with the engine's worker.
    pub fn has_waiting_texts(&self) -> bool {
        self.texts.tree.sealed_memtable_count() > 0
    }

    /// Whether the engine still holds many texts that it has written out.
    pub fn has_spent_texts(&self) -> bool {
        let history = self.texts.tree.get_version_history_lock();
        history.memtable_size_sum() > self.footprint.text_memtable
    }

    /// Lets the engine drop what it has written out. It does so with the next memtable of any keyspace that is
    /// given to its worker, if there was a commit in between: that of the smallest rows costs least.
    pub fn drop_spent(&self) -> Result<(), Error> {
        self.meta.rotate_memtable()?;
        Ok(())
    }
}
