//! The store's own time: what retention and delays are counted with, kept across restarts.
//!
//! A wall clock may be wrong by years and may be put right at any moment: a board without a clock
//! of its own starts in 1970, a server with a dead battery in a far future. So what is kept for a
//! time is kept for a time in which the server ran, whatever the wall clock says. While the
//! server is down the wall clock has to be asked; what it says counts as far as it goes beyond
//! everything that it ever said, and for a bounded time.

use std::time::Duration;

use super::command::Settings;
use super::core::Core;
use super::retention::Sweep;
use crate::clock::{Clock, Reading, SteadyClock, Timestamp};
use crate::id::Id;
use crate::store::record::ClockRecord;
use crate::store::{self, Batch, Store};

/// A commit writes the row of the time where the last one is older.
const SAVED_WITH_COMMITS: Duration = Duration::from_secs(1);

/// What may pass unseen between two runs, or two rows of the time: a day, but no more than a tenth
/// of the retention, which a wrong clock must not use up.
fn most_unseen(settings: &Settings) -> Duration {
    let day = Duration::from_secs(86_400);
    day.min(settings.retention / 10).max(SAVED_WITH_COMMITS)
}

/// The store's own time and what is on disk of it.
#[derive(Debug)]
pub(super) struct OwnTime {
    steady: SteadyClock,
    saved: Option<Reading>,
}

impl OwnTime {
    /// Goes on from what `store` says.
    pub(super) fn open(
        store: &Store,
        clock: Clock,
        settings: &Settings,
    ) -> Result<Self, store::Error> {
        let newest = store.newest_id()?;
        let saved = store.batch().clock()?.map(|row| Reading {
            steady: Timestamp::from_millis(row.steady_ms),
            wall: Timestamp::from_millis(row.wall_ms),
        });
        // Before version 3 the newest id tells when something happened last.
        let last = saved.or_else(|| {
            (newest != Id::FIRST).then(|| Reading {
                steady: newest.created_at(),
                wall: newest.created_at(),
            })
        });
        let steady = match last {
            Some(last) => SteadyClock::resumed(clock, last, most_unseen(settings)),
            None => SteadyClock::new(clock),
        };
        Ok(Self { steady, saved })
    }

    /// The present moment.
    pub(super) fn now(&mut self) -> Timestamp {
        self.steady.now()
    }

    fn unsaved(&mut self) -> Duration {
        let now = self.now();
        match self.saved {
            Some(saved) => {
                let unsaved_ms = now.as_millis().saturating_sub(saved.steady.as_millis());
                Duration::from_millis(unsaved_ms)
            }
            None => Duration::MAX,
        }
    }
}

impl Core {
    /// Writes the row of the time where the last one is old: into a group that is written anyway,
    /// and by itself where something waits for its time to be over.
    pub(super) fn write_time(&mut self, batch: &mut Batch<'_>) {
        let unsaved = self.time.unsaved();
        let is_due = if batch.is_empty() {
            self.next_sweep_ms().is_some() && unsaved >= most_unseen(&self.settings)
        } else {
            unsaved >= SAVED_WITH_COMMITS
        };
        if is_due && (self.time.saved.is_some() || !batch.is_empty()) {
            self.put_time(batch);
        }
    }

    /// Writes the row of the time at the end of a run.
    pub fn put_time(&mut self, batch: &mut Batch<'_>) {
        let steady = self.time.now();
        let known = self
            .time
            .saved
            .map_or(Timestamp::default(), |saved| saved.wall);
        let wall = self.wall().max(known);
        batch.put_clock(&ClockRecord {
            steady_ms: steady.as_millis(),
            wall_ms: wall.as_millis(),
        });
        self.time.saved = Some(Reading { steady, wall });
    }

    /// How long nothing is to be written of the time, if no command comes; `None` for ever.
    pub(super) fn time_idle_for(&mut self) -> Option<Duration> {
        self.next_sweep_ms()?;
        let unsaved = self.time.unsaved();
        let most = most_unseen(&self.settings);
        self.time.saved.map(|_| most.saturating_sub(unsaved))
    }

    /// When something that is kept for a time is to be deleted.
    fn next_sweep_ms(&self) -> Option<u64> {
        let sweeps = [&self.task_sweep, &self.event_sweep];
        sweeps.into_iter().filter_map(Sweep::next_ms).min()
    }
}
