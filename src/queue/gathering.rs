//! How many deliveries the writer lets come together in front of a commit.
//!
//! A commit costs its sync and what the engine does around it, whatever is in it, and a large webhook takes longer to be
//! read than its part of a commit. So where many deliver, those that are still to be read have more of the processor
//! where a commit is for more of them: the writer waits until a third or so of those who ask have asked, while others
//! are read or told. What is read in no time does not gather: there, who waits is waited for.

use std::time::Duration;

/// Bytes that a large delivery has in the store at least; it was some four times as long.
pub(super) const LARGE: usize = 2 << 10;

/// BOUND: how long a delivery waits for others.
pub(super) const PATIENCE: Duration = Duration::from_millis(3);

/// Deliveries that are waited for at most.
const WANTED_MAX: usize = 32;

/// So many of those who ask.
const SHARE: (usize, usize) = (3, 8);

/// Deliveries after which those who asked are counted anew.
const WINDOW: u32 = 256;

/// Counts who asks.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// A bit for each who asked since they were counted; few share one.
    askers: [u64; 4],
    /// Deliveries since then.
    asked: u32,
    /// How many had asked by then.
    before: usize,
}

impl Gathering {
    /// A large delivery has come from the task with that address.
    pub(super) fn note(&mut self, task: usize) {
        // Addresses have their differences in the middle; this carries them to the top (Knuth's multiplicative hash).
        let hash = (task as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        if let Some(bits) = self.askers.get_mut((hash >> 6) as usize) {
            *bits |= 1 << (hash & 63);
        }
        self.asked += 1;
        if self.asked >= WINDOW {
            *self = Self {
                before: self.count(),
                ..Self::default()
            };
        }
    }

    /// How many to wait for.
    pub(super) fn wanted(&self) -> usize {
        let (of, all) = SHARE;
        let asking = self.count().max(self.before);
        (asking * of / all).min(WANTED_MAX)
    }

    fn count(&self) -> usize {
        let bits = self.askers.iter().map(|bits| bits.count_ones() as usize);
        bits.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wanted where so many tasks ask in turn. They lie in memory as blocks of one size do.
    fn wanted_of(tasks: usize, gathering: &mut Gathering) -> usize {
        for number in 0..2 * WINDOW as usize {
            gathering.note(0x7f12_3400_0000 + number % tasks * 4_096);
        }
        gathering.wanted()
    }

    #[test]
    fn a_third_of_those_who_ask_is_wanted() {
        let mut gathering = Gathering::default();
        assert_eq!(gathering.wanted(), 0);
        assert!(wanted_of(1, &mut gathering) <= 1);
        assert!((2..=3).contains(&wanted_of(8, &mut gathering)));
        assert!((18..=24).contains(&wanted_of(64, &mut gathering)));
        assert_eq!(wanted_of(250, &mut gathering), WANTED_MAX);
        assert!(
            wanted_of(4, &mut gathering) <= 1,
            "the others ask no longer"
        );
    }

    #[test]
    fn those_of_before_count_until_as_many_may_have_asked_again() {
        let mut gathering = Gathering::default();
        let wanted = wanted_of(64, &mut gathering);
        gathering.note(1);
        assert_eq!(gathering.wanted(), wanted);
    }
}
