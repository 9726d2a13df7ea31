//! The life of one connection: request after request, each answered before the next is read.
//!
//! A connection ends when its client wants so, when a request is refused, when the server drains,
//! or when one side has waited too long. Whatever happens in it, a panic of the service included,
//! stays in it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smol::future::{FutureExt, yield_now};

use super::Service;
use super::gate::{self, Incoming, Stop};
use super::intake;
use super::lone::Lone;
use super::refusal::{Kind, Refusal};
use super::rendering::{Persistence, Rendered, render};
use super::reply::{Body, Reply};
use super::request::{Head, Method, Request};
use super::server::{Shared, Timing};
use super::stream::{self, Coding};
use super::sweeper::{Cut, Phase};
use super::wire::Wire;
use crate::budget::Permit;

/// After so many requests in a row a connection lets others have their turn.
const REQUESTS_IN_A_ROW: u32 = 64;

/// Bytes that the kernel holds at most of a live stream for a client that does not take them. Of its own accord
/// it takes up to `tcp_wmem`, 4 MiB as a rule.
const LIVE_SEND_BUFFER: usize = 128 << 10;

/// What becomes of the connection behind an answer.
enum Next {
    /// It goes on with the next request.
    GoOn,
    /// It is closed; the client has sent no more than it should.
    Close,
    /// It is closed, and what the client still sends is dropped.
    CloseDropping,
    /// It is gone.
    Gone,
}

/// Serves `wire` until it ends.
pub(super) async fn serve<S: Service>(mut wire: Wire, shared: Arc<Shared<S>>) {
    let mut in_a_row = 0;
    let mut lone = Lone::default();
    let drops = loop {
        if wire.inbox.is_empty() {
            lone.stay_awake(|| wire.read_ahead());
        }
        match serve_one(&mut wire, &shared, &mut lone).await {
            Next::GoOn => {}
            Next::Close => break false,
            Next::CloseDropping => break true,
            Next::Gone => return,
        }
        in_a_row += 1;
        if in_a_row == REQUESTS_IN_A_ROW {
            in_a_row = 0;
            yield_now().await;
        }
    };
    let timing = &shared.options.timing;
    wire.close(!drops, timing.linger_pause, timing.linger).await;
}

async fn serve_one<S: Service>(wire: &mut Wire, shared: &Shared<S>, lone: &mut Lone) -> Next {
    let timing = &shared.options.timing;
    let incoming = match gate::read_head(wire, timing).await {
        Ok(incoming) => incoming,
        Err(stop) => {
            let is_head_request = wire.inbox.starts_with(b"HEAD ");
            let method = if is_head_request {
                Method::Head
            } else {
                Method::Get
            };
            return stopped(wire, shared, method, stop).await;
        }
    };
    lone.note(shared.stats.requests.fetch_add(1, Ordering::Relaxed));
    let Some(head) = &incoming.head else {
        let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        let reply = Reply::empty(204).with_header("allow", allow);
        return answer_on_head(wire, shared, &incoming, reply).await;
    };
    let admission = match catch_unwind(AssertUnwindSafe(|| shared.service.admit(head))) {
        Ok(Ok(admission)) => admission,
        Ok(Err(reply)) => return answer_on_head(wire, shared, &incoming, reply).await,
        Err(panic) => {
            let refusal = panicked(shared, head, panic.as_ref());
            return refuse(wire, shared, incoming.method, &refusal).await;
        }
    };
    let reading = intake::read_body(wire, &incoming, admission, &shared.options.budget, timing);
    let (body, permit) = match reading.await {
        Ok(read) => read,
        Err(stop) => return stopped(wire, shared, incoming.method, stop).await,
    };
    answer(wire, shared, incoming, body, permit).await
}

/// Lets the service answer a whole request.
async fn answer<S: Service>(
    wire: &mut Wire,
    shared: &Shared<S>,
    mut incoming: Incoming,
    body: Vec<u8>,
    permit: Permit,
) -> Next {
    let Some(head) = incoming.head.take() else {
        return Next::Close;
    };
    wire.trim();
    // Kept for the log, should the service panic.
    let path = Arc::clone(&head.path);
    let request = Request { head, body, permit };
    // Boxed, so that an idle connection has no room for it.
    let answering = Box::pin(async { shared.service.answer(request).await });
    let timing = &shared.options.timing;
    let reply = match attend(wire, timing, AssertUnwindSafe(answering).catch_unwind()).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(panic)) => {
            let head = Head::new(incoming.method, &path, "", []);
            let refusal = panicked(shared, &head, panic.as_ref());
            return refuse(wire, shared, incoming.method, &refusal).await;
        }
        Err(cut) => return gone(wire, shared, &cut),
    };
    let goes_on = incoming.persistent && !wire.deadline.is_draining();
    send(wire, shared, &incoming, reply, goes_on).await
}

