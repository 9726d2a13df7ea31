//! `POST /rules/test`: what the rules would decide about a payload, without storing anything.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Api;
use super::error::ApiError;
use super::event_view::WhyView;
use super::memory::{byte_count, grow_to};
use super::submission::{self, string};
use crate::budget::Permit;
use crate::clock::Clock;
use crate::event::{Event, EventId};
use crate::http::Reply;
use crate::id::Id;

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// A checked body of `POST /rules/test`.
#[derive(Debug)]
pub(super) struct Trial {
    /// The name of a source; never empty.
    pub(super) source: String,
    /// Never empty.
    pub(super) event_type: String,
    /// A JSON object as it came.
    pub(super) payload: String,
}

impl Trial {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let text = submission::object_text(body)?;
        let fields: Fields<'_> =
            serde_json::from_str(text).map_err(|error| submission::refusal(&error))?;
        let source = wanted_string("source", fields.source)?;
        let event_type = wanted_string("type", fields.event_type)?;
        let payload = match fields.payload {
            Some(payload) if payload.get().starts_with('{') => payload.get().to_owned(),
            _ => return Err(submission::bad_field("payload", "an object")),
        };
        Ok(Self {
            source,
            event_type,
            payload,
        })
    }
}

impl Api {
    /// `POST /rules/test`
    pub(super) async fn test_rules(
        &self,
        body: Vec<u8>,
        mut permit: Permit,
    ) -> Result<Reply, ApiError> {
        let Trial {
            source,
            event_type,
            payload,
        } = Trial::parse(&body)?;
        let source = self.webhook_source(&source)?;
        drop(body);
        let setup = self.matcher.setup();
        // The payload, what its attributes copy of it, and a prompt.
        let needed = byte_count(payload.len())
            .saturating_mul(2)
            .saturating_add(byte_count(setup.prompt_bytes_max));
        grow_to(&self.budget, &mut permit, needed).await?;
        let explanation = smol::unblock(move || {
            let mut delivery = source.read_as(&event_type, payload).map_err(|unreadable| {
                ApiError::new(400, unreadable.as_str(), unreadable.to_string())
            })?;
            let payload = std::mem::take(&mut delivery.payload);
            let now = Clock::system().now();
            let event = Event::received(EventId(Id::FIRST), delivery, now);
            Ok::<_, ApiError>(setup.explain(&event, Some(Arc::new(payload))))
        })
        .await?;
        let why = WhyView::new(None, &explanation);
        let body = self.render_why(&why, &explanation, &mut permit).await?;
        permit.shrink_to(byte_count(body.len()));
        Ok(Reply {
            permit: Some(permit),
            ..Reply::json(200, body)
        })
    }
}

fn wanted_string(field: &'static str, value: Option<&RawValue>) -> Result<String, ApiError> {
    let text = match value {
        Some(value) => string(field, value)?,
        None => String::new(),
    };
    if text.is_empty() {
        return Err(submission::bad_field(field, "a string that is not empty"));
    }
    Ok(text)
}
