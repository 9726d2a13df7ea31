//! Refused requests in the log, at a bounded rate, and the journal of refused deliveries.
//!
//! BOUND: one line for each code, and for each source and reason, in ten seconds, whatever callers
//! do; the next line says how many refusals had none. The journal keeps the last deliveries of
//! each source, so that a flood at one does not hide what happens at another.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::view;
use crate::clock::{self, Clock, Timestamp};
use crate::http::Reply;

/// Pause between two lines about the same code.
const PAUSE: Duration = Duration::from_secs(10);

/// Deliveries of each source that the journal keeps.
const KEPT_MAX: usize = 32;

/// Keys of log lines whose times are remembered.
const KEYS_MAX: usize = 2_000;

/// Sources in the journal: as many as a configuration may have. Beyond it, which takes
/// configurations that were read again with other names, the first by name goes.
const SOURCES_MAX: usize = 100;

/// What was refused.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Of requests, by code.
    requests: Pacer<&'static str>,
    /// Of deliveries, by source and reason.
    deliveries: Pacer<(String, &'static str)>,
    /// By source, the last one behind.
    journal: Mutex<BTreeMap<String, VecDeque<RefusedDelivery>>>,
}

/// A delivery that was refused.
#[derive(Clone, Debug, Serialize)]
struct RefusedDelivery {
    at: Timestamp,
    source: String,
    reason: &'static str,
    bytes: u64,
}

/// When each key was last logged, and how many refusals went without a line since.
#[derive(Debug)]
struct Pacer<K> {
    last: Mutex<BTreeMap<K, (Instant, u64)>>,
}

impl<K> Default for Pacer<K> {
    fn default() -> Self {
        Self {
            last: Mutex::default(),
        }
    }
}

impl Refusals {
    /// Logs a refusal that the operator wants to know of. A caller's own mistake is not: it is
    /// told to the caller.
    pub(super) fn note(&self, error: &ApiError) {
        // What is wrong with a signature has a line of its own.
        if !matters(error.status) || error.code == ApiError::BAD_SIGNATURE {
            return;
        }
        if let Some(unlogged) = self.requests.due(error.code, clock::monotonic()) {
            log::warn!(
                "refused a request with {} {}: {}{}",
                error.status,
                error.code,
                error.message,
                more(unlogged)
            );
        }
    }

    /// Logs and remembers a delivery to a source that is not what its sender should have sent.
    pub(super) fn note_delivery(&self, source: &str, reason: &'static str, bytes: u64) {
        let key = (source.to_owned(), reason);
        if let Some(unlogged) = self.deliveries.due(key, clock::monotonic()) {
            log::warn!(
                "refused a delivery of {bytes} bytes to source {source}: {reason}{}",
                more(unlogged)
            );
        }
        self.remember_delivery(source, reason, bytes);
    }

    /// Remembers a delivery to a source that was refused for `reason`.
    pub(super) fn remember_delivery(&self, source: &str, reason: &'static str, bytes: u64) {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.len() >= SOURCES_MAX && !journal.contains_key(source) {
            journal.pop_first();
        }
        let kept = journal.entry(source.to_owned()).or_default();
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(RefusedDelivery {
            at: Clock::system().now(),
            source: source.to_owned(),
            reason,
            bytes,
        });
    }

    /// The refused deliveries that are remembered, the last one first.
    fn deliveries(&self) -> Vec<RefusedDelivery> {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = journal.values().flatten().cloned().collect();
        drop(journal);
        all.reverse();
        all.sort_by_key(|refused| std::cmp::Reverse(refused.at));
        all
    }
}

impl Api {
    /// `GET /refusals`
    pub(super) fn list_refusals(&self) -> Result<Reply, ApiError> {
        let refused = self.refusals.deliveries();
        Ok(Reply::json(
            200,
            view::render(&refused, view::length(&refused)?)?,
        ))
    }
}

fn more(unlogged: u64) -> String {
    match unlogged {
        0 => String::new(),
        _ => format!(" ({unlogged} more since the last such line)"),
    }
}

impl<K: Ord> Pacer<K> {
    /// Refusals without a line since the last one, where a line is due. BOUND: there are as many
    /// keys as there are codes, or reasons at each of the sources; they are forgotten together
    /// when configurations that were read again have brought too many.
    fn due(&self, key: K, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= KEYS_MAX {
            last.clear();
        }
        match last.get_mut(&key) {
            Some((at, unlogged)) if now.saturating_duration_since(*at) < PAUSE => {
                *unlogged = unlogged.saturating_add(1);
                None
            }
            Some((at, unlogged)) => {
                *at = now;
                Some(std::mem::take(unlogged))
            }
            None => {
                last.insert(key, (now, 0));
                Some(0)
            }
        }
    }
}

fn matters(status: u16) -> bool {
    matches!(status, 401 | 403 | 429) || status >= 500
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_one_line_in_ten_seconds() {
        let refusals = Pacer::default();
        let start = clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(refusals.due("unauthorized", at(0)), Some(0));
        for second in 1..10 {
            assert_eq!(refusals.due("unauthorized", at(second)), None);
        }
        assert_eq!(refusals.due("queue_full", at(9)), Some(0));
        assert_eq!(refusals.due("unauthorized", at(10)), Some(9));
        assert_eq!(refusals.due("unauthorized", at(30)), Some(0));
    }

    #[test]
    fn the_journal_keeps_the_last_deliveries_of_each_source() {
        let refusals = Refusals::default();
        refusals.note_delivery("quiet", "wrong_signature", 7);
        for bytes in 0..100 {
            refusals.note_delivery("flooded", "missing_signature", bytes);
        }
        let kept = refusals.deliveries();
        assert_eq!(kept.len(), KEPT_MAX + 1);
        assert!(kept.iter().any(|refused| refused.source == "quiet"));
        assert!(
            kept.iter()
                .all(|refused| refused.bytes >= 68 || refused.source == "quiet")
        );
        for number in 0..2 * SOURCES_MAX {
            refusals.note_delivery(&format!("s{number:03}"), "wrong_signature", 1);
        }
        assert_eq!(refusals.deliveries().len(), SOURCES_MAX);
    }

    #[test]
    fn mistakes_of_callers_are_not_logged() {
        for (status, logged) in [
            (400, false),
            (401, true),
            (403, true),
            (404, false),
            (409, false),
            (429, true),
            (500, true),
            (503, true),
            (507, true),
        ] {
            assert_eq!(matters(status), logged, "{status}");
        }
    }
}
