//! What is read of tasks: one, a page of them, and the end that somebody waits for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use async_io::Timer;
use smol::future::FutureExt;

use super::{Error, Filter, Page, Queue, tasks};
use crate::clock::Timestamp;
use crate::event::EventId;
use crate::id::Id;
use crate::store::keys::Text;
use crate::store::record::{TaskRecord, time};
use crate::store::{self, Listing, Snapshot};
use crate::task::{Idempotency, Task, TaskId};
use crate::worker::WorkerName;

impl Queue {
    /// The task that an earlier request with the same key made, while it is kept. The key with
    /// another body is an `IdempotencyMismatch`. [`Queue::submit`] looks again, in one step with
    /// the write.
    pub async fn replay(&self, idempotency: &Idempotency) -> Result<Option<TaskId>, Error> {
        let hash = tasks::key_hash(&idempotency.key);
        let known = self.read(move |snapshot| snapshot.key(&hash)).await?;
        known
            .map(|known| tasks::replay(&known, &idempotency.body_hash))
            .transpose()
    }

    /// The bytes of a task's prompt, context, result and error, or `None` for an unknown id.
    pub async fn size(&self, id: TaskId) -> Result<Option<u64>, Error> {
        let record = self.read(move |snapshot| snapshot.task(id)).await?;
        Ok(record.map(|record| record.text_bytes()))
    }

    /// The task as it is now.
    pub async fn find(&self, id: TaskId) -> Result<Option<Task>, Error> {
        Ok(self.load(vec![id]).await?.pop())
    }

    /// Waits until the task has ended or `patience` is over or the server drains. `false` for an
    /// unknown id.
    pub async fn wait(&self, id: TaskId, patience: Duration) -> Result<bool, Error> {
        let waiter = self.inner.board.wait_for(id);
        let ended = async {
            loop {
                let listener = waiter.event.listen();
                let Some(record) = self.read(move |snapshot| snapshot.task(id)).await? else {
                    return Ok(false);
                };
                if record.is_ended() || self.inner.inbox.has_failed() {
                    return Ok(true);
                }
                listener.await;
            }
        };
        let given_up = async {
            Timer::after(patience).await;
            Ok(true)
        };
        let drained = async {
            self.inner.drain.begun().await;
            Ok(true)
        };
        ended.or(drained).or(given_up).await
    }

    /// The tasks of a page, without their texts.
    pub async fn list(&self, filter: Filter) -> Result<Page, Error> {
        let board = &self.inner.board;
        let lanes = match &filter.worker {
            Some(worker) => match board.lane(worker) {
                Some(lane) => Some(vec![lane]),
                None => return Ok(Page::default()),
            },
            None => None,
        };
        let listing = Listing {
            lanes,
            state: filter.state,
            before: filter.before.map_or(Id::LAST, |id| id.0),
            limit: filter.limit,
        };
        let (all, running) = (board.lanes(), board.running());
        let listed = self
            .read(move |snapshot| snapshot.list(&listing, &all, &running))
            .await?;
        let sizes = listed
            .tasks
            .into_iter()
            .map(|(id, record)| (id, record.text_bytes()));
        Ok(Page {
            tasks: sizes.collect(),
            more: listed.more,
        })
    }

    /// The tasks with their texts, in the order of `ids`; those deleted meanwhile are left out.
    pub async fn load(&self, ids: Vec<TaskId>) -> Result<Vec<Task>, Error> {
        let run = self.inner.run;
        self.read(move |snapshot| {
            let mut tasks = Vec::with_capacity(ids.len());
            let mut workers = HashMap::new();
            for id in ids {
                let Some(record) = snapshot.task(id)? else {
                    continue;
                };
                let worker = match workers.entry(record.lane) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(worker_of(snapshot, id, &record)?),
                };
                tasks.push(task(snapshot, run, id, &record, worker.clone())?);
            }
            Ok(tasks)
        })
        .await
    }
}

/// The worker that a task is for.
pub(super) fn worker_of(
    snapshot: &Snapshot,
    task: TaskId,
    record: &TaskRecord,
) -> Result<WorkerName, store::Error> {
    snapshot
        .lane_worker(record.lane)?
        .ok_or_else(|| store::Error::Damaged {
            place: format!("the row of worker number {}", record.lane),
            detail: format!("it is missing, and task {task} names it"),
        })
}

/// A task as its record and its texts show it.
pub(super) fn task(
    snapshot: &Snapshot,
    run: u64,
    id: TaskId,
    record: &TaskRecord,
    worker: WorkerName,
) -> Result<Task, store::Error> {
    let text = |kind| snapshot.text(id, kind, record);
    Ok(Task {
        id,
        worker,
        prompt: text(Text::Prompt)?.unwrap_or_default(),
        context: text(Text::Context)?,
        state: record.state(run),
        attempts: record.attempts,
        created_at: Timestamp::from_millis(record.created_ms),
        dispatched_at: time(record.dispatched_ms),
        completed_at: time(record.ended_ms),
        result: text(Text::Result)?,
        error: text(Text::Error)?,
        event: record
            .event
            .and_then(|event| Id::from_bytes(&event))
            .map(EventId),
    })
}
