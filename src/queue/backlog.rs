//! The events that wait to be matched: how many there are, and where they begin.

use std::collections::BTreeSet;

use crate::id::Id;
use crate::store::record::EventCounts;

/// What is in memory of the events that wait to be matched.
///
/// They are matched in the order of their ids, so that all that were not put back are from
/// `frontier` on. BOUND: `put_back` holds what was delivered again after a failure and is not
/// matched yet, which is part of what `limits.queue` counts.
#[derive(Debug)]
pub(super) struct Backlog {
    received: u64,
    frontier: Id,
    put_back: BTreeSet<Id>,
    /// Whether its row must be written.
    pub(super) is_changed: bool,
}

impl Backlog {
    pub(super) fn open(counts: &EventCounts) -> Self {
        Self {
            received: counts.received,
            frontier: Id::from_bytes(&counts.low).unwrap_or(Id::FIRST),
            put_back: BTreeSet::new(),
            is_changed: false,
        }
    }

    /// Events that wait to be matched.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// No event that waits has a lower id.
    pub(super) fn low(&self) -> Id {
        self.put_back
            .first()
            .map_or(self.frontier, |first| self.frontier.min(*first))
    }

    pub(super) fn add(&mut self, id: Id) {
        self.received = self.received.saturating_add(1);
        self.is_changed = true;
        if id < self.frontier {
            self.put_back.insert(id);
        }
    }

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
        let mut backlog = Backlog::open(&EventCounts::default());
        for number in [1, 2, 3] {
            backlog.add(id(number));
        }
        backlog.remove(id(1));
        assert_eq!((backlog.received(), backlog.low()), (2, id(2)));
        // The first one failed and comes again while the second is matched.
        backlog.add(id(1));
        backlog.remove(id(2));
        assert_eq!((backlog.received(), backlog.low()), (2, id(1)));
        backlog.remove(id(1));
        assert_eq!((backlog.received(), backlog.low()), (1, id(3)));
        backlog.remove(id(3));
        assert_eq!((backlog.received(), backlog.low()), (0, id(4)));
    }
}
