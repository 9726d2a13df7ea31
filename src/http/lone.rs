//! A client that asks alone, and the time until it asks again.
//!
//! A connection that waits for the next request of such a client sleeps, and is woken a moment later, which takes
//! longer than the client takes to ask. So it stays awake for that moment, and gives up the core meanwhile: it may be
//! the one that the client needs.

use std::thread;
use std::time::{Duration, Instant};

use crate::clock::monotonic;

/// Who made so many requests in a row asks alone.
const IN_A_ROW: u32 = 16;

/// How long a connection stays awake at most behind an answer: longer than a client on the same host takes to be woken
/// and to ask again.
const STAY: Duration = Duration::from_micros(150);

/// A stay that took longer lost the core to another program.
const LOST: Duration = Duration::from_micros(300);

/// A connection rests when it was in vain so much more often than not. Once says nothing: a host takes a core away now
/// and then.
const IN_VAIN: u32 = 4;

/// Requests behind which a connection sleeps at once, before it tries again to stay awake.
const RESTS: u32 = 1_000;

/// BOUND: for so long, and one request, the executor does not look for others; then the connection sleeps.
const OTHERS_WAIT: Duration = Duration::from_millis(4);

/// What one connection knows of whether others ask, too.
#[derive(Debug, Default)]
pub(super) struct Lone {
    /// The number of its last request among those of all connections.
    last: u64,
    in_a_row: u32,
    /// Since when the executor has looked for nobody else.
    since: Option<Instant>,
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
        let begun = monotonic();
        if !self.takes_turn(begun) {
            return;
        }
        let mut awake = Duration::ZERO;
        let mut asked = false;
        while !asked && awake < STAY {
            thread::yield_now();
            awake = monotonic().saturating_duration_since(begun);
            asked = has_asked();
        }
        if !asked {
            // It sleeps now.
            self.since = None;
        }
        self.learn(awake, asked);
    }

    /// Whether it is this connection's turn to stay awake.
    fn takes_turn(&mut self, now: Instant) -> bool {
        if self.in_a_row < IN_A_ROW {
            return false;
        }
        if self.rests > 0 {
            self.rests -= 1;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) > OTHERS_WAIT {
            self.since = None;
            return false;
        }
        true
    }

    /// Notes how long it was awake and whether the client asked meanwhile. Rests from now on, if that was in vain too
    /// often.
    fn learn(&mut self, awake: Duration, asked: bool) {
        self.in_vain = if asked && awake <= LOST {
            self.in_vain.saturating_sub(1)
        } else {
            self.in_vain.saturating_add(1)
        };
        if self.in_vain == IN_VAIN {
            self.in_vain = 0;
            self.rests = RESTS;
        }
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
        let now = monotonic();
        let mut stays = |number| {
            lone.note(number);
            lone.takes_turn(now)
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
        for asked in [false, false, true, false, false] {
            lone.learn(STAY, asked);
            assert_eq!(lone.rests, 0);
        }
        lone.learn(STAY, false);
        for _ in 0..RESTS {
            lone.stay_awake(|| panic!("it rests"));
        }
        assert!(lone.takes_turn(monotonic()));
    }

    #[test]
    fn it_rests_where_another_program_needs_the_core() {
        let mut lone = lone();
        let lost = LOST + Duration::from_micros(1);
        // Now and then is not often.
        for _ in 0..100 {
            for awake in [lost, lost, LOST, LOST] {
                lone.learn(awake, true);
                assert_eq!(lone.rests, 0);
            }
        }
        let often = (0..100).position(|_| {
            for awake in [lost, LOST, lost] {
                lone.learn(awake, true);
            }
            lone.rests == RESTS
        });
        assert_eq!(often, Some(3));
    }

    #[test]
    fn others_are_looked_for_though_one_asks_alone() {
        let mut lone = lone();
        let begun = monotonic();
        let stayed = (0..100_u32).filter(|number| {
            let now = begun + Duration::from_micros(500) * *number;
            lone.takes_turn(now)
        });
        // Nine of ten: it sleeps when more than 4 ms are over.
        assert_eq!(stayed.count(), 90);
    }
}
