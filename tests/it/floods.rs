//! However much a peer sends, little of it comes back, and little of it is logged.

use serde_json::{Value, json};

use crate::harness::{Answer, EndpointWorker, Request, Server};

#[test]
fn errors_repeat_little_of_what_was_sent() {
    let worker = EndpointWorker::start(|attempt| match attempt.prompt.as_str() {
        "string" => Answer::result(&format!("\"{}\"", "x".repeat(5_000_000))),
        "array" => Answer::result(&format!("[\"{}\"]", "x".repeat(5_000_000))),
        _ => Answer::status(400, &"x".repeat(5_000_000)),
    });
    let server = Server::with(worker.config("w", "max_attempts = 1"));
    server.worker_in("w", "online");
    let long = "x".repeat(3_000);
    let many: serde_json::Map<String, Value> = (0..2_000)
        .map(|n| (format!("{long:.20}{n}"), json!(1)))
        .collect();
    let answers = [
        server.get(&format!("/tasks?state={long}")),
        server.get(&format!("/tasks?worker={long}")),
        server.get(&format!("/tasks?limit={long}")),
        server.get(&format!("/task/{long}")),
        server.get(&format!("/event/{long}")),
        server.get(&format!("/{long}")),
        server.post(&format!("/webhook/{long}"), &json!({})),
        server.put(&format!("/worker/{long}"), &json!({})),
        server.put(
            "/worker/a",
            &json!({"endpoint": long, "timeout": long, "token": long}),
        ),
        server.put("/worker/a", &Value::Object(many)),
        server.post("/task", &json!({"prompt": "p", "worker": long})),
        server.post(
            "/rules/test",
            &json!({"source": long, "type": "t", "payload": {}}),
        ),
        server.ask(Request::new(&long, "/tasks")),
    ];
    for answer in answers {
        assert!((400..502).contains(&answer.status), "{}", answer.status);
        assert!(answer.body.len() < 2_048, "{}", answer.text());
    }
    for prompt in ["string", "array", "400"] {
        let id = server.submit("w", prompt);
        let error = server.task_in(&id, "failed")["error"].clone();
        let error = error.as_str().unwrap();
        assert!(error.len() < 2_048, "{prompt}: {} bytes", error.len());
        assert!(error.contains("xxx"), "{prompt}: {error}");
    }
}

#[test]
fn a_flood_of_what_peers_bring_about_is_a_bounded_log() {
    let worker = EndpointWorker::start(|_| Answer::status(400, "no"));
    let server = Server::with(worker.config("w", "concurrency = 16"));
    server.worker_in("w", "online");
    let ids: Vec<String> = (0..500).map(|_| server.submit("w", "p")).collect();
    let settings = json!({"endpoint": "http://127.0.0.1:9"});
    for _ in 0..300 {
        let status = server.put("/worker/mine", &settings).status;
        assert!(matches!(status, 200 | 201));
    }
    for id in ids {
        server.task_in(&id, "failed");
    }
    let log = server.stop().outcome.stderr;
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    let periods = periods(&log);
    for text in ["failed for good", "was replaced over the API"] {
        let count = lines(text);
        assert!(count >= 100, "{text}: {count}");
        assert!(
            count <= 200 * periods,
            "{text}: {count} in {periods} periods"
        );
    }
    assert!(lines("drained") == 1, "other places are not held up: {log}");
}

/// How many periods of the log's bound fit between its first line and its last, both included.
fn periods(log: &str) -> usize {
    let seconds = |line: Option<&str>| {
        let value: Value = serde_json::from_str(line.unwrap()).unwrap();
        let time = value["time"].as_str().unwrap().to_owned();
        let part = |range: std::ops::Range<usize>| time[range].parse::<usize>().unwrap();
        part(11..13) * 3_600 + part(14..16) * 60 + part(17..19)
    };
    let (first, last) = (seconds(log.lines().next()), seconds(log.lines().last()));
    // Midnight may come in between.
    (last + 86_400 - first) % 86_400 / 10 + 1
}
