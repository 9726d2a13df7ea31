//! Contract section 5: what an endpoint worker is sent, and what each of its answers does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Answer, EndpointWorker, Server, endpoint_worker, now, server, wait_for, wait_until,
};

/// Settings under which a failed attempt is soon followed by the next.
const IMPATIENT: &str = "backoff = \"20ms\"";

#[test]
fn an_attempt_is_a_post_with_id_prompt_context_and_attempt() {
    let worker = EndpointWorker::obliging();
    let endpoint = format!("{}/agents/v1", worker.endpoint());
    let server = Server::with(endpoint_worker("w", &endpoint, ""));
    let body = json!({"prompt": "p", "worker": "w", "context": {"pr": 7}});
    let task = server.post("/task", &body).expect(202).json();
    let attempt = worker.attempts_when(1).remove(0);
    assert_eq!(
        attempt.body,
        json!({"id": task["id"], "prompt": "p", "context": {"pr": 7}, "attempt": 1})
    );
    assert_eq!(attempt.head.start_line, "POST /agents/v1/task HTTP/1.1");
    let host = worker.endpoint()["http://".len()..].to_owned();
    assert_eq!(attempt.head.header("host"), Some(host.as_str()));
    assert_eq!(
        attempt.head.header("content-type"),
        Some("application/json")
    );
    assert_eq!(attempt.head.header_count("authorization"), 0);
    let probe = worker.probes().remove(0);
    assert_eq!(probe.start_line, "GET /agents/v1/health HTTP/1.1");
}

#[test]
fn the_token_is_sent_as_bearer() {
    let worker = EndpointWorker::obliging();
    let server = server()
        .config(worker.config("w", "token = \"env:WORKER_TOKEN\""))
        .env("WORKER_TOKEN", "t0ken")
        .start();
    server.submit("w", "p");
    let attempt = worker.attempts_when(1).remove(0);
    assert_eq!(attempt.head.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(attempt.head.header_count("authorization"), 1);
}

#[test]
fn a_task_without_context_is_sent_without_one() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    server.submit("w", "p");
    let attempt = worker.attempts_when(1).remove(0);
    let context = attempt.body.get("context");
    assert!(
        context.is_none_or(|context| *context == json!({}) || context.is_null()),
        "{context:?}"
    );
}

#[test]
fn a_5xx_is_retried_until_the_attempts_are_used_up() {
    let calls = AtomicUsize::new(0);
    let worker = EndpointWorker::start(move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        Answer::status([500, 502, 504, 520, 599][call % 5], "{}")
    });
    let settings = format!("{IMPATIENT}\nmax_attempts = 5");
    let server = Server::with(worker.config("w", &settings));
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "failed");
    assert_eq!(task["attempts"], 5);
    assert!(task["error"].as_str().unwrap().contains("599"), "{task}");
    assert!(task.get("result").is_none());
    let numbers: Vec<u64> = worker.attempts().iter().map(|a| a.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert!(worker.attempts().iter().all(|attempt| attempt.id == id));
}

#[test]
fn a_task_between_two_attempts_is_pending_and_says_why() {
    let worker = EndpointWorker::start(|_| Answer::status(500, "{}"));
    let server = Server::with(worker.config("w", "backoff = \"1h\""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    let task = server.task_in(&id, "pending");
    assert_eq!(task["attempts"], 1);
    assert!(task["error"].as_str().unwrap().contains("500"), "{task}");
    assert!(task.get("completed_at").is_none(), "{task}");
}

#[test]
fn there_are_four_attempts_by_default() {
    let worker = EndpointWorker::start(|_| Answer::status(500, "{}"));
    let server = Server::with(worker.config("w", "backoff = \"5ms\""));
    let id = server.submit("w", "p");
    assert_eq!(server.task_in(&id, "failed")["attempts"], 4);
}

#[test]
fn an_attempt_that_succeeds_at_last_completes_the_task() {
    let worker = EndpointWorker::start(|attempt| match attempt.number {
        1 => Answer::status(500, "{}"),
        2 => Answer::Close,
        3 => Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}".to_vec()),
        _ => Answer::result("{\"output\":\"at last\"}"),
    });
    let server = Server::with(worker.config("w", IMPATIENT));
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "completed");
    assert_eq!(task["attempts"], 4);
    assert_eq!(task["result"], "{\"output\":\"at last\"}");
}

#[test]
fn other_4xx_fail_a_task_at_once() {
    for status in [400, 401, 404, 409, 419, 422, 451, 499] {
        let worker = EndpointWorker::start(move |_| Answer::status(status, "{\"error\":\"no\"}"));
        let server = Server::with(worker.config("w", IMPATIENT));
        let id = server.submit("w", "p");
        let task = server.task_in(&id, "failed");
        assert_eq!(task["attempts"], 1, "{status}");
        let error = task["error"].as_str().unwrap();
        assert!(error.contains(&status.to_string()), "{error}");
    }
}

