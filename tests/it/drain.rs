//! Contract section 8: an orderly stop.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{
    Answer, Connection, EndpointWorker, Gate, Request, Server, command_worker, is_running, now,
    offline_worker, server, wait_for, wait_until,
};

#[test]
fn an_idle_server_stops_at_once_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::with(offline_worker("w"));
        server.submit("w", "p");
        let mut idle = server.connect();
        idle.ask(&Request::get("/health")).expect(200);
        let begun = now();
        server.signal(signal);
        let stopped = server.ended();
        assert_eq!(stopped.outcome.code, Some(0), "{:#?}", stopped.outcome);
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        assert!(
            stopped.outcome.stdout.is_empty(),
            "the log goes to standard error"
        );
    }
}

#[test]
fn running_attempts_finish_and_no_new_ones_start() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", "concurrency = 2"));
    let ids: Vec<String> = (0..4).map(|_| server.submit("w", "p")).collect();
    worker.attempts_when(2);
    server.signal(Signal::TERM);
    server.logs("draining");
    gate.open();
    let stopped = server.ended();
    assert_eq!(stopped.outcome.code, Some(0));
    assert_eq!(worker.attempts().len(), 2);
    let server = stopped.start();
    for id in &ids {
        let task = server.task_in(id, "completed");
        assert_eq!(task["attempts"], 1);
    }
}

#[test]
fn attempts_that_do_not_finish_are_put_back() {
    let worker = EndpointWorker::start(|attempt| {
        if attempt.number == 1 {
            return Answer::Hang;
        }
        Answer::result("{}")
    });
    let config = format!(
        "drain = \"300ms\"\n{}",
        worker.config("w", "max_attempts = 1")
    );
    let server = Server::with(config);
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    let begun = now();
    let stopped = server.stop();
    let taken = begun.elapsed();
    assert!(taken >= Duration::from_millis(250), "{taken:?}");
    assert!(taken < Duration::from_secs(10), "{taken:?}");
    wait_until("the attempt was broken off", || worker.broken_off() == 1);
    let server = stopped.start();
    // Broken off is not failed: it uses up none of the attempts.
    let task = server.task_in(&id, "completed");
    assert_eq!(task["attempts"], 2);
}

#[test]
fn commands_that_do_not_finish_are_ended() {
    let script = "trap '' TERM; echo $$ > pid; sleep 30; sleep 30";
    let config = format!(
        "drain = \"200ms\"\n{}",
        command_worker("w", &["sh", "-c", script], "")
    );
    let server = Server::with(config);
    server.submit("w", "p");
    let file = server.home().join("pid");
    let pid: u32 = wait_for("the command runs", || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    });
    let _stopped = server.stop();
    wait_until("the command is ended", || !is_running(pid));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let worker = EndpointWorker::hanging();
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    server.signal(Signal::TERM);
    server.logs("draining");
    let begun = now();
    server.signal(Signal::TERM);
    let stopped = server.ended();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let server = stopped.start();
    worker.attempts_when(2);
    assert_eq!(server.task_in(&id, "dispatched")["attempts"], 2);
}

#[test]
fn what_is_in_is_answered_and_health_is_draining() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", ""));
    let host = server.addr.to_string();
    let running = server.submit("w", "p");
    worker.attempts_when(1);
    // Each of these is in, and not whole yet.
    let half = |request: &Request| {
        let mut connection = server.connect();
        let bytes = request.bytes(&host);
        connection.send(&bytes[..bytes.len() - 1]);
        (connection, [bytes[bytes.len() - 1]])
    };
    let (mut health, rest_of_health) = half(&Request::get("/health"));
    let (mut tasks, rest_of_tasks) = half(&Request::get(&format!("/task/{running}")));
    let (mut submit, rest_of_submit) =
        half(&Request::post("/task").json(&json!({"prompt": "p", "worker": "w"})));
    let mut waiting = server.connect();
    waiting.send(Request::get(&format!("/task/{running}?wait=60s")).bytes(&host));
    assert!(waiting.is_silent_for(Duration::from_millis(100)));
    server.signal(Signal::TERM);
    server.logs("draining");
    health.send(rest_of_health);
    let answer = health.receive().expect(503);
    assert_eq!(answer.json(), json!({"status": "draining"}));
    tasks.send(rest_of_tasks);
    assert_eq!(tasks.receive().expect(200).json()["state"], "dispatched");
    submit.send(rest_of_submit);
    let answer = submit.receive();
    assert!(matches!(answer.status, 202 | 503), "{}", answer.status);
    let accepted = (answer.status == 202).then(|| answer.json());
    let task = waiting.receive().expect(200).json();
    assert_eq!(task["id"], running.as_str());
    wait_until("it listens no more", || {
        Connection::try_open(server.addr).is_err()
    });
    gate.open();
    let stopped = server.ended();
    assert_eq!(stopped.outcome.code, Some(0));
    let server = stopped.start();
    assert_eq!(server.task(&running)["state"], "completed");
    if let Some(task) = accepted {
        server.task_in(task["id"].as_str().unwrap(), "completed");
    }
}

#[test]
fn connections_end_in_order_while_it_drains() {
    let server = server().start();
    let mut idle = server.connect();
    idle.ask(&Request::get("/health")).expect(200);
    server.signal(Signal::TERM);
    assert!(idle.ends(), "no bytes, no reset in the middle");
    assert_eq!(server.ended().outcome.code, Some(0));
}

#[test]
fn a_task_in_backoff_does_not_hold_up_the_stop() {
    let worker = EndpointWorker::start(|_| Answer::status(500, "{}"));
    let server = Server::with(worker.config("w", "backoff = \"1h\""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    server.task_in(&id, "pending");
    let begun = now();
    let server = server.stop().start();
    assert!(begun.elapsed() < Duration::from_secs(8));
    assert_eq!(server.task(&id)["attempts"], 1);
}

#[test]
fn slow_clients_do_not_hold_up_the_stop() {
    let config = format!("drain = \"300ms\"\n{}", offline_worker("w"));
    let server = Server::with(config);
    let id = server.submit("w", "p");
    let host = server.addr.to_string();
    let mut half = server.connect();
    half.send("GET /health HTTP/1.1\r\n");
    let mut body = server.connect();
    body.send(format!(
        "POST /task HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{"
    ));
    let mut waiting = server.connect();
    waiting.send(Request::get(&format!("/task/{id}?wait=60s")).bytes(&host));
    assert!(waiting.is_silent_for(Duration::from_millis(100)));
    let begun = now();
    server.signal(Signal::TERM);
    assert_eq!(waiting.receive().expect(200).json()["state"], "pending");
    assert_eq!(server.ended().outcome.code, Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
}
