//! Contract sections 4 and 5: order, slots, rate, rotation, and workers that come and go.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Answer, EndpointWorker, Gate, Server, endpoint_worker, offline_worker, stays, wait_until,
};

#[test]
fn tasks_of_a_worker_start_in_the_order_of_their_creation() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", "concurrency = 1"));
    let ids: Vec<String> = (0..30)
        .map(|n| server.submit("w", &n.to_string()))
        .collect();
    gate.open();
    server.task_in(&ids[29], "completed");
    let started: Vec<String> = worker.attempts().into_iter().map(|a| a.id).collect();
    assert_eq!(started, ids);
}

#[test]
fn no_more_attempts_run_at_once_than_there_are_slots() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", "concurrency = 3"));
    let ids: Vec<String> = (0..40).map(|_| server.submit("w", "p")).collect();
    worker.attempts_when(3);
    let shown = server.worker("w");
    assert_eq!(shown["state"], "busy", "{shown}");
    assert_eq!(shown["running"], 3);
    assert_eq!(shown["pending"], 37);
    assert_eq!(shown["concurrency"], 3);
    stays(
        "a fourth does not start",
        Duration::from_millis(200),
        || worker.attempts().len() == 3,
    );
    gate.open();
    for id in &ids {
        server.task_in(id, "completed");
    }
    assert_eq!(worker.running_max(), 3);
    assert_eq!(worker.attempts().len(), 40);
    let shown = server.worker_in("w", "online");
    assert_eq!(shown["running"], 0);
    assert_eq!(shown["pending"], 0);
}

#[test]
fn one_attempt_at_once_is_the_default() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    assert_eq!(server.worker("w")["concurrency"], 1);
    let ids: Vec<String> = (0..20).map(|_| server.submit("w", "p")).collect();
    for id in &ids {
        server.task_in(id, "completed");
    }
    assert_eq!(worker.running_max(), 1);
}

#[test]
fn a_rate_bounds_how_often_attempts_start() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", "rate = \"5/s\"\nconcurrency = 20"));
    let ids: Vec<String> = (0..12).map(|_| server.submit("w", "p")).collect();
    for id in &ids {
        server.task_in(id, "completed");
    }
    let attempts = worker.attempts();
    // At most 5 may be saved up, so the other 7 take a good second.
    let taken = attempts[11].at - attempts[0].at;
    assert!(taken >= Duration::from_millis(1_200), "{taken:?}");
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    // The burst and a second's worth are the most that any second may see.
    for first in &attempts {
        let within = attempts
            .iter()
            .filter(|other| {
                other.at >= first.at && other.at - first.at < Duration::from_millis(950)
            })
            .count();
        assert!(within <= 10, "{within} attempts within a second");
    }
}

#[test]
fn tasks_without_a_worker_rotate_over_those_online() {
    let workers: Vec<EndpointWorker> = (0..3).map(|_| EndpointWorker::obliging()).collect();
    let mut config: String = workers
        .iter()
        .zip(["a", "b", "c"])
        .map(|(worker, name)| worker.config(name, ""))
        .collect();
    config += &offline_worker("offline");
    let server = Server::with(config);
    for name in ["a", "b", "c"] {
        server.worker_in(name, "online");
    }
    server.worker_in("offline", "offline");
    let bodies = [
        json!({"prompt": "p"}),
        json!({"prompt": "p", "worker": null}),
        json!({"prompt": "p", "worker": ""}),
    ];
    let names: Vec<String> = (0..9)
        .map(|n| {
            let task = server.post("/task", &bodies[n % 3]).expect(202).json();
            task["worker_name"].as_str().unwrap().to_owned()
        })
        .collect();
    for round in names.chunks(3) {
        let mut round = round.to_vec();
        round.sort();
        assert_eq!(round, ["a", "b", "c"], "{names:?}");
    }
}

#[test]
fn a_busy_worker_stays_in_the_rotation() {
    let hanging = EndpointWorker::hanging();
    let server = Server::with(hanging.config("w", ""));
    server.worker_in("w", "online");
    server.submit("w", "p");
    hanging.attempts_when(1);
    server.worker_in("w", "busy");
    let task = server.post("/task", &json!({"prompt": "p"})).expect(202);
    assert_eq!(task.json()["worker_name"], "w");
    assert_eq!(server.worker("w")["pending"], 1);
}

