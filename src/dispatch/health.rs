//! What is known of a worker, and what follows from it: whether attempts may start.
//!
//! Looks decide whether it is online. Beside that it may be paused because it refused an
//! attempt, held back by its rate, or under suspicion because an attempt did not reach it; then
//! nothing starts until the look that follows at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;
use smol::future::FutureExt;

use super::outcome::logged;
use super::pace::{Allowance, Pace};
use super::probe::Finding;
use crate::clock::{Clock, monotonic};
use crate::roster::Entry;
use crate::worker::{Availability, Worker};

/// A worker's health; it writes what others may see of it to the worker's entry.
pub(super) struct Health {
    entry: Arc<Entry>,
    clock: Clock,
    state: Mutex<State>,
    /// Wakes when the state changes in a way that the entry does not show.
    changed: Event,
    suspected: Event,
}

struct State {
    /// What the last look found.
    finding: Finding,
    /// Whether an attempt has not reached the worker since.
    is_suspect: bool,
    pace: Pace,
    /// What the worker answered when it refused last.
    refusal: String,
    /// Whether the log says that it is online.
    logged_online: Option<bool>,
}

/// Whether attempts may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// So many, at least one.
    Ready(u32),
    /// None before that moment.
    NotBefore(Instant),
    /// None before something changes.
    NotNow,
}

impl Health {
    /// A worker that has not been looked at.
    pub(super) fn new(entry: Arc<Entry>, clock: Clock) -> Self {
        Self {
            entry,
            clock,
            state: Mutex::new(State {
                finding: Finding::unknown(),
                is_suspect: false,
                pace: Pace::default(),
                refusal: String::new(),
                logged_online: None,
            }),
            changed: Event::new(),
            suspected: Event::new(),
        }
    }

    /// Whether attempts of `worker`, the entry as it is configured now, may start at `now`.
    pub(super) fn readiness(&self, worker: &Worker, now: Instant) -> Readiness {
        let mut state = self.lock();
        if state.is_suspect {
            return Readiness::NotNow;
        }
        match self.entry.condition().availability {
            Availability::Offline => return Readiness::NotNow,
            Availability::Busy => {
                if let Some(until) = state.pace.paused_until(now) {
                    return Readiness::NotBefore(until);
                }
                if state.finding.availability != Availability::Online {
                    return Readiness::NotNow;
                }
                // The pause is over.
                self.publish(&mut state, now);
            }
            Availability::Online => {}
        }
        let free = worker.concurrency.saturating_sub(self.entry.running());
        if free == 0 {
            return Readiness::NotNow;
        }
        match state.pace.allowance(worker.rate, now) {
            Allowance::Attempts(allowed) => Readiness::Ready(free.min(allowed)),
            Allowance::NotBefore(moment) => Readiness::NotBefore(moment),
        }
    }

    /// Wakes when the readiness may have changed by something else than time. What happens from
    /// this call on counts: listen first, then look.
    pub(super) fn listen(&self) -> impl Future<Output = ()> + use<> {
        self.entry.listen().or(self.changed.listen())
    }

    /// Wakes when an attempt has not reached the worker. Listen first, then look.
    pub(super) fn listen_for_suspicion(&self) -> impl Future<Output = ()> + use<> {
        self.suspected.listen()
    }

    /// Attempts start: they count against the rate.
    pub(super) fn started(&self, count: usize, worker: &Worker) {
        let mut state = self.lock();
        state.pace.started(count, worker.rate, monotonic());
    }

    /// The worker took an attempt.
    pub(super) fn taken(&self) {
        self.lock().pace.taken();
    }

    /// The worker refused an attempt: it is left alone for the returned time from `now` on.
    pub(super) fn refused(
        &self,
        asked_for: Option<Duration>,
        reason: &str,
        now: Instant,
    ) -> Duration {
        let mut state = self.lock();
        let pause = state.pace.refused(asked_for, now);
        reason.clone_into(&mut state.refusal);
        self.publish(&mut state, now);
        pause
    }

    /// An attempt did not reach the worker: no other one starts until it is looked at.
    pub(super) fn suspect(&self) {
        self.lock().is_suspect = true;
        self.changed.notify(usize::MAX);
        self.suspected.notify(usize::MAX);
    }

    /// The worker was looked at; `None` where the look could not be taken.
    pub(super) fn looked(&self, finding: Option<Finding>) {
        let mut state = self.lock();
        state.is_suspect = false;
        if let Some(finding) = finding {
            state.finding = finding;
            self.publish(&mut state, monotonic());
        }
        drop(state);
        self.changed.notify(usize::MAX);
    }

    /// The entry has become another worker, of which nothing is known yet.
    pub(super) fn moved(&self) {
        let mut state = self.lock();
        state.pace.forget_refusals();
        state.finding = Finding::unknown();
    }

