//! `GET /metrics` and `GET /stats`: what they count, and whom they answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{
    Answer, EndpointWorker, Gate, Request, Server, delivery, github_source, offline_worker,
    pull_request, rule, server, wait_for, wait_until,
};

/// Every sample of a scrape: name and labels as they are written, and the value.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    #[track_caller]
    fn of(server: &Server) -> Self {
        let answer = server.get("/metrics").expect(200);
        let media_type = answer.header("content-type");
        assert_eq!(media_type, Some("text/plain; version=0.0.4; charset=utf-8"));
        let text = answer.text();
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let known = samples.insert(name.to_owned(), value.parse().unwrap());
            assert!(known.is_none(), "twice: {line}");
        }
        Self(samples)
    }

    #[track_caller]
    fn value(&self, name: &str) -> f64 {
        match self.0.get(name) {
            Some(value) => *value,
            None => panic!("{name} is missing: {:#?}", self.0),
        }
    }

    /// Fails the test unless each sample has the value that is given.
    #[track_caller]
    fn expect(&self, expected: &[(&str, f64)]) {
        for (name, value) in expected {
            let found = self.value(name);
            assert!(
                (found - value).abs() < 1e-9,
                "{name} is {found}, not {value}"
            );
        }
    }
}

/// A worker of which the prompt says how an attempt comes out.
pub(crate) fn moody() -> EndpointWorker {
    EndpointWorker::start(|attempt| match attempt.prompt.as_str() {
        "bad" => Answer::status(400, "no"),
        "busy" => Answer::status(503, "busy").header("retry-after", "1"),
        _ => Answer::result(r#"{"output":"done"}"#),
    })
}

pub(crate) fn ended(server: &Server, id: &str) -> Value {
    wait_for(&format!("task {id} has ended"), || {
        Some(server.task(id)).filter(|task| task["completed_at"].is_string())
    })
}

#[test]
fn tasks_and_attempts_are_counted_by_worker() {
    let worker = moody();
    let config = [worker.config("w", ""), offline_worker("away")].concat();
    let server = Server::with(config);
    for prompt in ["good", "good", "bad"] {
        let id = server.submit("w", prompt);
        ended(&server, &id);
    }
    let first = server.submit("away", "waits");
    server.submit("away", "waits, too");
    let cancelled = server.submit("away", "is cancelled");
    server.delete(&format!("/task/{cancelled}")).expect(200);
    Scrape::of(&server).expect(&[
        ("mecha_tasks_submitted_total", 6.0),
        (r#"mecha_tasks_ended_total{worker="w",state="completed"}"#, 2.0),
        (r#"mecha_tasks_ended_total{worker="w",state="failed"}"#, 1.0),
        (r#"mecha_tasks_ended_total{worker="away",state="failed"}"#, 1.0),
        (r#"mecha_attempts_total{worker="w",outcome="completed"}"#, 2.0),
        (r#"mecha_attempts_total{worker="w",outcome="failed"}"#, 1.0),
        (r#"mecha_attempts_total{worker="away",outcome="failed"}"#, 0.0),
        (r#"mecha_attempt_duration_seconds_count{worker="w"}"#, 3.0),
        (r#"mecha_task_wait_seconds_count{worker="w"}"#, 3.0),
        (r#"mecha_task_wait_seconds_bucket{worker="w",le="+Inf"}"#, 3.0),
        (r#"mecha_task_wait_seconds_count{worker="away"}"#, 0.0),
        (r#"mecha_tasks{state="pending"}"#, 2.0),
        (r#"mecha_tasks{state="dispatched"}"#, 0.0),
        (r#"mecha_tasks{state="completed"}"#, 2.0),
        (r#"mecha_tasks{state="failed"}"#, 2.0),
        (r#"mecha_worker_pending_tasks{worker="away"}"#, 2.0),
        (r#"mecha_worker_online{worker="w"}"#, 1.0),
        (r#"mecha_worker_online{worker="away"}"#, 0.0),
        (r#"mecha_worker_running_attempts{worker="w"}"#, 0.0),
        (r#"mecha_health{state="ok"}"#, 1.0),
        (r#"mecha_health{state="draining"}"#, 0.0),
        (r#"mecha_http_responses_total{code="202"}"#, 6.0),
        (
            r#"mecha_http_request_duration_seconds_count{method="POST",route="/task",status="2xx"}"#,
            6.0,
        ),
        (r#"mecha_http_refused_total{reason="overloaded"}"#, 0.0),
    ]);
    let stats = server.get("/stats").expect(200).json();
    assert_eq!(
        stats["tasks"],
        json!({"pending": 2, "dispatched": 0, "completed": 2, "failed": 2})
    );
    assert_eq!(
        stats["oldest_pending_at"],
        server.task(&first)["created_at"]
    );
    // What was counted is gone after a restart; what there is is not.
    let server = server.stop().start();
    let scrape = Scrape::of(&server);
    scrape.expect(&[
        ("mecha_tasks_submitted_total", 0.0),
        (r#"mecha_tasks{state="completed"}"#, 2.0),
        (r#"mecha_tasks{state="pending"}"#, 2.0),
        (r#"mecha_worker_pending_tasks{worker="away"}"#, 2.0),
    ]);
    assert!(scrape.value("mecha_oldest_pending_task_age_seconds") > 0.0);
    let stats = server.get("/stats").expect(200).json();
    assert_eq!(
        stats["oldest_pending_at"],
        server.task(&first)["created_at"]
    );
}

#[test]
fn refused_and_cancelled_attempts_are_told_apart() {
    let gate = Gate::closed();
    let slow = EndpointWorker::gated(&gate);
    let busy = moody();
    let server = Server::with([slow.config("slow", ""), busy.config("busy", "")].concat());
    let id = server.submit("slow", "p");
    server.task_in(&id, "dispatched");
    Scrape::of(&server).expect(&[
        (r#"mecha_tasks{state="dispatched"}"#, 1.0),
        (r#"mecha_tasks{state="pending"}"#, 0.0),
        (r#"mecha_worker_running_attempts{worker="slow"}"#, 1.0),
        ("mecha_oldest_pending_task_age_seconds", 0.0),
    ]);
    server.delete(&format!("/task/{id}")).expect(200);
    wait_until("the attempt was broken off", || {
        let name = r#"mecha_attempts_total{worker="slow",outcome="cancelled"}"#;
        Scrape::of(&server).value(name) > 0.5
    });
    server.submit("busy", "busy");
    wait_until("the worker refused an attempt", || {
        let name = r#"mecha_attempts_total{worker="busy",outcome="refused"}"#;
        Scrape::of(&server).value(name) > 0.5
    });
    gate.open();
}

#[test]
fn the_oldest_pending_task_is_found_among_those_that_run_and_wait_for_a_retry() {
    let gate = Gate::closed();
    let slow = EndpointWorker::gated(&gate);
    let failing = EndpointWorker::start(|_| Answer::status(500, "no"));
    let config = [
        slow.config("slow", ""),
        failing.config("failing", "backoff = \"1h\""),
        offline_worker("away"),
    ]
    .concat();
    let server = Server::with(config);
    let oldest = || server.get("/stats").expect(200).json()["oldest_pending_at"].clone();
    assert_eq!(oldest(), Value::Null);
    let running = server.submit("slow", "runs");
    server.task_in(&running, "dispatched");
    assert_eq!(oldest(), Value::Null);
    let behind = server.submit("slow", "waits behind it");
    let again = server.submit("failing", "is repeated");
    let away = server.submit("away", "waits");
    wait_until("its first attempt failed", || {
        let task = server.task(&again);
        task["attempts"] == 1 && task["state"] == "pending"
    });
    for id in [&behind, &again, &away] {
        assert_eq!(oldest(), server.task(id)["created_at"], "{id}");
        server.delete(&format!("/task/{id}")).expect(200);
    }
    assert_eq!(oldest(), Value::Null);
    gate.open();
}

#[test]
fn deliveries_and_events_are_counted() {
    let worker = EndpointWorker::obliging();
    let config = [
        worker.config("w", ""),
        rule("pull_request.opened", "Review #{{ number }}", ""),
        rule("pull_request.closed", "{{ absent }}", ""),
        rule("pull_request.labeled", "Look", "auto = false"),
        github_source(""),
    ]
    .concat();
    let server = Server::with(config);
    let opened = server.receive("1", &pull_request("opened", 1));
    server.event_in(&opened, "completed");
    let closed = server.receive("2", &pull_request("closed", 2));
    server.event_in(&closed, "failed");
    let labeled = server.receive("3", &pull_request("labeled", 3));
    server.event_in(&labeled, "matched");
    let skipped = server.receive("4", &pull_request("assigned", 4));
    server.event_in(&skipped, "skipped");
    server.deliver("1", &pull_request("opened", 1)).expect(200);
    let unsigned = Request::post("/webhook/github").json(&json!({}));
    server.ask(unsigned).expect(401);
    let forged = delivery("push", "5", &json!({"a": 1})).header("x-hub-signature-256", "sha256=0");
    assert_eq!(server.ask(forged).status, 401);
    server
        .ask(Request::post("/webhook/nobody").json(&json!({})))
        .expect(404);
    let expected = [
        (r#"mecha_events_received_total{source="github"}"#, 4.0),
        (r#"mecha_webhook_duplicates_total{source="github"}"#, 1.0),
        (
            r#"mecha_webhook_refused_total{source="github",reason="missing_signature"}"#,
            1.0,
        ),
        (
            r#"mecha_webhook_refused_total{source="github",reason="stale_timestamp"}"#,
            0.0,
        ),
        (r#"mecha_events_ended_total{state="completed"}"#, 1.0),
        (r#"mecha_events_ended_total{state="failed"}"#, 1.0),
        (r#"mecha_events_ended_total{state="skipped"}"#, 1.0),
        (r#"mecha_events{state="received"}"#, 0.0),
        (r#"mecha_events{state="matched"}"#, 1.0),
        (r#"mecha_events{state="completed"}"#, 1.0),
        (r#"mecha_events{state="failed"}"#, 1.0),
        (r#"mecha_events{state="skipped"}"#, 1.0),
        (r#"mecha_http_refused_total{reason="unknown_source"}"#, 1.0),
        (r#"mecha_http_refused_total{reason="bad_signature"}"#, 2.0),
    ];
    Scrape::of(&server).expect(&expected);
    let counts = json!({"received": 0, "matched": 1, "dispatched": 0, "completed": 1, "failed": 1,
        "skipped": 1});
    let stats = server.get("/stats").expect(200).json();
    assert_eq!(stats["events"], counts);
    let minutes = stats["minutes"].as_array().unwrap();
    let events: u64 = minutes.iter().map(|m| m["events"].as_u64().unwrap()).sum();
    assert_eq!(events, 4);
    // Events are counted across restarts, those that a crash interrupted, too.
    let server = server.kill().start();
    let stats = server.get("/stats").expect(200).json();
    assert_eq!(stats["events"], counts);
}

#[test]
fn requests_that_never_reach_an_endpoint_are_counted() {
    let server = server().start();
    server.raw("NONSENSE\r\n\r\n");
    server.get("/nothing").expect(404);
    server.ask(Request::new("DELETE", "/tasks")).expect(405);
    let scrape = Scrape::of(&server);
    scrape.expect(&[
        (r#"mecha_http_responses_total{code="400"}"#, 1.0),
        (r#"mecha_http_responses_total{code="404"}"#, 1.0),
        (r#"mecha_http_responses_total{code="405"}"#, 1.0),
        (r#"mecha_http_refused_total{reason="bad_request"}"#, 1.0),
        (r#"mecha_http_refused_total{reason="unknown_path"}"#, 1.0),
        (
            r#"mecha_http_refused_total{reason="method_not_allowed"}"#,
            1.0,
        ),
        ("mecha_http_panics_total", 0.0),
    ]);
    // Those who do not want what is there, and the one that asks.
    assert!(scrape.value("mecha_http_connections") >= 1.0);
    assert!(scrape.value("mecha_http_connections_accepted_total") >= 4.0);
    wait_until("no connection but the asking one is open", || {
        (Scrape::of(&server).value("mecha_http_connections") - 1.0).abs() < 0.5
    });
}

#[test]
fn the_process_and_its_limits_are_told() {
    let server = server()
        .config("[limits]\nmemory = \"32MiB\"\nconnections = 77\ndisk_reserve = \"1MiB\"\n")
        .start();
    let scrape = Scrape::of(&server);
    scrape.expect(&[
        ("mecha_memory_budget_limit_bytes", 33_554_432.0),
        ("mecha_memory_budget_used_bytes", 0.0),
        ("mecha_http_connections_limit", 77.0),
        ("mecha_disk_reserve_bytes", 1_048_576.0),
        (
            &format!(
                r#"mecha_build_info{{version="{}"}}"#,
                env!("CARGO_PKG_VERSION")
            ),
            1.0,
        ),
    ]);
    for name in [
        "mecha_disk_free_bytes",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_max_fds",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(scrape.value(name) > 1.0, "{name}");
    }
    assert!(scrape.value("process_cpu_seconds_total") >= 0.0);
    let stats = server.get("/stats").expect(200).json();
    assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(stats["memory"], json!({"limit": 33_554_432, "used": 0}));
    assert_eq!(stats["connections"]["limit"], 77);
    assert_eq!(stats["disk"]["reserve"], 1_048_576);
    assert!(stats["disk"]["free"].as_u64().unwrap() > 0);
    for name in ["started_at", "now"] {
        assert!(stats[name].as_str().unwrap().ends_with('Z'), "{name}");
    }
    let minutes = stats["minutes"].as_array().unwrap();
    assert!((1..=2).contains(&minutes.len()), "{minutes:?}");
    assert!(minutes[0]["at"].as_str().unwrap().ends_with(":00.000Z"));
    assert!(minutes[0].get("wait_p50_ms").is_none());
}

#[test]
fn the_last_hour_tells_how_long_tasks_waited_and_attempts_took() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    ended(&server, &id);
    let minutes = wait_for("the attempt was counted", || {
        let stats = server.get("/stats").expect(200).json();
        let minutes = stats["minutes"].as_array().unwrap().clone();
        let has = |name: &str| minutes.iter().any(|minute| minute[name].is_number());
        (has("attempt_p99_ms") && has("wait_p99_ms")).then_some(minutes)
    });
    let sum = |name: &str| -> u64 {
        let each = minutes.iter().map(|minute| minute[name].as_u64().unwrap());
        each.sum()
    };
    assert_eq!(
        (sum("submitted"), sum("completed"), sum("failed")),
        (1, 1, 0)
    );
}

#[test]
fn a_key_is_wanted_and_head_and_options_are_answered() {
    let server = server()
        .env("MECHA_API_KEY", "swordfish")
        .key("swordfish")
        .start();
    for target in ["/metrics", "/stats"] {
        let stranger = server.connect().ask(&Request::get(target));
        stranger.expect_error(401, "unauthorized");
        let bearer = Request::get(target).header("authorization", "Bearer swordfish");
        assert_eq!(server.connect().ask(&bearer).status, 200);
        let head = server.ask(Request::new("HEAD", target)).expect(200);
        assert!(head.body.is_empty());
        assert!(head.header("content-length").is_some());
        let options = server.ask(Request::new("OPTIONS", target));
        assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(server.ask(Request::post(target).body("{}")).status, 405);
    }
}

#[test]
fn many_workers_share_a_label_and_each_takes_a_bounded_part() {
    let server = server().start();
    let before = server.get("/metrics").expect(200).body.len();
    let name = |number: usize| format!("{number:0>64}");
    let settings = json!({"endpoint": "http://127.0.0.1:9"});
    for number in 0..103 {
        let target = format!("/worker/{}", name(number));
        server.put(&target, &settings).expect(201);
    }
    for number in [0, 101, 102] {
        server.submit(&name(number), "waits");
    }
    let pending = |worker: &str| format!("mecha_worker_pending_tasks{{worker=\"{worker}\"}}");
    let scrape = Scrape::of(&server);
    scrape.expect(&[
        (&pending(&name(0)), 1.0),
        (&pending(&name(99)), 0.0),
        (&pending("_other"), 2.0),
        (r#"mecha_worker_online{worker="_other"}"#, 0.0),
    ]);
    assert!(!scrape.0.contains_key(&pending(&name(101))));
    let after = server.get("/metrics").expect(200).body.len();
    assert!((after - before) / 101 < 7 << 10, "{before} {after}");
}
