//! How many lines the log takes from one place of the program.
//!
//! Much of what is logged is brought about by peers: an attempt that fails, a worker that is
//! registered, a row that cannot be read. None of them may fill a disk or drown what others log.
//! BOUND: [`LINES_MAX`] lines of each place in the source in [`PERIOD`]; the first line behind that
//! says how many were left out. The places are those of the program's text.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use log::Record;

/// Lines of one place in each period at most: 20 a second when they never end.
const LINES_MAX: u64 = 200;

/// How long a period is; it begins with its first line.
const PERIOD: Duration = Duration::from_secs(10);

/// A place of the source: file and line.
pub(super) type Place = (&'static str, u32);

/// Where a line comes from. What does not say so counts as one place for each module.
pub(super) fn place(record: &Record<'_>) -> Place {
    let file = record.file_static().or(record.module_path_static());
    (file.unwrap_or_default(), record.line().unwrap_or_default())
}

/// The lines of the present period, by place.
#[derive(Debug, Default)]
pub(super) struct Pace {
    places: Mutex<BTreeMap<Place, Period>>,
}

#[derive(Debug)]
struct Period {
    began: Instant,
    lines: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is written, behind a note if so many were left out before it.
    Written {
        /// Lines of this place that were left out.
        left_out: u64,
    },
    /// It is left out and counted.
    LeftOut,
}

impl Pace {
    /// What becomes of a line from `place` that comes `now`.
    pub(super) fn turn(&self, place: Place, now: Instant) -> Turn {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let period = places.entry(place).or_insert(Period {
            began: now,
            lines: 0,
        });
        let mut left_out = 0;
        if now.saturating_duration_since(period.began) >= PERIOD {
            left_out = period.lines.saturating_sub(LINES_MAX);
            *period = Period {
                began: now,
                lines: 0,
            };
        }
        period.lines = period.lines.saturating_add(1);
        if period.lines > LINES_MAX {
            Turn::LeftOut
        } else {
            Turn::Written { left_out }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    #[test]
    fn a_place_has_so_many_lines_in_a_period_and_its_rest_is_counted() {
        let pace = Pace::default();
        let (here, there) = (("a.rs", 1), ("a.rs", 2));
        let start = monotonic();
        let lines = |place, at, count| {
            let turns = (0..count).map(|_| pace.turn(place, at));
            turns.filter(|turn| *turn != Turn::LeftOut).count() as u64
        };
        assert_eq!(lines(here, start, LINES_MAX + 7), LINES_MAX);
        assert_eq!(lines(there, start, 3), 3, "each place for itself");
        let late = start + Duration::from_millis(9_999);
        assert_eq!(pace.turn(here, late), Turn::LeftOut);
        let next = start + PERIOD;
        assert_eq!(pace.turn(here, next), Turn::Written { left_out: 8 });
        assert_eq!(pace.turn(here, next), Turn::Written { left_out: 0 });
        assert_eq!(pace.turn(there, next), Turn::Written { left_out: 0 });
        assert_eq!(lines(here, next, LINES_MAX), LINES_MAX - 2);
    }

    #[test]
    fn lines_of_one_place_are_known_by_it() {
        let places = [1, 2].map(|_| {
            let record = Record::builder()
                .file_static(Some(file!()))
                .line(Some(line!()))
                .build();
            place(&record)
        });
        assert_eq!(places[0], places[1]);
        assert!(places[0].0.ends_with("pace.rs") && places[0].1 > 0);
    }
}
