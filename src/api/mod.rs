//! The HTTP interface: who may ask, what for, and what the answer is.
//!
//! The only room that knows routes and statuses. A request is judged in this order: does it come
//! from a foreign page (403), does it have a key (401), is there such a path (404) and method
//! (405), does the server still work (503), and only then by its endpoint.
//!
//! Bounded by the limits of bodies here, by the budget for everything that is read to be shown,
//! and by the queue's own bounds.

mod attempts;
mod auth;
mod backup;
mod change;
mod error;
mod event_view;
mod events;
mod health;
mod list;
mod memory;
mod metrics;
mod openapi;
mod origin;
mod page;
pub mod properties;
mod query;
mod refusals;
mod route;
mod rules;
mod stats;
mod stream;
mod stream_view;
mod submission;
mod tasks;
mod timing;
mod unescape;
mod view;
mod webhooks;
mod workers;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use smol::{Executor, lock};

use self::auth::Credentials;
use self::error::ApiError;
use self::origin::Provenance;
use self::refusals::Refusals;
use self::route::{Access, Body, Endpoint, Target};
use self::timing::Timings;
use crate::budget::Budget;
use crate::clock::monotonic;
use crate::drain::{Cause, Drain};
use crate::http::{self, Admission, Head, Reply, Request, Service};
use crate::matcher::Matcher;
use crate::queue::Queue;
use crate::roster::Roster;
use crate::secret::{Keyring, Secret};

/// Bytes of a worker's settings as JSON.
const WORKER_BODY_MAX: u64 = 64 << 10;

/// What an [`Api`] works with.
#[derive(Debug)]
pub struct Parts {
    /// Tasks, events and registered workers.
    pub queue: Queue,
    /// Sources of events, and the rules about them.
    pub matcher: Matcher,
    /// The workers there are.
    pub roster: Roster,
    /// Memory for what is shown.
    pub budget: Budget,
    /// Whether the server stops.
    pub drain: Drain,
    /// What the listener counts.
    pub http: Arc<http::Stats>,
    /// The address that was bound: on loopback and without a key, foreign hosts are refused.
    pub addr: SocketAddr,
    /// Keys that open the API; empty: it is open.
    pub api_keys: Vec<Secret>,
    /// What bodies may have.
    pub body_limits: BodyLimits,
    /// Runs what must come to its end though its client is gone.
    pub executor: Arc<Executor<'static>>,
}

/// Bytes of bodies at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Of `POST /task`.
    pub task: u64,
    /// Of `POST /webhook/{source}` and `POST /rules/test`.
    pub webhook: u64,
}

/// Answers requests.
#[derive(Debug)]
pub struct Api {
    queue: Queue,
    matcher: Matcher,
    roster: Roster,
    budget: Budget,
    drain: Drain,
    is_loopback: bool,
    keys: RwLock<Arc<Keyring>>,
    body_limits: RwLock<BodyLimits>,
    /// Held for reading while a task is submitted, for writing while a worker is registered or
    /// removed.
    worker_changes: Arc<lock::RwLock<()>>,
    executor: Arc<Executor<'static>>,
    refusals: Refusals,
    http: Arc<http::Stats>,
    timings: Timings,
    /// Memory for what is shown of the server itself: who watches it wants to see it most when
    /// `limits.memory` is used up.
    watching: Budget,
}

impl Api {
    /// An interface to `parts`.
    pub fn new(parts: Parts) -> Self {
        Self {
            queue: parts.queue,
            matcher: parts.matcher,
            roster: parts.roster,
            budget: parts.budget,
            drain: parts.drain,
            is_loopback: is_loopback(parts.addr.ip()),
            keys: RwLock::new(Arc::new(Keyring::new(&parts.api_keys))),
            body_limits: RwLock::new(parts.body_limits),
            worker_changes: Arc::default(),
            executor: parts.executor,
            refusals: Refusals::default(),
            http: parts.http,
            timings: Timings::default(),
            watching: Budget::new(metrics::WATCHING_BYTES),
        }
    }

