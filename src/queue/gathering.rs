//! How many commands the writer lets come together in front of a commit.
//!
//! A commit costs its sync and what the engine does around it, whatever is in it, and a large delivery takes longer to
//! be read than its part of a commit. So where many deliver, those that are still to be read have more of the processor
//! where a commit is for more of them: the writer waits until a third or so of those under way have come, while others
//! are read or told. What is read in no time does not gather: there, who waits is waited for.

use std::time::Duration;

/// Bytes that a large delivery has in the store at least; it was some four times as long.
pub(super) const LARGE: usize = 2 << 10;

/// BOUND: how long a group is waited for.
pub(super) const PATIENCE: Duration = Duration::from_millis(3);

/// Commands that are waited for at most.
const WANTED_MAX: usize = 32;

/// So many of the large deliveries that were under way at once.
const SHARE: (usize, usize) = (3, 8);

/// Large deliveries after which those under way are counted anew.
const WINDOW: usize = 1_024;

/// Knows how many large deliveries are under way at once: with each slow sync, all of them wait for the writer.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// The most that were under way since they were counted anew, and before that.
    most: usize,
    most_before: usize,
    /// Those that were committed since then.
    committed: usize,
}

impl Gathering {
    /// A group with so many large deliveries is committed, while `waiting` others have come.
    pub(super) fn note(&mut self, committed: usize, waiting: usize) {
        self.most = self.most.max(committed.saturating_add(waiting));
        self.committed = self.committed.saturating_add(committed);
        if self.committed >= WINDOW {
            *self = Self {
                most_before: self.most,
                ..Self::default()
            };
        }
    }

    /// How many commands to wait for.
    pub(super) fn wanted(&self) -> usize {
        let (of, all) = SHARE;
        (self.under_way().saturating_mul(of) / all).min(WANTED_MAX)
    }

    /// Only so many have come as long as the writer waits: some of the others are gone.
    pub(super) fn was_in_vain(&mut self, came: usize) {
        *self = Self {
            most_before: self.under_way().midpoint(came),
            ..Self::default()
        };
    }

    fn under_way(&self) -> usize {
        self.most.max(self.most_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_those_under_way_is_wanted() {
        let mut gathering = Gathering::default();
        assert_eq!(gathering.wanted(), 0);
        for (committed, waiting, wanted) in [(4, 4, 3), (2, 1, 3), (10, 54, 24), (50, 200, 32)] {
            gathering.note(committed, waiting);
            assert_eq!(gathering.wanted(), wanted);
        }
    }

    #[test]
    fn those_of_long_ago_count_no_more() {
        let mut gathering = Gathering::default();
        gathering.note(10, 54);
        for _ in 0..WINDOW / 4 {
            gathering.note(4, 4);
        }
        assert_eq!(gathering.wanted(), 24, "the slow sync was in this window");
        for _ in 0..WINDOW / 4 {
            gathering.note(4, 4);
        }
        assert_eq!(gathering.wanted(), 3);
    }

    #[test]
    fn who_is_gone_is_not_waited_for_often() {
        let mut gathering = Gathering::default();
        gathering.note(10, 54);
        let vain = (0..100).take_while(|_| {
            gathering.was_in_vain(5);
            gathering.note(5, 0);
            gathering.wanted() > 3
        });
        assert_eq!(vain.count(), 3);
    }
}
