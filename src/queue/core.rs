//! The rules: what each command does to the rows, and who gets the next task.
//!
//! A core is driven in groups: [`Core::apply`] for each command, then [`Core::settle`], then the
//! batch is committed. Nobody is told anything before that. When a commit fails the core is not
//! used again, so nothing in memory has to be undone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::warn;

use super::backlog::Backlog;
use super::claim::{Cancellation, Granted};
use super::command::{Answer, Command, Outcome, Settings};
use super::judging::Judging;
use super::lane::{Demand, Lane};
use super::overview::{EventCounts, LaneCounts};
use super::own_time::OwnTime;
use super::retention::Sweep;
use super::{Error, backoff};
use crate::budget::Permit;
use crate::clock::{Clock, Timestamp, duration_millis, monotonic};
use crate::event::Event;
use crate::feed::Change;
use crate::id::{Id, IdSource};
use crate::metrics::Registry;
use crate::store::record::LaneNumber;
use crate::store::{self, Batch, Store};
use crate::task::TaskId;
use crate::worker::WorkerName;

/// Attempts in a row that may be broken off before the task fails: a task that takes the server
/// down with it must not do so for ever.
pub(super) const BROKEN_OFF_MAX: u32 = 10;

/// A time to wait for that is further away comes from a clock that was wrong: the longest pause
/// with its jitter is shorter.
const PLAUSIBLE_WAIT: Duration = backoff::PAUSE_MAX.saturating_mul(2);

/// The free space of the disk is looked at no more often.
const DISK_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Everything that the writer knows.
#[derive(Debug)]
pub struct Core {
    pub(super) store: Store,
    pub(super) clock: Clock,
    /// The store's own time.
    pub(super) time: OwnTime,
    pub(super) ids: IdSource,
    pub(super) random: fastrand::Rng,
    pub(super) settings: Settings,
    pub(super) lanes: BTreeMap<LaneNumber, Lane>,
    pub(super) numbers: HashMap<WorkerName, LaneNumber>,
    /// Events that wait to be matched.
    pub(super) backlog: Backlog,
    /// Who decides about new events.
    pub(super) judging: Judging,
    /// Tasks that are to be deleted.
    pub(super) task_sweep: Sweep,
    /// Events that are to be deleted.
    pub(super) event_sweep: Sweep,
    /// The highest id whose row was deleted.
    pub(super) highest_deleted: Id,
    pub(super) effects: Effects,
    /// What is counted. It counts what is applied, a moment before it is durable.
    pub(super) metrics: Arc<Registry>,
    /// When the disk was looked at last, and its free bytes then.
    disk_seen: Option<(Instant, u64)>,
}

/// What the world is told once the group is durable.
#[derive(Debug, Default)]
pub struct Effects {
    /// Tasks for the demands that were met, by ticket.
    pub grants: Vec<(u64, Vec<Granted>)>,
    /// Tasks that ended.
    pub ended: Vec<TaskId>,
    /// Attempts that nobody waits for any more.
    pub cancelled: Vec<Arc<Cancellation>>,
    /// Tasks whose attempts began (`true`) or are over (`false`), in order.
    pub running: Vec<(TaskId, bool)>,
    /// Demands that were replaced or withdrawn.
    pub dropped_tickets: Vec<u64>,
    /// The tasks of each worker whose tasks changed; `None` where none are left and nobody asks
    /// for any.
    pub lanes: Vec<(WorkerName, Option<LaneCounts>)>,
    /// Events by stage, where that changed.
    pub events: Option<EventCounts>,
    /// New events that wait to be matched, with the bytes of their attributes, lowest id first.
    pub received: Vec<(Arc<Event>, usize)>,
    /// Stand for the bytes of what is stored.
    pub stored: Vec<Permit>,
    /// How many events wait to be matched, and the id that none of them is below, where that
    /// changed.
    pub backlog: Option<(u64, Id)>,
    /// Tasks and events that are new or in another state, in order.
    pub changes: Vec<Change>,
    /// Whether retention deleted something.
    pub has_deleted: bool,
}

