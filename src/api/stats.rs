//! `GET /stats`: how much there is of what, and the last hour minute by minute.

use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::memory::grow_to;
use super::view;
use crate::clock::{Clock, Timestamp};
use crate::http::{Body, Reply};
use crate::metrics::Minute;

/// The present state of the server.
#[derive(Debug, Serialize)]
struct StatsView {
    version: &'static str,
    started_at: Timestamp,
    now: Timestamp,
    tasks: TasksView,
    events: EventsView,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_pending_at: Option<Timestamp>,
    memory: MemoryView,
    connections: ConnectionsView,
    disk: DiskView,
    minutes: Vec<MinuteView>,
}

#[derive(Debug, Serialize)]
struct TasksView {
    pending: u64,
    dispatched: u64,
    completed: u64,
    failed: u64,
}

#[derive(Debug, Serialize)]
struct EventsView {
    received: u64,
    matched: u64,
    dispatched: u64,
    completed: u64,
    failed: u64,
    skipped: u64,
}

#[derive(Debug, Serialize)]
struct MemoryView {
    limit: u64,
    used: u64,
}

#[derive(Debug, Serialize)]
struct ConnectionsView {
    limit: u64,
    open: u64,
}

#[derive(Debug, Serialize)]
struct DiskView {
    #[serde(skip_serializing_if = "Option::is_none")]
    free: Option<u64>,
    reserve: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct MinuteView {
    at: Timestamp,
    submitted: u64,
    completed: u64,
    failed: u64,
    events: u64,
    pending: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_p99_ms: Option<f64>,
}

impl From<Minute> for MinuteView {
    fn from(minute: Minute) -> Self {
        let (wait_p50, wait_p99) = minute.wait_us.unzip();
        let (attempt_p50, attempt_p99) = minute.attempt_us.unzip();
        Self {
            at: minute.at,
            submitted: minute.submitted,
            completed: minute.completed,
            failed: minute.failed,
            events: minute.events,
            pending: minute.pending,
            wait_p50_ms: wait_p50.map(milliseconds),
            wait_p99_ms: wait_p99.map(milliseconds),
            attempt_p50_ms: attempt_p50.map(milliseconds),
            attempt_p99_ms: attempt_p99.map(milliseconds),
        }
    }
}

impl Api {
    /// `GET /stats`
    pub(super) async fn show_stats(&self) -> Result<Reply, ApiError> {
        let mut permit = self.watching.empty();
        grow_to(&self.watching, &mut permit, STATS_BYTES).await?;
        let overview = self.queue.overview().await;
        let registry = self.queue.metrics();
        let now = Clock::system().now();
        let (tasks, events) = (overview.tasks, overview.events);
        let minutes = registry.history.minutes(now, tasks.pending);
        let (open, limit) = self.http.open_and_limit();
        let view = StatsView {
            version: env!("CARGO_PKG_VERSION"),
            started_at: registry.started_at,
            now,
            tasks: TasksView {
                pending: tasks.pending,
                dispatched: tasks.dispatched,
                completed: tasks.completed,
                failed: tasks.failed,
            },
            events: EventsView {
                received: events.received,
                matched: events.matched,
                dispatched: events.dispatched,
                completed: events.completed,
                failed: events.failed,
                skipped: events.skipped,
            },
            oldest_pending_at: overview.oldest_pending_at,
            memory: MemoryView {
                limit: self.budget.size(),
                used: self.budget.size().saturating_sub(self.budget.free()),
            },
            connections: ConnectionsView { limit, open },
            disk: DiskView {
                free: overview.disk_free,
                reserve: overview.disk_reserve,
            },
            minutes: minutes.into_iter().map(MinuteView::from).collect(),
        };
        let body = view::render(&view, view::length(&view)?)?;
        Ok(Reply {
            body: Body::Whole(body),
            permit: Some(permit),
            ..Reply::json(200, Vec::new())
        })
    }
}

/// Bytes that 61 minutes and what stands around them have at most: each minute has less than 512.
const STATS_BYTES: u64 = 40 << 10;

/// Microseconds in milliseconds, to the hundredth.
#[expect(
    clippy::cast_precision_loss,
    reason = "a float holds microseconds of 285 years exactly"
)]
fn milliseconds(us: u64) -> f64 {
    (us / 10) as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_shows_milliseconds_and_leaves_out_what_is_not_known() {
        let minute = Minute {
            at: Timestamp::from_millis(1_774_872_000_000),
            submitted: 1,
            completed: 2,
            failed: 3,
            events: 4,
            pending: 5,
            wait_us: Some((1_239, 60_000_000)),
            attempt_us: None,
        };
        let view = MinuteView::from(minute);
        assert_eq!(
            serde_json::to_string(&view).unwrap(),
            concat!(
                r#"{"at":"2026-03-30T12:00:00.000Z","submitted":1,"completed":2,"failed":3,"#,
                r#""events":4,"pending":5,"wait_p50_ms":1.23,"wait_p99_ms":60000.0}"#
            )
        );
    }

    #[test]
    fn an_hour_of_the_largest_numbers_has_room() {
        let minute = Minute {
            at: Timestamp::from_millis(u64::MAX),
            submitted: u64::MAX,
            completed: u64::MAX,
            failed: u64::MAX,
            events: u64::MAX,
            pending: u64::MAX,
            wait_us: Some((u64::MAX / 7, u64::MAX)),
            attempt_us: Some((u64::MAX / 7, u64::MAX)),
        };
        let text = serde_json::to_string(&MinuteView::from(minute)).unwrap();
        assert!(text.len() < 512, "{text}");
        let all = 61 * 512 + 4_096;
        assert!(all < STATS_BYTES);
    }
}
