//! The reading of one request's body from a connection.
//!
//! BOUND: beyond what came along with the head, no byte is read before the budget has given its
//! permit. The buffer never has more than the permit counts for, whatever length was announced.

use std::time::{Duration, Instant};

use super::Admission;
use super::body::{ChunkReader, Extensions, Step};
use super::field::Framing;
use super::gate::{Incoming, Stop};
use super::refusal::{Kind, Refusal};
use super::server::Timing;
use super::sweeper::{Cut, Phase};
use super::wire::{KEPT_BUFFER, Wire};
use crate::budget::{Budget, Permit};
use crate::clock::monotonic;

/// Bytes that a read of a body asks for at least, and at most.
const BODY_READ_MIN: usize = 16 * 1024;
const BODY_READ_MAX: usize = 256 * 1024;
/// What is left of a buffer that was not filled in its time, at least: most bodies fit.
const BODY_KEPT_MIN: usize = 64 * 1024;
/// By how much the permit of a chunked body grows at most, beyond what is needed.
const PERMIT_STEP: u64 = 64 * 1024;
/// A body of this many bytes at most is read and dropped, so that the connection can go on behind
/// a request that was answered on its head alone.
const SKIPPED_BODY_MAX: u64 = 64 * 1024;
/// A body that means nothing may have so many bytes.
const IGNORED_BODY_MAX: u64 = 16 * 1024;
/// A body must come at this rate on the average.
const BODY_BYTES_PER_SECOND: u64 = 1_024;

/// Reads the body of a request whose head was admitted. One that is not wanted is dropped.
pub(super) async fn read_body(
    wire: &mut Wire,
    incoming: &Incoming,
    admission: Admission,
    budget: &Budget,
    timing: &Timing,
) -> Result<(Vec<u8>, Permit), Stop> {
    match admission {
        Admission::Body(limit) => read_wanted(wire, incoming, limit, budget, timing).await,
        Admission::NoBody if matches!(incoming.framing, Framing::None) => {
            Ok((Vec::new(), budget.empty()))
        }
        Admission::NoBody => {
            read_wanted(wire, incoming, IGNORED_BODY_MAX, budget, timing).await?;
            Ok((Vec::new(), budget.empty()))
        }
    }
}

async fn read_wanted(
    wire: &mut Wire,
    incoming: &Incoming,
    limit: u64,
    budget: &Budget,
    timing: &Timing,
) -> Result<(Vec<u8>, Permit), Stop> {
    let limit = limit.min(budget.size());
    match incoming.framing {
        Framing::None if incoming.method.carries_body() => Err(Refusal::new(
            Kind::LengthRequired,
            format!(
                "{} here wants a body; send Content-Length or Transfer-Encoding: chunked",
                incoming.method.as_str()
            ),
        )
        .into()),
        Framing::None | Framing::Length(0) => Ok((Vec::new(), budget.empty())),
        Framing::Length(length) if length > limit => Err(too_large(limit).into()),
        Framing::Length(length) => {
            let acquiring = budget.acquire_within(budget.counted(length), timing.budget);
            let permit = wire.deadline.guard(Phase::Ended, acquiring).await?;
            let mut permit = permit.ok_or_else(|| overloaded(timing))?;
            go_on(wire, incoming, timing).await?;
            let body = read_fixed(wire, length, &mut permit, timing).await?;
            Ok((body, permit))
        }
        Framing::Chunked => {
            go_on(wire, incoming, timing).await?;
            read_chunked(wire, limit, budget, timing).await
        }
    }
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        Kind::BodyTooLarge,
        format!("the body has more than the {limit} bytes allowed here"),
    )
}

fn overloaded(timing: &Timing) -> Refusal {
    Refusal::new(
        Kind::Overloaded,
        format!(
            "no memory became free for the body within {} s; try again later",
            timing.budget.as_secs_f64()
        ),
    )
}

/// Answers `Expect: 100-continue`, unless the body comes already (RFC 9110, 10.1.1).
async fn go_on(wire: &Wire, incoming: &Incoming, timing: &Timing) -> Result<(), Cut> {
    if incoming.expects_continue && wire.inbox.is_empty() {
        let interim: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        wire.write_parts([interim], timing.answer).await?;
    }
    Ok(())
}

