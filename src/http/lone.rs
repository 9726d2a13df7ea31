//! A client that asks alone, and the core that it may share with the server.
//!
//! After an answer such a client needs a core for its next request. Where that is the server's own, and the server gives
//! it up at once, the request is there when the server goes on: neither waits for the other to be woken.

use std::thread;
use std::time::Duration;

use crate::clock::monotonic;

/// Who made so many requests in a row asks alone.
const IN_A_ROW: u32 = 16;

/// A client takes no longer to ask again; who does is another program that had the core.
const TURN_MAX: Duration = Duration::from_micros(300);

/// Requests behind one for which the core was gone for longer, before it is given up again.
const RESTS: u32 = 1_000;

/// Requests for which the core is given up in a row. For the next one the connection waits, so that the executor looks
/// for others.
const TURNS: u32 = 16;

/// What one connection knows of whether others ask, too.
#[derive(Debug, Default)]
pub(super) struct Lone {
    /// The number of its last request among those of all connections.
    last: u64,
    in_a_row: u32,
    turns: u32,
    rests: u32,
}

impl Lone {
    /// Notes a request of this connection, by its number among those of all connections.
    pub(super) fn note(&mut self, number: u64) {
        let is_next = number == self.last.wrapping_add(1);
        self.in_a_row = if is_next {
            self.in_a_row.saturating_add(1)
        } else {
            0
        };
        self.last = number;
    }

    /// Gives up the core if this connection's client asks alone, and says whether it did.
    pub(super) fn give_way(&mut self) -> bool {
        if self.in_a_row < IN_A_ROW {
            return false;
        }
        if self.rests > 0 {
            self.rests -= 1;
            return false;
        }
        if self.turns == TURNS {
            self.turns = 0;
            return false;
        }
        self.turns += 1;
        let begun = monotonic();
        thread::yield_now();
        if monotonic().saturating_duration_since(begun) > TURN_MAX {
            self.rests = RESTS;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_alone_gives_way_until_somebody_else_asks() {
        let mut lone = Lone::default();
        let gives_way = |lone: &mut Lone, number| {
            lone.note(number);
            lone.rests = 0;
            lone.give_way()
        };
        let first = (100..200).position(|number| gives_way(&mut lone, number));
        assert_eq!(first, Some(IN_A_ROW as usize));
        // Number 200 is another connection's.
        assert!(!gives_way(&mut lone, 201));
    }

    #[test]
    fn who_lost_the_core_for_long_keeps_it_for_a_while() {
        let mut lone = Lone {
            in_a_row: IN_A_ROW,
            rests: RESTS,
            ..Lone::default()
        };
        for _ in 0..RESTS {
            assert!(!lone.give_way());
        }
        assert!(lone.give_way());
    }

    #[test]
    fn others_are_looked_for_though_one_asks_alone() {
        let mut lone = Lone {
            in_a_row: IN_A_ROW,
            ..Lone::default()
        };
        let gave_way = (0..100).map(|_| {
            lone.rests = 0;
            lone.give_way()
        });
        assert_eq!(gave_way.filter(|gave_way| !gave_way).count(), 5);
    }
}