/// Waits for the service, and gives up when the connection breaks. Looking costs system calls,
/// so it begins when the answer has been waited for for a while.
pub(super) async fn attend<T>(
    wire: &Wire,
    timing: &Timing,
    mut answering: impl Future<Output = T> + Unpin,
) -> Result<T, Cut> {
    if let Some(output) = smol::future::poll_once(&mut answering).await {
        return Ok(output);
    }
    wire.deadline.set(timing.watch);
    match wire.deadline.guard(Phase::Ended, &mut answering).await {
        Err(Cut::Expired) => {}
        ended => return ended,
    }
    wire.deadline.clear();
    let watched = async { Ok(answering.await) }
        .or(async { Err(wire.broken(timing.half_closed).await.into()) });
    wire.deadline.guard(Phase::Ended, watched).await?
}

/// Sends an answer that was given on the head alone, and skips the body.
async fn answer_on_head<S: Service>(
    wire: &mut Wire,
    shared: &Shared<S>,
    incoming: &Incoming,
    reply: Reply,
) -> Next {
    let goes_on =
        incoming.persistent && intake::can_be_skipped(incoming) && !wire.deadline.is_draining();
    match send(wire, shared, incoming, reply, goes_on).await {
        Next::GoOn => match intake::skip_body(wire, incoming, &shared.options.timing).await {
            Ok(()) => Next::GoOn,
            // It is answered already.
            Err(_) => Next::Close,
        },
        Next::Close => Next::CloseDropping,
        next => next,
    }
}

async fn send<S: Service>(
    wire: &mut Wire,
    shared: &Shared<S>,
    incoming: &Incoming,
    reply: Reply,
    goes_on: bool,
) -> Next {
    shared.stats.responses.count(reply.status);
    let coding = match &reply.body {
        Body::Pieces(_) if incoming.is_1_0 => Coding::UntilClosed,
        _ => Coding::Chunked,
    };
    let goes_on = goes_on && coding == Coding::Chunked;
    let until = if reply.is_live {
        wire.limit_send_buffer(LIVE_SEND_BUFFER);
        Phase::Closing
    } else {
        Phase::Ended
    };
    let persistence = match (goes_on, incoming.is_1_0) {
        (false, _) => Persistence::Close,
        (true, true) => Persistence::KeepAlive,
        (true, false) => Persistence::Implied,
    };
    let mut rendered = render(reply, incoming.method, persistence);
    if coding == Coding::UntilClosed {
        rendered = rendered.without_coding();
    }
    let timing = &shared.options.timing;
    let Rendered { front, rest, .. } = rendered;
    let sent = match rest {
        Body::Whole(rest) => wire.write_parts([&front, &rest], timing.answer).await,
        Body::Pieces(pieces) => {
            let note = |panic: &(dyn Any + Send)| note_panic(shared, "a streamed answer", panic);
            // Boxed, so that other answers have no room for it.
            let sending = stream::send(wire, timing, &front, pieces, (coding, until), note);
            Box::pin(sending).await
        }
    };
    match sent {
        Ok(()) if goes_on => Next::GoOn,
        Ok(()) => Next::Close,
        Err(cut) => gone(wire, shared, &cut),
    }
}

async fn stopped<S: Service>(
    wire: &mut Wire,
    shared: &Shared<S>,
    method: Method,
    stop: Stop,
) -> Next {
    match stop {
        Stop::Refused(refusal) => refuse(wire, shared, method, &refusal).await,
        Stop::Cut(cut) => gone(wire, shared, &cut),
        Stop::Idle => Next::Close,
    }
}

async fn refuse<S: Service>(
    wire: &mut Wire,
    shared: &Shared<S>,
    method: Method,
    refusal: &Refusal,
) -> Next {
    shared.stats.refusals.fetch_add(1, Ordering::Relaxed);
    shared.stats.responses.count(refusal.kind.status());
    shared.stats.refused.count(refusal.kind.code());
    shared
        .refusal_log
        .line(|| format!("refused a request of {}: {refusal}", wire.peer));
    let rendered = render(refusal.reply(), method, Persistence::Close);
    let patience = shared.options.timing.answer;
    // A refusal is small and stands in front.
    match wire.write_parts([&rendered.front], patience).await {
        Ok(()) => Next::CloseDropping,
        Err(cut) => gone(wire, shared, &cut),
    }
}

fn gone<S: Service>(wire: &Wire, shared: &Shared<S>, cut: &Cut) -> Next {
    let why = match cut {
        Cut::Expired => "it did not take its answer in time".to_owned(),
        Cut::Stopped => "the server ended".to_owned(),
        Cut::Broken(error) => error.to_string(),
        Cut::Unfinished => "its answer could not be made to its end".to_owned(),
    };
    shared
        .refusal_log
        .line(|| format!("dropped the connection of {}: {why}", wire.peer));
    Next::Gone
}

fn panicked<S: Service>(shared: &Shared<S>, head: &Head, panic: &(dyn Any + Send)) -> Refusal {
    let what = format!("the handler of {} {:?}", head.method.as_str(), head.path);
    note_panic(shared, &what, panic);
    Refusal::new(Kind::Internal, "the server failed to answer this request")
}

fn note_panic<S: Service>(shared: &Shared<S>, what: &str, panic: &(dyn Any + Send)) {
    shared.stats.panics.fetch_add(1, Ordering::Relaxed);
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    log::error!("{what} panicked: {text:?}");
}
