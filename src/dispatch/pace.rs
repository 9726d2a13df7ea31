//! When a worker's attempts may start: its rate, and its pauses after 429 and 503.
//!
//! Pure: the present moment is an argument. A rate `N/per` means that within no span of `per`
//! more than N attempts start, and that N may start at once after a quiet span. An attempt
//! starts when its task is claimed. A worker that refuses is left alone for as long as it asks,
//! else for 1 s, doubling to 30 s while it goes on refusing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::worker::Rate;

/// BOUND: starts remembered for each worker, 16 KiB. A rate with a higher count is held in
/// equal parts of its span, which is never more than was asked for.
const STARTS_MAX: u32 = 1_000;

const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What may start at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    /// So many attempts, at least one.
    Attempts(u32),
    /// None before that moment.
    NotBefore(Instant),
}

/// The memory of one worker's starts and refusals.
#[derive(Debug, Default)]
pub(super) struct Pace {
    starts: VecDeque<Instant>,
    refusals: u32,
    paused_until: Option<Instant>,
}

impl Pace {
    /// How many attempts may start `now`.
    pub(super) fn allowance(&mut self, rate: Option<Rate>, now: Instant) -> Allowance {
        if let Some(until) = self.paused_until(now) {
            return Allowance::NotBefore(until);
        }
        let Some(rate) = rate else {
            self.starts.clear();
            return Allowance::Attempts(u32::MAX);
        };
        let (count, span) = window(rate);
        while let Some(start) = self.starts.front() {
            if now.saturating_duration_since(*start) < span {
                break;
            }
            self.starts.pop_front();
        }
        let recent = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        match count.saturating_sub(recent) {
            0 => {
                // The rate may have been lowered: enough of the starts must grow old.
                let surplus = recent.saturating_sub(count);
                let start = self.starts.get(usize::try_from(surplus).unwrap_or(0));
                let free_at = start.and_then(|start| start.checked_add(span));
                Allowance::NotBefore(free_at.unwrap_or(now))
            }
            free => Allowance::Attempts(free),
        }
    }

    /// Notes that `count` attempts start `now`, as [`Pace::allowance`] allowed.
    pub(super) fn started(&mut self, count: usize, rate: Option<Rate>, now: Instant) {
        if rate.is_none() {
            return;
        }
        let most = usize::try_from(STARTS_MAX).unwrap_or(usize::MAX);
        for _ in 0..count.min(most) {
            if self.starts.len() >= most {
                self.starts.pop_front();
            }
            self.starts.push_back(now);
        }
    }

    /// Notes that the worker refused an attempt, and gives the pause that it is left alone for
    /// from `now` on. Refusals during a pause lengthen it at most to what they ask for: they are
    /// answers to attempts that were already on their way.
    pub(super) fn refused(&mut self, asked_for: Option<Duration>, now: Instant) -> Duration {
        let running_pause = self.paused_until(now);
        if running_pause.is_none() {
            self.refusals = self.refusals.saturating_add(1);
        }
        let doublings = self.refusals.saturating_sub(1).min(5);
        let own = PAUSE_FIRST.saturating_mul(1 << doublings).min(PAUSE_MAX);
        // "At once" is taken as the first pause, or a worker could make the server spin.
        let pause = asked_for.map_or(own, |asked_for| asked_for.max(PAUSE_FIRST));
        let until = now.checked_add(pause).max(running_pause);
        self.paused_until = until;
        until.map_or(pause, |until| until.saturating_duration_since(now))
    }

    /// Notes that the worker took an attempt: the next refusal is a first one.
    pub(super) fn taken(&mut self) {
        self.refusals = 0;
    }

    /// The end of the pause that runs `now`.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Forgets refusals and the pause: the worker has become another one.
    pub(super) fn forget_refusals(&mut self) {
        self.refusals = 0;
        self.paused_until = None;
    }
}

