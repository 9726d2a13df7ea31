//! Contract section 5: workers registered over the API.

use serde_json::{Value, json};

use crate::harness::{EndpointWorker, Request, Server, offline_worker, server, unused_address};

#[test]
fn a_worker_is_registered_replaced_and_deleted() {
    let first = EndpointWorker::obliging();
    let second = EndpointWorker::obliging();
    let server = server().start();
    let answer = server.put(
        "/worker/w",
        &json!({"endpoint": first.endpoint(), "concurrency": 2, "token": "hunter2"}),
    );
    assert!(!answer.text().contains("hunter2"));
    answer.expect(201);
    let shown = server.worker_in("w", "online");
    assert_eq!(shown["kind"], "endpoint");
    assert_eq!(shown["endpoint"], first.endpoint());
    assert_eq!(shown["concurrency"], 2);
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
    let attempt = first.attempts().remove(0);
    assert_eq!(attempt.head.header("authorization"), Some("Bearer hunter2"));

    server
        .put("/worker/w", &json!({"endpoint": second.endpoint()}))
        .expect(200);
    assert_eq!(server.worker("w")["endpoint"], second.endpoint());
    assert_eq!(server.worker("w")["concurrency"], 1, "replaced, not merged");
    server.worker_in("w", "online");
    let next = server.submit("w", "p");
    server.task_in(&next, "completed");
    assert_eq!((first.attempts().len(), second.attempts().len()), (1, 1));
    let attempt = second.attempts().remove(0);
    assert_eq!(attempt.head.header("authorization"), None);

    let answer = server.delete("/worker/w").expect(204);
    assert!(answer.body.is_empty());
    assert_eq!(server.get("/workers").json(), json!([]));
    server.delete("/worker/w").expect(404);
    server
        .post("/task", &json!({"prompt": "p", "worker": "w"}))
        .expect_error(404, "unknown_worker");
    assert_eq!(server.task(&id)["state"], "completed");
    assert_eq!(server.ids("/tasks").len(), 2);
}

#[test]
fn a_registered_worker_survives_restart_and_crash() {
    let worker = EndpointWorker::obliging();
    let server = server().start();
    let settings = json!({"endpoint": worker.endpoint(), "concurrency": 3, "token": "t"});
    server.put("/worker/kept", &settings).expect(201);
    server.put("/worker/dropped", &settings).expect(201);
    server.delete("/worker/dropped").expect(204);
    let server = server.kill().start();
    assert_eq!(server.worker_in("kept", "online")["concurrency"], 3);
    assert_eq!(server.worker("dropped"), Value::Null);
    let server = server.stop().start();
    let id = server.submit("kept", "p");
    server.task_in(&id, "completed");
    let attempt = worker.attempts().remove(0);
    assert_eq!(attempt.head.header("authorization"), Some("Bearer t"));
    server.put("/worker/kept", &settings).expect(200);
}

#[test]
fn every_field_of_the_file_is_taken() {
    let server = server().start();
    let body = json!({
        "endpoint": format!("http://{}", unused_address()),
        "token": "t", "timeout": "5m", "concurrency": 4, "rate": "10/s",
        "max_attempts": 2, "backoff": "500ms"
    });
    server.put("/worker/a.b-c_9", &body).expect(201);
    let longest = "w".repeat(64);
    server.put(&format!("/worker/{longest}"), &body).expect(201);
    assert_eq!(server.worker(&longest)["concurrency"], 4);
}

#[test]
fn a_worker_with_pending_tasks_is_not_deleted() {
    let server = server().start();
    let endpoint = format!("http://{}", unused_address());
    server
        .put("/worker/w", &json!({"endpoint": endpoint}))
        .expect(201);
    let id = server.submit("w", "p");
    let answer = server.delete("/worker/w");
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(server.worker("w")["pending"], 1);
    server.delete(&format!("/task/{id}")).expect(200);
    server.delete("/worker/w").expect(204);
}

#[test]
fn pending_tasks_go_to_the_replaced_endpoint() {
    let worker = EndpointWorker::obliging();
    let server = server().start();
    let endpoint = format!("http://{}", unused_address());
    server
        .put("/worker/w", &json!({"endpoint": endpoint}))
        .expect(201);
    let id = server.submit("w", "p");
    server
        .put("/worker/w", &json!({"endpoint": worker.endpoint()}))
        .expect(200);
    server.task_in(&id, "completed");
}

#[test]
fn workers_of_the_file_are_not_changed() {
    let server = Server::with(offline_worker("w"));
    let before = server.worker("w")["endpoint"].clone();
    let other = json!({"endpoint": "http://127.0.0.1:9"});
    for answer in [server.put("/worker/w", &other), server.delete("/worker/w")] {
        assert_eq!(answer.status, 409, "{}", answer.text());
    }
    assert_eq!(server.worker("w")["endpoint"], before);
    let server = server.kill().start();
    assert_eq!(server.worker("w")["endpoint"], before);
}

