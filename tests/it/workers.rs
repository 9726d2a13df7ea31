//! Contract section 5: `GET /workers`.

use crate::harness::{EndpointWorker, Request, command_worker, offline_worker, server};

#[test]
fn every_worker_is_shown_without_its_secrets() {
    let worker = EndpointWorker::obliging();
    let config = [
        worker.config("endpoint", "token = \"hunter2\"\nconcurrency = 2"),
        command_worker("command", &["cat"], "env = { KEY = \"hunter3\" }"),
        offline_worker("offline"),
    ]
    .concat();
    let server = server().config(config).start();
    server.worker_in("endpoint", "online");
    server.worker_in("command", "online");
    server.worker_in("offline", "offline");
    let answer = server.get("/workers").expect(200);
    assert!(!answer.text().contains("hunter"), "{}", answer.text());
    let workers = answer.json();
    assert_eq!(workers.as_array().unwrap().len(), 3);
    let known = [
        "checked_at",
        "concurrency",
        "endpoint",
        "kind",
        "last_error",
        "name",
        "pending",
        "running",
        "state",
    ];
    for worker in workers.as_array().unwrap() {
        for name in worker.as_object().unwrap().keys() {
            assert!(known.contains(&name.as_str()), "{worker}");
        }
        for name in ["name", "kind", "state", "concurrency", "running", "pending"] {
            assert!(!worker[name].is_null(), "{name}: {worker}");
        }
    }
    let shown = server.worker("endpoint");
    assert_eq!(shown["kind"], "endpoint");
    assert_eq!(shown["endpoint"], worker.endpoint());
    assert_eq!(shown["concurrency"], 2);
    assert_eq!(shown["running"], 0);
    assert_eq!(shown["pending"], 0);
    assert!(shown["checked_at"].as_str().unwrap().ends_with('Z'));
    let shown = server.worker("command");
    assert_eq!(shown["kind"], "command");
    assert!(shown.get("endpoint").is_none());
    let shown = server.worker("offline");
    assert!(shown["last_error"].is_string(), "{shown}");
}

#[test]
fn workers_is_read_only() {
    let server = server().start();
    let answer = server.ask(Request::post("/workers").body("{}"));
    assert_eq!(answer.status, 405);
    server.ask(Request::new("HEAD", "/workers")).expect(200);
}
