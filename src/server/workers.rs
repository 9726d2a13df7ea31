//! Fills the roster: workers of the file, and those registered over the API in earlier runs.

use std::collections::BTreeSet;

use log::{info, warn};

use crate::config::{Config, worker_from_json};
use crate::queue::Queue;
use crate::roster::{Origin, Roster};
use crate::worker::{Worker, WorkerName};

/// A roster of all workers there are, with a line in the log for what an operator should know.
pub(super) async fn fill(config: &Config, queue: &Queue) -> Roster {
    let roster = Roster::told_of_in(queue.feed().clone());
    put_all(&roster, &config.workers, queue).await;
    let all = roster.all();
    if all.is_empty() {
        info!(
            "there are no workers yet, so nothing is dispatched: add a [[worker]] to the \
             configuration file ('mecha init' writes one) or register one with PUT /worker/NAME"
        );
    }
    let known: BTreeSet<_> = all.iter().map(|entry| entry.name().clone()).collect();
    for (worker, pending) in queue.all_pending() {
        if pending > 0 && !known.contains(&worker) {
            warn!("{pending} pending tasks wait for worker {worker}, which is not configured");
        }
    }
    roster
}

/// Adds the file's workers, then the registered ones whose names are free.
pub(super) async fn put_all(roster: &Roster, from_file: &[Worker], queue: &Queue) {
    for worker in from_file {
        put(roster, worker.clone(), Origin::File);
    }
    let saved = match queue.saved_workers().await {
        Ok(saved) => saved,
        Err(failure) => {
            warn!("registered workers cannot be read: {failure}");
            return;
        }
    };
    for (name, json) in saved {
        let Ok(parsed) = name.parse::<WorkerName>() else {
            warn!("a registered worker has the name {name:?}, which is none; it is left out");
            continue;
        };
        if let Some(entry) = roster.find(&parsed) {
            if entry.origin() == Origin::File {
                warn!("worker {name} is registered and in the configuration file; the file counts");
            }
            continue;
        }
        match worker_from_json(&parsed, json.as_bytes()) {
            Ok(worker) => put(roster, worker, Origin::Api),
            Err(problem) => warn!("registered worker {name} is left out: {problem}"),
        }
    }
}

fn put(roster: &Roster, worker: Worker, origin: Origin) {
    let name = worker.name.clone();
    if roster.put(worker, origin).is_err() {
        warn!(
            "worker {name} is left out: there are {} already",
            crate::roster::WORKERS_MAX
        );
    }
}