#[test]
fn bad_registrations_are_400_and_register_nothing() {
    let endpoint = "http://127.0.0.1:9";
    let server = server().env("SECRET_VARIABLE", "hunter2").start();
    for (body, word) in [
        (json!({}), "endpoint"),
        (json!({"endpoint": ""}), "endpoint"),
        (json!({"endpoint": 1}), "endpoint"),
        (json!({"endpoint": null}), "endpoint"),
        (json!({"endpoint": "127.0.0.1:9"}), "endpoint"),
        (json!({"endpoint": "https://127.0.0.1:9"}), "https"),
        (json!({"endpoint": "ftp://127.0.0.1"}), "endpoint"),
        (json!({"endpoint": "http://"}), "endpoint"),
        (
            json!({"endpoint": "http://user:hunter2@127.0.0.1"}),
            "endpoint",
        ),
        (json!({"endpoint": "http://127.0.0.1:99999"}), "endpoint"),
        (json!({"endpoint": "http://127.0.0.1/?x=1"}), "endpoint"),
        (json!({"endpoint": "http://127.0.0.1/#x"}), "endpoint"),
        (json!({"endpoint": "http://127.0.0.1/\r\nx: y"}), "endpoint"),
        (json!({"endpoint": "http://ä.example"}), "endpoint"),
        (json!({"command": ["cat"]}), "command"),
        (json!({"endpoint": endpoint, "command": ["cat"]}), "command"),
        (
            json!({"endpoint": endpoint, "token": "env:SECRET_VARIABLE"}),
            "env:",
        ),
        (
            json!({"endpoint": endpoint, "token": "file:/etc/hostname"}),
            "file:",
        ),
        (
            json!({"endpoint": endpoint, "token": "two\r\nlines"}),
            "token",
        ),
        (json!({"endpoint": endpoint, "token": 1}), "token"),
        (json!({"endpoint": endpoint, "events": []}), "events"),
        (json!({"endpoint": endpoint, "env": {"A": "b"}}), "env"),
        (json!({"endpoint": endpoint, "cwd": "/"}), "cwd"),
        (json!({"endpoint": endpoint, "colour": "red"}), "colour"),
        (
            json!({"endpoint": endpoint, "concurrency": 0}),
            "concurrency",
        ),
        (
            json!({"endpoint": endpoint, "concurrency": -1}),
            "concurrency",
        ),
        (
            json!({"endpoint": endpoint, "concurrency": "1"}),
            "concurrency",
        ),
        (
            json!({"endpoint": endpoint, "concurrency": 1.5}),
            "concurrency",
        ),
        (
            json!({"endpoint": endpoint, "max_attempts": 0}),
            "max_attempts",
        ),
        (json!({"endpoint": endpoint, "timeout": "soon"}), "timeout"),
        (json!({"endpoint": endpoint, "timeout": 10}), "timeout"),
        (json!({"endpoint": endpoint, "timeout": "0s"}), "timeout"),
        (json!({"endpoint": endpoint, "backoff": "1"}), "backoff"),
        (json!({"endpoint": endpoint, "rate": "0/s"}), "rate"),
        (json!({"endpoint": endpoint, "rate": "fast"}), "rate"),
        (json!([]), ""),
        (json!("w"), ""),
        (json!(null), ""),
    ] {
        let answer = server.put("/worker/w", &body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        let text = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(text.contains(word), "{word}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    server
        .ask(Request::new("PUT", "/worker/w").body("{"))
        .expect(400);
    assert_eq!(server.get("/workers").json(), json!([]));
    let body = json!({"endpoint": endpoint});
    let long = "w".repeat(65);
    for name in ["-w", ".w", "a%20b", "%C3%BC", long.as_str(), "a%2Fb"] {
        let answer = server.put(&format!("/worker/{name}"), &body);
        assert!(
            matches!(answer.status, 400 | 404),
            "{name}: {}",
            answer.status
        );
    }
    assert_eq!(server.get("/workers").json(), json!([]));
}

#[test]
fn a_refused_replacement_changes_nothing() {
    let worker = EndpointWorker::obliging();
    let server = server().start();
    server
        .put("/worker/w", &json!({"endpoint": worker.endpoint()}))
        .expect(201);
    server
        .put(
            "/worker/w",
            &json!({"endpoint": "http://127.0.0.1:9", "x": 1}),
        )
        .expect(400);
    assert_eq!(server.worker("w")["endpoint"], worker.endpoint());
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
}