async fn read_fixed(
    wire: &mut Wire,
    length: u64,
    permit: &mut Permit,
    timing: &Timing,
) -> Result<Vec<u8>, Stop> {
    // The length is within the budget, which counts memory.
    let length = usize::try_from(length).map_err(|_| too_large(usize::MAX as u64))?;
    let at_hand = wire.inbox.len().min(length);
    // All of it at once: to let it grow takes the old and the new one. What is not filled takes no memory.
    let mut body = Vec::new();
    body.try_reserve_exact(length)
        .map_err(|_| overloaded(timing))?;
    body.extend_from_slice(wire.inbox.get(..at_hand).unwrap_or_default());
    wire.inbox.drain(..at_hand);
    let mut is_reserved = true;
    let mut pace = Pace::new(timing);
    while body.len() < length {
        let left = length - body.len();
        // BOUND: doubles with what has arrived, and ends with what was announced.
        let more = left.min(body.len().max(BODY_READ_MIN));
        // Memory that is kept and not filled is given back when its time is over.
        if is_reserved && pace.spent() >= timing.reservation {
            is_reserved = false;
            body.shrink_to((body.len() + more).max(BODY_KEPT_MIN.min(length)));
            permit.shrink_to(permit.counted(body.capacity() as u64));
        }
        if body.len() == body.capacity() {
            let needed = permit.counted((body.len() + more) as u64);
            pace.grow(wire, permit, needed).await?;
            body.reserve_exact(more);
        }
        let patience = pace.patience(body.len());
        let kept_for = timing.reservation.saturating_sub(pace.spent());
        let ends_keeping = is_reserved && kept_for < patience;
        let until = if ends_keeping { kept_for } else { patience };
        wire.deadline.set(until);
        // What is read into is filled with zeros before: no more than what has arrived, so that whoever
        // sends slowly holds no more than that.
        let read_max = body.len().clamp(BODY_KEPT_MIN, BODY_READ_MAX);
        let room = (body.capacity() - body.len()).min(left).min(read_max);
        let read = wire.read_behind(&mut body, room).await;
        if ends_keeping && matches!(read, Err(Cut::Expired)) {
            continue;
        }
        pace.check(read, || format!("{} of {length} bytes", body.len()))?;
    }
    wire.deadline.clear();
    Ok(body)
}

async fn read_chunked(
    wire: &mut Wire,
    limit: u64,
    budget: &Budget,
    timing: &Timing,
) -> Result<(Vec<u8>, Permit), Stop> {
    let mut reader = ChunkReader::new(Extensions::Refused);
    let mut body = Vec::new();
    let mut permit = budget.empty();
    let mut pace = Pace::new(timing);
    let mut received = wire.inbox.len();
    // Bytes at the front of the inbox that are read. They are dropped together: a body may come
    // in chunks of one byte.
    let mut at = 0;
    loop {
        let unread = wire.inbox.get(at..).unwrap_or_default();
        let (framing, step) = reader
            .step(unread)
            .map_err(|malformed| Refusal::malformed(malformed.to_string()))?;
        at += framing;
        let held = body.len() as u64;
        match step {
            Step::Starved => {
                if reader.announced() > limit.saturating_sub(held) {
                    return Err(too_large(limit).into());
                }
                wire.inbox.clear();
                at = 0;
                wire.deadline.set(pace.patience(received));
                let read = wire.fill(BODY_READ_MIN).await;
                received += pace.check(read, || format!("{held} bytes and no last chunk"))?;
            }
            Step::Data(length) => {
                let needed = held.saturating_add(length as u64);
                if needed > limit {
                    return Err(too_large(limit).into());
                }
                let covered = permit.covered();
                if needed > covered {
                    // What is needed, and with a body that is large already, some more.
                    let step = held.min(PERMIT_STEP).min(limit.saturating_sub(covered));
                    let wanted = covered.saturating_add(step).max(needed);
                    let wanted = permit.counted(wanted);
                    pace.grow(wire, &mut permit, wanted).await?;
                }
                let data = wire.inbox.get(at..at + length);
                body.extend_from_slice(data.unwrap_or_default());
                at += length;
            }
            Step::End => {
                wire.inbox.drain(..at);
                wire.deadline.clear();
                permit.shrink_to(permit.counted(held));
                body.shrink_to_fit();
                return Ok((body, permit));
            }
        }
    }
}

