//! Runs tasks on workers: claims them, runs their attempts, and watches how the workers are.
//!
//! One lane for each worker of the roster looks after its health, its slots and its pace; each
//! claimed task is one attempt in a task of the executor. Nothing here polls: a lane wakes when
//! a task can be claimed, when its entry changes, or when a timer is due.
//!
//! BOUND: attempts at once are the sum of the workers' `concurrency`; what an attempt holds in
//! memory is taken from the budget first.

mod attempt;
mod capture;
mod command;
mod endpoint;
mod health;
mod json_object;
mod lane;
mod outcome;
mod output;
mod pace;
mod probe;
mod process;
mod retry_after;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_io::Timer;
use event_listener::Event;
use smol::future::FutureExt;
use smol::{Executor, Task};

use crate::budget::Budget;
use crate::clock::Clock;
use crate::drain::{Cause, Drain};
use crate::queue::Queue;
use crate::roster::{Entry, Roster};
use crate::worker::WorkerName;
use outcome::Written;
use process::Children;

/// How long attempts that are broken off may take to end: 2 s of grace for a process group, 5 s
/// for the kernel to end it, and the rest for the store to put the task back.
const BREAK_OFF_PATIENCE: Duration = Duration::from_secs(10);

/// What a [`Dispatcher`] works with.
pub struct Parts {
    /// Runs lanes and attempts.
    pub executor: Arc<Executor<'static>>,
    /// The workers.
    pub roster: Roster,
    /// Where tasks come from and results go.
    pub queue: Queue,
    /// The bytes that prompts and results may take.
    pub budget: Budget,
    /// Tells when a worker was looked at.
    pub clock: Clock,
    /// The order to stop.
    pub drain: Drain,
    /// Variables that child processes do not inherit, beside `MECHA_API_KEY`.
    pub secret_variables: Vec<String>,
}

/// What became of the attempts that ran when the drain began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Attempts that came to their end.
    pub finished: usize,
    /// Attempts that were broken off or had not begun; their tasks are pending again.
    pub put_back: usize,
}

/// The running dispatch. It must live as long as attempts run: it sees their processes exit, and
/// kills them when it is dropped.
pub struct Dispatcher {
    shared: Arc<Shared>,
    /// Dropped with the dispatcher, which ends them.
    _tasks: [Task<()>; 2],
}

impl Dispatcher {
    /// Starts a lane for each worker that is in the roster or comes into it, until the order to
    /// stop. Fails when no handler for SIGCHLD can be installed.
    pub fn start(parts: Parts) -> io::Result<Self> {
        let executor = Arc::clone(&parts.executor);
        let roster = parts.roster;
        let children = Arc::new(Children::new()?);
        let shared = Arc::new(Shared {
            executor: parts.executor,
            queue: parts.queue,
            budget: parts.budget,
            clock: parts.clock,
            drain: parts.drain,
            break_off: Drain::new(),
            children: Arc::clone(&children),
            secret_variables: Mutex::new(parts.secret_variables.into()),
            attempts: Attempts::default(),
        });
        let watch = executor.spawn(async move { children.watch().await });
        let lanes = executor.spawn(run_lanes(Arc::clone(&shared), roster));
        Ok(Self {
            shared,
            _tasks: [watch, lanes],
        })
    }

    /// Attempts that run now, of all workers.
    pub fn running(&self) -> usize {
        self.shared.attempts.running.load(Ordering::SeqCst)
    }

