//! Workers: list them, register and remove those of the API.
//!
//! DURABILITY: a registration is stored before the roster has it, and forgotten before the roster
//! loses it: what a 2xx says survives a restart. Both steps are made even if the client goes away
//! after the first. BOUND: one change is made at a time, and the next one waits with its client.

use serde::de::IgnoredAny;

use super::change::carry_out;
use super::error::ApiError;
use super::memory::{byte_count, grow_to};
use super::view::{self, WorkerView};
use super::{Api, submission};
use crate::config;
use crate::http::Reply;
use crate::queue::Queue;
use crate::roster::{Entry, Full, Origin, Roster, WORKERS_MAX};
use crate::worker::{Worker, WorkerName};

impl Api {
    /// `GET /workers`
    pub(super) async fn list_workers(&self) -> Result<Reply, ApiError> {
        let entries = self.roster.all();
        let workers: Vec<_> = entries
            .iter()
            .map(|entry| self.view_worker(entry))
            .collect();
        let length = view::length(&workers)?;
        let mut permit = self.budget.empty();
        grow_to(&self.budget, &mut permit, byte_count(length)).await?;
        Ok(Reply {
            permit: Some(permit),
            ..Reply::json(200, view::render(&workers, length)?)
        })
    }

    /// `PUT /worker/{name}`
    pub(super) async fn put_worker(&self, segment: &str, body: &[u8]) -> Result<Reply, ApiError> {
        let name: WorkerName = segment
            .parse()
            .map_err(|right| bad_worker(format!("the path names no worker: {right}")))?;
        let (worker, text) = parse(&name, body)?;

        let alone = self.worker_changes.write_arc().await;
        match self.roster.find(&name) {
            Some(entry) if entry.origin() == Origin::File => return Err(file_worker(&name)),
            None if self.roster.all().len() >= WORKERS_MAX => return Err(too_many_workers()),
            Some(_) | None => {}
        }
        let (queue, roster, json) = (self.queue.clone(), self.roster.clone(), text.to_owned());
        let status = carry_out(&self.executor, async move {
            let status = register(&queue, &roster, worker, json).await;
            drop(alone);
            status
        })
        .await?;
        let entry = self.roster.find(&name).ok_or_else(ApiError::internal)?;
        let view = self.view_worker(&entry);
        Ok(Reply::json(
            status,
            view::render(&view, view::length(&view)?)?,
        ))
    }

    /// `DELETE /worker/{name}`
    pub(super) async fn delete_worker(&self, segment: &str) -> Result<Reply, ApiError> {
        let name: WorkerName = segment.parse().map_err(ApiError::impossible_worker)?;
        let alone = self.worker_changes.write_arc().await;
        match self.roster.find(&name) {
            None => return Err(ApiError::unknown_worker(&name)),
            Some(entry) if entry.origin() == Origin::File => return Err(file_worker(&name)),
            Some(_) => {}
        }
        let (queue, roster) = (self.queue.clone(), self.roster.clone());
        carry_out(&self.executor, async move {
            queue.forget_worker(&name).await?;
            roster.remove(&name);
            log::info!("worker {name} was removed over the API");
            drop(alone);
            Ok(())
        })
        .await?;
        Ok(Reply::empty(204))
    }

    fn view_worker(&self, entry: &Entry) -> WorkerView {
        WorkerView::new(entry, self.queue.pending(entry.name()))
    }
}

/// The worker `name` of a body of `PUT /worker/{name}`, and the body as text.
pub(super) fn parse<'b>(name: &WorkerName, body: &'b [u8]) -> Result<(Worker, &'b str), ApiError> {
    let text = submission::object_text(body)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| submission::refusal(&error))?;
    let worker = config::worker_from_json(name, body).map_err(bad_worker)?;
    Ok((worker, text))
}

/// Stores the registration `json` of `worker` and puts it into the roster: 201 for a new one, 200
/// for one that is replaced.
async fn register(
    queue: &Queue,
    roster: &Roster,
    worker: Worker,
    json: String,
) -> Result<u16, ApiError> {
    let name = worker.name.clone();
    queue.save_worker(&name, json).await?;
    match roster.put(worker, Origin::Api) {
        Ok(true) => {
            log::info!("worker {name} was registered over the API");
            Ok(201)
        }
        Ok(false) => {
            log::info!("worker {name} was replaced over the API");
            Ok(200)
        }
        // A configuration that was read again in between took the last place.
        Err(Full) => {
            queue.forget_worker(&name).await?;
            Err(too_many_workers())
        }
    }
}

fn bad_worker(message: String) -> ApiError {
    ApiError::new(400, "bad_worker", message)
}

fn file_worker(name: &WorkerName) -> ApiError {
    ApiError::new(
        409,
        "file_worker",
        format!("worker {name} is declared in the configuration file and changed there alone"),
    )
}

fn too_many_workers() -> ApiError {
    ApiError::new(
        409,
        "too_many_workers",
        format!("there are {WORKERS_MAX} workers, as many as may be"),
    )
}
