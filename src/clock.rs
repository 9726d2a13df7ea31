//! The only reader of time.
//!
//! Everything else is handed a [`Clock`] or a [`Timestamp`], so that a test can move time by hand.
//! Wall-clock time may jump either way; what must not be moved by a jump (deadlines, time-outs)
//! is measured with [`monotonic`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The last millisecond of the year 9999, the end of what RFC 3339 can write.
const LAST_MILLISECOND: u64 = 253_402_300_799_999;

/// A moment in UTC, in milliseconds since 1970-01-01T00:00:00Z; never later than the year 9999.
///
/// Displayed as RFC 3339 with milliseconds: `2026-03-30T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `ms` milliseconds after the epoch.
    pub fn from_millis(ms: u64) -> Self {
        Self(ms.min(LAST_MILLISECOND))
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

/// Whole milliseconds of `duration`; `u64::MAX` for what does not fit.
pub fn duration_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_date(self.0 / 86_400_000);
        let ms_of_day = self.0 % 86_400_000;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            ms_of_day / 3_600_000,
            ms_of_day / 60_000 % 60,
            ms_of_day / 1_000 % 60,
            ms_of_day % 1_000
        )
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
    by_hand: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `start` until [`Clock::set`] moves it; clones move together.
    pub fn by_hand(start: Timestamp) -> Self {
        Self {
            by_hand: Some(Arc::new(AtomicU64::new(start.as_millis()))),
        }
    }

    /// Moves a clock made by [`Clock::by_hand`] to `now`; the system's clock stays as it is.
    pub fn set(&self, now: Timestamp) {
        if let Some(millis) = &self.by_hand {
            millis.store(now.as_millis(), Ordering::SeqCst);
        }
    }

    /// The present moment. A system clock set before 1970 reads as 1970.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads time"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.by_hand {
            Some(millis) => Timestamp::from_millis(millis.load(Ordering::SeqCst)),
            None => Timestamp::from_millis(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, duration_millis),
            ),
        }
    }
}

/// Wall-clock time that never runs backwards and never stands still: for delays that must not
/// grow when the system's clock is set back.
#[derive(Debug)]
pub struct SteadyClock {
    clock: Clock,
    last: Timestamp,
    read_at: Instant,
}

impl SteadyClock {
    /// A clock that starts at the present moment of `clock`.
    pub fn new(clock: Clock) -> Self {
        Self {
            last: clock.now(),
            read_at: monotonic(),
            clock,
        }
    }

    /// The present moment: what `clock` says, or, where that is earlier, the last answer plus the
    /// time that has passed since. A clock that is moved by hand does not pass time by itself.
    pub fn now(&mut self) -> Timestamp {
        let read_at = monotonic();
        let passed = match self.clock.by_hand {
            Some(_) => Duration::ZERO,
            None => read_at.saturating_duration_since(self.read_at),
        };
        self.last = self.clock.now().max(self.last.after(passed));
        // Less than a millisecond is not lost: it is counted from the same reading next time.
        if passed >= Duration::from_millis(1) {
            self.read_at = read_at;
        }
        self.last
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
    fn a_steady_clock_does_not_step_back() {
        let clock = Clock::by_hand(Timestamp::from_millis(1_000));
        let mut steady = SteadyClock::new(clock.clone());
        clock.set(Timestamp::from_millis(10));
        assert_eq!(steady.now().as_millis(), 1_000);
        clock.set(Timestamp::from_millis(2_000));
        assert_eq!(steady.now().as_millis(), 2_000);
    }

    #[test]
    fn a_clock_moved_by_hand_moves_its_clones() {
        let clock = Clock::by_hand(Timestamp::from_millis(1_000));
        let clone = clock.clone();
        clock.set(Timestamp::from_millis(500));
        assert_eq!(clone.now().as_millis(), 500);
    }
}
