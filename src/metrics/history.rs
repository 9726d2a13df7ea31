//! The last hour, minute by minute.
//!
//! What is counted only rises; a minute is what it rose by between its beginning and its end. So counting
//! costs no more than the counters, and a minute is closed by whoever first counts or looks in a later one.
//! Minutes are those of the wall clock. One that is set back by a minute or less goes on in the present
//! minute; one that is set back further begins the history anew, because its minutes would not be in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Counter;
use super::quantile::{Quantiles, quantile_us};
use crate::clock::Timestamp;

/// Closed minutes that are kept.
const MINUTES_MAX: usize = 60;

/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60_000;

/// What happened in one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Its beginning.
    pub at: Timestamp,
    /// Tasks stored.
    pub submitted: u64,
    /// Tasks completed.
    pub completed: u64,
    /// Tasks failed.
    pub failed: u64,
    /// Events received.
    pub events: u64,
    /// Tasks pending at its end, or now.
    pub pending: u64,
    /// Median and 99th percentile of the time that tasks waited for an attempt, in microseconds;
    /// absent where none did.
    pub wait_us: Option<(u64, u64)>,
    /// The same of the time that attempts took.
    pub attempt_us: Option<(u64, u64)>,
}

/// Counts, and how they rose minute by minute.
#[derive(Debug)]
pub struct History {
    /// The minute that is counted now, since the epoch.
    minute: AtomicU64,
    /// Tasks stored.
    pub submitted: Counter,
    /// Tasks completed.
    pub completed: Counter,
    /// Tasks failed.
    pub failed: Counter,
    /// Events received.
    pub events: Counter,
    /// How long tasks waited for an attempt.
    pub waits: Quantiles,
    /// How long attempts took.
    pub attempts: Quantiles,
    past: Mutex<Past>,
}

#[derive(Debug)]
struct Past {
    /// What was counted when the present minute began.
    base: Totals,
    /// The minutes before it, the oldest first.
    closed: VecDeque<Minute>,
}

#[derive(Clone, Debug)]
struct Totals {
    submitted: u64,
    completed: u64,
    failed: u64,
    events: u64,
    waits: Vec<u64>,
    attempts: Vec<u64>,
}

impl History {
    /// An empty history that begins `now`.
    pub(super) fn new(now: Timestamp) -> Self {
        let (waits, attempts) = (Quantiles::default(), Quantiles::default());
        let base = Totals {
            submitted: 0,
            completed: 0,
            failed: 0,
            events: 0,
            waits: waits.counts(),
            attempts: attempts.counts(),
        };
        Self {
            minute: AtomicU64::new(minute_of(now)),
            submitted: Counter::default(),
            completed: Counter::default(),
            failed: Counter::default(),
            events: Counter::default(),
            waits,
            attempts,
            past: Mutex::new(Past {
                base,
                closed: VecDeque::new(),
            }),
        }
    }

    /// Closes the minutes that are over. Called in front of what is counted: what has not been closed
    /// by then belongs to the minute in which something was counted last. `pending` tells the tasks that
    /// wait, which were as many since then.
    pub fn turn(&self, now: Timestamp, pending: impl FnOnce() -> u64) {
        if self.minute.load(Ordering::Relaxed) != minute_of(now) {
            self.turn_to(minute_of(now), pending());
        }
    }

    /// The last hour, the oldest minute first, and last the present one, in which `pending` tasks wait
    /// now.
    pub fn minutes(&self, now: Timestamp, pending: u64) -> Vec<Minute> {
        self.turn(now, || pending);
        let totals = self.totals();
        let past = self.lock();
        let present = self.minute.load(Ordering::Relaxed);
        let mut minutes: Vec<_> = past.closed.iter().cloned().collect();
        minutes.push(between(present, &past.base, &totals, pending));
        minutes
    }

    fn turn_to(&self, minute: u64, pending: u64) {
        let mut past = self.lock();
        // Somebody else may have been faster.
        let present = self.minute.load(Ordering::Relaxed);
        if minute == present || (minute < present && present - minute <= 1) {
            return;
        }
        let totals = self.totals();
        if minute < present {
            past.closed.clear();
        } else {
            let closed = between(present, &past.base, &totals, pending);
            past.closed.push_back(closed);
            // Nothing happened in between. A clock that was set ahead must not cost more than an hour.
            let idle_from = present
                .saturating_add(1)
                .max(minute.saturating_sub(MINUTES_MAX as u64));
            for idle in idle_from..minute {
                past.closed
                    .push_back(between(idle, &totals, &totals, pending));
            }
            let oldest = start_of(minute.saturating_sub(MINUTES_MAX as u64));
            while past.closed.front().is_some_and(|first| first.at < oldest) {
                past.closed.pop_front();
            }
        }
        past.base = totals;
        self.minute.store(minute, Ordering::Relaxed);
    }