/// The rate as a count of at most [`STARTS_MAX`] and its span. A count of N is cut into k equal
/// parts of span/k each: any span then sees at most k parts, hence at most N starts.
fn window(rate: Rate) -> (u32, Duration) {
    let parts = rate.count.div_ceil(STARTS_MAX).max(1);
    // Rounded up, or the parts would not cover the whole span.
    let part = (rate.per / parts).saturating_add(Duration::from_nanos((parts > 1).into()));
    ((rate.count / parts).max(1), part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    const SECOND: Duration = Duration::from_secs(1);

    fn rate(count: u32, per: Duration) -> Rate {
        Rate { count, per }
    }

    #[test]
    fn no_rate_holds_nothing_back() {
        let now = monotonic();
        let mut pace = Pace::default();
        pace.started(1_000_000, None, now);
        assert_eq!(pace.allowance(None, now), Allowance::Attempts(u32::MAX));
        assert!(pace.starts.is_empty());
    }

    #[test]
    fn a_span_never_sees_more_starts_than_its_rate() {
        for (count, per) in [
            (1, SECOND),
            (2, SECOND),
            (7, Duration::from_secs(60)),
            (1_000, SECOND),
            (2_500, SECOND),
        ] {
            let begin = monotonic();
            let rate = Some(rate(count, per));
            let mut pace = Pace::default();
            let mut starts: Vec<Duration> = Vec::new();
            let mut at = Duration::ZERO;
            while at < per * 4 {
                match pace.allowance(rate, begin + at) {
                    Allowance::Attempts(free) => {
                        // Sometimes fewer start than may.
                        let take = (free / 2).max(1);
                        pace.started(take as usize, rate, begin + at);
                        starts.extend(std::iter::repeat_n(at, take as usize));
                        at += per / 97;
                    }
                    Allowance::NotBefore(next) => {
                        assert!(next > begin + at, "the wait has an end in the future");
                        at = next - begin;
                    }
                }
            }
            for (i, first) in starts.iter().enumerate() {
                let within = starts[i..].iter().take_while(|s| **s < *first + per);
                assert!(within.count() <= count as usize, "{count} per {per:?}");
            }
            assert!(starts.len() >= count as usize * 3, "{count} per {per:?}");
        }
    }

    #[test]
    fn a_lowered_rate_waits_until_enough_starts_are_old() {
        let now = monotonic();
        let mut pace = Pace::default();
        for i in 0..4 {
            pace.started(1, Some(rate(4, SECOND)), now + SECOND / 10 * i);
        }
        let later = now + SECOND / 2;
        let expected = Allowance::NotBefore(now + SECOND / 10 * 2 + SECOND);
        assert_eq!(pace.allowance(Some(rate(2, SECOND)), later), expected);
    }

    #[test]
    fn refusals_double_the_pause_until_an_attempt_is_taken() {
        let mut now = monotonic();
        let mut pace = Pace::default();
        for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
            let pause = pace.refused(None, now);
            assert_eq!(pause.as_secs(), seconds);
            assert_eq!(pace.allowance(None, now), Allowance::NotBefore(now + pause));
            now += pause;
            assert_eq!(pace.allowance(None, now), Allowance::Attempts(u32::MAX));
        }
        pace.taken();
        assert_eq!(pace.refused(None, now).as_secs(), 1);
    }

    #[test]
    fn refusals_during_a_pause_do_not_count() {
        let now = monotonic();
        let mut pace = Pace::default();
        assert_eq!(pace.refused(None, now), SECOND);
        assert_eq!(pace.refused(None, now + SECOND / 2), SECOND);
        assert_eq!(pace.refusals, 1);
        let longer = pace.refused(Some(SECOND * 20), now + SECOND / 2);
        assert_eq!(longer, SECOND * 20);
        // A shorter wish does not shorten what runs.
        assert_eq!(pace.refused(Some(SECOND), now + SECOND / 2), longer);
    }

    #[test]
    fn what_the_worker_asks_for_is_honoured() {
        let now = monotonic();
        let mut pace = Pace::default();
        assert_eq!(pace.refused(Some(SECOND * 90), now), SECOND * 90);
        pace.forget_refusals();
        assert_eq!(pace.refused(Some(Duration::ZERO), now), SECOND);
    }
}
