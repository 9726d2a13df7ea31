//! The listener: accepts connections up to their cap, serves each in a task, and drains.
//!
//! BOUND: at most [`Options::connections`] connections are open; further ones wait in the kernel's
//! queue until one has ended.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use smol::Executor;
use smol::future::{FutureExt, yield_now};
use smol::lock::{Semaphore, SemaphoreGuardArc};

use super::connection::serve;
use super::sweeper::{Phase, Sweeper};
use super::wire::Wire;
use super::{Service, sweeper};
use crate::budget::Budget;
use crate::clock::monotonic;
use crate::drain::Drain;
use crate::metrics::{Reasons, Responses};

/// Connections that may wait in the kernel to be accepted.
const BACKLOG: i32 = 1_024;
/// After so many connections in a row the acceptor lets others have their turn: in a storm there is
/// always one more.
const ACCEPTS_IN_A_ROW: u32 = 16;
/// Pause when no connection can be accepted, doubled up to the longest.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Lines about refusals in each period at most.
const LOG_LINES_MAX: u64 = 10;
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// How long each step of a request may take.
#[derive(Clone, Debug)]
pub struct Timing {
    /// A head, from its first byte.
    pub head: Duration,
    /// A body, before it must come at 1 KiB a second.
    pub body: Duration,
    /// The longest pause within a body, however fast it came before.
    pub body_pause: Duration,
    /// A connection without a request.
    pub idle: Duration,
    /// An answer, to be taken by the client.
    pub answer: Duration,
    /// Memory for a body, to become free.
    pub budget: Duration,
    /// A body whose length was announced keeps the memory for all of it. After that it has what
    /// it has filled, so that announcing much and sending little holds up nobody.
    pub reservation: Duration,
    /// A handler, before the server begins to look whether its client is still there.
    pub watch: Duration,
    /// A client that has closed its side and may still want its answer.
    pub half_closed: Duration,
    /// The longest pause of a client that is still sending when its connection is closed.
    pub linger_pause: Duration,
    /// All that such a client may go on sending.
    pub linger: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            body_pause: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            answer: Duration::from_secs(30),
            budget: Duration::from_secs(5),
            reservation: Duration::from_secs(1),
            watch: Duration::from_secs(1),
            half_closed: Duration::from_secs(1),
            linger_pause: Duration::from_secs(1),
            linger: Duration::from_secs(5),
        }
    }
}

/// Limits of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at once.
    pub connections: usize,
    /// Bytes of all bodies at once.
    pub budget: Budget,
    /// How long each step of a request may take.
    pub timing: Timing,
    /// How long requests under way may go on when the server closes.
    pub grace: Duration,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Requests whose head was accepted.
    pub requests: AtomicU64,
    /// Requests refused before or instead of an answer of the service.
    pub refusals: AtomicU64,
    /// Panics of the service.
    pub panics: AtomicU64,
    open: AtomicU64,
    limit: AtomicU64,
    /// Answers by status, refusals included.
    pub responses: Responses,
    /// Refusals by code, the service's own included where it counts them.
    pub refused: Reasons,
}

impl Stats {
    /// Connections that are open now, and as many as may be.
    pub fn open_and_limit(&self) -> (u64, u64) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (read(&self.open), read(&self.limit))
    }
}

/// What all connections share.
pub(super) struct Shared<S> {
    pub(super) service: Arc<S>,
    pub(super) options: Options,
    pub(super) stats: Arc<Stats>,
    pub(super) refusal_log: BoundedLog,
}

/// A bound address.
#[derive(Debug)]
pub struct Server {
    listener: Async<TcpListener>,
    local_addr: SocketAddr,
    stats: Arc<Stats>,
    tick: Option<Duration>,
}

impl Server {
    /// Binds `addr`; port 0 picks one.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let listener = Async::<TcpListener>::bind(addr)?;
        // The standard library asks for 128, which a burst of clients overflows: each of them
        // would then wait a second for its next try.
        rustix::net::listen(listener.get_ref(), BACKLOG)?;
        let local_addr = listener.get_ref().local_addr()?;
        Ok(Self {
            listener,
            local_addr,
            stats: Arc::default(),
            tick: None,
        })
    }

    /// The address that is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Counts, kept up while the server runs.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Serves until `drain` begins, and then until every connection is closed.
    ///
    /// From the order to drain on no connection is accepted, and each is closed behind its next
    /// answer; open ones may still ask, for instance for the server's health, until `settled`
    /// comes. Then connections without a request are closed, and those with one get
    /// [`Options::grace`] to finish.
    pub async fn run<S: Service>(
        self,
        service: Arc<S>,
        options: Options,
        executor: Arc<Executor<'static>>,
        drain: Drain,
        settled: impl Future<Output = ()>,
    ) {
        let Self {
            listener,
            stats,
            tick,
            ..
        } = self;
        let sweeper = tick.map_or_else(Sweeper::new, Sweeper::with_tick);
        let grace = options.grace;
        let slots = Arc::new(Semaphore::new(options.connections.max(1)));
        let limit = u64::try_from(options.connections.max(1)).unwrap_or(u64::MAX);
        stats.limit.store(limit, Ordering::Relaxed);
        let shared = Arc::new(Shared {
            service,
            options,
            stats,
            refusal_log: BoundedLog::default(),
        });
        let sweeping = executor.spawn({
            let sweeper = Arc::clone(&sweeper);
            async move { sweeper.run().await }
        });
        let acceptor = Acceptor {
            listener,
            slots,
            shared,
            sweeper: Arc::clone(&sweeper),
            executor,
        };
        drain.begun().or(acceptor.accept_for_ever()).await;
        sweeper.enter(Phase::Draining);
        acceptor.accept_waiting();
        drop(acceptor);
        settled.or(sweeper.emptied()).await;
        sweeper.enter(Phase::Closing);
        let in_time = async {
            sweeper.emptied().await;
            true
        };
        let late = async {
            Timer::after(grace).await;
            false
        };
        if !in_time.or(late).await {
            log::warn!(
                "{} connections were dropped with a request under way",
                sweeper.connections()
            );
            sweeper.enter(Phase::Ended);
            // Each of them ends at its next wake-up, which was just given.
            let ended = sweeper.emptied();
            ended
                .or(async {
                    Timer::after(sweeper::GIVEN_UP_AFTER).await;
                })
                .await;
        }
        drop(sweeping);
    }

    /// Lets deadlines be late by `tick` at most, for tests with short ones.
    #[cfg(test)]
    pub(super) fn with_tick(mut self, tick: Duration) -> Self {
        self.tick = Some(tick);
        self
    }
}

