//! Tasks: submit, list, show, cancel, retry.
//!
//! BOUND: a task's texts and the answer made of them are taken from the budget before they are
//! read, and the answer keeps its bytes until it is written. A submission has the bytes of its
//! body alone, which go on to stand for its texts and then for its answer. Its texts stay in the
//! body's memory; while the answer is made of them both exist, of large ones once at a time.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::list::{Listed, Rendered};
use super::memory::{byte_count, grow_to};
use super::submission::{Submission, idempotency_key};
use super::view::{self, TaskView};
use super::{Api, query};
use crate::budget::Permit;
use crate::http::{Head, Reply};
use crate::offload;
use crate::queue::{Filter, Submitted};
use crate::task::{Idempotency, NewTask, Task, TaskId};
use crate::worker::WorkerName;

/// Bytes of a task's JSON besides its texts, at most: 256 for the names and the values of fixed
/// length, 64 for the worker's name, and room for escapes.
const FIELDS_LENGTH: u64 = 1 << 10;

/// What most tasks need of that.
const FIELDS_LIKELY: usize = 320;

impl Api {
    /// `POST /task`
    pub(super) async fn submit_task(
        &self,
        head: &Head,
        body: Vec<u8>,
        permit: Permit,
    ) -> Result<Reply, ApiError> {
        let key = idempotency_key(head)?;
        // The body's permit goes on to stand for the prompt and the context made of it.
        let read = offload::run(body.len(), move || {
            let idempotency = key.map(|key| Idempotency {
                key,
                body_hash: Sha256::digest(&body).into(),
            });
            Submission::parse(body).map(|submission| (submission, idempotency))
        });
        let (submission, idempotency) = read.await?;
        // A repetition is answered even if its worker is gone or nobody is online by now.
        if let Some(idempotency) = &idempotency
            && let Some(id) = self.queue.replay(idempotency).await?
        {
            drop(submission);
            return self.replay_task(id, permit).await;
        }
        let worker = self.choose_worker(submission.worker.as_deref()).await?;
        // INVARIANT: no worker leaves over the API while a submission is under way, so no task is
        // stored for one that has just left.
        let workers_stay = self.worker_changes.read().await;
        if self.roster.find(&worker).is_none() {
            return Err(match submission.worker {
                Some(_) => ApiError::unknown_worker(&worker),
                None => ApiError::no_online_workers(),
            });
        }
        let new_task = NewTask {
            worker,
            prompt: submission.prompt,
            context: submission.context,
            idempotency,
        };
        let (submitted, permit) = self.queue.submit(new_task, permit).await?;
        drop(workers_stay);
        match submitted {
            Submitted::Stored(task) => {
                let location = location(task.id);
                let reply = self.show_change(202, task, permit).await?;
                Ok(reply.with_header("location", location))
            }
            // The same request came twice at once, and the other one was first.
            Submitted::Replayed(id) => self.replay_task(id, permit).await,
        }
    }

    /// `GET /tasks`
    pub(super) async fn list_tasks(&self, head: &Head) -> Result<Reply, ApiError> {
        let filter = query::filter(&head.query)?;
        let page = self.queue.list(filter.clone()).await?;
        let state = filter.state;
        let load = |ids| {
            let queue = self.queue.clone();
            async move {
                let mut tasks = queue.load(ids).await?;
                // One may have gone on to another state since the page was listed.
                tasks.retain(|task: &Task| state.is_none_or(|state| state == task.state));
                Ok(tasks)
            }
        };
        let Rendered { reply, cut_behind } = self.render_page(&page.tasks, load).await?;
        let last = page.tasks.last().filter(|_| page.more).map(|(id, _)| *id);
        Ok(match cut_behind.or(last) {
            Some(before) => {
                let next = Filter {
                    before: Some(before),
                    ..filter
                };
                reply.with_next_page(&query::tasks_target(&next))
            }
            None => reply,
        })
    }

    /// `GET /task/{id}`
    pub(super) async fn show_task(&self, head: &Head, segment: &str) -> Result<Reply, ApiError> {
        let id = task_id(segment)?;
        if let Some(patience) = query::wait(&head.query)?
            && !self.queue.wait(id, patience).await?
        {
            return Err(ApiError::unknown_task(id));
        }
        self.find_task(200, id, self.budget.empty()).await
    }

    /// `DELETE /task/{id}`
    pub(super) async fn cancel_task(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = task_id(segment)?;
        let (permit, _) = self.permit_for_task(id, self.budget.empty()).await?;
        let task = self.queue.cancel(id).await?;
        self.show_change(200, task, permit).await
    }

