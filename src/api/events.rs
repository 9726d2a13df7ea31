//! Events: list, show, explain, replay, approve.
//!
//! BOUND: what is shown of an event is taken from the budget before it is read, its payload
//! included.

use std::sync::Arc;

use super::error::ApiError;
use super::event_view::{EventView, WhyView};
use super::list::{Listed, Rendered};
use super::memory::{byte_count, grow_to};
use super::view;
use super::{Api, query};
use crate::budget::Permit;
use crate::event::{Event, EventId};
use crate::http::{Head, Reply};
use crate::matcher::Setup;
use crate::offload;
use crate::queue::{self, EventFilter};
use crate::rules::Explanation;

/// Bytes of an event beside its attributes, as a rule.
const RECORD_BYTES: usize = 1 << 10;

/// An event that today's rules are to be asked about.
struct Judged {
    setup: Arc<Setup>,
    event: Event,
    /// Where a rule must see it.
    payload: Option<Arc<String>>,
    /// Stands for all of it, for a prompt, and for the event in the answer.
    permit: Permit,
}

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
        let bytes = usize::try_from(payload_bytes).unwrap_or(usize::MAX);
        let body = offload::run(bytes, render).await?;
        Ok(reply(200, body, permit))
    }

    /// `GET /event/{id}/why`
    pub(super) async fn explain_event(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = event_id(segment)?;
        let Judged {
            setup,
            event,
            payload,
            mut permit,
        } = self.load_for_rules(id, |_| Ok(())).await?;
        // What was made when it matched is what an approval starts, whatever today's rules say.
        let held = if event.awaits_approval() {
            self.queue.held_prompt(id).await?
        } else {
            None
        };
        // A rule may take long over a large payload, and must not hold up connections.
        let mut explanation = smol::unblock(move || setup.explain(&event, payload)).await;
        explanation.prompt = held.or(explanation.prompt);
        let why = WhyView::new(Some(id), &explanation);
        let body = self.render_why(&why, &explanation, &mut permit).await?;
        Ok(reply(200, body, permit))
    }

    /// The body of an answer that explains, its bytes taken from the budget beside those of what
    /// it shows.
    pub(super) async fn render_why(
        &self,
        why: &WhyView<'_>,
        explanation: &Explanation,
        permit: &mut Permit,
    ) -> Result<Vec<u8>, ApiError> {
        let length = view::length(why)?;
        let prompt = explanation.prompt.as_ref().map_or(0, String::len);
        grow_to(
            &self.budget,
            permit,
            byte_count(length.saturating_add(prompt)),
        )
        .await?;
        view::render(why, length)
    }

    /// `POST /event/{id}/replay`
    pub(super) async fn replay_event(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = event_id(segment)?;
        // The queue looks again when it carries out the decision, which a rule may take long to make.
        let has_ended = |event: &Event| match event.state {
            state if state.is_ended() => Ok(()),
            state => Err(queue::Error::NotEnded { event: id, state }.into()),
        };
        let Judged {
            setup,
            event,
            payload,
            permit,
        } = self.load_for_rules(id, has_ended).await?;
        let decision = smol::unblock(move || setup.decide(&event, payload)).await;
        self.queue.replay_event(id, decision).await?;
        self.show_changed_event(id, permit).await
    }

    /// `POST /event/{id}/approve`
    pub(super) async fn approve_event(&self, segment: &str) -> Result<Reply, ApiError> {
        let id = event_id(segment)?;
        let (shown, _) = self.event_size(id).await?;
        let mut permit = self.budget.empty();
        // Once as it is read, and once within the answer.
        grow_to(&self.budget, &mut permit, shown.saturating_mul(2)).await?;
        self.queue.approve_event(id).await?;
        self.show_changed_event(id, permit).await
    }

    /// Answers with an event that was just changed; `permit` stands for it.
    async fn show_changed_event(&self, id: EventId, permit: Permit) -> Result<Reply, ApiError> {
        let found = self.queue.find_event(id).await?;
        let event = found.ok_or_else(|| ApiError::unknown_event(id))?;
        Self::answer_event(202, &event, permit)
    }

    /// Answers with an event, without its payload. `permit` stands for the event and its answer.
    pub(super) fn answer_event(
        status: u16,
        event: &Event,
        permit: Permit,
    ) -> Result<Reply, ApiError> {
        let view = EventView::new(event);
        let bytes = usize::try_from(permit.bytes()).unwrap_or(usize::MAX);
        let body = view::render_likely(&view, bytes.saturating_add(RECORD_BYTES))?;
        let reply = reply(status, body, permit);
        Ok(reply.with_header("location", format!("/event/{}", event.id)))
    }

    /// The event, if it is `fit`, its payload where a rule must see it, and the memory for a prompt.
    async fn load_for_rules(
        &self,
        id: EventId,
        fit: impl FnOnce(&Event) -> Result<(), ApiError>,
    ) -> Result<Judged, ApiError> {
        let (shown, payload_bytes) = self.event_size(id).await?;
        let mut permit = self.budget.empty();
        // Once as it is read, and once within the answer.
        let shown = shown.saturating_mul(2);
        grow_to(&self.budget, &mut permit, shown).await?;
        let found = self.queue.find_event(id).await?;
        let event = found.ok_or_else(|| ApiError::unknown_event(id))?;
        fit(&event)?;
        let setup = self.matcher.setup();
        let wants_payload = setup.wants_payload(&event);
        let payload_bytes = if wants_payload { payload_bytes } else { 0 };
        let needed = shown
            .saturating_add(payload_bytes)
            .saturating_add(byte_count(setup.prompt_bytes_max));
        grow_to(&self.budget, &mut permit, needed).await?;
        let payload = if wants_payload {
            let text = self.queue.payload(id).await?;
            Some(Arc::new(text.ok_or_else(|| ApiError::unknown_event(id))?))
        } else {
            None
        };
        Ok(Judged {
            setup,
            event,
            payload,
            permit,
        })
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
