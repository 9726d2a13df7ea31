//! What is counted while the server runs: counters, histograms, and the last hour minute by minute.
//!
//! The rooms that do the work count into it, `api` shows it; it knows none of them. Counting is a few
//! relaxed atomic additions; nothing is allocated, and no lock is taken where a handle was had
//! beforehand ([`Labelled::of`]). It has no timer: minutes are turned by whoever counts or looks.
//!
//! BOUND: labels that come from outside (workers, sources, reasons) are so many at most; all that come
//! later share one, [`OTHER`]. Nothing is kept across a restart, as Prometheus expects.

mod exposition;
mod histogram;
mod history;
mod labelled;
mod process;
mod quantile;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use exposition::{Exposition, Family, Kind, MEDIA_TYPE};
pub use histogram::{Histogram, LONG, SHORT};
pub use history::{History, Minute};
pub use labelled::{Labelled, OTHER, Reasons};
pub use process::Process;
pub use quantile::Quantiles;

use crate::clock::Timestamp;

/// Workers with a label of their own. Each has some 40 lines of `/metrics`.
const WORKERS_MAX: usize = 100;

/// Sources with a label of their own: as many as a configuration may have.
const SOURCES_MAX: usize = 100;

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `count` more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many by now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How an attempt came out that a worker was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The worker gave a result.
    Completed,
    /// The worker failed, or gave no result that counts.
    Failed,
    /// The worker said that it is busy (429, 503).
    Refused,
    /// The server broke it off: it stopped, or had no memory for the result.
    BrokenOff,
    /// Somebody cancelled the task.
    Cancelled,
}

impl AttemptOutcome {
    /// All there are.
    pub const ALL: [Self; 5] = [
        Self::Completed,
        Self::Failed,
        Self::Refused,
        Self::BrokenOff,
        Self::Cancelled,
    ];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::BrokenOff => "broken_off",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What is counted of one worker.
#[derive(Debug)]
pub struct Worker {
    /// Its tasks that completed.
    pub completed: Counter,
    /// Its tasks that failed for good.
    pub failed: Counter,
    /// How long tasks waited for an attempt: from creation, or from when a further one was due.
    pub waits: Histogram,
    /// How long attempts took that completed or failed.
    pub attempt_times: Histogram,
    attempts: [Counter; AttemptOutcome::ALL.len()],
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            completed: Counter::default(),
            failed: Counter::default(),
            waits: Histogram::new(LONG),
            attempt_times: Histogram::new(LONG),
            attempts: Default::default(),
        }
    }
}

impl Worker {
    /// Attempts by how they came out.
    pub fn attempts(&self) -> impl Iterator<Item = (AttemptOutcome, u64)> {
        let counts = self.attempts.iter().map(Counter::value);
        AttemptOutcome::ALL.into_iter().zip(counts)
    }
}

/// What is counted of one source of events.
#[derive(Debug, Default)]
pub struct Source {
    /// Deliveries that became an event, or let one that had failed run again.
    pub received: Counter,
    /// Deliveries that were known.
    pub duplicates: Counter,
    /// Deliveries that were refused, by reason.
    pub refused: Reasons,
}

/// Events by how they ended.
#[derive(Debug, Default)]
pub struct EventsEnded {
    /// Their task completed.
    pub completed: Counter,
    /// Their task failed, or none could be made.
    pub failed: Counter,
    /// No rule matched.
    pub skipped: Counter,
}

/// What queue, dispatch and api count together.
#[derive(Debug)]
pub struct Registry {
    /// When the counting began.
    pub started_at: Timestamp,
    /// By worker.
    pub workers: Labelled<Worker>,
    /// By source of events.
    pub sources: Labelled<Source>,
    /// Events by how they ended.
    pub events_ended: EventsEnded,
    /// How long commits of the store took, their sync included.
    pub commits: Histogram,
    /// Bytes of the rows that were committed: keys and values.
    pub committed_bytes: Counter,
    /// The last hour, and what it is made of.
    pub history: History,
}

impl Registry {
    /// A registry that counts from `now` on.
    pub fn new(now: Timestamp) -> Self {
        Self {
            started_at: now,
            workers: Labelled::new(WORKERS_MAX),
            sources: Labelled::new(SOURCES_MAX),
            events_ended: EventsEnded::default(),
            commits: Histogram::new(SHORT),
            committed_bytes: Counter::default(),
            history: History::new(now),
        }
    }