/// Whether a body is so small that it can be read and dropped.
pub(super) fn can_be_skipped(incoming: &Incoming) -> bool {
    match incoming.framing {
        Framing::None => true,
        Framing::Length(length) => length <= SKIPPED_BODY_MAX && !incoming.expects_continue,
        Framing::Chunked => false,
    }
}

/// Reads a body that nobody wants and drops it.
pub(super) async fn skip_body(
    wire: &mut Wire,
    incoming: &Incoming,
    timing: &Timing,
) -> Result<(), Stop> {
    let Framing::Length(length) = incoming.framing else {
        return Ok(());
    };
    let length = usize::try_from(length).map_err(|_| too_large(SKIPPED_BODY_MAX))?;
    let pace = Pace::new(timing);
    let mut skipped = 0;
    loop {
        let at_hand = wire.inbox.len().min(length - skipped);
        wire.inbox.drain(..at_hand);
        skipped += at_hand;
        if skipped == length {
            wire.deadline.clear();
            return Ok(());
        }
        wire.deadline.set(pace.patience(skipped));
        let read = wire.fill(KEPT_BUFFER).await;
        pace.check(read, || format!("{skipped} of {length} bytes"))?;
    }
}

/// How fast a body comes.
struct Pace<'a> {
    timing: &'a Timing,
    began: Instant,
}

impl<'a> Pace<'a> {
    fn new(timing: &'a Timing) -> Self {
        Self {
            timing,
            began: monotonic(),
        }
    }

    /// How long the next bytes may take. However fast a body came, it may not stop for longer than
    /// [`Timing::body_pause`].
    fn patience(&self, received: usize) -> Duration {
        let earned_ms = (received as u64).saturating_mul(1_000) / BODY_BYTES_PER_SECOND;
        let earned = Duration::from_millis(earned_ms);
        let left = self
            .timing
            .body
            .saturating_add(earned)
            .saturating_sub(self.spent());
        left.min(self.timing.body_pause)
    }

    /// Grows a permit to `bytes`. The time in which the server waits for memory, and does not
    /// read, is left out of the account.
    async fn grow(&mut self, wire: &Wire, permit: &mut Permit, bytes: u64) -> Result<(), Stop> {
        let missing = bytes.saturating_sub(permit.bytes());
        if missing == 0 {
            return Ok(());
        }
        let waiting_since = monotonic();
        wire.deadline.clear();
        let growing = permit.grow_last_within(missing, self.timing.budget);
        if !wire.deadline.guard(Phase::Ended, growing).await? {
            return Err(overloaded(self.timing).into());
        }
        let paused = monotonic().saturating_duration_since(waiting_since);
        self.began = self.began.checked_add(paused).unwrap_or(self.began);
        Ok(())
    }

    /// How long the body has been coming.
    fn spent(&self) -> Duration {
        monotonic().saturating_duration_since(self.began)
    }

    fn check(
        &self,
        read: Result<usize, Cut>,
        progress: impl Fn() -> String,
    ) -> Result<usize, Stop> {
        match read {
            Ok(0) => Err(Refusal::malformed(format!(
                "the request body ended early, with {}",
                progress()
            ))
            .into()),
            Ok(read) => Ok(read),
            Err(Cut::Expired) => Err(Refusal::new(
                Kind::RequestTimeout,
                format!(
                    "the request body came too slowly, with {}; after {} s it must come at {BODY_BYTES_PER_SECOND} bytes a second",
                    progress(),
                    self.timing.body.as_secs_f64(),
                ),
            )
            .into()),
            Err(cut) => Err(cut.into()),
        }
    }
}
