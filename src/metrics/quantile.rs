//! Quantiles of durations, to within an eighth of their value, in a bounded number of buckets.
//!
//! Below 16 us each microsecond has a bucket; above, each power of two has eight of the same width.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::micros;

/// Buckets that are one microsecond wide.
const SINGLE: u64 = 16;

/// The exponent of the first power of two behind them.
const FIRST_OCTAVE: u32 = 4;

/// What is longer than 2^38 us, three days, counts as that.
const LAST_OCTAVE: u32 = 37;

/// Buckets of each power of two.
const PARTS: u64 = 8;

/// `SINGLE`, and `PARTS` for each of the octaves 4 to 37.
const BUCKETS: usize = 16 + 34 * 8;

/// Counts of durations in fine buckets.
#[derive(Debug)]
pub struct Quantiles(Box<[AtomicU64]>);

impl Default for Quantiles {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Quantiles {
    /// Counts something that took `duration`: one addition.
    pub fn observe(&self, duration: Duration) {
        if let Some(bucket) = self.0.get(place(micros(duration))) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted by now.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.0
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect()
    }
}

/// The duration in microseconds below which `per_mille` thousandths of what was counted between
/// `before` and `after` lie; `None` where nothing was.
pub(super) fn quantile_us(before: &[u64], after: &[u64], per_mille: u64) -> Option<u64> {
    let counted = || {
        after
            .iter()
            .zip(before)
            .map(|(after, before)| after.saturating_sub(*before))
    };
    let all = counted().fold(0, u64::saturating_add);
    if all == 0 {
        return None;
    }
    let rank = all.saturating_mul(per_mille).div_ceil(1_000).max(1);
    let mut below = 0_u64;
    for (place, count) in counted().enumerate() {
        let reached = below.saturating_add(count);
        if reached >= rank {
            let (low, width) = bounds_us(place);
            // As if what is in a bucket were spread evenly over it.
            let within = rank.saturating_sub(below).saturating_mul(width) / count.max(1);
            return Some(low.saturating_add(within.saturating_sub(u64::from(width == 1))));
        }
        below = reached;
    }
    None
}

fn place(us: u64) -> usize {
    let us = us.min((1 << (LAST_OCTAVE + 1)) - 1);
    let place = if us < SINGLE {
        us
    } else {
        let octave = us.ilog2();
        let part = (us >> (octave - 3)) & (PARTS - 1);
        SINGLE + u64::from(octave - FIRST_OCTAVE) * PARTS + part
    };
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The lower bound of a bucket, and its width.
fn bounds_us(place: usize) -> (u64, u64) {
    let place = place as u64;
    match place.checked_sub(SINGLE) {
        None => (place, 1),
        Some(behind) => {
            let octave = u64::from(FIRST_OCTAVE)
                .saturating_add(behind / PARTS)
                .min(62);
            let width = 1_u64 << (octave - 3);
            ((PARTS + behind % PARTS).saturating_mul(width), width)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantile(counted: &[u64], per_mille: u64) -> Option<u64> {
        let quantiles = Quantiles::default();
        let before = quantiles.counts();
        for us in counted {
            quantiles.observe(Duration::from_micros(*us));
        }
        quantile_us(&before, &quantiles.counts(), per_mille)
    }

    #[test]
    fn every_duration_has_a_bucket_that_holds_it() {
        let mut last = 0;
        for us in (0..5_000).chain((12..38).flat_map(|exponent| {
            let power = 1_u64 << exponent;
            [power - 1, power, power + power / 3, 2 * power - 1]
        })) {
            let found = place(us);
            let (low, width) = bounds_us(found);
            assert!(low <= us && us < low + width, "{us}: {low} {width}");
            assert!(width == 1 || width <= low / 8 + 1, "{us}: {width}");
            assert!(found < BUCKETS);
            last = last.max(found);
        }
        assert_eq!(place(u64::MAX), BUCKETS - 1);
        assert_eq!(last, BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_near_what_was_counted() {
        assert_eq!(quantile(&[], 500), None);
        assert_eq!(quantile(&[0], 500), Some(0));
        assert_eq!(quantile(&[7], 990), Some(7));
        let rising: Vec<u64> = (1..=1_000).map(|ms| ms * 1_000).collect();
        for (per_mille, expected) in [(500, 500_000_u64), (990, 990_000), (1, 1_000)] {
            let found = quantile(&rising, per_mille).unwrap();
            assert!(found.abs_diff(expected) <= expected / 16, "{found}");
        }
        // One slow one of hundred is the 99th, of which the median knows nothing.
        let mut counted = vec![1_000; 98];
        counted.extend([60_000_000; 2]);
        assert!(quantile(&counted, 500).unwrap() < 1_200);
        assert!(quantile(&counted, 990).unwrap() > 50_000_000);
    }

    #[test]
    fn what_was_counted_before_does_not_count() {
        let quantiles = Quantiles::default();
        quantiles.observe(Duration::from_secs(9));
        let before = quantiles.counts();
        quantiles.observe(Duration::from_micros(3));
        assert_eq!(quantile_us(&before, &quantiles.counts(), 990), Some(3));
        let after = quantiles.counts();
        assert_eq!(quantile_us(&after, &after, 500), None);
    }
}
