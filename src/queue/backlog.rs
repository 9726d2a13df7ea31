//! The events that wait: to be matched, how many there are and where they begin; to be approved,
//! how many there are. And how many others there are, by their stages.

use std::collections::BTreeSet;

use crate::id::Id;
use crate::store::record::{EventCounts, Stage, StageCounts};
use crate::store::{self, Store};

/// What is in memory of the events that wait.
///
/// Those to be matched are matched in the order of their ids, so that all that were not put back are from
/// `frontier` on. BOUND: `put_back` holds what was delivered again after a failure and is not
/// matched yet, which is part of what `limits.queue` counts.
#[derive(Debug)]
pub(super) struct Backlog {
    received: u64,
    frontier: Id,
    put_back: BTreeSet<Id>,
    held: u64,
    stages: StageCounts,
    /// Whether its row must be written.
    pub(super) is_changed: bool,
}

impl Backlog {
    /// What is stored of them. A mark that is above some of those to be matched, as a former version could
    /// leave it, does not count.
    pub(super) fn read(store: &Store) -> Result<Self, store::Error> {
        let batch = store.batch();
        let mut counts = batch.event_counts()?;
        // BOUND: they count towards `limits.queue`.
        let count = usize::try_from(counts.received).unwrap_or(usize::MAX);
        let low = Id::from_bytes(&counts.low).unwrap_or(Id::FIRST);
        if store.snapshot().received(low, count)?.len() < count {
            counts.low = *Id::FIRST.as_bytes();
        }
        let is_counted = counts.stages.is_some();
        if !is_counted {
            // A former version did not count them. This is done once: the row has them from now on.
            let mut stages = StageCounts::default();
            for stage in [Stage::Open, Stage::Completed, Stage::Failed, Stage::Skipped] {
                if let Some(count) = stages.of(stage) {
                    *count = batch.staged_events(stage)?;
                }
            }
            counts.stages = Some(stages);
        }
        let mut backlog = Self::open(&counts, batch.staged_events(Stage::Held)?);
        backlog.is_changed = !is_counted && backlog.stages != StageCounts::default();
        Ok(backlog)
    }

    /// What was counted of those to be matched, and `held` that wait to be approved.
    pub(super) fn open(counts: &EventCounts, held: u64) -> Self {
        Self {
            received: counts.received,
            frontier: Id::from_bytes(&counts.low).unwrap_or(Id::FIRST),
            put_back: BTreeSet::new(),
            held,
            stages: counts.stages.unwrap_or_default(),
            is_changed: false,
        }
    }

    /// Events that wait to be matched.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Events that wait to be matched or to be approved: each may become a task.
    pub(super) fn waiting(&self) -> u64 {
        self.received.saturating_add(self.held)
    }

    /// Events that wait to be approved.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// The events that wait for none of both, by their stages.
    pub(super) fn stages(&self) -> StageCounts {
        self.stages
    }

    /// An event goes from one stage to another; `None` where it is new or deleted.
    pub(super) fn moves(&mut self, from: Option<Stage>, to: Option<Stage>) {
        if let Some(count) = from.and_then(|stage| self.stages.of(stage)) {
            *count = count.saturating_sub(1);
            self.is_changed = true;
        }
        if let Some(count) = to.and_then(|stage| self.stages.of(stage)) {
            *count = count.saturating_add(1);
            self.is_changed = true;
        }
    }

    /// One more waits to be approved.
    pub(super) fn hold(&mut self) {
        self.held = self.held.saturating_add(1);
        self.is_changed = true;
    }

    /// One less waits to be approved.
    pub(super) fn release(&mut self) {
        self.held = self.held.saturating_sub(1);
        self.is_changed = true;
    }

    /// No event that waits to be matched has a lower id.
    pub(super) fn low(&self) -> Id {
        self.put_back
            .first()
            .map_or(self.frontier, |first| self.frontier.min(*first))
    }

    /// A new event waits: its id is the highest there is.
    pub(super) fn add(&mut self) {
        self.received = self.received.saturating_add(1);
        self.is_changed = true;
    }

    /// An event of old waits again. It is kept by itself wherever the frontier is: after a start
    /// that stands at the lowest event that waited, below others that were matched long ago.
    pub(super) fn put_back(&mut self, id: Id) {
        self.add();
        self.put_back.insert(id);
    }

    /// The event does not wait any more.
    pub(super) fn remove(&mut self, id: Id) {
        self.received = self.received.saturating_sub(1);
        self.is_changed = true;
        if !self.put_back.remove(&id) {
            self.frontier = self.frontier.max(id.next());
        }
    }

    pub(super) fn record(&self) -> EventCounts {
        EventCounts {
            received: self.received,
            low: *self.low().as_bytes(),
            stages: Some(self.stages),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> Id {
        let mut bytes = [b'0'; 16];
        bytes[15] = b'0' + number;
        Id::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn the_low_mark_never_passes_an_event_that_waits() {
        let mut backlog = Backlog::open(&EventCounts::default(), 0);
        for _ in 1..=3 {
            backlog.add();
        }
        backlog.remove(id(1));
        assert_eq!((backlog.received(), backlog.low()), (2, id(2)));
        // The first one failed and comes again while the second is matched.
        backlog.put_back(id(1));
        backlog.remove(id(2));
        assert_eq!((backlog.received(), backlog.low()), (2, id(1)));
        backlog.remove(id(1));
        assert_eq!((backlog.received(), backlog.low()), (1, id(3)));
        backlog.remove(id(3));
        assert_eq!((backlog.received(), backlog.low()), (0, id(4)));
    }

    #[test]
    fn events_that_wait_again_are_found_after_a_start_below_them() {
        // Of five events that were all matched, the first comes again, and the server starts.
        let mut before = Backlog::open(
            &EventCounts {
                received: 0,
                low: *id(6).as_bytes(),
                stages: None,
            },
            0,
        );
        before.put_back(id(1));
        let mut backlog = Backlog::open(&before.record(), 0);
        assert_eq!((backlog.received(), backlog.low()), (1, id(1)));
        // The matcher has read the first and a new one when the third comes again.
        backlog.add();
        backlog.put_back(id(3));
        backlog.remove(id(1));
        backlog.remove(id(7));
        assert_eq!((backlog.received(), backlog.low()), (1, id(3)));
        let reopened = Backlog::open(&backlog.record(), 0);
        assert_eq!((reopened.received(), reopened.low()), (1, id(3)));
    }
}
