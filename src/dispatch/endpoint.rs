//! An attempt on an endpoint worker: `POST {endpoint}/task`, and what its answer means.
//!
//! | answer | the attempt |
//! |---|---|
//! | 200 with a JSON object | completes the task |
//! | 429, 503 | is put back, not counted |
//! | 5xx, a broken or refused connection, none in time | failed, another may follow |
//! | anything else: other statuses, 200 without a JSON object, no HTTP, over 10 MiB | fails the task |
//!
//! The text of a result is kept as it came, white space included. Error texts name the endpoint
//! and quote at most 1 KiB of the answer; the token is cut out of what they quote.

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::attempt::Order;
use super::capture::{BUDGET_PATIENCE, OUTPUT_MAX};
use super::json_object;
use super::outcome::{Outcome, Written, excerpt};
use super::output::Length;
use super::retry_after;
use crate::budget::Budget;
use crate::clock::{Clock, Timestamp, monotonic};
use crate::http::Method;
use crate::http::client::{self, Answer, Kept, Outgoing, Reuse};
use crate::offload;
use crate::queue::Work;
use crate::secret::Secret;
use crate::task::TaskId;
use crate::worker::Endpoint;

/// Runs an attempt to its end. Dropping the future closes the connection.
pub(super) async fn run(
    endpoint: &Endpoint,
    token: Option<&Secret>,
    order: Order,
    kept: &Kept,
    budget: &Budget,
    clock: &Clock,
) -> Outcome {
    let Order {
        task,
        attempt,
        work,
        mut permit,
        timeout,
    } = order;
    let texts = work.bytes();
    let measure = move || (body_length(task, attempt, &work), work);
    let (length, work) = offload::run(texts, measure).await;
    let length = match length {
        Ok(length) => length,
        Err(error) => return Outcome::Rejected(format!("its context is no JSON: {error}")),
    };
    // Escapes make the body longer than the texts in it.
    let body_bytes = u64::try_from(length).unwrap_or(u64::MAX);
    let missing = body_bytes.min(budget.size()).saturating_sub(permit.bytes());
    if missing > 0 && !permit.grow_first_within(missing, BUDGET_PATIENCE).await {
        return Outcome::NoMemory;
    }
    let render = move || body(task, attempt, &work, length);
    let body = match offload::run(texts, render).await {
        Ok(body) => body,
        Err(error) => return Outcome::Rejected(format!("its context is no JSON: {error}")),
    };
    permit.shrink_to(body_bytes);
    let now = monotonic();
    let request = Outgoing {
        method: Method::Post,
        endpoint,
        token,
        headers: &[],
        body: Some(body),
        reuse: Reuse::Offered(kept),
        path: "/task",
        connect_patience: None,
        deadline: now.checked_add(timeout).unwrap_or(now),
        answer_max: u64::try_from(OUTPUT_MAX).unwrap_or(u64::MAX),
    };
    match client::send(request, budget).await {
        Ok(answer) => judge(answer, endpoint, token, clock.now()),
        Err(error) => judge_error(&error, endpoint, token, timeout),
    }
}

/// The body of `POST {endpoint}/task`, `length` bytes long.
fn body(
    task: TaskId,
    attempt: u32,
    work: &Work,
    length: usize,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = Vec::with_capacity(length);
    write_body(&mut body, task, attempt, work)?;
    Ok(body)
}

/// Bytes of that body.
fn body_length(task: TaskId, attempt: u32, work: &Work) -> Result<usize, serde_json::Error> {
    let mut length = Length(0);
    write_body(&mut length, task, attempt, work)?;
    Ok(length.0)
}

fn write_body(
    out: impl io::Write,
    task: TaskId,
    attempt: u32,
    work: &Work,
) -> Result<(), serde_json::Error> {
    #[derive(Serialize)]
    struct Body<'a> {
        id: String,
        prompt: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        context: Option<&'a RawValue>,
        attempt: u32,
    }
    let context = work.context.as_deref().map(serde_json::from_str);
    let body = Body {
        id: task.to_string(),
        prompt: &work.prompt,
        context: context.transpose()?,
        attempt,
    };
    serde_json::to_writer(out, &body)
}

/// What an answer means.
fn judge(answer: Answer, endpoint: &Endpoint, token: Option<&Secret>, now: Timestamp) -> Outcome {
    let Answer {
        status,
        retry_after,
        body,
        permit,
        ..
    } = answer;
    if status == 200 {
        return match json_object::parse(&body) {
            // The text was checked a line ago; taking the buffer over spares a copy.
            Ok(_) => Outcome::Completed {
                result: String::from_utf8(body).unwrap_or_default(),
                permit,
            },
            Err(why) => {
                let quote = quote(&body, token);
                Outcome::Rejected(format!(
                    "{endpoint} answered 200 with no JSON object: {why}{quote}"
                ))
            }
        };
    }
    let quote = quote(&body, token);
    let reason = format!("{endpoint} answered {status}{quote}");
    match status {
        429 | 503 => Outcome::Refused {
            pause: retry_after.and_then(|value| retry_after::parse(&value, now)),
            reason,
        },
        400..=499 => Outcome::Rejected(reason),
        500..=599 => Outcome::failed(reason),
        _ => Outcome::Rejected(format!(
            "{endpoint} answered {status}, not 200 with a JSON object{quote}"
        )),
    }
}

/// What it means that there is no answer.
fn judge_error(
    error: &client::Error,
    endpoint: &Endpoint,
    token: Option<&Secret>,
    timeout: Duration,
) -> Outcome {
    match error {
        client::Error::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Outcome::unreachable(format!("connection to {endpoint} refused"))
        }
        client::Error::Connect(error) => {
            Outcome::unreachable(format!("connection to {endpoint} failed: {error}"))
        }
        client::Error::Timeout => Outcome::failed(format!(
            "{endpoint} gave no answer within {}",
            Written(timeout)
        )),
        client::Error::Broken(why) => Outcome::unreachable(format!(
            "connection to {endpoint} broke: {}",
            excerpt(why.as_bytes(), token)
        )),
        client::Error::NotHttp(why) => Outcome::Rejected(format!(
            "{endpoint} answered no HTTP: {}",
            excerpt(why.as_bytes(), token)
        )),
        client::Error::TooLarge => Outcome::Rejected(format!(
            "{endpoint} answered more than {} MiB",
            OUTPUT_MAX >> 20
        )),
        client::Error::NoMemory => Outcome::NoMemory,
    }
}

/// `: ` and the beginning of `body`, or nothing where it is empty.
fn quote(body: &[u8], token: Option<&Secret>) -> String {
    let text = excerpt(body, token);
    if text.is_empty() {
        text
    } else {
        format!(": {text}")
    }
}

#[cfg(test)]
mod tests;
