//! A client that asks alone, and the time until it asks again.
//!
//! A connection that waits for the next request of such a client sleeps, and is woken a moment later, which takes
//! longer than the client takes to ask. So it stays awake for that moment, and gives up the core meanwhile: it may be
//! the one that the client needs.

use std::thread;
use std::time::Duration;

use crate::clock::monotonic;

/// Who made so many requests in a row asks alone.
const IN_A_ROW: u32 = 16;

/// How long a connection stays awake behind an answer: longer than a client on the same host takes to be woken and to
/// ask again.
const STAY: Duration = Duration::from_micros(150);

/// Where the core was gone for longer, another program had it.
const AWAY_MAX: Duration = Duration::from_micros(300);

/// Requests in a row behind which a connection stays awake in vain before it rests. One alone says nothing: a host
/// takes a core away now and then.
const IN_VAIN: u32 = 4;

/// Requests behind which a connection sleeps at once, before it tries again to stay awake.
const RESTS: u32 = 1_000;

/// Requests behind which a connection stays awake in a row. For the next one it waits, so that the executor looks for
/// others.
const TURNS: u32 = 16;

/// What one connection knows of whether others ask, too.
#[derive(Debug, Default)]
pub(super) struct Lone {
    /// The number of its last request among those of all connections.
    last: u64,
    in_a_row: u32,
    turns: u32,
    in_vain: u32,
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

    /// Stays awake for a moment if this connection's client asks alone, until `has_asked` says that it asked again.
    pub(super) fn stay_awake(&mut self, mut has_asked: impl FnMut() -> bool) {
        if !self.may_stay() {
            return;
        }
        let begun = monotonic();
        let mut awake = Duration::ZERO;
        let mut asked = false;
        while !asked && awake < STAY {
            thread::yield_now();
            awake = monotonic().saturating_duration_since(begun);
            asked = has_asked();
        }
        self.learn(awake, asked);
    }

    /// Notes how long it was awake and whether the client asked meanwhile. Rests from now on, if that was in vain too often.
    fn learn(&mut self, awake: Duration, asked: bool) {
        self.in_vain = if asked && awake <= AWAY_MAX {
            0
        } else {
            self.in_vain.saturating_add(1)
        };
        if self.in_vain == IN_VAIN {
            self.in_vain = 0;
            self.rests = RESTS;
        }
    }

    /// Whether it is this connection's turn to stay awake.
    fn may_stay(&mut self) -> bool {
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
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one whose client asks alone.
    fn lone() -> Lone {
        Lone {
            in_a_row: IN_A_ROW,
            ..Lone::default()
        }
    }

    #[test]
    fn a_connection_stays_awake_for_who_asks_alone_until_somebody_else_asks() {
        let mut lone = Lone::default();
        let mut stays = |number| {
            lone.note(number);
            lone.may_stay()
        };
        let first = (100..200).position(&mut stays);
        assert_eq!(first, Some(IN_A_ROW as usize));
        // Number 200 is another connection's.
        assert!(!stays(201));
    }

    #[test]
    fn it_looks_until_the_client_has_asked() {
        let (mut lone, mut looks) = (lone(), 0);
        lone.stay_awake(|| {
            looks += 1;
            true
        });
        assert_eq!(looks, 1);
        lone.in_a_row = 0;
        lone.stay_awake(|| panic!("others ask, too"));
    }

    #[test]
    fn it_rests_behind_a_client_that_takes_its_time() {
        let mut lone = lone();
        for asked in [false, false, true, false, false, false] {
            lone.learn(STAY, asked);
            assert_eq!(lone.rests, 0);
        }
        lone.learn(STAY, false);
        for _ in 0..RESTS {
            lone.stay_awake(|| panic!("it rests"));
        }
        assert!(lone.may_stay());
    }

    #[test]
    fn it_rests_where_another_program_needs_the_core() {
        let mut lone = lone();
        let away = AWAY_MAX + Duration::from_micros(1);
        for awake in [away, away, away, AWAY_MAX, away, away, away] {
            lone.learn(awake, true);
            assert_eq!(lone.rests, 0);
        }
        lone.learn(away, true);
        assert_eq!(lone.rests, RESTS);
    }

    #[test]
    fn others_are_looked_for_though_one_asks_alone() {
        let mut lone = lone();
        let stayed = (0..100).filter(|_| lone.may_stay());
        assert_eq!(stayed.count(), 95);
    }
}