impl Core {
    /// A core over the rows of `store`.
    pub fn open(
        store: Store,
        clock: Clock,
        settings: Settings,
        mut random: fastrand::Rng,
    ) -> Result<Self, store::Error> {
        let highest_deleted = store.deleted_id()?;
        let ids = IdSource::above(store.newest_id()?.max(highest_deleted), random.fork());
        let mut lanes = BTreeMap::new();
        let mut numbers = HashMap::new();
        for (number, row) in store.batch().lanes()? {
            let worker: WorkerName = row.worker.parse().map_err(|_| store::Error::Damaged {
                place: format!("the row of worker number {number}"),
                detail: format!("{:?} is no worker's name", row.worker),
            })?;
            numbers.insert(worker.clone(), number);
            lanes.insert(number, Lane::from_record(number, worker, &row));
        }
        let backlog = Backlog::read(&store)?;
        // Beside the texts that a group may have.
        let prompts_bytes_max = store.footprint().group / 8;
        Ok(Self {
            time: OwnTime::open(&store, clock.clone(), &settings)?,
            metrics: Arc::new(Registry::new(clock.now())),
            store,
            clock,
            ids,
            random,
            settings,
            lanes,
            numbers,
            backlog,
            judging: Judging::new(prompts_bytes_max),
            task_sweep: Sweep::default(),
            event_sweep: Sweep::default(),
            highest_deleted,
            effects: Effects::default(),
            disk_seen: None,
        })
    }

    /// Carries out one command. `Err` of the outer result means that the store failed.
    pub fn apply(
        &mut self,
        command: Command,
        batch: &mut Batch<'_>,
    ) -> Result<Answer, store::Error> {
        self.look_at_disk()?;
        match command {
            Command::Submit(task) => self.submit(&task, batch),
            Command::Demand {
                worker,
                ticket,
                count,
            } => {
                self.demand(&worker, Demand { ticket, count });
                Ok(Ok(Outcome::Done))
            }
            Command::Withdraw { worker, ticket } => {
                self.withdraw(&worker, ticket);
                Ok(Ok(Outcome::Done))
            }
            Command::Complete { attempt, result } => {
                self.conclude(attempt, batch, |core, stopped, batch| {
                    core.complete(stopped, &result, batch)
                })
            }
            Command::Fail {
                attempt,
                error,
                policy,
            } => self.conclude(attempt, batch, |core, stopped, batch| {
                core.fail(stopped, &error, policy, batch)
            }),
            Command::PutBack { attempt, how } => {
                self.conclude(attempt, batch, |core, stopped, batch| {
                    core.put_back(stopped, &how, batch)
                })
            }
            Command::Cancel(id) => self.cancel(id, batch),
            Command::Retry(id) => self.retry(id, batch),
            Command::Receive(event) => self.receive(event, batch),
            Command::Settle { event, decision } => self.settle_event(event, decision, batch),
            Command::Replay { event, decision } => self.replay_event(event, decision, batch),
            Command::Approve(event) => self.approve_event(event, batch),
            Command::SaveWorker { worker, json } => {
                batch.put_worker(worker.as_str(), &json);
                Ok(Ok(Outcome::Done))
            }
            Command::ForgetWorker(worker) => Ok(self.forget_worker(&worker, batch)),
            Command::Configure(settings) => {
                self.settings = settings;
                self.task_sweep.hasten();
                self.event_sweep.hasten();
                self.disk_seen = None;
                Ok(Ok(Outcome::Done))
            }
        }
    }

    /// Meets demands, deletes what is too old, and writes the rows of changed lanes. Called once
    /// at the end of a group.
    pub fn settle(&mut self, batch: &mut Batch<'_>) -> Result<(), store::Error> {
        let now = self.time.now();
        self.look_at_disk()?;
        self.meet_demands(now, batch)?;
        self.sweep(batch)?;
        self.write_lanes(batch);
        self.write_event_counts(batch);
        self.write_time(batch);
        self.judging.next_group();
        Ok(())
    }

    /// What is to be told now that the group is durable.
    pub fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    /// How long nothing is to be done, if no command comes; `None` for ever.
    pub fn idle_for(&mut self) -> Option<Duration> {
        let now = self.time.now().as_millis();
        let due = self
            .lanes
            .values()
            .filter(|lane| lane.demand.is_some())
            .filter_map(|lane| {
                if lane.is_stirred {
                    Some(0)
                } else {
                    lane.next_due_ms
                }
            })
            .min()
            .map(|at| at.saturating_sub(now));
        let sweeps = [&self.task_sweep, &self.event_sweep];
        let sweeps = sweeps.into_iter().filter_map(Sweep::next_ms);
        due.into_iter()
            .chain(sweeps.map(|at| at.saturating_sub(now)))
            .min()
            .map(Duration::from_millis)
            .into_iter()
            .chain(self.time_idle_for())
            .min()
    }

