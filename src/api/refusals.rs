//! Log lines about refused requests, at a bounded rate.
//!
//! BOUND: one line for each code in ten seconds, whatever callers do; the next line says how many
//! refusals had none.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::ApiError;
use crate::clock;

/// Pause between two lines about the same code.
const PAUSE: Duration = Duration::from_secs(10);

/// When each code was last logged, and how many refusals went without a line since. There are as
/// many entries as there are codes.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    last: Mutex<BTreeMap<&'static str, (Instant, u64)>>,
}

impl Refusals {
    /// Logs a refusal that the operator wants to know of. A caller's own mistake is not: it is
    /// told to the caller.
    pub(super) fn note(&self, error: &ApiError) {
        if !matters(error.status) {
            return;
        }
        if let Some(unlogged) = self.due(error.code, clock::monotonic()) {
            let more = match unlogged {
                0 => String::new(),
                _ => format!(" ({unlogged} more since the last such line)"),
            };
            log::warn!(
                "refused a request with {} {}: {}{more}",
                error.status,
                error.code,
                error.message
            );
        }
    }

    /// Refusals without a line since the last one, where a line is due.
    fn due(&self, code: &'static str, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.get_mut(code) {
            Some((at, unlogged)) if now.saturating_duration_since(*at) < PAUSE => {
                *unlogged = unlogged.saturating_add(1);
                None
            }
            Some((at, unlogged)) => {
                *at = now;
                Some(std::mem::take(unlogged))
            }
            None => {
                last.insert(code, (now, 0));
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
        let refusals = Refusals::default();
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