#[test]
fn a_worker_s_health_is_its_state() {
    for (health, state) in [
        (200, "online"),
        (429, "busy"),
        (503, "busy"),
        (500, "offline"),
        (404, "offline"),
        (204, "offline"),
        (301, "offline"),
    ] {
        let worker = EndpointWorker::obliging();
        worker.health(health);
        let server = Server::with(worker.config("w", ""));
        let shown = crate::harness::wait_for("the worker was probed", || {
            Some(server.worker("w")).filter(|worker| worker["checked_at"].is_string())
        });
        assert_eq!(shown["state"], state, "{health}: {shown}");
        if state == "offline" {
            let id = server.submit("w", "p");
            assert_eq!(server.task(&id)["state"], "pending");
            stays("no attempt starts", Duration::from_millis(150), || {
                worker.attempts().is_empty()
            });
        }
    }
}

#[test]
fn tasks_wait_for_an_offline_worker_and_run_when_it_comes() {
    let mut worker = EndpointWorker::stopped(|_| Answer::result("{}"));
    let server = Server::with(worker.config("w", "max_attempts = 1"));
    let ids: Vec<String> = (0..3).map(|_| server.submit("w", "p")).collect();
    server.worker_in("w", "offline");
    for id in &ids {
        let task = server.task(id);
        assert_eq!(task["state"], "pending");
        assert_eq!(task["attempts"], 0);
    }
    assert_eq!(server.worker("w")["pending"], 3);
    worker.resume();
    // Workers are asked every 15 s.
    for id in &ids {
        let task = server.task_in(id, "completed");
        assert_eq!(task["attempts"], 1);
    }
    let started: Vec<String> = worker.attempts().into_iter().map(|a| a.id).collect();
    assert_eq!(started, ids);
    // And again: it goes, and what it leaves behind is retried when it is back.
    worker.stop();
    let probes = worker.probes().len();
    let id = server.submit("w", "p");
    server.worker_in("w", "offline");
    worker.resume();
    wait_until("it is asked again", || worker.probes().len() > probes);
    wait_until("the task has ended", || {
        let state = server.task(&id)["state"].clone();
        state == "completed" || state == "failed"
    });
}

#[test]
fn an_idle_server_does_not_spin() {
    let hanging = EndpointWorker::hanging();
    let config = [
        hanging.config("busy", ""),
        offline_worker("offline"),
        crate::harness::command_worker("command", &["sleep", "60"], ""),
    ]
    .concat();
    let server = Server::with(config);
    for name in ["busy", "offline", "command"] {
        server.submit(name, "p");
        server.submit(name, "p");
    }
    hanging.attempts_when(1);
    server.worker_in("command", "busy");
    let switches = || -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
            .flat_map(|status| {
                status
                    .lines()
                    .filter_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                    .filter_map(|count| count.trim().parse::<u64>().ok())
                    .collect::<Vec<_>>()
            })
            .sum()
    };
    // What was begun before the measurement has come to rest.
    stays("it runs", Duration::from_millis(500), || true);
    let before = switches();
    stays("it runs", Duration::from_secs(2), || true);
    let count = switches() - before;
    assert!(count < 100, "{count} wake-ups in two idle seconds");
}

#[test]
fn a_worker_that_says_it_is_busy_is_left_alone_and_the_order_is_kept() {
    let calls = AtomicUsize::new(0);
    let worker = EndpointWorker::start(move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            return Answer::status(429, "{}").header("retry-after", "1");
        }
        Answer::result("{}")
    });
    let server = Server::with(worker.config("w", "concurrency = 1"));
    let first = server.submit("w", "first");
    worker.attempts_when(1);
    let second = server.submit("w", "second");
    server.task_in(&second, "completed");
    let attempts = worker.attempts();
    let order: Vec<&str> = attempts.iter().map(|a| a.prompt.as_str()).collect();
    assert_eq!(order, ["first", "first", "second"]);
    assert!(attempts[1].at - attempts[0].at >= Duration::from_millis(950));
    assert_eq!(server.task(&first)["attempts"], 1);
}

#[test]
fn a_worker_may_be_named_by_its_host_name() {
    let mut worker = EndpointWorker::stopped_on(Ipv4Addr::LOCALHOST, |_| Answer::result("{}"));
    worker.resume();
    let endpoint = worker.endpoint().replace("127.0.0.1", "localhost");
    let server = Server::with(
        [
            endpoint_worker("w", &endpoint, ""),
            endpoint_worker("lost", "http://nowhere.invalid:9000/", ""),
        ]
        .concat(),
    );
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
    let shown = server.worker_in("lost", "offline");
    assert!(shown["last_error"].is_string(), "{shown}");
}