#[test]
fn a_busy_worker_gets_the_task_again_and_the_attempt_does_not_count() {
    for status in [429, 503] {
        let calls = AtomicUsize::new(0);
        let worker = EndpointWorker::start(move |_| {
            if calls.fetch_add(1, Ordering::SeqCst) == 0 {
                return Answer::status(status, "{}").header("Retry-After", "1");
            }
            Answer::result("{}")
        });
        let server = Server::with(worker.config("w", "max_attempts = 1"));
        let id = server.submit("w", "p");
        let task = server.task_in(&id, "completed");
        assert_eq!(task["attempts"], 1, "{status}");
        let attempts = worker.attempts();
        assert_eq!(attempts.len(), 2);
        let pause = attempts[1].at - attempts[0].at;
        assert!(pause >= Duration::from_millis(950), "{pause:?}");
        assert!(pause < Duration::from_secs(8), "{pause:?}");
    }
}

#[test]
fn a_busy_worker_without_retry_after_is_left_alone_for_a_while() {
    let calls = AtomicUsize::new(0);
    let worker = EndpointWorker::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::status(503, "{}"),
        1 => Answer::status(429, "busy").header("Retry-After", "soon"),
        _ => Answer::result("{}"),
    });
    let server = Server::with(worker.config("w", "max_attempts = 1"));
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "completed");
    assert_eq!(task["attempts"], 1);
    let attempts = worker.attempts();
    for pair in attempts.windows(2) {
        let pause = pair[1].at - pair[0].at;
        assert!(pause >= Duration::from_millis(400), "{pause:?}");
    }
}

#[test]
fn a_refused_connection_counts_as_an_attempt_and_takes_the_worker_offline() {
    let mut worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", "max_attempts = 2\nbackoff = \"10ms\""));
    server.worker_in("w", "online");
    worker.stop();
    let id = server.submit("w", "p");
    let found = server.worker_in("w", "offline");
    assert!(found["last_error"].is_string(), "{found}");
    // The probe that takes it offline may be faster than the end of the attempt.
    let task = wait_for("no attempt runs", || {
        Some(server.task(&id)).filter(|task| task["state"] != "dispatched")
    });
    assert!(task["attempts"].as_u64().unwrap() <= 2, "{task}");
    if task["attempts"] == 1 {
        assert!(task["error"].is_string(), "{task}");
    }
}

#[test]
fn a_timeout_counts_as_an_attempt_and_closes_the_connection() {
    let worker = EndpointWorker::hanging();
    let settings = "timeout = \"300ms\"\nmax_attempts = 2\nbackoff = \"10ms\"";
    let server = Server::with(worker.config("w", settings));
    let begun = now();
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "failed");
    assert!(begun.elapsed() >= Duration::from_millis(600));
    assert_eq!(task["attempts"], 2);
    assert!(task["error"].as_str().unwrap().contains("300ms"), "{task}");
    wait_until("both connections are closed", || worker.broken_off() == 2);
}

#[test]
fn a_slowly_dripping_answer_is_cut_at_the_timeout() {
    let worker = EndpointWorker::start(|_| {
        Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{".to_vec())
    });
    let dripping = EndpointWorker::start(|_| {
        Answer::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".to_vec())
    });
    let settings = "timeout = \"500ms\"\nmax_attempts = 1";
    let server = Server::with(
        [
            worker.config("short", settings),
            dripping.config("endless-head", settings),
        ]
        .concat(),
    );
    for name in ["short", "endless-head"] {
        let id = server.submit(name, "p");
        let task = server.task_in(&id, "failed");
        assert_eq!(task["attempts"], 1, "{name}");
    }
}

#[test]
fn attempts_are_backed_off_with_doubling_pauses() {
    let worker = EndpointWorker::start(|_| Answer::status(500, "{}"));
    let server = Server::with(worker.config("w", "backoff = \"200ms\""));
    let id = server.submit("w", "p");
    server.task_in(&id, "failed");
    let attempts = worker.attempts();
    assert_eq!(attempts.len(), 4);
    for (pair, nominal) in attempts.windows(2).zip([200, 400, 800]) {
        let pause = pair[1].at - pair[0].at;
        let (least, most) = (nominal / 2 - 10, nominal * 2 + 1_500);
        assert!(
            pause >= Duration::from_millis(least) && pause <= Duration::from_millis(most),
            "{pause:?} where {nominal} ms was due"
        );
    }
}

#[test]
fn other_tasks_run_while_one_is_backed_off() {
    let worker = EndpointWorker::start(|attempt| {
        if attempt.prompt == "fail" {
            return Answer::status(500, "{}");
        }
        Answer::result("{}")
    });
    let server = Server::with(worker.config("w", "backoff = \"1h\"\nconcurrency = 1"));
    let failing = server.submit("w", "fail");
    let other = server.submit("w", "p");
    server.task_in(&other, "completed");
    assert_eq!(server.task(&failing)["state"], "pending");
}
