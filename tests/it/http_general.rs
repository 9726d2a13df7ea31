//! Contract section 3: methods, connections, limits, the form of every answer.

use std::thread;

use serde_json::json;

use crate::harness::{EndpointWorker, Request, Server, server};

#[test]
fn health_is_ok_and_open() {
    let server = server().start();
    let answer = server.get("/health").expect(200);
    assert_eq!(answer.json(), json!({"status": "ok"}));
}

#[test]
fn unknown_paths_are_404() {
    let server = server().start();
    for target in [
        "/nothing",
        "/Tasks",
        "/tasks/",
        "/task/",
        "/task/0000000000000000/nothing",
        "/task/0000000000000000/retry/again",
        "//tasks",
        "/./tasks",
        "/x/../tasks",
        "/tasks;x=1",
        "/%2e/tasks",
        "/health/",
        "/worker/",
    ] {
        let answer = server.get(target);
        assert_eq!(answer.status, 404, "{target}: {}", answer.text());
    }
}

#[test]
fn known_paths_answer_other_methods_with_405_and_allow() {
    let server = server().start();
    for (method, target, allowed) in [
        ("DELETE", "/tasks", vec!["GET", "HEAD", "OPTIONS"]),
        ("POST", "/tasks", vec!["GET"]),
        ("GET", "/task", vec!["POST", "OPTIONS"]),
        ("PUT", "/task", vec!["POST"]),
        ("POST", "/task/0000000000000000", vec!["GET", "DELETE"]),
        ("GET", "/task/0000000000000000/retry", vec!["POST"]),
        ("POST", "/workers", vec!["GET"]),
        ("POST", "/worker/w", vec!["PUT", "DELETE"]),
        ("POST", "/health", vec!["GET"]),
        ("PATCH", "/tasks", vec!["GET"]),
    ] {
        let answer = server.ask(Request::new(method, target).body("{}"));
        assert_eq!(answer.status, 405, "{method} {target}: {}", answer.text());
        let allow = answer.header("allow").unwrap().to_owned();
        let given: Vec<&str> = allow.split(',').map(str::trim).collect();
        for method in allowed {
            assert!(given.contains(&method), "{target}: {allow}");
        }
        assert!(!given.contains(&method), "{method} {target}: {allow}");
    }
}

#[test]
fn head_of_a_path_without_get_is_405() {
    let server = server().start();
    let answer = server.ask(Request::new("HEAD", "/task"));
    assert_eq!(answer.status, 405);
}

#[test]
fn options_gives_allow() {
    let server = server().start();
    for (target, allowed) in [
        ("/tasks", vec!["GET", "HEAD", "OPTIONS"]),
        ("/task", vec!["POST", "OPTIONS"]),
        ("/worker/w", vec!["PUT", "DELETE", "OPTIONS"]),
        ("/health", vec!["GET", "HEAD", "OPTIONS"]),
    ] {
        let answer = server.ask(Request::new("OPTIONS", target));
        assert!(matches!(answer.status, 200 | 204), "{}", answer.status);
        let allow = answer.header("allow").unwrap_or_default();
        for method in allowed {
            assert!(
                allow.split(',').any(|given| given.trim() == method),
                "{target}: {allow}"
            );
        }
    }
    let answer = server.ask(Request::new("OPTIONS", "*"));
    assert!(answer.status < 500, "OPTIONS *: {}", answer.status);
}

#[test]
fn head_is_get_without_the_body() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
    let mut connection = server.connect();
    for target in [
        "/health".to_owned(),
        "/tasks".to_owned(),
        "/workers".to_owned(),
        format!("/task/{id}"),
        "/nothing".to_owned(),
        "/task/0000000000000000".to_owned(),
    ] {
        let head = connection.ask(&Request::new("HEAD", &target));
        let get = connection.ask(&Request::get(&target));
        assert_eq!(head.status, get.status, "{target}");
        assert!(head.body.is_empty());
        if let Some(length) = head.header("content-length") {
            assert_eq!(length, get.body.len().to_string(), "{target}");
        }
        assert_eq!(
            head.header("content-type"),
            Some("application/json"),
            "{target}"
        );
    }
}

#[test]
fn a_connection_serves_many_requests() {
    let server = server().start();
    let mut connection = server.connect();
    for round in 0..50 {
        let target = if round % 2 == 0 { "/health" } else { "/tasks" };
        let answer = connection.ask(&Request::get(target));
        assert_eq!(answer.status, 200);
        assert!(!answer.closes());
    }
    let errors = [
        (Request::get("/nothing"), 404),
        (Request::post("/task").body("no json"), 400),
        (Request::new("DELETE", "/tasks"), 405),
        (Request::get("/tasks?limit=0"), 400),
    ];
    for (request, status) in errors {
        assert_eq!(connection.ask(&request).status, status, "{request:?}");
    }
    assert_eq!(connection.ask(&Request::get("/health")).status, 200);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let host = server.addr.to_string();
    let submit = json!({"prompt": "p", "worker": "w"});
    let mut bytes = Vec::new();
    for number in 0..10 {
        bytes.extend(Request::post("/task").json(&submit).bytes(&host));
        bytes.extend(Request::get(&format!("/nothing-{number}")).bytes(&host));
        bytes.extend(Request::new("HEAD", "/tasks").bytes(&host));
        bytes.extend(Request::post("/task").body("{").bytes(&host));
    }
    let mut connection = server.connect();
    connection.send(&bytes);
    let mut ids = Vec::new();
    for _ in 0..10 {
        let task = connection.receive().expect(202).json();
        ids.push(task["id"].as_str().unwrap().to_owned());
        connection.receive().expect(404);
        connection.receive_to_head().expect(200);
        connection.receive().expect(400);
    }
    assert!(ids.is_sorted(), "{ids:?}");
    assert_eq!(server.ids("/tasks").len(), 10);
    // The connection is still good.
    connection.ask(&Request::get("/health")).expect(200);
}

#[test]
fn many_clients_at_once_are_served() {
    let server = server().start();
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let api = server.api();
            thread::spawn(move || {
                let mut connections: Vec<_> = (0..4).map(|_| api.connect()).collect();
                for connection in &mut connections {
                    connection.ask(&Request::get("/tasks")).expect(200);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}
