//! What `/metrics` says of workers: what each has done, and how it is now.

use std::collections::BTreeMap;

use crate::api::Api;
use crate::metrics::{Exposition, Kind, OTHER, Worker};
use crate::queue::Overview;
use crate::worker::Availability;

impl Api {
    pub(super) fn add_workers(&self, text: &mut Exposition, overview: &Overview) {
        let registry = self.queue.metrics();
        let workers = registry.workers.all();
        let each = |add: &mut dyn FnMut(&str, &Worker)| {
            for (name, worker) in &workers {
                add(name, worker);
            }
        };
        let help = "Tasks that ended, by worker and by how.";
        let mut ended = text.family("mecha_tasks_ended_total", Kind::Counter, help);
        each(&mut |name, worker| {
            let states = [("completed", &worker.completed), ("failed", &worker.failed)];
            for (state, counter) in states {
                ended.sample(&[("worker", name), ("state", state)], counter.value());
            }
        });
        let help = "Attempts that a worker was asked for, by worker and by how they came out.";
        let mut attempts = text.family("mecha_attempts_total", Kind::Counter, help);
        each(&mut |name, worker| {
            for (outcome, count) in worker.attempts() {
                attempts.sample(&[("worker", name), ("outcome", outcome.as_str())], count);
            }
        });
        let help = "Time that attempts took which completed or failed.";
        let mut times = text.family("mecha_attempt_duration_seconds", Kind::Histogram, help);
        each(&mut |name, worker| times.histogram(&[("worker", name)], &worker.attempt_times));
        let help = "Time that tasks waited for an attempt: from creation, or from when a further one was due.";
        let mut waits = text.family("mecha_task_wait_seconds", Kind::Histogram, help);
        each(&mut |name, worker| waits.histogram(&[("worker", name)], &worker.waits));

        let entries = self.roster.all();
        let mut gauges = Gauges::default();
        for (name, pending) in &overview.pending {
            let name = self.label_of(name.as_str());
            gauges.add(name, |gauge| &mut gauge.pending, *pending);
        }
        for entry in &entries {
            let is_online = entry.availability() != Availability::Offline;
            let name = self.label_of(entry.name().as_str());
            gauges.add(name, |gauge| &mut gauge.running, entry.running().into());
            gauges.add(name, |gauge| &mut gauge.online, is_online.into());
            gauges.add(name, |gauge| &mut gauge.workers, 1);
        }
        gauges.show(text);
    }

    /// The label of a worker: its name, or [`OTHER`] where there are too many.
    fn label_of<'a>(&self, worker: &'a str) -> &'a str {
        if self.queue.metrics().workers.knows(worker) {
            worker
        } else {
            OTHER
        }
    }
}

/// What is shown of workers as it is now.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    pending: u64,
    running: u64,
    online: u64,
    /// Workers of that label in the roster.
    workers: u64,
}

/// By label.
#[derive(Debug, Default)]
struct Gauges<'a>(BTreeMap<&'a str, Gauge>);

impl Gauges<'_> {
    fn show(&self, text: &mut Exposition) {
        let help = "Tasks that are pending, by worker.";
        let mut pending = text.family("mecha_worker_pending_tasks", Kind::Gauge, help);
        for (name, gauge) in &self.0 {
            pending.sample(&[("worker", name)], gauge.pending);
        }
        let known = || self.0.iter().filter(|(_, gauge)| gauge.workers > 0);
        let help = "Attempts that run, by worker.";
        let mut running = text.family("mecha_worker_running_attempts", Kind::Gauge, help);
        for (name, gauge) in known() {
            running.sample(&[("worker", name)], gauge.running);
        }
        let help = "Whether the worker answers, busy or not: 1 or 0.";
        let mut online = text.family("mecha_worker_online", Kind::Gauge, help);
        for (name, gauge) in known() {
            online.sample(&[("worker", name)], gauge.online);
        }
    }
}

impl<'a> Gauges<'a> {
    fn add(&mut self, label: &'a str, which: impl Fn(&mut Gauge) -> &mut u64, count: u64) {
        let number = which(self.0.entry(label).or_default());
        *number = number.saturating_add(count);
    }
}
