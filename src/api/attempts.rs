//! `GET /task/{id}/attempts`: what became of a task's attempts.

use serde::Serialize;

use super::Api;
use super::error::ApiError;
use super::memory::{byte_count, grow_to};
use super::tasks::task_id;
use super::view;
use crate::clock::Timestamp;
use crate::http::Reply;
use crate::task::{Attempt, Outcome};

impl Api {
    /// `GET /task/{id}/attempts`
    pub(super) async fn list_attempts(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = task_id(segment)?;
        // They are few and short, so they are read before memory is asked for.
        let found = self.queue.attempts(id).await?;
        let attempts = found.ok_or_else(|| ApiError::unknown_task(id))?;
        let views: Vec<_> = attempts.iter().map(AttemptView::new).collect();
        let length = view::length(&views)?;
        let mut permit = self.budget.empty();
        grow_to(&self.budget, &mut permit, byte_count(length)).await?;
        Ok(Reply {
            permit: Some(permit),
            ..Reply::json(200, view::render(&views, length)?)
        })
    }
}

/// An attempt.
#[derive(Debug, Serialize)]
struct AttemptView<'a> {
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> AttemptView<'a> {
    fn new(attempt: &'a Attempt) -> Self {
        Self {
            attempt: attempt.number,
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome.map(Outcome::as_str),
            error: attempt.error.as_deref(),
        }
    }
}
