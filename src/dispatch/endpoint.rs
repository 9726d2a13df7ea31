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
use crate::http::client::{self, Answer, Outgoing};
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
    if missing > 0 && !permit.grow_within(missing, BUDGET_PATIENCE).await {
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
        path: "/task",
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
mod tests {
    use super::*;
    use crate::dispatch::outcome::Failure;
    use crate::id::Id;

    fn endpoint() -> Endpoint {
        Endpoint {
            host: "127.0.0.1".to_owned(),
            port: 9_000,
            path: String::new(),
        }
    }

    /// The outcome in short: its kind, and the text after the endpoint.
    fn shown(outcome: Outcome) -> String {
        let (kind, text) = match outcome {
            Outcome::Completed { result, .. } => ("completed", result),
            Outcome::Failed(Failure {
                error,
                is_unreachable: false,
            }) => ("failed", error),
            Outcome::Failed(Failure { error, .. }) => ("unreachable", error),
            Outcome::Rejected(error) => ("rejected", error),
            Outcome::Refused { pause, reason } => {
                let pause = pause.map_or_else(|| "-".to_owned(), |pause| format!("{pause:?}"));
                return format!("refused {pause} {reason}");
            }
            Outcome::NoMemory => ("no memory", String::new()),
        };
        format!("{kind} {text}")
    }

    fn judged(status: u16, retry_after: Option<&str>, body: &[u8]) -> String {
        let answer = Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            link: None,
            body: body.to_vec(),
            permit: Budget::new(0).empty(),
        };
        let token = Secret::new("hunter2");
        shown(judge(
            answer,
            &endpoint(),
            Some(&token),
            Timestamp::from_millis(0),
        ))
    }

    const AT: &str = "http://127.0.0.1:9000";

    #[test]
    fn an_answer_with_200_completes_or_fails_for_good() {
        for (body, expected) in [
            (&b" {\"a\": 1}\n"[..], "completed  {\"a\": 1}\n".to_owned()),
            (b"{}", "completed {}".to_owned()),
            (
                b"",
                format!("rejected {AT} answered 200 with no JSON object: it is empty"),
            ),
            (
                b"{\"a\": \"\xff\"}",
                format!(
                    "rejected {AT} answered 200 with no JSON object: \
                     it is not UTF-8: {{\"a\": \"\u{fffd}\"}}"
                ),
            ),
            (
                b"[1]",
                format!(
                    "rejected {AT} answered 200 with no JSON object: \
                     it does not start with {{: [1]"
                ),
            ),
            (
                b"<html>",
                format!(
                    "rejected {AT} answered 200 with no JSON object: \
                     it does not start with {{: <html>"
                ),
            ),
        ] {
            assert_eq!(judged(200, None, body), expected);
        }
    }

    #[test]
    fn every_status_has_its_outcome() {
        for (status, retry_after, body, kind, text) in [
            (429, None, "", "refused -", "answered 429"),
            (429, Some("7"), "busy", "refused 7s", "answered 429: busy"),
            (503, Some("nonsense"), "", "refused -", "answered 503"),
            (
                503,
                Some("Thu, 01 Jan 1970 00:00:09 GMT"),
                "",
                "refused 9s",
                "answered 503",
            ),
            (400, None, "no\nidea", "rejected", "answered 400: no idea"),
            (
                401,
                None,
                "token hunter2!",
                "rejected",
                "answered 401: token ***!",
            ),
            (404, Some("7"), "", "rejected", "answered 404"),
            (499, None, "{}", "rejected", "answered 499: {}"),
            (
                500,
                None,
                "{\"a\": 1}",
                "failed",
                "answered 500: {\"a\": 1}",
            ),
            (502, None, "", "failed", "answered 502"),
            (599, None, "", "failed", "answered 599"),
            (
                204,
                None,
                "",
                "rejected",
                "answered 204, not 200 with a JSON object",
            ),
            (
                302,
                None,
                "x",
                "rejected",
                "answered 302, not 200 with a JSON object: x",
            ),
            (
                600,
                None,
                "",
                "rejected",
                "answered 600, not 200 with a JSON object",
            ),
        ] {
            let expected = format!("{kind} {AT} {text}");
            assert_eq!(judged(status, retry_after, body.as_bytes()), expected);
        }
    }

    #[test]
    fn a_long_answer_is_quoted_in_part_and_never_with_the_token() {
        let body = format!("{}hunter2 and more", "x".repeat(1_020));
        let text = judged(500, None, body.as_bytes());
        assert!(text.len() < 1_200 && text.ends_with('…'), "{text}");
        assert!(!text.contains("hunt"), "{text}");
    }

    #[test]
    fn every_missing_answer_has_its_outcome() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let unreachable = io::Error::new(io::ErrorKind::HostUnreachable, "no route");
        for (error, expected) in [
            (
                client::Error::Connect(refused),
                format!("unreachable connection to {AT} refused"),
            ),
            (
                client::Error::Connect(unreachable),
                format!("unreachable connection to {AT} failed: no route"),
            ),
            (
                client::Error::Timeout,
                format!("failed {AT} gave no answer within 10m"),
            ),
            (
                client::Error::Broken("ended early\r\n".to_owned()),
                format!("unreachable connection to {AT} broke: ended early"),
            ),
            (
                client::Error::NotHttp("bad \x1bline".to_owned()),
                format!("rejected {AT} answered no HTTP: bad line"),
            ),
            (
                client::Error::TooLarge,
                format!("rejected {AT} answered more than 10 MiB"),
            ),
            (client::Error::NoMemory, "no memory ".to_owned()),
        ] {
            let outcome = judge_error(&error, &endpoint(), None, Duration::from_secs(600));
            assert_eq!(shown(outcome), expected);
        }
    }

    #[test]
    fn the_body_carries_the_context_as_it_was_submitted() {
        let work = |context: Option<&str>| Work {
            prompt: "say \"ä\"\n".to_owned(),
            context: context.map(str::to_owned),
        };
        let task = TaskId(Id::FIRST);
        for (context, expected) in [
            (
                None,
                r#"{"id":"0000000000000000","prompt":"say \"ä\"\n","attempt":3}"#,
            ),
            (
                Some(r#"{ "n": 1.00, "n": 2 }"#),
                r#"{"id":"0000000000000000","prompt":"say \"ä\"\n","context":{ "n": 1.00, "n": 2 },"attempt":3}"#,
            ),
        ] {
            let length = body_length(task, 3, &work(context)).unwrap();
            let body = body(task, 3, &work(context), length).unwrap();
            assert_eq!(body.capacity(), length);
            assert_eq!(String::from_utf8(body).unwrap(), expected);
        }
        assert!(body_length(task, 3, &work(Some("{"))).is_err());
    }
}
