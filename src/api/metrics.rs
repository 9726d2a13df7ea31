//! `GET /metrics`: everything that is counted, as Prometheus reads it.
//!
//! Names follow Prometheus' conventions: base units, `_total` for what only rises, `process_` for what
//! every program has. `docs/monitoring/README.md` tells what each says.

mod workers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Api;
use super::error::ApiError;
use super::health::health;
use super::memory::{byte_count, grow_to};
use crate::clock::{Clock, Timestamp};
use crate::http::{Body, Reply};
use crate::metrics::{Exposition, Kind, MEDIA_TYPE, Process};
use crate::queue::Overview;
use crate::source::Rejection;

/// BOUND: bytes of `/metrics` and `/stats` that are held at once.
pub(super) const WATCHING_BYTES: u64 = 4 << 20;

/// Bytes of what is said of a worker: 46 lines of 150.
const WORKER_BYTES: u64 = 7 << 10;

/// Bytes of what is said of a source: 20 lines of 150.
const SOURCE_BYTES: u64 = 3 << 10;

/// Bytes of all else: 1,000 lines of 150, most of them of endpoints.
const OTHER_BYTES: u64 = 150 << 10;

/// Codes of refusals that are shown before there are any: alerts look for their rise.
const SHOWN_CODES: [&str; 6] = [
    "overloaded",
    "queue_full",
    "disk_reserve",
    "no_online_workers",
    "unauthorized",
    "internal",
];

/// The words of `GET /health`.
const HEALTH: [&str; 3] = ["ok", "draining", "failed"];

impl Api {
    /// `GET /metrics`
    pub(super) async fn show_metrics(&self) -> Result<Reply, ApiError> {
        self.show_all_known();
        let mut permit = self.watching.empty();
        grow_to(&self.watching, &mut permit, self.metrics_bytes()).await?;
        let overview = self.queue.overview().await;
        let mut text = Exposition::default();
        self.add_server(&mut text);
        self.add_http(&mut text);
        add_counts(&mut text, &overview);
        self.add_workers(&mut text, &overview);
        self.add_sources(&mut text);
        self.add_store(&mut text, &overview);
        add_process(&mut text, self.queue.metrics().started_at);
        let body = text.into_text().into_bytes();
        permit.shrink_to(byte_count(body.capacity()));
        let reply = Reply {
            body: Body::Whole(body),
            permit: Some(permit),
            ..Reply::empty(200)
        };
        Ok(reply.with_header("content-type", MEDIA_TYPE))
    }

    /// Bytes that the text may have while it grows, which doubles it each time.
    fn metrics_bytes(&self) -> u64 {
        let registry = self.queue.metrics();
        let all = |count: usize, bytes: u64| byte_count(count).saturating_mul(bytes);
        all(registry.workers.all().len(), WORKER_BYTES)
            .saturating_add(all(registry.sources.all().len(), SOURCE_BYTES))
            .saturating_add(OTHER_BYTES)
            .saturating_mul(2)
    }

    /// Lets what is configured be shown with zeros where nothing was counted yet.
    fn show_all_known(&self) {
        let registry = self.queue.metrics();
        for entry in self.roster.all() {
            registry.workers.of(entry.name().as_str());
        }
        for name in self.matcher.setup().sources.keys() {
            let source = registry.sources.of(name);
            for rejection in Rejection::ALL {
                source.refused.show(rejection.as_str());
            }
        }
        for code in SHOWN_CODES {
            self.http.refused.show(code);
        }
    }

    fn add_server(&self, text: &mut Exposition) {
        let name = "mecha_build_info";
        text.family(name, Kind::Gauge, "The version that runs; always 1.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        let (_, word) = health(self.drain.cause());
        let help = "Which of its states the server is in, as GET /health says: 1 for that one.";
        let mut states = text.family("mecha_health", Kind::Gauge, help);
        for state in HEALTH {
            states.sample(&[("state", state)], u64::from(state == word));
        }
        let (size, free) = (self.budget.size(), self.budget.free());
        text.single(
            "mecha_memory_budget_limit_bytes",
            Kind::Gauge,
            "Bytes that bodies, prompts and results may take together: limits.memory.",
            size,
        );
        text.single(
            "mecha_memory_budget_used_bytes",
            Kind::Gauge,
            "Bytes of them that are taken.",
            size.saturating_sub(free),
        );
    }

    fn add_http(&self, text: &mut Exposition) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (open, limit) = self.http.open_and_limit();
        text.single(
            "mecha_http_connections",
            Kind::Gauge,
            "Connections that are open.",
            open,
        );
        text.single(
            "mecha_http_connections_limit",
            Kind::Gauge,
            "Connections that may be open: limits.connections.",
            limit,
        );
        text.single(
            "mecha_http_connections_accepted_total",
            Kind::Counter,
            "Connections that were accepted.",
            read(&self.http.connections),
        );
        text.single(
            "mecha_http_panics_total",
            Kind::Counter,
            "Requests and connections that ended in a panic: a defect; the log has it.",
            read(&self.http.panics),
        );
        let help = "Answers by status code, refusals included.";
        let mut responses = text.family("mecha_http_responses_total", Kind::Counter, help);
        for (status, count) in self.http.responses.all() {
            responses.sample(&[("code", &status.to_string())], count);
        }
        let help = "Requests that were answered with an error, by its code; overloaded: there was no memory.";
        let mut refused = text.family("mecha_http_refused_total", Kind::Counter, help);
        for (reason, count) in self.http.refused.all() {
            refused.sample(&[("reason", &reason)], count);
        }
        let help = "Time from when a request was there with its body to its answer, which is sent behind it.";
        let name = "mecha_http_request_duration_seconds";
        let mut durations = text.family(name, Kind::Histogram, help);
        for (method, path, class, histogram) in self.timings.all() {
            let labels = [
                ("method", method.as_str()),
                ("route", path),
                ("status", class),
            ];
            durations.histogram(&labels, histogram);
        }
    }