    fn totals(&self) -> Totals {
        Totals {
            submitted: self.submitted.value(),
            completed: self.completed.value(),
            failed: self.failed.value(),
            events: self.events.value(),
            waits: self.waits.counts(),
            attempts: self.attempts.counts(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn minute_of(now: Timestamp) -> u64 {
    now.as_millis() / MINUTE_MS
}

fn start_of(minute: u64) -> Timestamp {
    Timestamp::from_millis(minute.saturating_mul(MINUTE_MS))
}

/// What happened in `minute`, from what was counted at its beginning and at its end.
fn between(minute: u64, before: &Totals, after: &Totals, pending: u64) -> Minute {
    let both = |before: &[u64], after: &[u64]| {
        let quantile = |per_mille| quantile_us(before, after, per_mille);
        quantile(500).zip(quantile(990))
    };
    Minute {
        at: start_of(minute),
        submitted: after.submitted.saturating_sub(before.submitted),
        completed: after.completed.saturating_sub(before.completed),
        failed: after.failed.saturating_sub(before.failed),
        events: after.events.saturating_sub(before.events),
        pending,
        wait_us: both(&before.waits, &after.waits),
        attempt_us: both(&before.attempts, &after.attempts),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A minute of 2026, and some seconds into it.
    const START: u64 = 29_581_200;

    fn at(minute: u64, second: u64) -> Timestamp {
        Timestamp::from_millis(minute * MINUTE_MS + second * 1_000)
    }

    fn submitted(minutes: &[Minute]) -> Vec<u64> {
        minutes.iter().map(|minute| minute.submitted).collect()
    }

    fn submit(history: &History, now: Timestamp, pending: u64) {
        history.turn(now, || pending);
        history.submitted.increment();
    }

    #[test]
    fn each_minute_has_what_was_counted_in_it() {
        let history = History::new(at(START, 30));
        submit(&history, at(START, 31), 0);
        submit(&history, at(START, 59), 1);
        submit(&history, at(START + 1, 0), 2);
        history.waits.observe(Duration::from_micros(5));
        history.attempts.observe(Duration::from_micros(9));
        history.completed.increment();
        // Two minutes in which nothing happens.
        submit(&history, at(START + 4, 10), 7);
        let minutes = history.minutes(at(START + 4, 20), 3);
        assert_eq!(submitted(&minutes), [2, 1, 0, 0, 1]);
        let pending: Vec<_> = minutes.iter().map(|minute| minute.pending).collect();
        assert_eq!(pending, [2, 7, 7, 7, 3]);
        let times: Vec<_> = minutes.iter().map(|minute| minute.at).collect();
        let expected: Vec<_> = (START..=START + 4).map(|minute| at(minute, 0)).collect();
        assert_eq!(times, expected);
        assert_eq!(minutes[1].wait_us, Some((5, 5)));
        assert_eq!(minutes[1].attempt_us, Some((9, 9)));
        assert_eq!(minutes[1].completed, 1);
        assert_eq!((minutes[0].wait_us, minutes[4].attempt_us), (None, None));
    }

    #[test]
    fn an_hour_is_kept() {
        let history = History::new(at(START, 0));
        for minute in 0..200 {
            submit(&history, at(START + minute, 1), minute);
        }
        let minutes = history.minutes(at(START + 199, 2), 0);
        assert_eq!(minutes.len(), MINUTES_MAX + 1);
        assert_eq!(minutes[0].at, at(START + 139, 0));
        assert!(submitted(&minutes).iter().all(|count| *count == 1));
    }

    #[test]
    fn a_long_sleep_leaves_an_hour_of_nothing() {
        let history = History::new(at(START, 0));
        submit(&history, at(START, 1), 0);
        for later in [61, 1_000, 50_000_000] {
            let minutes = history.minutes(at(START + later, 0), 4);
            assert_eq!(minutes.len(), MINUTES_MAX + 1, "{later}");
            assert!(submitted(&minutes).iter().all(|count| *count == 0));
            assert!(minutes.iter().all(|minute| minute.pending == 4));
        }
        // At the very end of what a clock can say.
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(history.minutes(end, 0).len(), MINUTES_MAX + 1);
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_goes_on_in_the_same_minute() {
        let history = History::new(at(START, 0));
        submit(&history, at(START, 0), 0);
        submit(&history, at(START + 1, 0), 0);
        submit(&history, at(START, 59), 0);
        let minutes = history.minutes(at(START + 1, 5), 0);
        assert_eq!(submitted(&minutes), [1, 2]);
    }

    #[test]
    fn a_clock_that_is_set_back_far_begins_anew() {
        let history = History::new(at(START, 0));
        submit(&history, at(START, 0), 0);
        submit(&history, at(START + 1, 0), 0);
        submit(&history, at(START - 1_000, 0), 0);
        let minutes = history.minutes(at(START - 1_000, 30), 0);
        assert_eq!(submitted(&minutes), [1]);
        assert_eq!(minutes[0].at, at(START - 1_000, 0));
        submit(&history, at(START - 999, 0), 0);
        assert_eq!(submitted(&history.minutes(at(START - 999, 1), 0)), [1, 1]);
        // What was counted in all stays.
        assert_eq!(history.submitted.value(), 4);
    }

    #[test]
    fn threads_that_turn_at_once_close_a_minute_once() {
        let history = History::new(at(START, 0));
        let together = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for minute in 0..30 {
                        // No clock says one minute to one and another to the next for long.
                        together.wait();
                        history.turn(at(START + minute, 0), || 0);
                        history.submitted.increment();
                    }
                });
            }
        });
        let minutes = history.minutes(at(START + 29, 0), 0);
        assert_eq!(minutes.len(), 30);
        assert_eq!(submitted(&minutes).iter().sum::<u64>(), 8 * 30);
        assert!(minutes.is_sorted_by(|a, b| a.at < b.at));
    }
}