    /// Gives the order to stop, waits up to `deadline` for the running attempts, breaks off the
    /// rest (connections closed, process groups ended) and puts their tasks back to pending.
    ///
    /// DURABILITY: what finished or was put back by then survives like any other change of the
    /// queue. An attempt that could not be broken off within 10 s is left behind; its task is
    /// dispatched again at the next start.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.shared.drain.begin(Cause::Asked);
        let running = self.running();
        if running > 0 {
            let deadline = Written(deadline);
            log::info!("drain: running attempts have {deadline} to finish: {running}");
        }
        let attempts = &self.shared.attempts;
        attempts.idle_within(deadline).await;
        self.shared.break_off.begin(Cause::Asked);
        attempts.idle_within(BREAK_OFF_PATIENCE).await;
        let left = self.running();
        if left > 0 {
            log::error!("drain: {left} attempts could not be broken off");
        }
        Drained {
            finished: attempts.finished.load(Ordering::SeqCst),
            put_back: attempts.put_back.load(Ordering::SeqCst),
        }
    }

    /// Adds variables that processes started from now on do not inherit. None is taken off: what
    /// held a secret once stays one, whatever a new configuration names.
    pub fn add_secret_variables(&self, names: &[String]) {
        let mut known = self.shared.lock_secret_variables();
        let new = names.iter().filter(|name| !known.contains(name)).cloned();
        let all: Vec<String> = known.iter().cloned().chain(new).collect();
        *known = all.into();
    }
}

/// Nothing of a server that is gone goes on: processes that still run are killed.
impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.shared.children.kill_all();
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

/// What lanes and attempts share.
struct Shared {
    executor: Arc<Executor<'static>>,
    queue: Queue,
    budget: Budget,
    clock: Clock,
    /// No attempt starts once it has begun.
    drain: Drain,
    /// Running attempts end once it has begun.
    break_off: Drain,
    children: Arc<Children>,
    secret_variables: Mutex<Arc<[String]>>,
    attempts: Attempts,
}

impl Shared {
    fn secret_variables(&self) -> Arc<[String]> {
        Arc::clone(&self.lock_secret_variables())
    }

    fn lock_secret_variables(&self) -> MutexGuard<'_, Arc<[String]>> {
        self.secret_variables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the attempts of all workers.
#[derive(Default)]
struct Attempts {
    running: AtomicUsize,
    /// Ended while the server drained, by themselves.
    finished: AtomicUsize,
    /// Ended while the server drained, put back.
    put_back: AtomicUsize,
    ended: Event,
}

impl Attempts {
    /// Waits until no attempt runs, at most `patience`.
    async fn idle_within(&self, patience: Duration) {
        let idle = async {
            loop {
                let ended = self.ended.listen();
                if self.running.load(Ordering::SeqCst) == 0 {
                    return;
                }
                ended.await;
            }
        };
        idle.or(async {
            Timer::after(patience).await;
        })
        .await;
    }
}

/// A slot that an attempt holds, given back on drop, however the attempt ends.
struct Running {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
}

impl Running {
    fn start(shared: &Arc<Shared>, entry: &Arc<Entry>) -> Self {
        shared.attempts.running.fetch_add(1, Ordering::SeqCst);
        entry.attempt_started();
        Self {
            shared: Arc::clone(shared),
            entry: Arc::clone(entry),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.entry.attempt_ended();
        self.shared.attempts.running.fetch_sub(1, Ordering::SeqCst);
        self.shared.attempts.ended.notify(usize::MAX);
    }
}

/// Keeps one lane for each entry of the roster. A lane ends by itself when its entry leaves.
async fn run_lanes(shared: Arc<Shared>, roster: Roster) {
    let mut served: BTreeMap<WorkerName, Arc<Entry>> = BTreeMap::new();
    while shared.drain.cause().is_none() {
        let changed = roster.listen();
        served.retain(|_, entry| !entry.is_removed());
        for entry in roster.all() {
            let is_served = served
                .get(entry.name())
                .is_some_and(|known| Arc::ptr_eq(known, &entry));
            if !is_served {
                served.insert(entry.name().clone(), Arc::clone(&entry));
                let lane = lane::run(Arc::clone(&shared), entry);
                shared.executor.spawn(lane).detach();
            }
        }
        changed.or(shared.drain.begun()).await;
    }
}
