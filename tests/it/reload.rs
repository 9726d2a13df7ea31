//! Contract section 8: SIGHUP reads the configuration again; a bad one changes nothing.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{EndpointWorker, Gate, Request, Server, offline_worker, server, wait_until};

#[test]
fn workers_come_change_and_go() {
    let first = EndpointWorker::obliging();
    let second = EndpointWorker::obliging();
    let server = Server::with(first.config("a", ""));
    server.worker_in("a", "online");
    server.reload([second.config("a", "concurrency = 5"), first.config("b", "")].concat());
    server.worker_in("b", "online");
    assert_eq!(server.worker("a")["endpoint"], second.endpoint());
    assert_eq!(server.worker("a")["concurrency"], 5);
    let id = server.submit("a", "p");
    server.task_in(&id, "completed");
    assert_eq!((first.attempts().len(), second.attempts().len()), (0, 1));
    let id = server.submit("b", "p");
    server.task_in(&id, "completed");
    assert_eq!(first.attempts().len(), 1);
    server.reload(second.config("a", ""));
    wait_until("b is gone", || server.worker("b") == Value::Null);
    assert_eq!(server.task(&id)["state"], "completed");
}

#[test]
fn running_attempts_go_on_through_a_reload() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    server.reload([worker.config("w", "concurrency = 3"), offline_worker("x")].concat());
    server.worker_in("x", "offline");
    assert_eq!(server.worker("w")["running"], 1);
    gate.open();
    assert_eq!(server.task_in(&id, "completed")["attempts"], 1);
    assert_eq!(worker.attempts().len(), 1);
}

#[test]
fn a_bad_configuration_changes_nothing_and_is_logged() {
    let worker = EndpointWorker::obliging();
    let config = worker.config("w", "");
    let server = Server::with(&config);
    server.worker_in("w", "online");
    for (bad, word) in [
        (format!("{config}\nconcurrency = \"many\""), "concurrency"),
        (format!("colour = 1\n{config}"), "colour"),
        ("[[worker".to_owned(), "mecha.toml"),
        (format!("{}{config}", offline_worker("w")), "mecha.toml"),
    ] {
        let before = server.log().len();
        server.reload(&bad);
        wait_until("the refusal is logged", || {
            server.log()[before..].contains(word)
        });
        assert_eq!(server.get("/workers").json().as_array().unwrap().len(), 1);
        assert_eq!(server.worker("w")["endpoint"], worker.endpoint());
        let id = server.submit("w", "p");
        server.task_in(&id, "completed");
    }
    std::fs::remove_file(server.home().join("mecha.toml")).unwrap();
    server.signal(Signal::HUP);
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
    server.get("/health").expect(200);
}

#[test]
fn keys_are_exchanged_by_a_reload() {
    let server = server().config("api_key = \"old\"").start();
    let status = |key: &str| {
        server
            .ask(Request::get("/tasks").header("x-api-key", key))
            .status
    };
    assert_eq!((status("old"), status("new")), (200, 401));
    server.reload("api_key = [\"old\", \"new\"]");
    wait_until("both keys open", || status("new") == 200);
    assert_eq!(status("old"), 200);
    server.reload("api_key = \"new\"");
    wait_until("the old key is gone", || status("old") == 401);
    assert_eq!(status("new"), 200);
}

#[test]
fn a_reload_never_opens_the_api() {
    let server = server().config("api_key = \"old\"").start();
    server.reload("api_key = \"env:NOT_SET_ANYWHERE\"");
    server.logs("NOT_SET_ANYWHERE");
    server.get("/tasks").expect(401);
}

#[test]
fn a_server_without_a_file_outlives_a_hangup() {
    let mut server = server().start();
    server.signal(Signal::HUP);
    server.get("/health").expect(200);
    server.get("/health").expect(200);
    assert!(server.is_running());
}

#[test]
fn registered_workers_stay_through_a_reload() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(offline_worker("file"));
    let body = serde_json::json!({"endpoint": worker.endpoint()});
    server.put("/worker/registered", &body).expect(201);
    server.reload([offline_worker("file"), offline_worker("new")].concat());
    server.worker_in("new", "offline");
    server.worker_in("registered", "online");
}

#[test]
fn reloads_under_load_lose_and_repeat_nothing() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", "concurrency = 4"));
    let mut ids = Vec::new();
    for round in 0..20 {
        ids.extend((0..10).map(|_| server.submit("w", "p")));
        let settings = format!("concurrency = {}", 1 + round % 5);
        server.reload(worker.config("w", &settings));
    }
    for id in &ids {
        assert_eq!(server.task_in(id, "completed")["attempts"], 1);
    }
    assert_eq!(worker.attempts().len(), ids.len());
}
