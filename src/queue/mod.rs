//! What may happen to tasks: submit, claim, complete, fail, put back, cancel, retry; and to events:
//! receive, settle by the rules, approve, replay.
//!
//! [`Queue`] is the handle that everybody else holds. It sends [`command::Command`]s to the
//! writer, which carries out many of them in one commit, by the rules in [`core`]. There is one, and
//! it has a thread; whoever asks alone borrows it (`desk.rs`). Reading goes to a few threads of its
//! own and never waits for the writer.
//!
//! DURABILITY: when a method that changes something returns `Ok`, the change survives `kill -9`
//! and power loss.

mod attempts;
mod backlog;
mod backoff;
mod backup;
mod board;
mod claim;
pub mod command;
pub mod core;
mod decisions;
mod deliveries;
mod desk;
mod error;
mod events;
#[cfg(test)]
mod faults;
mod following;
mod gathering;
mod history;
mod inbox;
mod judging;
mod lane;
mod leftover;
mod oneshot;
mod overview;
mod own_time;
mod readers;
mod reading;
mod reclaimer;
mod retention;
mod tasks;
mod turn;
mod watchdog;
mod write_out;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use log::{error, info};
use smol::channel::{Receiver, bounded};

pub use backup::{Backup, Piece};
pub use claim::{Cancellation, Claim, Granted, Work};
pub use command::{Decision, PutBack, RetryPolicy, Settings};
pub use deliveries::{EventFilter, EventPage, Receipt};
pub use error::Error;
pub use following::EventHead;
pub use judging::Judge;
pub use overview::{EventCounts, LaneCounts, Overview, TaskCounts};

use self::board::Board;
use self::command::{Command, Outcome};
use self::core::Core;
use self::desk::Desk;
use self::inbox::{Inbox, Reply, Request};
use self::readers::Readers;
use crate::budget::Permit;
use crate::clock::Clock;
use crate::drain::Drain;
use crate::feed::Feed;
use crate::metrics::Registry;
use crate::relief::Relief;
use crate::store::{self, Snapshot, Store};
use crate::task::{NewTask, State, Task, TaskId};
use crate::worker::WorkerName;

/// What [`Queue::submit`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// The task is stored.
    Stored(Task),
    /// The request is a repetition of the one that made this task.
    Replayed(TaskId),
}

/// Which tasks a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only tasks in this state.
    pub state: Option<State>,
    /// Only this worker's.
    pub worker: Option<WorkerName>,
    /// Only tasks with a lower id.
    pub before: Option<TaskId>,
    /// Tasks at most; 1 to 1000.
    pub limit: usize,
}

/// A page of a list, newest first. Only sizes are known yet; [`Queue::load`] reads the texts.
#[derive(Debug, Default)]
pub struct Page {
    /// The page's tasks with the bytes of each one's texts.
    pub tasks: Vec<(TaskId, u64)>,
    /// Whether tasks follow behind the page.
    pub more: bool,
}

/// The queue's handle; clones share it.
#[derive(Clone, Debug)]
pub struct Queue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    inbox: Arc<Inbox>,
    desk: Arc<Desk>,
    board: Arc<Board>,
    feed: Feed,
    readers: Readers,
    drain: Drain,
    run: u64,
    last_ticket: AtomicU64,
    metrics: Arc<Registry>,
    judge: judging::Seat,
    /// Free bytes of disk below which new work is refused.
    disk_reserve: AtomicU64,
    /// Shared with the backup that runs, which may outlive a request a little.
    is_backing_up: Arc<AtomicBool>,
}

