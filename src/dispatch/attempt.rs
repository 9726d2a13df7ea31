//! One attempt, from the claimed task to what becomes of it.
//!
//! INVARIANT: the slot is given back only after the queue has noted the attempt's end, and a
//! panic of the code that runs the attempt is a failed attempt like any other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use smol::future::FutureExt;

use super::lane::Lane;
use super::outcome::{Failure, Outcome, Written, logged};
use super::{Running, command, endpoint};
use crate::budget::Permit;
use crate::clock::monotonic;
use crate::metrics::AttemptOutcome;
use crate::queue::{self, Claim, PutBack, RetryPolicy, Work};
use crate::task::TaskId;
use crate::worker::{Target, Worker};

/// Bytes that are taken beside prompt and context for what stands around them in a request to a worker. What is
/// escaped in it may need more.
const REQUEST_BYTES: u64 = 1 << 10;

/// What is asked of a worker.
#[derive(Debug)]
pub(super) struct Order {
    /// The task.
    pub(super) task: TaskId,
    /// The attempt's number, 1 for the first.
    pub(super) attempt: u32,
    /// Prompt and context.
    pub(super) work: Work,
    /// The budget's permit for `work`.
    pub(super) permit: Permit,
    /// How long the attempt may take.
    pub(super) timeout: Duration,
}

/// Why an attempt did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Somebody cancelled the task.
    Cancelled,
    /// The server stops.
    Drain,
}

/// How an attempt came out.
enum End {
    /// It ran to its end.
    Outcome(Outcome),
    /// It was broken off.
    Stopped(Stop),
    /// The server stopped before the worker was asked.
    NotStarted,
    /// The task could not be read.
    NotLoaded(queue::Error),
}

