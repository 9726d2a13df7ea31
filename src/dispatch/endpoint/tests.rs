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
