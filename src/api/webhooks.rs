//! `POST /webhook/{source}`: a delivery is verified over its exact bytes, read, and stored.
//!
//! BOUND: the permit of the body goes with the delivery until it is stored, whoever still waits
//! for the answer. What a form carries is decoded beside it, and taken from the budget, too.

use std::sync::Arc;

use super::Api;
use super::error::ApiError;
use super::event_view::{ChallengeView, DuplicateView};
use super::memory::{byte_count, grow_to};
use super::view;
use crate::budget::Permit;
use crate::clock::Clock;
use crate::event::Delivery;
use crate::http::{Head, Reply};
use crate::queue::Receipt;
use crate::source::{self, Message, Source};

/// A body of more bytes is verified and read on a thread of its own, so that it does not hold up
/// connections: at this size it takes some 200 microseconds.
const INLINE_BYTES_MAX: usize = 128 << 10;

/// Why a delivery goes no further.
enum Refused {
    Rejected(source::Rejection),
    Unreadable(source::Unreadable),
}

impl source::Headers for Head {
    fn header(&self, name: &str) -> Option<&str> {
        Head::header(self, name)
    }

    fn header_count(&self, name: &str) -> usize {
        Head::header_count(self, name)
    }
}

impl Api {
    /// The source that the path of a webhook names.
    pub(super) fn webhook_source(&self, name: &str) -> Result<Arc<Source>, ApiError> {
        self.matcher
            .source(name)
            .ok_or_else(|| ApiError::unknown_source(name))
    }

    /// `POST /webhook/{source}`
    pub(super) async fn receive_webhook(
        &self,
        head: Head,
        name: &str,
        body: Vec<u8>,
        mut permit: Permit,
    ) -> Result<Reply, ApiError> {
        let source = self.webhook_source(name)?;
        let bytes = byte_count(body.len());
        if source.decodes_form(&head) {
            grow_to(&self.budget, &mut permit, bytes.saturating_mul(2)).await?;
        }
        let message = if body.len() > INLINE_BYTES_MAX {
            let source = Arc::clone(&source);
            smol::unblock(move || open(&source, &head, body)).await
        } else {
            open(&source, &head, body)
        };
        let refused = |reason: &'static str, error: ApiError| {
            self.refusals.note_delivery(source.name(), reason, bytes);
            error
        };
        match message {
            Ok(Message::Challenge(challenge)) => {
                let view = ChallengeView {
                    challenge: &challenge,
                };
                let body = view::render(&view, view::length(&view)?)?;
                Ok(Reply::json(200, body))
            }
            Ok(Message::Delivery(delivery)) => self.store_delivery(delivery, permit).await,
            Err(Refused::Rejected(rejection)) => {
                Err(refused(rejection.as_str(), ApiError::bad_signature()))
            }
            Err(Refused::Unreadable(unreadable)) => Err(refused(
                unreadable.as_str(),
                ApiError::new(400, unreadable.as_str(), unreadable.to_string()),
            )),
        }
    }

    async fn store_delivery(&self, delivery: Delivery, permit: Permit) -> Result<Reply, ApiError> {
        let (source, bytes) = (delivery.source.clone(), delivery.payload.len());
        match self.queue.receive(delivery, permit).await {
            Ok(Receipt::Received(event)) => self.answer_event(202, &event),
            Ok(Receipt::Duplicate { event, state, task }) => {
                let view = DuplicateView::new(event, state, task);
                let body = view::render(&view, view::length(&view)?)?;
                Ok(Reply::json(200, body))
            }
            Err(error) => {
                let error = ApiError::from(error);
                self.refusals
                    .remember_delivery(&source, error.code, byte_count(bytes));
                Err(error)
            }
        }
    }
}

/// Verifies a delivery and reads it.
fn open(source: &Source, head: &Head, body: Vec<u8>) -> Result<Message, Refused> {
    source
        .verify(head, &body, Clock::system().now())
        .map_err(Refused::Rejected)?;
    source.read(head, body).map_err(Refused::Unreadable)
}
