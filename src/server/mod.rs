//! The server: puts the rooms together, runs them, and takes them apart in order.
//!
//! Start: bind the address, open the store, fill the roster, start dispatch, accept. Stop: the
//! reverse, so that whatever was answered is durable before the process ends.

mod executor;
mod reload;
mod workers;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_signal::{Signal, Signals};
use log::{error, info, warn};
use smol::Executor;
use smol::future::FutureExt;
use smol::stream::StreamExt;

use self::executor::Threads;
use crate::api::{self, Api};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::dispatch::{self, Dispatcher};
use crate::drain::{Cause, Drain};
use crate::footprint::Footprint;
use crate::http;
use crate::matcher::{self, Matcher};
use crate::offload;
use crate::queue::{self, Queue};
use crate::source::Source;
use crate::store::{self, Store};

/// Why a server could not start or had to stop.
#[derive(Debug)]
pub enum Error {
    /// The address cannot be bound.
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The data directory cannot be opened.
    Store(store::Error),
    /// The store failed while the server ran; the log says why.
    StoreFailed,
    /// Threads or signal handlers cannot be had.
    System(io::Error),
    /// A second signal came while the server drained.
    CutShort,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { addr, source } => {
                write!(f, "cannot listen on {addr}: {source}; choose another with --addr")
            }
            Self::Store(source) => source.fmt(f),
            Self::StoreFailed => f.write_str(
                "the store failed and the server stopped; see the log, check the disk, and start again: \
                 what was acknowledged is on disk",
            ),
            Self::System(source) => write!(f, "cannot start: {source}"),
            Self::CutShort => f.write_str("ended by a second signal, before the drain was over"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::System(source) => Some(source),
            Self::Store(source) => Some(source),
            Self::StoreFailed | Self::CutShort => None,
        }
    }
}

impl From<store::Error> for Error {
    fn from(source: store::Error) -> Self {
        Self::Store(source)
    }
}

/// A server that is bound and opened, and not yet started.
#[derive(Debug)]
pub struct Server {
    config: Config,
    listener: http::Server,
    store: Store,
    queue: Queue,
    drain: Drain,
}

/// Where the configuration is read again, on SIGHUP.
pub type Reload = Box<dyn Fn() -> Result<Config, config::Error>>;

impl Server {
    /// Binds the address and opens the data directory.
    pub fn open(config: Config) -> Result<Self, Error> {
        for (name, value) in config.summary() {
            info!("{name}: {value}");
        }
        for warning in &config.warnings {
            warn!("{warning}");
        }
        executor::raise_open_files();
        let addr = config.addr;
        let listener = http::Server::bind(addr).map_err(|source| Error::Bind { addr, source })?;
        let store = Store::open_within(&config.data, Footprint::of(config.limits.memory))?;
        let drain = Drain::new();
        let settings = queue_settings(&config);
        let queue = Queue::open(store.clone(), Clock::system(), settings, drain.clone())?;
        Ok(Self {
            config,
            listener,
            store,
            queue,
            drain,
        })
    }

    /// The address that is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Ends the server as SIGTERM does.
    pub fn drain(&self) -> Drain {
        self.drain.clone()
    }

