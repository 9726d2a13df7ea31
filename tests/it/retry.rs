//! Contract section 4: `POST /task/{id}/retry`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::harness::{Answer, EndpointWorker, Request, Response, Server, wait_until};

/// A worker that answers with a status that can be changed.
fn switched(status: u16) -> (Arc<AtomicU16>, EndpointWorker) {
    let switch = Arc::new(AtomicU16::new(status));
    let shared = Arc::clone(&switch);
    let worker = EndpointWorker::start(move |_| {
        Answer::status(shared.load(Ordering::SeqCst), "{\"output\": \"x\"}")
    });
    (switch, worker)
}

fn retry(server: &Server, id: &str) -> Response {
    // As `curl -X POST` sends it: without a length.
    server.ask(Request::post(&format!("/task/{id}/retry")))
}

#[test]
fn a_failed_task_runs_again() {
    let (status, worker) = switched(400);
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    let failed = server.task_in(&id, "failed");
    assert_eq!(failed["attempts"], 1);
    status.store(200, Ordering::SeqCst);
    let task = retry(&server, &id).expect(202).json();
    assert_eq!(task["id"], id.as_str());
    assert_eq!(task["created_at"], failed["created_at"]);
    let task = server.task_in(&id, "completed");
    assert_eq!(task["attempts"], 2);
    assert_eq!(task["result"], "{\"output\": \"x\"}");
    let numbers: Vec<u64> = worker.attempts().iter().map(|a| a.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn a_retried_task_is_pending_without_an_end() {
    let (_, mut worker) = switched(400);
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    server.task_in(&id, "failed");
    worker.stop();
    let body = Request::post(&format!("/task/{id}/retry")).body("{}");
    let task = server.ask(body).expect(202).json();
    assert_eq!(task["state"], "pending");
    assert!(task.get("completed_at").is_none(), "{task}");
    assert!(task.get("result").is_none(), "{task}");
    // An attempt may start and fail meanwhile; its slot is given back a moment later.
    wait_until("the task is counted once", || {
        let shown = server.worker("w");
        shown["pending"].as_u64().unwrap() + shown["running"].as_u64().unwrap() == 1
    });
}

#[test]
fn a_retry_gives_max_attempts_more() {
    let (_, worker) = switched(500);
    let settings = "max_attempts = 2\nbackoff = \"10ms\"";
    let server = Server::with(worker.config("w", settings));
    let id = server.submit("w", "p");
    for attempts in [2, 4, 6] {
        let task = server.task_in(&id, "failed");
        assert_eq!(task["attempts"], attempts);
        retry(&server, &id).expect(202);
        worker.attempts_when(attempts + 1);
    }
    let numbers: Vec<u64> = worker.attempts().iter().map(|a| a.number).take(6).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn only_failed_tasks_are_retried() {
    let worker = EndpointWorker::start(|attempt| {
        if attempt.prompt == "hang" {
            return Answer::Hang;
        }
        Answer::result("{}")
    });
    let server = Server::with(worker.config("w", ""));
    let completed = server.submit("w", "p");
    server.task_in(&completed, "completed");
    let running = server.submit("w", "hang");
    worker.attempts_when(2);
    let pending = server.submit("w", "p");
    for id in [&completed, &running, &pending] {
        retry(&server, id).expect_error(409, "not_failed");
    }
    assert_eq!(worker.attempts().len(), 2);
}

#[test]
fn a_retry_survives_a_crash() {
    let (status, mut worker) = switched(400);
    let server = Server::with(worker.config("w", "backoff = \"100ms\""));
    let id = server.submit("w", "p");
    server.task_in(&id, "failed");
    worker.stop();
    retry(&server, &id).expect(202);
    let stopped = server.kill();
    status.store(200, Ordering::SeqCst);
    worker.resume();
    let server = stopped.start();
    let task = server.task_in(&id, "completed");
    assert!(task["attempts"].as_u64().unwrap() >= 2, "{task}");
}
