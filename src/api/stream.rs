//! `GET /stream`: the changes of tasks, events and workers as server-sent events (WHATWG HTML, 9.2).
//!
//! A reader holds a position in the feed and nothing else; what it is sent is made when its socket has
//! taken what came before. BOUND: [`READERS_MAX`] readers, and of each one piece
//! of [`MESSAGES_MAX`] messages or [`PIECE_BYTES`]. One whose socket takes nothing is cut as from any other answer, and one
//! that the feed has left behind is told that it has lost something and goes on from the newest change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use log::error;
use smol::future::FutureExt;
use smol::stream::unfold;

use super::Api;
use super::error::ApiError;
use super::query;
use super::stream_view::{self, Message};
use crate::clock::monotonic;
use crate::drain::Drain;
use crate::feed::{Batch, Change, Look, Position, READERS_MAX, Reader};
use crate::http::{Head, Reply, Unfinished};
use crate::queue::Queue;
use crate::roster::{Entry, Roster};

/// Messages in one piece.
const MESSAGES_MAX: usize = 64;

/// A piece ends with the message that fills it so far.
const PIECE_BYTES: usize = 64 << 10;

/// A reader that has everything looks again after this pause at the earliest, so that a busy server
/// does not wake it for each commit.
const PAUSE: Duration = Duration::from_millis(20);

/// What is sent after so long without a change keeps proxies from taking the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment.
const NOTHING: &[u8] = b":\n\n";

impl Api {
    /// `GET /stream`
    pub(super) fn follow(&self, head: &Head) -> Result<Reply, ApiError> {
        let from = position(head)?;
        let reader = self
            .queue
            .feed()
            .follow(from)
            .ok_or_else(too_many_readers)?;
        let following = Following {
            reader,
            queue: self.queue.clone(),
            roster: self.roster.clone(),
            drain: self.drain.clone(),
            is_new: true,
            pause_until: None,
        };
        let pieces = unfold(Some(following), |following| async {
            let mut following = following?;
            match following.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(following))),
                Ok(None) => None,
                Err(Unfinished) => Some((Err(Unfinished), None)),
            }
        });
        Ok(Reply::live_stream("text/event-stream", Box::pin(pieces))
            .with_header("cache-control", "no-store")
            // nginx would keep the messages until it has a buffer full of them.
            .with_header("x-accel-buffering", "no"))
    }
}

/// Where a reader left off. A browser that connects again sends the header, and the parameter of the
/// first time with it; so the header counts.
fn position(head: &Head) -> Result<Option<Position>, ApiError> {
    const NAME: &str = "last-event-id";
    match head.header(NAME) {
        None | Some("") => query::last_event_id(&head.query),
        Some(id) if head.header_count(NAME) == 1 => {
            let read = id.parse().map(Some);
            read.map_err(|right| query::bad("Last-Event-ID", id, right))
        }
        Some(_) => Err(ApiError::new(
            400,
            "bad_parameter",
            "Last-Event-ID may be given once",
        )),
    }
}

fn too_many_readers() -> ApiError {
    ApiError::new(
        503,
        "too_many_readers",
        format!("{READERS_MAX} readers follow already, as many as may; try again later"),
    )
}

/// A reader and what it is told from.
struct Following {
    reader: Reader,
    queue: Queue,
    roster: Roster,
    drain: Drain,
    is_new: bool,
    /// Set where it had everything a moment ago.
    pause_until: Option<Instant>,
}

/// What ended a wait.
enum Woken {
    /// Something changed, or the server stops.
    Changed,
    /// Nothing did for long.
    Idle,
}