    /// Replaces the keys that open the API. Requests that were let in already go on.
    pub fn set_keys(&self, api_keys: &[Secret]) {
        let keys = Arc::new(Keyring::new(api_keys));
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Replaces the limits of bodies.
    pub fn set_body_limits(&self, limits: BodyLimits) {
        *self
            .body_limits
            .write()
            .unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn check(&self, head: &Head) -> Result<Admission, ApiError> {
        let route = route::find(head.method, &head.path);
        self.check_caller(head, route.access)?;
        let (endpoint, segment, body) = match route.target {
            Target::Endpoint {
                endpoint,
                segment,
                body,
            } => (endpoint, segment, body),
            Target::Options { .. } => return Ok(Admission::NoBody),
            Target::WrongMethod { allow } => return Err(ApiError::method_not_allowed(&allow)),
            Target::Unknown => return Err(ApiError::unknown_path()),
        };
        check_running(self.drain.cause(), endpoint)?;
        let limits = *self
            .body_limits
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(match body {
            Body::Ignored => Admission::NoBody,
            Body::Worker => Admission::Body(WORKER_BODY_MAX),
            Body::Task => Admission::Body(limits.task),
            Body::RuleTest => Admission::Body(limits.webhook),
            Body::Webhook => {
                // Nobody's body is read for a source that is not there.
                self.webhook_source(segment)?;
                Admission::Body(limits.webhook)
            }
        })
    }

    fn check_caller(&self, head: &Head, access: Access) -> Result<(), ApiError> {
        let provenance = match access {
            Access::Open => return Ok(()),
            Access::Keyed => Provenance::of(head),
            Access::Unkeyed => Provenance::of(head).or_link(head),
        };
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        provenance
            .check(self.is_loopback && keys.is_empty())
            .map_err(|foreign| ApiError::new(403, "foreign_origin", foreign.to_string()))?;
        if access == Access::Unkeyed || Credentials::of(head).open(&keys) {
            Ok(())
        } else {
            Err(ApiError::unauthorized())
        }
    }

    /// Answers a request, and says in `asked` which endpoint it is for.
    async fn dispatch(
        &self,
        request: Request,
        asked: &mut Option<Endpoint>,
    ) -> Result<Reply, ApiError> {
        let Request { head, body, permit } = request;
        let (endpoint, segment) = match route::find(head.method, &head.path).target {
            Target::Endpoint {
                endpoint, segment, ..
            } => (endpoint, segment),
            Target::Options { allow } => return Ok(Reply::empty(204).with_header("allow", allow)),
            Target::WrongMethod { allow } => return Err(ApiError::method_not_allowed(&allow)),
            Target::Unknown => return Err(ApiError::unknown_path()),
        };
        *asked = Some(endpoint);
        match endpoint {
            Endpoint::ShowPage => self.show_page(&head).await,
            Endpoint::Health => Ok(health::reply(self.drain.cause())),
            Endpoint::SubmitTask => self.submit_task(&head, body, permit).await,
            Endpoint::ShowTask => self.show_task(&head, segment).await,
            Endpoint::CancelTask => self.cancel_task(segment).await,
            Endpoint::RetryTask => self.retry_task(segment).await,
            Endpoint::ListAttempts => self.list_attempts(segment).await,
            Endpoint::ListTasks => self.list_tasks(&head).await,
            Endpoint::ListWorkers => self.list_workers().await,
            Endpoint::PutWorker => self.put_worker(segment, &body).await,
            Endpoint::DeleteWorker => self.delete_worker(segment).await,
            Endpoint::ReceiveWebhook => {
                let name = segment.to_owned();
                self.receive_webhook(head, &name, body, permit).await
            }
            Endpoint::ListEvents => self.list_events(&head).await,
            Endpoint::ShowEvent => self.show_event(segment).await,
            Endpoint::ExplainEvent => self.explain_event(segment).await,
            Endpoint::ReplayEvent => self.replay_event(segment).await,
            Endpoint::ApproveEvent => self.approve_event(segment).await,
            Endpoint::TestRules => self.test_rules(body, permit).await,
            Endpoint::ListRefusals => self.list_refusals(),
            Endpoint::BackUp => self.back_up().await,
            Endpoint::Metrics => self.show_metrics().await,
            Endpoint::Stats => self.show_stats().await,
            Endpoint::Follow => self.follow(&head),
            Endpoint::Describe => self.describe().await,
        }
    }

    fn refuse(&self, error: ApiError) -> Reply {
        self.refusals.note(&error);
        self.http.refused.count(error.code);
        error.into_reply()
    }
}

impl Service for Api {
    fn admit(&self, head: &Head) -> Result<Admission, Reply> {
        self.check(head).map_err(|error| self.refuse(error))
    }

    async fn answer(&self, request: Request) -> Reply {
        let begun = monotonic();
        let mut asked = None;
        let answered = self.dispatch(request, &mut asked).await;
        let reply = answered.unwrap_or_else(|error| self.refuse(error));
        if let Some(endpoint) = asked {
            let took = monotonic().saturating_duration_since(begun);
            self.timings.observe(endpoint, reply.status, took);
        }
        reply
    }
}

/// Refuses what a server that stops cannot do: new tasks, and everything once its store failed.
fn check_running(cause: Option<Cause>, endpoint: Endpoint) -> Result<(), ApiError> {
    match (cause, endpoint) {
        // How it stands is what one wants to know then.
        (None, _) | (_, Endpoint::Health | Endpoint::Metrics) => Ok(()),
        (Some(Cause::StoreFailed), _) => Err(ApiError::store_failed()),
        (
            Some(Cause::Asked),
            Endpoint::SubmitTask | Endpoint::ReceiveWebhook | Endpoint::Follow,
        ) => Err(ApiError::draining()),
        (Some(Cause::Asked), _) => Ok(()),
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_stops_still_shows_what_it_can() {
        for (cause, endpoint, code) in [
            (None, Endpoint::SubmitTask, None),
            (Some(Cause::Asked), Endpoint::SubmitTask, Some("draining")),
            (
                Some(Cause::Asked),
                Endpoint::ReceiveWebhook,
                Some("draining"),
            ),
            (Some(Cause::Asked), Endpoint::Follow, Some("draining")),
            (Some(Cause::Asked), Endpoint::ShowTask, None),
            (Some(Cause::Asked), Endpoint::CancelTask, None),
            (Some(Cause::Asked), Endpoint::Health, None),
            (
                Some(Cause::StoreFailed),
                Endpoint::SubmitTask,
                Some("store_failed"),
            ),
            (
                Some(Cause::StoreFailed),
                Endpoint::ListWorkers,
                Some("store_failed"),
            ),
            (Some(Cause::StoreFailed), Endpoint::Health, None),
            (Some(Cause::StoreFailed), Endpoint::Metrics, None),
            (
                Some(Cause::StoreFailed),
                Endpoint::Stats,
                Some("store_failed"),
            ),
        ] {
            let refused = check_running(cause, endpoint).err().map(|error| error.code);
            assert_eq!(refused, code, "{cause:?} {endpoint:?}");
        }
    }

    #[test]
    fn loopback_is_told_from_other_addresses() {
        for (ip, expected) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("192.168.1.2", false),
        ] {
            assert_eq!(is_loopback(ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
