//! Events: list, show, explain, replay, approve.
//!
//! BOUND: what is shown of an event is taken from the budget before it is read, its payload
//! included.

use super::error::ApiError;
use super::event_view::{EventView, WhyView};
use super::list::{Listed, Rendered};
use super::memory::{byte_count, grow_to};
use super::view;
use super::{Api, query};
use crate::budget::Permit;
use crate::event::{Event, EventId};
use crate::http::{Head, Reply};
use crate::matcher::Payload;
use crate::queue::EventFilter;

/// A payload of more bytes is rendered on a thread of its own.
const INLINE_BYTES_MAX: u64 = 128 << 10;

impl Api {
    /// `GET /events`
    pub(super) async fn list_events(&self, head: &Head) -> Result<Reply, ApiError> {
        let filter = query::event_filter(&head.query)?;
        let page = self.queue.list_events(filter.clone()).await?;
        let state = filter.state;
        let load = |ids| {
            let queue = self.queue.clone();
            async move {
                let mut events = queue.load_events(ids).await?;
                // One may have gone on to another state since the page was listed.
                events.retain(|event: &Event| state.is_none_or(|state| state == event.state));
                Ok(events)
            }
        };
        let Rendered { reply, cut_behind } = self.render_page(&page.events, load).await?;
        Ok(match cut_behind.or(page.next) {
            Some(before) => {
                let next = EventFilter {
                    before: Some(before),
                    ..filter
                };
                reply.with_next_page(&query::events_target(&next))
            }
            None => reply,
        })
    }

    /// `GET /event/{id}`
    pub(super) async fn show_event(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = event_id(segment)?;
        let (shown, payload_bytes) = self.event_size(id).await?;
        let mut permit = self.budget.empty();
        // Once as it is read, and once within the answer.
        let likely = shown.saturating_add(payload_bytes).saturating_mul(2);
        grow_to(&self.budget, &mut permit, likely).await?;
        let found = self.queue.find_event(id).await?;
        let event = found.ok_or_else(|| ApiError::unknown_event(id))?;
        let payload = self.queue.payload(id).await?;
        let payload = payload.ok_or_else(|| ApiError::unknown_event(id))?;
        let render = move || {
            let view = EventView::with_payload(&event, &payload)?;
            view::render(&view, view::length(&view)?)
        };
        // A large payload takes long enough to hold up other connections.
        let body = if payload_bytes > INLINE_BYTES_MAX {
            smol::unblock(render).await?
        } else {
            render()?
        };
        Ok(reply(200, body, permit))
    }

    /// `GET /event/{id}/why`
    pub(super) async fn explain_event(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = event_id(segment)?;
        let (event, payload) = self.load_for_rules(id).await?;
        let matcher = self.matcher.clone();
        // A rule may take long over a large payload, and must not hold up connections.
        let body = smol::unblock(move || {
            let explanation = matcher.explain(&event, payload.as_ref());
            let why = WhyView::new(Some(event.id), &explanation);
            view::render(&why, view::length(&why)?)
        })
        .await?;
        Ok(reply(200, body, self.budget.empty()))
    }

    /// `POST /event/{id}/replay`
    pub(super) async fn replay_event(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = event_id(segment)?;
        let (event, payload) = self.load_for_rules(id).await?;
        let matcher = self.matcher.clone();
        let decision = smol::unblock(move || matcher.decide(&event, payload.as_ref())).await;
        self.queue.replay_event(id, decision).await?;
        self.show_changed_event(id).await
    }

    /// `POST /event/{id}/approve`
    pub(super) async fn approve_event(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = event_id(segment)?;
        self.queue.approve_event(id).await?;
        self.show_changed_event(id).await
    }

    /// Answers with an event that was just changed.
    async fn show_changed_event(&self, id: EventId) -> Result<Reply, ApiError> {
        let found = self.queue.find_event(id).await?;
        let event = found.ok_or_else(|| ApiError::unknown_event(id))?;
        self.answer_event(202, &event)
    }

    /// Answers with an event, without its payload.
    pub(super) fn answer_event(&self, status: u16, event: &Event) -> Result<Reply, ApiError> {
        let view = EventView::new(event);
        let body = view::render(&view, view::length(&view)?)?;
        let reply = reply(status, body, self.budget.empty());
        Ok(reply.with_header("location", &format!("/event/{}", event.id)))
    }

    /// The event, and its payload where a rule must see it.
    async fn load_for_rules(&self, id: EventId) -> Result<(Event, Option<Payload>), ApiError> {
        let (_, payload_bytes) = self.event_size(id).await?;
        let found = self.queue.find_event(id).await?;
        let event = found.ok_or_else(|| ApiError::unknown_event(id))?;
        if !self.matcher.wants_payload(&event) {
            return Ok((event, None));
        }
        let mut permit = self.budget.empty();
        // Once as it is read, and once as the rules see it.
        let needed = payload_bytes.saturating_mul(2);
        grow_to(&self.budget, &mut permit, needed).await?;
        let text = self.queue.payload(id).await?;
        let text = text.ok_or_else(|| ApiError::unknown_event(id))?;
        Ok((event, Some(Payload::new(text, permit))))
    }

    async fn event_size(&self, id: EventId) -> Result<(u64, u64), ApiError> {
        let size = self.queue.event_size(id).await?;
        size.ok_or_else(|| ApiError::unknown_event(id))
    }
}

impl Listed for Event {
    type Id = EventId;
    type View<'a> = EventView<'a>;

    fn id(&self) -> EventId {
        self.id
    }

    fn view(&self) -> Result<EventView<'_>, ApiError> {
        Ok(EventView::new(self))
    }
}

/// The event that a path names; what is no id names none.
fn event_id(segment: &str) -> Result<EventId, ApiError> {
    segment.parse().map_err(|right| {
        ApiError::new(
            404,
            "unknown_event",
            format!("the path names no event: {right}"),
        )
    })
}

/// An answer that stands for its body's bytes only.
fn reply(status: u16, body: Vec<u8>, mut permit: Permit) -> Reply {
    permit.shrink_to(byte_count(body.len()));
    Reply {
        permit: Some(permit),
        ..Reply::json(status, body)
    }
}