    /// Writes what is known to the entry, and to the log where the worker went or came.
    fn publish(&self, state: &mut State, now: Instant) {
        let Finding {
            mut availability,
            mut error,
        } = state.finding.clone();
        if availability == Availability::Online && state.pace.paused_until(now).is_some() {
            availability = Availability::Busy;
            error = Some(state.refusal.clone());
        }
        let is_online = availability != Availability::Offline;
        if state.logged_online != Some(is_online) {
            state.logged_online = Some(is_online);
            let name = self.entry.name();
            match &error {
                Some(error) if !is_online => {
                    log::warn!("worker {name} offline: {}", logged(error));
                }
                _ => log::info!("worker {name} online"),
            }
        }
        self.entry.observe(availability, error, self.clock.now());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use smol::future::poll_once;

    use super::*;
    use crate::clock::Timestamp;
    use crate::roster::{Origin, Roster};
    use crate::worker::{Rate, Target};

    const SECOND: Duration = Duration::from_secs(1);

    fn worker(concurrency: u32, rate: Option<Rate>) -> Worker {
        Worker {
            name: "a".parse().unwrap(),
            target: Target::Command {
                argv: vec!["true".to_owned()],
                env: vec![],
                cwd: None,
            },
            timeout: SECOND,
            concurrency,
            rate,
            max_attempts: 1,
            backoff: SECOND,
        }
    }

    fn health(worker: Worker) -> (Health, Arc<Entry>) {
        let roster = Roster::new();
        let name = worker.name.clone();
        roster.put(worker, Origin::File).unwrap();
        let entry = roster.find(&name).unwrap();
        let clock = Clock::by_hand(Timestamp::from_millis(1));
        (Health::new(Arc::clone(&entry), clock), entry)
    }

    #[test]
    fn attempts_start_when_the_worker_is_online_and_has_free_slots() {
        let worker = worker(2, None);
        let (health, entry) = health(worker.clone());
        let now = monotonic();
        assert_eq!(health.readiness(&worker, now), Readiness::NotNow);
        for (finding, readiness) in [
            (Finding::online(), Readiness::Ready(2)),
            (Finding::busy("it says so".to_owned()), Readiness::NotNow),
            (Finding::offline("gone".to_owned()), Readiness::NotNow),
            (Finding::online(), Readiness::Ready(2)),
        ] {
            health.looked(Some(finding.clone()));
            assert_eq!(health.readiness(&worker, now), readiness);
            let condition = entry.condition();
            assert_eq!(condition.availability, finding.availability);
            assert_eq!(condition.last_error, finding.error);
        }
        entry.attempt_started();
        assert_eq!(health.readiness(&worker, now), Readiness::Ready(1));
        entry.attempt_started();
        assert_eq!(health.readiness(&worker, now), Readiness::NotNow);
    }

    #[test]
    fn a_worker_that_refuses_is_busy_for_the_pause() {
        let worker = worker(1, None);
        let (health, entry) = health(worker.clone());
        health.looked(Some(Finding::online()));
        let now = monotonic();
        let pause = health.refused(Some(SECOND * 600), "it answered 429", now);
        assert_eq!(pause, SECOND * 600);
        // A look during the pause does not end it.
        health.looked(Some(Finding::online()));
        assert_eq!(entry.availability(), Availability::Busy);
        let error = entry.condition().last_error;
        assert_eq!(error.as_deref(), Some("it answered 429"));
        let end = now + pause;
        assert_eq!(health.readiness(&worker, now), Readiness::NotBefore(end));
        assert_eq!(health.readiness(&worker, end), Readiness::Ready(1));
        assert_eq!(entry.availability(), Availability::Online);
        assert_eq!(entry.condition().last_error, None);
    }

    #[test]
    fn a_worker_that_is_offline_during_its_pause_stays_so_after_it() {
        let worker = worker(1, None);
        let (health, entry) = health(worker.clone());
        health.looked(Some(Finding::online()));
        let now = monotonic();
        let pause = health.refused(None, "it answered 503", now);
        health.looked(Some(Finding::offline("gone".to_owned())));
        assert_eq!(health.readiness(&worker, now + pause), Readiness::NotNow);
        assert_eq!(entry.availability(), Availability::Offline);
    }

    #[test]
    fn the_rate_holds_back_what_slots_would_allow() {
        let rate = Rate {
            count: 2,
            per: SECOND * 600,
        };
        let worker = worker(5, Some(rate));
        let (health, _) = health(worker.clone());
        health.looked(Some(Finding::online()));
        assert_eq!(health.readiness(&worker, monotonic()), Readiness::Ready(2));
        health.started(2, &worker);
        let readiness = health.readiness(&worker, monotonic());
        assert!(matches!(readiness, Readiness::NotBefore(_)));
    }

    #[test]
    fn nothing_starts_under_suspicion_and_the_entry_does_not_show_it() {
        smol::block_on(async {
            let worker = worker(1, None);
            let (health, entry) = health(worker.clone());
            health.looked(Some(Finding::online()));
            for finding in [None, Some(Finding::online())] {
                let mut changed = Box::pin(health.listen());
                let mut suspected = Box::pin(health.listen_for_suspicion());
                assert!(poll_once(&mut changed).await.is_none());
                health.suspect();
                assert!(poll_once(&mut changed).await.is_some());
                assert!(poll_once(&mut suspected).await.is_some());
                let now = monotonic();
                assert_eq!(health.readiness(&worker, now), Readiness::NotNow);
                assert_eq!(entry.availability(), Availability::Online);

                let changed = health.listen();
                health.looked(finding);
                changed.await;
                assert_eq!(health.readiness(&worker, now), Readiness::Ready(1));
            }
        });
    }

    #[test]
    fn a_worker_that_moved_is_unknown_again() {
        let worker = worker(1, None);
        let (health, entry) = health(worker.clone());
        health.looked(Some(Finding::online()));
        let now = monotonic();
        health.refused(Some(SECOND * 600), "it answered 429", now);
        health.moved();
        health.looked(Some(Finding::online()));
        assert_eq!(health.readiness(&worker, now), Readiness::Ready(1));
        assert_eq!(entry.availability(), Availability::Online);
    }
}
