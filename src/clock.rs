//! The only reader of time.
//!
//! Everything else is handed a [`Clock`] or a [`Timestamp`], so that a test can move time by hand.
//! Wall-clock time may jump either way; what must not be moved by a jump (deadlines, time-outs)
//! is measured with [`monotonic`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The last millisecond of the year 9999, the end of what RFC 3339 can write.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;

/// A moment in UTC, in milliseconds since 1970-01-01T00:00:00Z; never later than the year 9999.
///
/// Displayed as RFC 3339 with milliseconds: `2026-03-30T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `ms` milliseconds after the epoch.
    pub const fn from_millis(ms: u64) -> Self {
        if ms > LAST_MILLISECOND {
            Self(LAST_MILLISECOND)
        } else {
            Self(ms)
        }
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment and `duration` later, at most the end of the year 9999.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(duration_millis(duration)))
    }

    /// This moment and `duration` earlier, at least the epoch.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration_millis(duration)))
    }
}

/// The time for which the calling thread has had a processor.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is ever negative.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Whole milliseconds of `duration`; `u64::MAX` for what does not fit.
pub fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Timestamp {
    /// Calls `see` with its text, made without `core::fmt`: most answers have some, and formatting each of their numbers
    /// would take longer than all the rest of them.
    fn with_text<T>(self, see: impl FnOnce(&str) -> T) -> T {
        let (year, month, day) = civil_date(self.0 / 86_400_000);
        let ms_of_day = self.0 % 86_400_000;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (number, place) in [
            (year, 0..4),
            (month, 5..7),
            (day, 8..10),
            (ms_of_day / 3_600_000, 11..13),
            (ms_of_day / 60_000 % 60, 14..16),
            (ms_of_day / 1_000 % 60, 17..19),
            (ms_of_day % 1_000, 20..23),
        ] {
            let mut rest = number;
            for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
                rest /= 10;
            }
        }
        see(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

/// Year, month and day of a day counted from 1970-01-01 in the proleptic Gregorian calendar.
///
/// The count is taken in 400-year eras that begin on 1 March, so that the leap day is a year's
/// last (Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    let days = days_since_epoch + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Tells wall-clock time: the system's, or one that is moved by hand.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    by_hand: Option<Arc<ByHand>>,
}

#[derive(Debug, Default)]
struct ByHand {
    wall_ms: AtomicU64,
    /// What has passed, whatever the wall clock says.
    passed_ms: AtomicU64,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `start` until it is moved; clones move together.
    pub fn by_hand(start: Timestamp) -> Self {
        let by_hand = ByHand {
            wall_ms: AtomicU64::new(start.as_millis()),
            passed_ms: AtomicU64::new(0),
        };
        Self {
            by_hand: Some(Arc::new(by_hand)),
        }
    }

    /// Sets a clock made by [`Clock::by_hand`] to `now`, as somebody sets a clock: no time passes.
    /// The system's clock stays as it is.
    pub fn set(&self, now: Timestamp) {
        if let Some(by_hand) = &self.by_hand {
            by_hand.wall_ms.store(now.as_millis(), Ordering::SeqCst);
        }
    }

    /// Lets time pass on a clock made by [`Clock::by_hand`].
    pub fn pass(&self, time: Duration) {
        if let Some(by_hand) = &self.by_hand {
            self.set(self.now().after(time));
            by_hand
                .passed_ms
                .fetch_add(duration_millis(time), Ordering::SeqCst);
        }
    }

    /// The present moment. A system clock set before 1970 reads as 1970.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads time"
    )]
    #[inline]
    pub fn now(&self) -> Timestamp {
        match &self.by_hand {
            Some(by_hand) => Timestamp::from_millis(by_hand.wall_ms.load(Ordering::SeqCst)),
            None => Timestamp::from_millis(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, duration_millis),
            ),
        }
    }
}

/// Time that nobody can set: it counts what passes, whatever the wall clock does meanwhile.
///
/// It looks like wall-clock time and starts as that. From then on it counts the time in which the
/// process runs, and is resumed by the next one, so what is measured with it (how long something
/// has been kept, when it is tried again) is hurt by no clock that is wrong or is put right.
#[derive(Debug)]
pub struct SteadyClock {
    clock: Clock,
    now: Timestamp,
    read_at: Instant,
    read_passed_ms: u64,
}

/// What a [`SteadyClock`] is resumed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it said.
    pub steady: Timestamp,
    /// The latest time that the wall clock has ever said until then.
    pub wall: Timestamp,
}