    /// Serves until a signal or [`Server::drain`] ends it. What was acknowledged is durable when
    /// it returns.
    pub fn run(self, reload: Reload) -> Result<(), Error> {
        let signals = [Signal::Term, Signal::Int, Signal::Hup];
        let mut signals = Signals::new(signals).map_err(Error::System)?;
        let footprint = *self.store.footprint();
        offload::alone_beyond(footprint.alone_beyond);
        let executor = Arc::new(Executor::new());
        let threads = Threads::start(&executor, footprint).map_err(Error::System)?;
        threads.relieve(&self.queue);
        let roster = smol::block_on(workers::fill(&self.config, &self.queue));
        let memory = self.config.limits.memory;
        let budget = if footprint.is_small {
            Budget::with_copies(memory)
        } else {
            Budget::new(memory)
        };
        let dispatcher = Dispatcher::start(dispatch::Parts {
            executor: Arc::clone(&executor),
            roster: roster.clone(),
            queue: self.queue.clone(),
            budget: budget.clone(),
            clock: Clock::system(),
            drain: self.drain.clone(),
            secret_variables: self.config.secret_variables.clone(),
        })
        .map_err(Error::System)?;
        let matcher = Matcher::new(
            self.queue.clone(),
            budget.clone(),
            matcher_setup(&self.config),
        );
        let matching = matcher.start(self.drain.clone()).map_err(Error::System)?;
        let addr = self.listener.local_addr();
        let api = Arc::new(Api::new(api::Parts {
            queue: self.queue.clone(),
            matcher: matcher.clone(),
            roster: roster.clone(),
            budget: budget.clone(),
            drain: self.drain.clone(),
            http: self.listener.stats(),
            addr,
            api_keys: self.config.api_keys.clone(),
            body_limits: body_limits(&self.config, memory),
            executor: Arc::clone(&executor),
        }));
        let options = http::Options {
            connections: executor::connections(self.config.limits.connections),
            budget,
            timing: http::Timing::default(),
            grace: self.config.drain,
        };
        info!("listening on http://{addr}");

        let settled = Drain::new();
        let listener = executor.spawn({
            let (service, executor) = (Arc::clone(&api), Arc::clone(&executor));
            let (drain, settled) = (self.drain.clone(), settled.clone());
            let listener = self.listener;
            async move {
                let settled = async move { settled.begun().await };
                listener
                    .run(service, options, executor, drain, settled)
                    .await;
            }
        });
        let mut live = reload::Live {
            reload,
            dispatcher,
            matcher,
            config: self.config,
            api,
            roster,
            queue: self.queue,
            memory,
        };
        // The executor's threads wait for signals and timers; this one is woken by them.
        let drained = smol::future::block_on(async {
            wait_for_the_end(&mut signals, &mut live, &self.drain).await;
            let orderly = async {
                // What an attempt still finds out could not be stored.
                let deadline = match self.drain.cause() {
                    Some(Cause::StoreFailed) => Duration::ZERO,
                    _ => live.config.drain,
                };
                let drained = live.dispatcher.drain(deadline).await;
                settled.begin(Cause::Asked);
                listener.await;
                // The last commit may take long, and the second signal must not wait for it.
                let queue = live.queue.clone();
                smol::unblock(move || queue.close()).await;
                Ok(drained)
            };
            orderly.or(second_signal(&mut signals)).await
        });
        // Cut short, nobody waits for a commit that a thread may be in.
        let drained = drained?;
        // It ends with the order to stop; a panic of it was logged.
        let _ = matching.join();
        threads.stop();
        drop(self.store);
        info!(
            "drained; attempts finished: {}, put back: {}",
            drained.finished, drained.put_back
        );
        match self.drain.cause() {
            Some(Cause::StoreFailed) => Err(Error::StoreFailed),
            _ => Ok(()),
        }
    }
}

fn queue_settings(config: &Config) -> queue::Settings {
    queue::Settings {
        queue: config.limits.queue,
        retention: config.limits.retention,
        disk_reserve: config.limits.disk_reserve,
    }
}

/// Those of a server that runs with `memory` bytes of `limits.memory`.
fn body_limits(config: &Config, memory: u64) -> api::BodyLimits {
    api::BodyLimits {
        task: config.limits.task_body,
        webhook: config.limits.webhook_body(memory),
    }
}

fn matcher_setup(config: &Config) -> matcher::Setup {
    let by_name = |source: &Source| (source.name().to_owned(), Arc::new(source.clone()));
    matcher::Setup {
        sources: config.sources.iter().map(by_name).collect(),
        rules: config.rules.clone(),
        // A prompt that nobody could have submitted is not made by a rule, either.
        prompt_bytes_max: usize::try_from(config.limits.task_body).unwrap_or(usize::MAX),
    }
}

/// Reloads on SIGHUP and returns on the order to stop.
async fn wait_for_the_end(signals: &mut Signals, live: &mut reload::Live, drain: &Drain) {
    loop {
        let signal = async { signals.next().await };
        let ordered = async {
            drain.begun().await;
            None
        };
        match signal.or(ordered).await {
            Some(Ok(Signal::Hup)) => live.reload().await,
            Some(Ok(signal)) => {
                info!(
                    "{} received, draining; a second one ends it at once",
                    name(signal)
                );
                drain.begin(Cause::Asked);
                return;
            }
            Some(Err(failure)) => error!("a signal cannot be read: {failure}"),
            None => return,
        }
    }
}

async fn second_signal<T>(signals: &mut Signals) -> Result<T, Error> {
    loop {
        match signals.next().await {
            Some(Ok(Signal::Term | Signal::Int)) => return Err(Error::CutShort),
            Some(_) => {}
            None => smol::future::pending().await,
        }
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::Term => "SIGTERM",
        Signal::Int => "SIGINT",
        _ => "a signal",
    }
}