impl Following {
    /// The next piece; `None` when the server stops.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Unfinished> {
        if std::mem::take(&mut self.is_new) {
            // A reader that is cut off before the first change can come back to where it began; but not
            // to where it would not be told any more of what it has lost.
            let position = self.reader.position();
            let known = (!self.reader.has_restarted()).then_some(position);
            return Ok(Some(stream_view::opening(known)));
        }
        if let Some(until) = self.pause_until.take() {
            let paused = async {
                Timer::at(until).await;
            };
            paused.or(self.drain.begun()).await;
        }
        let idle_from = monotonic() + KEEP_ALIVE;
        loop {
            let changed = self.reader.listen();
            if self.drain.cause().is_some() {
                return Ok(None);
            }
            let piece = self.piece().await?;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
            if self.pause_until.take().is_none() {
                // There was nothing to say of these changes, and there are more.
                continue;
            }
            let woken = async {
                changed.await;
                Woken::Changed
            }
            .or(async {
                self.drain.begun().await;
                Woken::Changed
            })
            .or(async {
                Timer::at(idle_from).await;
                Woken::Idle
            });
            match woken.await {
                Woken::Changed => {}
                Woken::Idle => return Ok(Some(NOTHING.to_vec())),
            }
        }
    }

    /// The messages of what has changed; none where nothing has.
    async fn piece(&mut self) -> Result<Vec<u8>, Unfinished> {
        match self.reader.look(MESSAGES_MAX) {
            Look::Lost(loss) => Ok(stream_view::reset(self.reader.position(), loss)),
            Look::Found(batch) => self.tell(batch).await,
        }
    }

    /// The messages of a batch, of which the last ones may be left to the next piece.
    async fn tell(&mut self, batch: Batch) -> Result<Vec<u8>, Unfinished> {
        let (to, is_last) = (batch.to, batch.is_last);
        let messages = self.messages(batch).await?;
        let mut piece = Vec::new();
        let (mut is_whole, mut last) = (true, to);
        for (count, (number, message)) in messages.iter().enumerate() {
            if count >= MESSAGES_MAX || piece.len() >= PIECE_BYTES {
                is_whole = false;
                break;
            }
            // A worker that has changed behind `to` is found again from there.
            last = (*number).min(to);
            let position = self.reader.position_of(last);
            message
                .write(position, &mut piece)
                .map_err(|_| Unfinished)?;
        }
        self.reader.go_past(if is_whole { to } else { last });
        if is_last && is_whole {
            self.pause_until = Some(monotonic() + PAUSE);
        }
        Ok(piece)
    }

    /// What is said of a batch and of the workers that changed since, in the order of their numbers. Of
    /// workers these may be above the batch's: only so is one that does not come into the piece found again.
    async fn messages(&self, batch: Batch) -> Result<Vec<(u64, Message)>, Unfinished> {
        let workers = if batch.has_workers {
            self.changed_workers(batch.to, batch.is_last)
        } else {
            Vec::new()
        };
        let of_event = |change: &(u64, Change)| match &change.1 {
            Change::Event(event) => Some(event.id),
            _ => None,
        };
        let ids: Vec<_> = batch.changes.iter().filter_map(of_event).collect();
        let heads = if ids.is_empty() {
            BTreeMap::new()
        } else {
            self.queue.event_heads(ids).await.map_err(|failure| {
                error!("a reader of changes was cut off: {failure}");
                Unfinished
            })?
        };
        let mut messages = Vec::with_capacity(batch.changes.len() + workers.len());
        for (number, change) in batch.changes {
            let message = match change {
                Change::Task(task) => Some(Message::task(task)),
                Change::Event(event) => heads
                    .get(&event.id)
                    .and_then(|head| Message::event(&event, head)),
                Change::WorkerLeft(worker) => {
                    let pending = self.queue.pending(&worker.name);
                    Some(Message::worker_left(&worker, pending))
                }
            };
            messages.extend(message.map(|message| (number, message)));
        }
        messages.extend(workers.into_iter().map(|(number, entry)| {
            let pending = self.queue.pending(entry.name());
            (number, Message::worker(&entry, pending))
        }));
        messages.sort_unstable_by_key(|(number, _)| *number);
        Ok(messages)
    }

    /// The workers that changed behind the position, each with the number of its last change: those
    /// with the lowest ones, and one more than fit into a piece. What changes behind `to` in front of
    /// further changes is left to them.
    fn changed_workers(&self, to: u64, is_last: bool) -> Vec<(u64, Arc<Entry>)> {
        let entries = self.roster.all().into_iter();
        let numbered = entries.map(|entry| (entry.last_change(), entry));
        let mut changed: Vec<_> = numbered
            .filter(|(number, _)| self.reader.is_behind(*number) && (is_last || *number <= to))
            .collect();
        changed.sort_unstable_by_key(|(number, _)| *number);
        changed.truncate(MESSAGES_MAX + 1);
        changed
    }
}

#[cfg(test)]
mod tests;