    /// A task was stored.
    pub fn task_submitted(&self) {
        self.history.submitted.increment();
    }

    /// A task of `worker` ended.
    pub fn task_ended(&self, worker: &Worker, is_completed: bool) {
        let (own, all) = if is_completed {
            (&worker.completed, &self.history.completed)
        } else {
            (&worker.failed, &self.history.failed)
        };
        own.increment();
        all.increment();
    }

    /// A task of `worker` gets an attempt, for which it waited `wait`.
    pub fn attempt_started(&self, worker: &Worker, wait: Duration) {
        worker.waits.observe(wait);
        self.history.waits.observe(wait);
    }

    /// An attempt on `worker` ended, `took` after the worker was asked.
    pub fn attempt_ended(&self, worker: &Worker, outcome: AttemptOutcome, took: Duration) {
        if let Some(counter) = worker.attempts.get(outcome as usize) {
            counter.increment();
        }
        // What a worker refuses, and what is broken off, says nothing of how long its work takes.
        if matches!(outcome, AttemptOutcome::Completed | AttemptOutcome::Failed) {
            worker.attempt_times.observe(took);
            self.history.attempts.observe(took);
        }
    }

    /// A delivery of `source` was accepted.
    pub fn event_received(&self, source: &str) {
        self.sources.of(source).received.increment();
        self.history.events.increment();
    }

    /// A delivery of `source` was known.
    pub fn delivery_repeated(&self, source: &str) {
        self.sources.of(source).duplicates.increment();
    }

    /// A delivery of `source` was refused for `reason`.
    pub fn delivery_refused(&self, source: &str, reason: &'static str) {
        self.sources.of(source).refused.count(reason);
    }
}

/// Answers by status code.
#[derive(Debug)]
pub struct Responses(Box<[Counter]>);

/// The lowest status code, and behind the highest.
const STATUSES: std::ops::Range<u16> = 100..600;

impl Default for Responses {
    fn default() -> Self {
        Self(STATUSES.map(|_| Counter::default()).collect())
    }
}

impl Responses {
    /// An answer goes out.
    pub fn count(&self, status: u16) {
        let place = status.checked_sub(STATUSES.start).map(usize::from);
        if let Some(counter) = place.and_then(|place| self.0.get(place)) {
            counter.increment();
        }
    }

    /// The statuses that were answered, and how often.
    pub fn all(&self) -> impl Iterator<Item = (u16, u64)> {
        STATUSES
            .zip(&self.0)
            .map(|(status, counter)| (status, counter.value()))
            .filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_counted_and_others_left_out() {
        let responses = Responses::default();
        for status in [0, 99, 100, 202, 202, 599, 600, u16::MAX] {
            responses.count(status);
        }
        let counted: Vec<_> = responses.all().collect();
        assert_eq!(counted, [(100, 1), (202, 2), (599, 1)]);
    }

    #[test]
    fn attempts_are_counted_by_outcome_and_timed_where_it_says_something() {
        let registry = Registry::new(Timestamp::from_millis(0));
        let worker = registry.workers.of("w");
        for outcome in AttemptOutcome::ALL {
            registry.attempt_ended(&worker, outcome, Duration::from_secs(1));
        }
        assert!(worker.attempts().all(|(_, count)| count == 1));
        assert_eq!(worker.attempt_times.count(), 2);
        registry.task_ended(&worker, true);
        registry.task_ended(&worker, false);
        registry.attempt_started(&worker, Duration::ZERO);
        assert_eq!((worker.completed.value(), worker.failed.value()), (1, 1));
        assert_eq!(worker.waits.count(), 1);
        let shared = &registry.history;
        assert_eq!((shared.completed.value(), shared.failed.value()), (1, 1));
    }

    #[test]
    fn deliveries_are_counted_by_source_and_reason() {
        let registry = Registry::new(Timestamp::from_millis(0));
        registry.event_received("a");
        registry.delivery_repeated("a");
        registry.delivery_refused("b", "wrong_signature");
        registry.delivery_refused("b", "wrong_signature");
        let a = registry.sources.of("a");
        assert_eq!((a.received.value(), a.duplicates.value()), (1, 1));
        let b = registry.sources.of("b");
        assert_eq!(b.refused.all(), [("wrong_signature".into(), 2)]);
        assert_eq!(registry.history.events.value(), 1);
    }
}
