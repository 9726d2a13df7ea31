//! Contract sections 2 and 3: the queue's limit, the disk reserve, retention, connections.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Answer, EndpointWorker, Gate, Request, Server, offline_worker, wait_for, wait_until,
};

#[test]
fn a_full_queue_is_429_and_stores_nothing() {
    let config = format!("[limits]\nqueue = 3\n{}", offline_worker("w"));
    let server = Server::with(config);
    let body = json!({"prompt": "p", "worker": "w"});
    let keyed = || {
        server.ask(
            Request::post("/task")
                .header("idempotency-key", "k")
                .json(&body),
        )
    };
    let first = keyed().expect(202).json();
    server.submit("w", "p");
    let last = server.submit("w", "p");
    for _ in 0..3 {
        server.post("/task", &body).expect_error(429, "queue_full");
    }
    assert_eq!(server.ids("/tasks").len(), 3);
    assert_eq!(
        keyed().expect(202).json()["id"],
        first["id"],
        "a replay stores nothing"
    );
    let server = server.kill().start();
    server.post("/task", &body).expect_error(429, "queue_full");
    server.delete(&format!("/task/{last}")).expect(200);
    server.submit("w", "p");
    server.post("/task", &body).expect_error(429, "queue_full");
    assert_eq!(server.worker("w")["pending"], 3);
}

#[test]
fn running_tasks_do_not_fill_the_queue() {
    let worker = EndpointWorker::hanging();
    let server = Server::with(format!(
        "[limits]\nqueue = 2\n{}",
        worker.config("w", "concurrency = 2")
    ));
    for _ in 0..2 {
        server.submit("w", "p");
    }
    worker.attempts_when(2);
    for _ in 0..2 {
        server.submit("w", "p");
    }
    server
        .post("/task", &json!({"prompt": "p", "worker": "w"}))
        .expect_error(429, "queue_full");
}

/// A configuration that reserves more than any disk has, or nothing.
fn reserving(reserve: &str, workers: &str) -> String {
    format!("[limits]\ndisk_reserve = \"{reserve}\"\n{workers}")
}

#[test]
fn below_the_disk_reserve_new_work_is_507_and_the_rest_goes_on() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let workers = [worker.config("w", ""), offline_worker("offline")].concat();
    let server = Server::with(reserving("1MiB", &workers));
    let running = server.submit("w", "p");
    let waiting = server.submit("offline", "p");
    worker.attempts_when(1);
    server.reload(reserving("900000GiB", &workers));
    let body = json!({"prompt": "p", "worker": "w"});
    let refusal = wait_for("new work is refused", || {
        Some(server.post("/task", &body)).filter(|answer| answer.status == 507)
    });
    assert!(refusal.json()["error"].is_string());
    let stored = server.ids("/tasks").len();
    server.post("/task", &body).expect(507);
    assert_eq!(server.ids("/tasks").len(), stored);
    server.get("/health").expect(200);
    gate.open();
    server.task_in(&running, "completed");
    server.delete(&format!("/task/{waiting}")).expect(200);
    server.reload(reserving("1MiB", &workers));
    wait_until("it recovers", || server.post("/task", &body).status == 202);
}

#[test]
fn a_server_starts_below_the_disk_reserve() {
    let server = Server::with(reserving("900000GiB", &offline_worker("w")));
    server
        .post("/task", &json!({"prompt": "p", "worker": "w"}))
        .expect(507);
    assert!(server.ids("/tasks").is_empty());
    server.get("/health").expect(200);
}

#[test]
fn finished_tasks_are_deleted_after_the_retention() {
    let worker = EndpointWorker::start(|attempt| {
        Answer::status(if attempt.prompt == "fail" { 400 } else { 200 }, "{}")
    });
    let workers = [worker.config("w", ""), offline_worker("offline")].concat();
    let server = Server::with(format!("[limits]\nretention = \"1s\"\n{workers}"));
    let keyed = |prompt: &str| {
        let body = json!({"prompt": prompt, "worker": "w"});
        let request = Request::post("/task").header("idempotency-key", "k");
        server.ask(request.json(&body)).expect(202).json()["id"].clone()
    };
    let completed = keyed("p");
    let completed = completed.as_str().unwrap();
    let failed = server.submit("w", "fail");
    let pending = server.submit("offline", "p");
    server.task_in(completed, "completed");
    server.task_in(&failed, "failed");
    for id in [completed, &failed] {
        wait_until("it is deleted", || {
            server.get(&format!("/task/{id}")).status == 404
        });
    }
    assert_eq!(server.ids("/tasks"), [pending.as_str()]);
    // The key is free again, whatever the body.
    let again = keyed("another");
    assert_ne!(again, completed);
    assert_eq!(server.task(&pending)["state"], "pending");
    let server = server.kill().start();
    server.get(&format!("/task/{completed}")).expect(404);
    assert_eq!(server.task(&pending)["state"], "pending");
}

#[test]
fn connections_over_the_limit_wait_and_are_then_served() {
    let server = Server::with("[limits]\nconnections = 3\n");
    let mut held: Vec<_> = (0..3)
        .map(|_| {
            let mut connection = server.connect();
            connection.ask(&Request::get("/health")).expect(200);
            connection
        })
        .collect();
    let mut waiting: Vec<_> = (0..3)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(Request::get("/health").bytes("localhost"));
            connection
        })
        .collect();
    for connection in &mut waiting {
        assert!(connection.is_silent_for(Duration::from_millis(100)));
    }
    held[0].ask(&Request::get("/health")).expect(200);
    held.clear();
    for connection in &mut waiting {
        connection.receive().expect(200);
    }
}

#[test]
fn a_body_waits_for_memory_and_is_then_shed() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(format!(
        "[limits]\nmemory = \"1MiB\"\ntask_body = \"1MiB\"\n{}",
        worker.config("w", "")
    ));
    let prompt = "x".repeat(900 * 1024);
    let request = Request::post("/task").json(&json!({"prompt": prompt, "worker": "w"}));
    let bytes = request.bytes(&server.addr.to_string());
    let mut slow = server.connect();
    slow.send(&bytes[..bytes.len() - 1]);
    assert!(slow.is_silent_for(Duration::from_millis(200)));
    let shed = server.ask(request.clone());
    assert_eq!(shed.status, 503, "{}", shed.text());
    // One that waits is served as soon as there is room.
    let mut waiting = server.connect();
    waiting.try_send(&bytes);
    slow.send(&bytes[bytes.len() - 1..]);
    let first = slow.receive().expect(202).json();
    let second = waiting.receive().expect(202).json();
    for task in [first, second] {
        // To show it takes as much room as to submit it.
        let target = format!("/task/{}", task["id"].as_str().unwrap());
        wait_until("it has completed", || {
            let answer = server.get(&target);
            answer.status == 200 && answer.json()["state"] == "completed"
        });
    }
}