impl Queue {
    /// Opens the queue over `store` and starts its threads. When the store fails later, `drain`
    /// is told.
    pub fn open(
        store: Store,
        clock: Clock,
        settings: Settings,
        drain: Drain,
    ) -> Result<Self, store::Error> {
        let run = store.run();
        let core = Core::open(store.clone(), clock, settings, fastrand::Rng::new())?;
        let pending = core
            .lanes()
            .fold(0_u64, |sum, (_, _, pending)| sum.saturating_add(pending));
        match core.left_dispatched()? {
            0 => info!("{pending} tasks are pending"),
            left => info!(
                "{pending} tasks are pending; {left} of them were running when the server ended \
                 last time and run again"
            ),
        }
        let inbox = Arc::new(Inbox::new(store.footprint().group));
        let board = Arc::new(Board::open(&core));
        let threads = |source| store::Error::Io {
            action: "start a thread".to_owned(),
            source,
        };
        let readers = Readers::start(&store).map_err(threads)?;
        let metrics = Arc::clone(core.metrics());
        let judge = Arc::clone(&core.judging.seat);
        let feed = Feed::default();
        let told = writer::Told {
            board: Arc::clone(&board),
            feed: feed.clone(),
        };
        let desk =
            writer::start(core, store, Arc::clone(&inbox), told, drain.clone()).map_err(threads)?;
        let inner = Inner {
            inbox,
            desk,
            board,
            feed,
            readers,
            drain,
            run,
            last_ticket: AtomicU64::new(0),
            metrics,
            judge,
            disk_reserve: AtomicU64::new(settings.disk_reserve),
            is_backing_up: Arc::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Takes no more commands and returns when those that are in are durable, or when the store
    /// has failed. It blocks.
    pub fn close(&self) {
        self.inner.inbox.close();
        self.inner.inbox.wait_for_end();
    }

    /// Lets commands be carried out on the thread of who asks alone, where `relief` relieves him.
    pub fn relieve_with(&self, relief: Relief) {
        self.inner.desk.relieve_with(relief);
    }

    /// Uses other limits from now on.
    pub async fn configure(&self, settings: Settings) -> Result<(), Error> {
        self.ask(Command::Configure(settings)).await?;
        let reserve = settings.disk_reserve;
        self.inner.disk_reserve.store(reserve, Ordering::Relaxed);
        Ok(())
    }

    /// What is counted of tasks, events and commits. Who runs attempts and takes deliveries counts
    /// into it, too.
    pub fn metrics(&self) -> &Arc<Registry> {
        &self.inner.metrics
    }

    /// Stores a new task. `permit` stands for its bytes until they are stored, whoever still waits for
    /// that, and comes back with the outcome.
    pub async fn submit(
        &self,
        task: NewTask,
        mut permit: Permit,
    ) -> Result<(Submitted, Permit), Error> {
        let shared = Arc::new(task);
        let nothing = permit.split(0);
        let permit = Arc::new(permit);
        let command = Command::Submit(Arc::clone(&shared));
        let outcome = self
            .inner
            .desk
            .ask(command, Some(Arc::clone(&permit)))
            .await?;
        // The writer lets go of both before it answers.
        let permit = Arc::into_inner(permit).unwrap_or(nothing);
        let submitted = match outcome {
            Outcome::Stored((id, created_at)) => {
                let new = Arc::unwrap_or_clone(shared);
                Submitted::Stored(Task {
                    id,
                    worker: new.worker,
                    prompt: new.prompt,
                    context: new.context,
                    state: State::Pending,
                    attempts: 0,
                    created_at,
                    dispatched_at: None,
                    completed_at: None,
                    result: None,
                    error: None,
                    event: None,
                })
            }
            Outcome::Replayed(id) => Submitted::Replayed(id),
            _ => return Err(Error::StoreFailed),
        };
        Ok((submitted, permit))
    }

    /// Fails a task with the error "cancelled"; a running attempt is broken off.
    pub async fn cancel(&self, id: TaskId) -> Result<Task, Error> {
        self.ask(Command::Cancel(id)).await?;
        self.find(id).await?.ok_or(Error::UnknownTask(id))
    }

    /// Puts a failed task back to pending, and shows it so though it may be dispatched by now.
    pub async fn retry(&self, id: TaskId) -> Result<Task, Error> {
        let Outcome::Retried(record) = self.ask(Command::Retry(id)).await? else {
            return Err(Error::UnknownTask(id));
        };
        let run = self.inner.run;
        self.read(move |snapshot| {
            let worker = reading::worker_of(snapshot, id, &record)?;
            reading::task(snapshot, run, id, &record, worker)
        })
        .await
    }

    /// Pending tasks of a worker (those that are dispatched not counted).
    pub fn pending(&self, worker: &WorkerName) -> u64 {
        self.inner.board.pending(worker)
    }

    /// Every worker that has tasks, with the pending ones.
    pub fn all_pending(&self) -> Vec<(WorkerName, u64)> {
        self.inner.board.all_pending()
    }

    /// Workers registered over the API, with their JSON.
    pub async fn saved_workers(&self) -> Result<Vec<(String, String)>, Error> {
        self.read(Snapshot::workers).await
    }

    /// Stores a worker registered over the API: `json` as it came.
    pub async fn save_worker(&self, name: &WorkerName, json: String) -> Result<(), Error> {
        self.ask(Command::SaveWorker {
            worker: name.clone(),
            json,
        })
        .await
        .map(drop)
    }

    /// Forgets a registered worker, or refuses with `WorkerHasTasks`.
    pub async fn forget_worker(&self, name: &WorkerName) -> Result<(), Error> {
        self.ask(Command::ForgetWorker(name.clone()))
            .await
            .map(drop)
    }

    /// Claims tasks of `worker`, one to `count`: due retries first, then the oldest. Waits until
    /// there is one. Dropping the future withdraws the claim. A worker's later claim replaces an
    /// earlier one, which then fails.
    pub async fn claim(&self, worker: &WorkerName, count: u32) -> Result<Vec<Claim>, Error> {
        let ticket = self
            .inner
            .last_ticket
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1);
        let (sender, receiver) = bounded(1);
        let command = Command::Demand {
            worker: worker.clone(),
            ticket,
            count,
        };
        let request = Request::new(command, Reply::Grants(sender));
        self.inner.inbox.send(request)?;
        let mut waiting = Unanswered {
            queue: self,
            worker,
            ticket,
            receiver,
            is_answered: false,
        };
        let granted = waiting
            .receiver
            .recv()
            .await
            .map_err(|_| Error::StoreFailed)?;
        waiting.is_answered = true;
        Ok(granted
            .into_iter()
            .map(|granted| Claim::new(self.clone(), granted))
            .collect())
    }

    async fn ask(&self, command: Command) -> Result<Outcome, Error> {
        self.inner.desk.ask(command, None).await
    }

    async fn finish(&self, command: Command) -> Result<(), Error> {
        self.ask(command).await.map(drop)
    }

    fn finish_unheard(&self, command: Command) {
        // A closed inbox puts everything back by itself: the next run claims it again.
        let request = Request::new(command, Reply::Nobody);
        let _ = self.inner.inbox.send(request);
    }

    async fn read<T: Send + 'static>(
        &self,
        reading: impl FnOnce(&Snapshot) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Error> {
        was_read(self.inner.readers.read(reading).await)
    }

    /// Reads on the thread that asks, which it blocks: for threads that serve nobody else.
    fn read_here<T>(
        &self,
        reading: impl FnOnce(&Snapshot) -> Result<T, store::Error>,
    ) -> Result<T, Error> {
        was_read(self.inner.readers.read_here(reading))
    }
}

fn was_read<T>(read: Option<Result<T, store::Error>>) -> Result<T, Error> {
    match read {
        Some(Ok(found)) => Ok(found),
        Some(Err(failure)) => {
            error!("cannot read the store: {failure}");
            Err(Error::Unreadable)
        }
        None => Err(Error::Unreadable),
    }
}

/// A claim that waits; it is withdrawn when nobody waits for it any more.
struct Unanswered<'a> {
    queue: &'a Queue,
    worker: &'a WorkerName,
    ticket: u64,
    receiver: Receiver<Vec<Granted>>,
    is_answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        self.receiver.close();
        if let Ok(granted) = self.receiver.try_recv() {
            for granted in granted {
                drop(Claim::new(self.queue.clone(), granted));
            }
        }
        let command = Command::Withdraw {
            worker: self.worker.clone(),
            ticket: self.ticket,
        };
        self.queue.finish_unheard(command);
    }
}