    /// Each worker that has tasks, with its lane's number and its pending tasks.
    pub fn lanes(&self) -> impl Iterator<Item = (&WorkerName, LaneNumber, u64)> {
        self.lanes
            .values()
            .map(|lane| (&lane.worker, lane.number, lane.pending()))
    }

    /// Events that wait to be matched.
    pub fn received(&self) -> u64 {
        self.backlog.received()
    }

    /// No event that waits to be matched has a lower id.
    pub fn backlog_low(&self) -> Id {
        self.backlog.low()
    }

    pub(super) fn lane_for(&mut self, worker: &WorkerName) -> &mut Lane {
        let unused = self
            .lanes
            .last_key_value()
            .map_or(0, |(last, _)| last.saturating_add(1));
        let number = match self.numbers.get(worker) {
            Some(known) => *known,
            None => *self.numbers.entry(worker.clone()).or_insert(unused),
        };
        // A lane that is not in memory has no tasks yet, and all that will come have higher ids.
        self.lanes
            .entry(number)
            .or_insert_with(|| Lane::new(number, worker.clone(), self.ids.last()))
    }

    pub(super) fn wall(&self) -> Timestamp {
        self.clock.now()
    }

    /// Refuses when the disk is nearly full.
    pub(super) fn check_disk(&self) -> Result<(), Error> {
        let reserve = self.settings.disk_reserve;
        match self.disk_seen {
            Some((_, free)) if free < reserve => Err(Error::DiskReserve { free, reserve }),
            _ => Ok(()),
        }
    }

    /// Looks at the free space and the place of the data directory, if the last look is old. An
    /// error means that the store failed.
    pub fn look_at_disk(&mut self) -> Result<(), store::Error> {
        let now = monotonic();
        let last = match self.disk_seen {
            Some((at, _)) if now.duration_since(at) < DISK_CHECK_INTERVAL => return Ok(()),
            Some((_, free)) => free,
            None => u64::MAX,
        };
        self.store.check_place()?;
        let free = self.store.free_bytes().unwrap_or_else(|failure| {
            warn!("{failure}; the last reading counts");
            last
        });
        self.disk_seen = Some((now, free));
        Ok(())
    }

    fn demand(&mut self, worker: &WorkerName, demand: Demand) {
        let lane = self.lane_for(worker);
        lane.is_stirred = true;
        if let Some(replaced) = lane.demand.replace(demand) {
            self.effects.dropped_tickets.push(replaced.ticket);
        }
    }

    fn withdraw(&mut self, worker: &WorkerName, ticket: u64) {
        let Some(lane) = self
            .numbers
            .get(worker)
            .and_then(|number| self.lanes.get_mut(number))
        else {
            return;
        };
        if lane.demand.is_some_and(|demand| demand.ticket == ticket) {
            lane.demand = None;
            lane.is_changed = true;
            self.effects.dropped_tickets.push(ticket);
        }
    }

    fn write_lanes(&mut self, batch: &mut Batch<'_>) {
        let mut unused = Vec::new();
        for lane in self.lanes.values_mut().filter(|lane| lane.is_changed) {
            lane.is_changed = false;
            let is_unused = lane.has_no_tasks() && lane.demand.is_none();
            if lane.has_no_tasks() {
                batch.delete_lane(lane.number);
            } else {
                batch.put_lane(lane.number, &lane.record());
            }
            let shown = (!is_unused).then(|| lane.counts());
            self.effects.lanes.push((lane.worker.clone(), shown));
            if is_unused {
                unused.push(lane.number);
            }
        }
        for number in unused {
            if let Some(lane) = self.lanes.remove(&number) {
                self.numbers.remove(&lane.worker);
            }
        }
    }

    fn meet_demands(&mut self, now: Timestamp, batch: &mut Batch<'_>) -> Result<(), store::Error> {
        let now_ms = now.as_millis();
        let wanting: Vec<LaneNumber> = self
            .lanes
            .values()
            .filter(|lane| lane.demand.is_some())
            .filter(|lane| lane.is_stirred || lane.next_due_ms.is_some_and(|due| due <= now_ms))
            .map(|lane| lane.number)
            .collect();
        for number in wanting {
            self.meet_demand(number, now_ms, batch)?;
        }
        Ok(())
    }
}

/// Whether a task that waits until `due_ms` may be claimed.
pub(super) fn is_due(due_ms: u64, now_ms: u64) -> bool {
    due_ms <= now_ms || due_ms > now_ms.saturating_add(duration_millis(PLAUSIBLE_WAIT))
}

#[cfg(test)]
mod tests;