    /// `POST /task/{id}/retry`
    pub(super) async fn retry_task(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = task_id(segment)?;
        let (permit, _) = self.permit_for_task(id, self.budget.empty()).await?;
        let task = self.queue.retry(id).await?;
        self.show_change(202, task, permit).await
    }

    /// The worker that was named, or the next one in rotation.
    async fn choose_worker(&self, named: Option<&str>) -> Result<WorkerName, ApiError> {
        match named {
            Some(name) => name.parse().map_err(ApiError::impossible_worker),
            None => self
                .roster
                .pick()
                .await
                .ok_or_else(ApiError::no_online_workers),
        }
    }

    async fn replay_task(&self, id: TaskId, permit: Permit) -> Result<Reply, ApiError> {
        let reply = self.find_task(202, id, permit).await?;
        Ok(reply
            .with_header("location", location(id))
            .with_header("idempotent-replayed", "true"))
    }

    /// Answers with the task as it is now.
    async fn find_task(&self, status: u16, id: TaskId, permit: Permit) -> Result<Reply, ApiError> {
        let (mut permit, texts) = self.permit_for_task(id, permit).await?;
        let found = self.queue.find(id).await?;
        let task = found.ok_or_else(|| ApiError::unknown_task(id))?;
        let bytes = text_length(&task);
        let measure = move || {
            let length = view::length(&TaskView::new(&task)?)?;
            Ok::<_, ApiError>((task, length))
        };
        let (task, length) = offload::run(bytes, measure).await?;
        let needed = texts.saturating_add(byte_count(length));
        grow_to(&self.budget, &mut permit, needed).await?;
        let render = move || view::render(&TaskView::new(&task)?, length);
        let body = offload::run(bytes, render).await?;
        Ok(reply(status, body, permit))
    }

    /// Answers with a task that was just changed: the change is made, so no lack of memory may
    /// hide it. What the answer needs over the permit, taken if it is free, is little: the fields
    /// besides the texts, and escapes.
    async fn show_change(
        &self,
        status: u16,
        task: Task,
        mut permit: Permit,
    ) -> Result<Reply, ApiError> {
        let bytes = text_length(&task);
        let render = offload::run(bytes, move || {
            let likely = bytes.saturating_add(FIELDS_LIKELY);
            view::render_likely(&TaskView::new(&task)?, likely)
        });
        let body = render.await?;
        let missing = byte_count(body.len()).saturating_sub(permit.bytes());
        permit.grow_within(missing, Duration::ZERO).await;
        Ok(reply(status, body, permit))
    }

    /// Takes memory for a task's texts and for what the answer will most likely need: as much
    /// again, and a little. Asked for at once, so that two answers seldom wait for what the other
    /// holds. Gives the permit and the bytes of the texts.
    async fn permit_for_task(
        &self,
        id: TaskId,
        mut permit: Permit,
    ) -> Result<(Permit, u64), ApiError> {
        let found = self.queue.size(id).await?;
        let texts = found.ok_or_else(|| ApiError::unknown_task(id))?;
        let likely = texts.saturating_mul(2).saturating_add(FIELDS_LENGTH);
        grow_to(&self.budget, &mut permit, likely).await?;
        Ok((permit, texts))
    }
}

impl Listed for Task {
    type Id = TaskId;
    type View<'a> = TaskView<'a>;

    fn id(&self) -> TaskId {
        self.id
    }

    fn view(&self) -> Result<TaskView<'_>, ApiError> {
        TaskView::new(self)
    }
}

/// The task that a path names; what is no id names none.
pub(super) fn task_id(segment: &str) -> Result<TaskId, ApiError> {
    segment.parse().map_err(|right| {
        ApiError::new(
            404,
            "unknown_task",
            format!("the path names no task: {right}"),
        )
    })
}

/// Bytes of a task's texts.
fn text_length(task: &Task) -> usize {
    let texts = [&task.context, &task.result, &task.error];
    let texts = texts.into_iter().flatten().map(String::len);
    texts.fold(task.prompt.len(), usize::saturating_add)
}

fn location(id: TaskId) -> String {
    ["/task/", id.as_ref()].concat()
}

/// An answer that stands for its body's bytes only, now that the texts go.
fn reply(status: u16, body: Vec<u8>, mut permit: Permit) -> Reply {
    permit.shrink_to(byte_count(body.len()));
    Reply {
        permit: Some(permit),
        ..Reply::json(status, body)
    }
}