impl SteadyClock {
    /// A clock that starts at the present moment of `clock`.
    pub fn new(clock: Clock) -> Self {
        Self::at(clock.now(), clock)
    }

    /// A clock that goes on from `last`. The wall clock says what passed meanwhile: as far as it is
    /// beyond everything that it ever said, and `most` at most, because it may be wrong.
    pub fn resumed(clock: Clock, last: Reading, most: Duration) -> Self {
        let beyond = clock
            .now()
            .as_millis()
            .saturating_sub(last.wall.as_millis());
        let passed = Duration::from_millis(beyond).min(most);
        Self::at(last.steady.after(passed), clock)
    }

    fn at(now: Timestamp, clock: Clock) -> Self {
        let mut steady = Self {
            clock,
            now,
            read_at: monotonic(),
            read_passed_ms: 0,
        };
        steady.read_passed_ms = steady.passed_by_hand().unwrap_or(0);
        steady
    }

    /// The present moment.
    #[inline]
    pub fn now(&mut self) -> Timestamp {
        let passed = if let Some(passed_ms) = self.passed_by_hand() {
            let passed = passed_ms.saturating_sub(self.read_passed_ms);
            self.read_passed_ms = passed_ms;
            Duration::from_millis(passed)
        } else {
            let read_at = monotonic();
            let passed = read_at.saturating_duration_since(self.read_at);
            // What is less than a millisecond is counted next time.
            let whole = Duration::from_millis(duration_millis(passed));
            self.read_at = self.read_at.checked_add(whole).unwrap_or(read_at);
            whole
        };
        self.now = self.now.after(passed);
        self.now
    }

    fn passed_by_hand(&self) -> Option<u64> {
        let by_hand = self.clock.by_hand.as_ref()?;
        Some(by_hand.passed_ms.load(Ordering::SeqCst))
    }
}

/// A reading of the monotonic clock, for deadlines and time-outs.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads time"
)]
pub fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_read_as_rfc_3339_in_utc() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800_001, "2024-02-29T00:00:00.001Z"),
            (1_774_872_000_000, "2026-03-30T12:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (LAST_MILLISECOND, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let year = Duration::from_secs(365 * 86_400);
        assert_eq!(
            Timestamp::from_millis(5).before(year),
            Timestamp::from_millis(0)
        );
        assert_eq!(
            Timestamp::from_millis(u64::MAX).after(year).as_millis(),
            LAST_MILLISECOND
        );
    }

    #[test]
    fn a_steady_clock_counts_what_passes_and_no_jump() {
        let clock = Clock::by_hand(Timestamp::from_millis(1_000));
        let mut steady = SteadyClock::new(clock.clone());
        for jump in [10, 1 << 40, 0, 5_000] {
            let before = steady.now();
            clock.set(Timestamp::from_millis(jump));
            assert_eq!(steady.now(), before);
            clock.pass(Duration::from_millis(7));
            assert_eq!(steady.now(), before.after(Duration::from_millis(7)));
        }
    }

    #[test]
    fn a_steady_clock_is_resumed_by_what_the_wall_clock_says_within_bounds() {
        let last = Reading {
            steady: Timestamp::from_millis(500),
            wall: Timestamp::from_millis(10_000),
        };
        for (wall, expected) in [(10_000, 500), (10_300, 800), (9_000, 500), (1 << 40, 1_500)] {
            let clock = Clock::by_hand(Timestamp::from_millis(wall));
            let mut steady = SteadyClock::resumed(clock, last, Duration::from_secs(1));
            assert_eq!(steady.now().as_millis(), expected, "{wall}");
        }
    }

    #[test]
    fn a_steady_clock_of_the_system_goes_on() {
        let mut steady = SteadyClock::new(Clock::system());
        let begun = (steady.now(), monotonic());
        while begun.1.elapsed() < Duration::from_millis(20) {
            assert!(steady.now() >= begun.0);
        }
        let passed = steady.now().as_millis() - begun.0.as_millis();
        assert!((19..10_000).contains(&passed), "{passed}");
    }

    #[test]
    fn a_clock_moved_by_hand_moves_its_clones() {
        let clock = Clock::by_hand(Timestamp::from_millis(1_000));
        let clone = clock.clone();
        clock.set(Timestamp::from_millis(500));
        assert_eq!(clone.now().as_millis(), 500);
    }
}