struct Acceptor<S> {
    listener: Async<TcpListener>,
    slots: Arc<Semaphore>,
    shared: Arc<Shared<S>>,
    sweeper: Arc<Sweeper>,
    executor: Arc<Executor<'static>>,
}

impl<S: Service> Acceptor<S> {
    async fn accept_for_ever(&self) {
        let mut pause = ACCEPT_PAUSE;
        let mut in_a_row = 0;
        loop {
            in_a_row += 1;
            if in_a_row > ACCEPTS_IN_A_ROW {
                in_a_row = 1;
                yield_now().await;
            }
            // Taken first: a connection over the cap is not accepted, and waits in the kernel.
            let slot = self.slots.acquire_arc().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE;
                    self.start(stream, peer, slot);
                }
                Err(error) if concerns_one_connection(&error) => {}
                // Out of descriptors or memory, as a rule: trying again at once would spin.
                Err(error) => {
                    log::error!("no connection can be accepted: {error}");
                    drop(slot);
                    Timer::after(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }

    /// Accepts what the kernel has accepted already, so that a client which connected just in
    /// time gets its answer.
    fn accept_waiting(&self) {
        while let Some(slot) = self.slots.try_acquire_arc() {
            let Ok((stream, peer)) = self.listener.get_ref().accept() else {
                return;
            };
            match Async::new(stream) {
                Ok(stream) => self.start(stream, peer, slot),
                Err(error) => log::error!("{peer} cannot be served: {error}"),
            }
        }
    }

    fn start(&self, stream: Async<std::net::TcpStream>, peer: SocketAddr, slot: SemaphoreGuardArc) {
        let stats = &self.shared.stats;
        stats.connections.fetch_add(1, Ordering::Relaxed);
        stats.open.fetch_add(1, Ordering::Relaxed);
        let wire = Wire::new(stream, peer, self.sweeper.register());
        let serving = AssertUnwindSafe(serve(wire, Arc::clone(&self.shared))).catch_unwind();
        let stats = Arc::clone(stats);
        let task = self.executor.spawn(async move {
            if serving.await.is_err() {
                stats.panics.fetch_add(1, Ordering::Relaxed);
                log::error!("the connection of {peer} ended in a panic");
            }
            stats.open.fetch_sub(1, Ordering::Relaxed);
            drop(slot);
        });
        task.detach();
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// A log of what peers cause: so many lines in a period, then their count alone.
#[derive(Debug, Default)]
pub(super) struct BoundedLog {
    period: Mutex<Option<Period>>,
}

#[derive(Debug)]
struct Period {
    began: Instant,
    lines: u64,
}

impl BoundedLog {
    /// Logs a line if there is room for one in the present period.
    pub(super) fn line(&self, text: impl FnOnce() -> String) {
        let (is_logged, left_out) = self.count(monotonic());
        if left_out > 0 {
            log::info!("{left_out} further lines of this kind were left out");
        }
        if is_logged {
            log::info!("{}", text());
        }
    }

    /// Whether a line may be logged `now`, and how many were left out of the period before.
    fn count(&self, now: Instant) -> (bool, u64) {
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        match period.as_mut() {
            Some(present) if now.saturating_duration_since(present.began) < LOG_PERIOD => {
                present.lines = present.lines.saturating_add(1);
                (present.lines <= LOG_LINES_MAX, 0)
            }
            past => {
                let left_out = past.map_or(0, |past| past.lines.saturating_sub(LOG_LINES_MAX));
                *period = Some(Period {
                    began: now,
                    lines: 1,
                });
                (true, left_out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_to_a_count() {
        let log = BoundedLog::default();
        let start = monotonic();
        let logged = (0..1_000).filter(|_| log.count(start).0).count();
        assert_eq!(logged, 10);
        assert_eq!(log.count(start + LOG_PERIOD), (true, 990));
        assert_eq!(log.count(start + LOG_PERIOD), (true, 0));
    }
}