/// Runs the attempt that `claim` stands for.
pub(super) async fn run(lane: Arc<Lane>, worker: Arc<Worker>, mut claim: Claim, running: Running) {
    let task = claim.task();
    let attempt = claim.attempt();
    let end = attempt_to_end(&lane, &worker, &mut claim).await;
    let is_put_back = matches!(
        end,
        End::Stopped(Stop::Drain)
            | End::NotStarted
            | End::Outcome(Outcome::Refused { .. } | Outcome::NoMemory)
    );
    let about = format!("task {task}, attempt {attempt}, worker {}", worker.name);
    let settled = settle(&lane, &worker, claim, end, &about).await;
    match settled {
        Ok(()) => {}
        // Cancelled while the attempt came to its end: what it brought is of no use any more.
        Err(queue::Error::UnknownTask(_) | queue::Error::AlreadyEnded { .. }) => {
            log::debug!("{about}: the task has ended meanwhile");
        }
        Err(error) => log::error!("{about}: its end could not be stored: {error}"),
    }
    if lane.shared.drain.cause().is_some() {
        let attempts = &lane.shared.attempts;
        let count = if is_put_back {
            &attempts.put_back
        } else {
            &attempts.finished
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
    drop(running);
}

async fn attempt_to_end(lane: &Lane, worker: &Worker, claim: &mut Claim) -> End {
    let shared = &lane.shared;
    let bytes = claim.bytes();
    // With what the request needs beside it, so that it need not ask for a little more later.
    // What is larger than the budget stays so, and is refused.
    let with_request = shared.budget.counted(bytes.saturating_add(REQUEST_BYTES));
    let needed = with_request.min(shared.budget.size()).max(bytes);
    let waited = async { Ok(shared.budget.acquire(needed).await) }
        .or(async {
            claim.cancelled().await;
            Err(End::Stopped(Stop::Cancelled))
        })
        .or(async {
            shared.drain.begun().await;
            Err(End::NotStarted)
        });
    let permit = match waited.await {
        Err(end) => return end,
        // Also when there was no need to wait: the order may have come with the claim.
        Ok(_) if shared.drain.cause().is_some() => return End::NotStarted,
        Ok(Some(permit)) => permit,
        Ok(None) => {
            return End::Outcome(Outcome::Rejected(format!(
                "prompt and context have {bytes} bytes, more than limits.memory ({} bytes)",
                shared.budget.size()
            )));
        }
    };
    let work = match claim.load().await {
        Ok(work) => work,
        Err(error) => return End::NotLoaded(error),
    };
    let order = Order {
        task: claim.task(),
        attempt: claim.attempt(),
        work,
        permit,
        timeout: worker.timeout,
    };
    let cancelled = async {
        claim.cancelled().await;
        Stop::Cancelled
    };
    let broken_off = async {
        shared.break_off.begun().await;
        Stop::Drain
    };
    let performed = perform(lane, worker, order, cancelled.or(broken_off));
    let begun = monotonic();
    let end = match AssertUnwindSafe(performed).catch_unwind().await {
        Ok(Ok(outcome)) => End::Outcome(outcome),
        Ok(Err(stop)) => End::Stopped(stop),
        Err(_) => {
            log::error!("an attempt on worker {} panicked", worker.name);
            End::Outcome(Outcome::failed("the server failed to run it".to_owned()))
        }
    };
    count(lane, &end, monotonic().saturating_duration_since(begun));
    end
}

/// Counts an attempt that the worker was asked for.
fn count(lane: &Lane, end: &End, took: Duration) {
    let outcome = match end {
        End::Outcome(Outcome::Completed { .. }) => AttemptOutcome::Completed,
        End::Outcome(Outcome::Failed(_) | Outcome::Rejected(_)) | End::NotLoaded(_) => {
            AttemptOutcome::Failed
        }
        End::Outcome(Outcome::Refused { .. }) => AttemptOutcome::Refused,
        End::Outcome(Outcome::NoMemory) | End::Stopped(Stop::Drain) | End::NotStarted => {
            AttemptOutcome::BrokenOff
        }
        End::Stopped(Stop::Cancelled) => AttemptOutcome::Cancelled,
    };
    let (shared, metrics) = (&lane.shared, lane.shared.queue.metrics());
    let now = shared.clock.now();
    metrics.history.turn(now, || shared.queue.pending_in_all());
    metrics.attempt_ended(&lane.meter, outcome, took);
}

/// Lets the worker do the work, until `stop` says why not.
async fn perform(
    lane: &Lane,
    worker: &Worker,
    order: Order,
    stop: impl Future<Output = Stop>,
) -> Result<Outcome, Stop> {
    let shared = &lane.shared;
    match &worker.target {
        Target::Endpoint { endpoint, token } => {
            let outcome = async {
                let token = token.as_ref();
                Ok(endpoint::run(
                    endpoint,
                    token,
                    order,
                    &lane.kept,
                    &shared.budget,
                    &shared.clock,
                )
                .await)
            };
            outcome.or(async { Err(stop.await) }).await
        }
        Target::Command { argv, env, cwd } => {
            let secret_variables = shared.secret_variables();
            let program = command::Program {
                argv,
                env,
                cwd: cwd.as_deref(),
                secret_variables: &secret_variables,
            };
            command::run(program, order, &shared.children, &shared.budget, stop).await
        }
    }
}

/// Tells queue, lane and log what became of the attempt.
async fn settle(
    lane: &Lane,
    worker: &Worker,
    claim: Claim,
    end: End,
    about: &str,
) -> Result<(), queue::Error> {
    let outcome = match end {
        End::Outcome(outcome) => outcome,
        End::Stopped(Stop::Cancelled) => {
            log::info!("{about}: broken off, the task was cancelled");
            return Ok(());
        }
        End::Stopped(Stop::Drain) => {
            log::info!("{about}: broken off, the server stops; the task is pending again");
            let reason = "the server stopped".to_owned();
            return claim.put_back(PutBack::BrokenOff { reason }).await;
        }
        End::NotStarted => {
            log::info!("{about}: not started, the server stops; the task is pending again");
            return claim.put_back(PutBack::NotStarted).await;
        }
        // A moment later the disk may answer again, so the claim is not put back to be tried again
        // at once.
        End::NotLoaded(queue::Error::Unreadable) => Outcome::failed(
            "the server could not read the task from its store; its log says why".to_owned(),
        ),
        End::NotLoaded(error) => return Err(error),
    };
    match outcome {
        Outcome::Completed { result, permit } => {
            lane.health.taken();
            log::debug!("{about}: completed");
            claim.complete(result, permit).await
        }
        Outcome::Failed(Failure {
            error,
            is_unreachable,
        }) => {
            log::warn!("{about}: failed: {}", logged(&error));
            if is_unreachable {
                lane.health.suspect();
            } else {
                lane.health.taken();
            }
            let policy = RetryPolicy {
                max_attempts: worker.max_attempts,
                backoff: worker.backoff,
            };
            claim.fail(error, Some(policy)).await
        }
        Outcome::Rejected(error) => {
            lane.health.taken();
            log::warn!("{about}: failed for good: {}", logged(&error));
            claim.fail(error, None).await
        }
        Outcome::Refused { pause, reason } => {
            let pause = lane.health.refused(pause, &reason, monotonic());
            log::info!(
                "{about}: put back, the worker is left alone for {}: {}",
                Written(pause),
                logged(&reason)
            );
            claim.put_back(PutBack::Refused { reason }).await
        }
        Outcome::NoMemory => {
            let reason = "limits.memory leaves no room for its result";
            let pause = lane.health.refused(None, reason, monotonic());
            log::warn!("{about}: put back for {}: {reason}", Written(pause));
            // Counted as started, so that it does not go on like this for ever.
            let reason = reason.to_owned();
            claim.put_back(PutBack::BrokenOff { reason }).await
        }
    }
}
