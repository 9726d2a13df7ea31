//! A worker's lane: looks at the worker, and starts its attempts when they may start.
//!
//! An attempt starts when the worker is online, has a free slot, is not paused after a refusal,
//! and its rate allows. A worker that says it is busy keeps its place in the rotation and its
//! tasks; they start once it says otherwise. The lane ends when the worker leaves the roster or
//! the server drains; attempts that run go on.
//!
//! The worker is looked at when the lane starts, when its settings change, when an attempt does
//! not reach it, and every 15 s. While it is not online the first looks come after 1, 2, 4 and
//! 8 s, so that a worker that was only restarted is back soon.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use smol::future::{self, FutureExt};

use super::health::{Health, Readiness};
use super::outcome::Written;
use super::{Running, Shared, attempt, probe};
use crate::clock::monotonic;
use crate::http::client::Kept;
use crate::metrics;
use crate::queue;
use crate::roster::Entry;
use crate::worker::Availability;

/// The time between two looks at a worker at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);

/// The time to the second look at a worker that is not online; doubled for each further one.
const LOOK_INTERVAL_FIRST: Duration = Duration::from_secs(1);

/// How long a lane waits after an error of the queue or a defect of its own.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// What the watch over a worker, its claims and its attempts share.
pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) entry: Arc<Entry>,
    pub(super) health: Health,
    /// Connections that the worker keeps open.
    pub(super) kept: Kept,
    /// What is counted of the worker.
    pub(super) meter: Arc<metrics::Worker>,
}

/// Runs the lane of `entry` to its end.
pub(super) async fn run(shared: Arc<Shared>, entry: Arc<Entry>) {
    let lane = Arc::new(Lane {
        kept: Kept::default(),
        health: Health::new(Arc::clone(&entry), shared.clock.clone()),
        meter: shared.queue.metrics().workers.of(entry.name().as_str()),
        shared,
        entry,
    });
    let removed = async {
        loop {
            let changed = lane.entry.listen();
            if lane.entry.is_removed() {
                return;
            }
            changed.await;
        }
    };
    let work = async {
        loop {
            let both = future::zip(watch(&lane), start_attempts(&lane));
            // A defect that one worker's answer brings out must not end its lane for good.
            if AssertUnwindSafe(both).catch_unwind().await.is_err() {
                log::error!("the lane of worker {} panicked", lane.entry.name());
            }
            Timer::after(ERROR_PAUSE).await;
        }
    };
    let tending = lane.kept.tend();
    lane.shared
        .drain
        .begun()
        .or(removed)
        .or(work)
        .or(tending)
        .await;
}

/// Looks at the worker, again and again. Never returns.
async fn watch(lane: &Lane) {
    let mut looks_in_vain: u32 = 0;
    let mut last_target = lane.entry.worker().target.clone();
    loop {
        let suspected = lane.health.listen_for_suspicion();
        let worker = lane.entry.worker();
        if worker.target != last_target {
            last_target = worker.target.clone();
            looks_in_vain = 0;
            lane.health.moved();
        }
        let finding = probe::look(&worker.target, &lane.kept, &lane.shared.budget).await;
        if lane.entry.worker().target != worker.target {
            continue;
        }
        if let Some(finding) = &finding {
            looks_in_vain = match finding.availability {
                Availability::Online => 0,
                _ => looks_in_vain.saturating_add(1),
            };
        }
        lane.health.looked(finding);
        let settings_changed = async {
            loop {
                let changed = lane.entry.listen();
                if !Arc::ptr_eq(&worker, &lane.entry.worker()) {
                    return;
                }
                changed.await;
            }
        };
        let due = async {
            Timer::after(look_interval(looks_in_vain)).await;
        };
        suspected.or(settings_changed).or(due).await;
    }
}

/// The time to the next look. Up to a tenth is taken off at random, so that the looks at many
/// workers spread.
fn look_interval(looks_in_vain: u32) -> Duration {
    let interval = match looks_in_vain {
        0 => LOOK_INTERVAL,
        looks => LOOK_INTERVAL_FIRST
            .saturating_mul(1 << (looks - 1).min(4))
            .min(LOOK_INTERVAL),
    };
    interval.mul_f64(1.0 - fastrand::f64() / 10.0)
}

/// Claims tasks as they may start, and starts an attempt for each. Never returns.
async fn start_attempts(lane: &Arc<Lane>) {
    loop {
        let changed = lane.health.listen();
        let worker = lane.entry.worker();
        match lane.health.readiness(&worker, monotonic()) {
            Readiness::NotNow => changed.await,
            Readiness::NotBefore(moment) => {
                changed
                    .or(async {
                        Timer::at(moment).await;
                    })
                    .await;
            }
            Readiness::Ready(count) => claim(lane, count).await,
        }
    }
}

/// Waits for tasks and starts them; returns without any when fewer than `count` attempts may
/// start meanwhile. More slots do not disturb the wait: the next claim takes them.
async fn claim(lane: &Arc<Lane>, count: u32) {
    let claims = async { Some(lane.shared.queue.claim(lane.entry.name(), count).await) };
    let withdrawn = async {
        loop {
            let changed = lane.health.listen();
            let worker = lane.entry.worker();
            match lane.health.readiness(&worker, monotonic()) {
                Readiness::Ready(now) if now >= count => changed.await,
                _ => return None,
            }
        }
    };
    match claims.or(withdrawn).await {
        None => {}
        Some(Ok(mut claims)) => {
            // The settings may have changed while there was no task.
            let worker = lane.entry.worker();
            // And the worker may have refused an attempt: its task came back, and was granted to
            // this very claim. What must not start now goes back when it is dropped.
            let allowed = match lane.health.readiness(&worker, monotonic()) {
                Readiness::Ready(allowed) => usize::try_from(allowed).unwrap_or(usize::MAX),
                Readiness::NotBefore(_) | Readiness::NotNow => 0,
            };
            claims.truncate(allowed);
            lane.health.started(claims.len(), &worker);
            for claim in claims {
                // Counted before the order to stop is looked at, so that a drain either sees
                // the attempt or is seen by it.
                let running = Running::start(&lane.shared, &lane.entry);
                let (lane, worker) = (Arc::clone(lane), Arc::clone(&worker));
                let executor = Arc::clone(&lane.shared.executor);
                executor
                    .spawn(attempt::run(lane, worker, claim, running))
                    .detach();
            }
        }
        Some(Err(error)) => {
            if error != queue::Error::StoreFailed {
                log::warn!(
                    "no task could be claimed for worker {}, again in {}: {error}",
                    lane.entry.name(),
                    Written(ERROR_PAUSE)
                );
            }
            Timer::after(ERROR_PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_never_more_than_15_s_apart_and_soon_after_a_fault() {
        for (looks_in_vain, seconds) in [
            (0, 15.0),
            (1, 1.0),
            (2, 2.0),
            (3, 4.0),
            (4, 8.0),
            (5, 15.0),
            (6, 15.0),
            (u32::MAX, 15.0),
        ] {
            let interval = look_interval(looks_in_vain).as_secs_f64();
            assert!(interval <= seconds && interval >= seconds * 0.9 - 0.001);
        }
    }
}
