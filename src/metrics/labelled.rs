//! One counter, or set of counters, for each value of a label.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::Counter;

/// The label that all values share for which there was no room. No worker and no source has this
/// name: theirs begin with a letter or a digit.
pub const OTHER: &str = "_other";

/// One `T` for each value of a label. BOUND: so many values at most; those that come later share
/// one `T`.
#[derive(Debug)]
pub struct Labelled<T> {
    max: usize,
    known: RwLock<BTreeMap<Box<str>, Arc<T>>>,
    other: Arc<T>,
    has_other: AtomicBool,
}

impl<T: Default> Labelled<T> {
    /// Room for `max` values.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            known: RwLock::default(),
            other: Arc::default(),
            has_other: AtomicBool::new(false),
        }
    }

    /// What `value` counts into, made where it is new. It stays the same, so that it can be had once
    /// and kept.
    pub fn of(&self, value: &str) -> Arc<T> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(value) {
            return Arc::clone(found);
        }
        let is_full = known.len() >= self.max;
        drop(known);
        if is_full {
            return self.shared();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.max && !known.contains_key(value) {
            drop(known);
            return self.shared();
        }
        Arc::clone(known.entry(value.into()).or_default())
    }

    /// Whether `value` has a `T` of its own.
    pub fn knows(&self, value: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.contains_key(value)
    }

    /// All values in their order, and [`OTHER`] behind them where some share it.
    pub fn all(&self) -> Vec<(Box<str>, Arc<T>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known
            .iter()
            .map(|(value, counted)| (value.clone(), Arc::clone(counted)))
            .collect();
        drop(known);
        if self.has_other.load(Ordering::Relaxed) {
            all.push((OTHER.into(), Arc::clone(&self.other)));
        }
        all
    }

    fn shared(&self) -> Arc<T> {
        self.has_other.store(true, Ordering::Relaxed);
        Arc::clone(&self.other)
    }
}

/// Reasons that are counted by themselves: more than there are.
const REASONS_MAX: usize = 64;

/// Counts by reason.
#[derive(Debug)]
pub struct Reasons(Labelled<Counter>);

impl Default for Reasons {
    fn default() -> Self {
        Self(Labelled::new(REASONS_MAX))
    }
}

impl Reasons {
    /// One more for `reason`.
    pub fn count(&self, reason: &'static str) {
        self.0.of(reason).increment();
    }

    /// Shows `reason` from now on, though it may not have been counted yet: what Prometheus sees for
    /// the first time is no rise.
    pub fn show(&self, reason: &'static str) {
        self.0.of(reason);
    }

    /// Each reason with its count.
    pub fn all(&self) -> Vec<(Box<str>, u64)> {
        let all = self.0.all().into_iter();
        all.map(|(reason, counter)| (reason, counter.value()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_bound_share_one() {
        let labelled = Labelled::<Counter>::new(2);
        for value in ["b", "a", "c", "d", "a", "c"] {
            labelled.of(value).increment();
        }
        let all: Vec<_> = labelled
            .all()
            .into_iter()
            .map(|(value, counter)| (value.to_string(), counter.value()))
            .collect();
        let expected = [("a", 2), ("b", 1), (OTHER, 3)];
        assert_eq!(
            all,
            expected.map(|(value, count)| (value.to_owned(), count))
        );
        assert!(labelled.knows("a") && !labelled.knows("c"));
    }

    #[test]
    fn reasons_are_shown_before_they_are_counted() {
        let reasons = Reasons::default();
        reasons.count("b");
        reasons.show("a");
        reasons.show("b");
        assert_eq!(reasons.all(), [("a".into(), 0), ("b".into(), 1)]);
    }

    #[test]
    fn a_handle_that_is_kept_counts_into_the_same() {
        let labelled = Labelled::<Counter>::new(2);
        let kept = labelled.of("a");
        labelled.of("a").increment();
        kept.increment();
        assert_eq!(labelled.of("a").value(), 2);
        assert_eq!(labelled.all().len(), 1);
    }
}
