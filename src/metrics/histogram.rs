//! How long things take, in buckets that are always the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of buckets for what takes milliseconds, in microseconds: 0.5 ms to a minute.
pub const SHORT: &[u64] = &[
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000, 60_000_000,
];

/// Upper bounds of buckets for what takes seconds to hours, in microseconds: 10 ms to a day.
pub const LONG: &[u64] = &[
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
    21_600_000_000,
    86_400_000_000,
];

/// Durations, counted by the bucket that each falls in.
#[derive(Debug)]
pub struct Histogram {
    /// In microseconds, rising.
    bounds: &'static [u64],
    /// One for each bound, and one for what is above all of them.
    buckets: Box<[AtomicU64]>,
    sum_us: AtomicU64,
}

impl Histogram {
    /// An empty histogram with these upper bounds, in microseconds.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_us: AtomicU64::new(0),
        }
    }

    /// Counts something that took `duration`: two additions.
    pub fn observe(&self, duration: Duration) {
        let us = micros(duration);
        let place = self.bounds.partition_point(|bound| *bound < us);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How much was counted.
    pub fn count(&self) -> u64 {
        self.buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .fold(0, u64::saturating_add)
    }

    /// The sum of all durations in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }

    /// Each bound in microseconds, with how much took as long or less; last, without a bound, all.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        let counts = self.buckets.iter().scan(0_u64, |sum, bucket| {
            *sum = sum.saturating_add(bucket.load(Ordering::Relaxed));
            Some(*sum)
        });
        bounds.zip(counts)
    }
}

/// Whole microseconds of `duration`; `u64::MAX` for what does not fit.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise() {
        for bounds in [SHORT, LONG] {
            assert!(bounds.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn a_duration_falls_in_the_first_bucket_that_it_does_not_exceed() {
        let histogram = Histogram::new(&[10, 100]);
        for us in [0, 9, 10, 11, 100, 101, 5_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let buckets: Vec<_> = histogram.cumulative().collect();
        assert_eq!(buckets, [(Some(10), 3), (Some(100), 5), (None, 7)]);
        assert_eq!(histogram.count(), 7);
        assert_eq!(histogram.sum_us(), 5_000_231);
        histogram.observe(Duration::MAX);
        assert_eq!(histogram.count(), 8);
    }
}