    fn add_sources(&self, text: &mut Exposition) {
        let registry = self.queue.metrics();
        let sources = registry.sources.all();
        let help = "Deliveries that became an event, or let one that had failed run again.";
        let mut received = text.family("mecha_events_received_total", Kind::Counter, help);
        for (name, source) in &sources {
            received.sample(&[("source", name)], source.received.value());
        }
        let help = "Deliveries that had come before.";
        let mut duplicates = text.family("mecha_webhook_duplicates_total", Kind::Counter, help);
        for (name, source) in &sources {
            duplicates.sample(&[("source", name)], source.duplicates.value());
        }
        let help = "Deliveries that were refused, by source and reason.";
        let mut refused = text.family("mecha_webhook_refused_total", Kind::Counter, help);
        for (name, source) in &sources {
            for (reason, count) in source.refused.all() {
                refused.sample(&[("source", name), ("reason", &reason)], count);
            }
        }
        let help = "Events that ended, by how.";
        let mut ended = text.family("mecha_events_ended_total", Kind::Counter, help);
        for (state, counter) in [
            ("completed", &registry.events_ended.completed),
            ("failed", &registry.events_ended.failed),
            ("skipped", &registry.events_ended.skipped),
        ] {
            ended.sample(&[("state", state)], counter.value());
        }
    }

    fn add_store(&self, text: &mut Exposition, overview: &Overview) {
        let registry = self.queue.metrics();
        text.single(
            "mecha_tasks_submitted_total",
            Kind::Counter,
            "Tasks that were stored, those of events included.",
            registry.history.submitted.value(),
        );
        let help = "Time that commits of the store took, their sync included.";
        text.family("mecha_store_commit_duration_seconds", Kind::Histogram, help)
            .histogram(&[], &registry.commits);
        text.single(
            "mecha_store_committed_bytes_total",
            Kind::Counter,
            "Bytes of the keys and values that were committed to the journal.",
            registry.committed_bytes.value(),
        );
        if let Some(free) = overview.disk_free {
            text.single(
                "mecha_disk_free_bytes",
                Kind::Gauge,
                "Free bytes on the disk of the data directory.",
                free,
            );
        }
        text.single(
            "mecha_disk_reserve_bytes",
            Kind::Gauge,
            "Free bytes below which new work is refused: limits.disk_reserve.",
            overview.disk_reserve,
        );
    }
}

fn add_counts(text: &mut Exposition, overview: &Overview) {
    let tasks = overview.tasks;
    let mut family = text.family("mecha_tasks", Kind::Gauge, "Tasks that are kept, by state.");
    for (state, count) in [
        ("pending", tasks.pending),
        ("dispatched", tasks.dispatched),
        ("completed", tasks.completed),
        ("failed", tasks.failed),
    ] {
        family.sample(&[("state", state)], count);
    }
    let events = overview.events;
    let mut family = text.family(
        "mecha_events",
        Kind::Gauge,
        "Events that are kept, by state.",
    );
    for (state, count) in [
        ("received", events.received),
        ("matched", events.matched),
        ("dispatched", events.dispatched),
        ("completed", events.completed),
        ("failed", events.failed),
        ("skipped", events.skipped),
    ] {
        family.sample(&[("state", state)], count);
    }
    let now = Clock::system().now();
    let age = overview.oldest_pending_at.map_or(0, |created| {
        now.as_millis().saturating_sub(created.as_millis())
    });
    text.single(
        "mecha_oldest_pending_task_age_seconds",
        Kind::Gauge,
        "Time since the oldest pending task was created; 0 where none is pending.",
        Duration::from_millis(age).as_secs_f64(),
    );
}

fn add_process(text: &mut Exposition, started_at: Timestamp) {
    let process = Process::read();
    text.single(
        "process_start_time_seconds",
        Kind::Gauge,
        "Start time of the process since the Unix epoch in seconds.",
        Duration::from_millis(started_at.as_millis()).as_secs_f64(),
    );
    if let Some(seconds) = process.cpu_seconds {
        text.single(
            "process_cpu_seconds_total",
            Kind::Counter,
            "Total user and system CPU time spent in seconds.",
            seconds,
        );
    }
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            process.resident_bytes,
        ),
        (
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            process.virtual_bytes,
        ),
        (
            "process_open_fds",
            "Number of open file descriptors.",
            process.open_files,
        ),
        (
            "process_max_fds",
            "Maximum number of open file descriptors.",
            process.open_files_max,
        ),
    ] {
        if let Some(value) = value {
            text.single(name, Kind::Gauge, help, value);
        }
    }
}
