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
use crate::offload;
use crate::queue::Receipt;
use crate::source::{self, Message, Source};

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
        let unstored = |error: ApiError| {
            self.refusals
                .remember_delivery(source.name(), error.code, bytes);
            self.queue
                .metrics()
                .delivery_refused(source.name(), error.code);
            error
        };
        if source.decodes_form(&head) {
            let needed = bytes.saturating_mul(2);
            let grown = grow_to(&self.budget, &mut permit, needed).await;
            grown.map_err(&unstored)?;
        }
        let opening = Arc::clone(&source);
        let message = offload::run(body.len(), move || open(&opening, &head, body)).await;
        let refused = |reason: &'static str, error: ApiError| {
            self.refusals.note_delivery(source.name(), reason, bytes);
            self.queue.metrics().delivery_refused(source.name(), reason);
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
            Ok(Message::Delivery(delivery)) => self
                .store_delivery(delivery, permit)
                .await
                .map_err(&unstored),
            Err(Refused::Rejected(rejection)) => {
                Err(refused(rejection.as_str(), ApiError::bad_signature()))
            }
            Err(Refused::Unreadable(unreadable)) => Err(refused(
                unreadable.as_str(),
                ApiError::new(400, unreadable.as_str(), unreadable.to_string()),
            )),
        }
    }

    async fn store_delivery(
        &self,
        delivery: Delivery,
        mut permit: Permit,
    ) -> Result<Reply, ApiError> {
        // The attributes are copies of parts of the payload: as they are, and within the answer.
        let copied = byte_count(delivery.attribute_bytes()).saturating_mul(2);
        let held = permit.bytes().saturating_add(copied);
        grow_to(&self.budget, &mut permit, held).await?;
        let answer = permit.split(copied);
        match self.queue.receive(delivery, permit).await? {
            Receipt::Received(event) => Self::answer_event(202, &event, answer),
            Receipt::Duplicate { event, state, task } => {
                let view = DuplicateView::new(event, state, task);
                let body = view::render(&view, view::length(&view)?)?;
                Ok(Reply::json(200, body))
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
