//! Contract section 8: what a restart and a crash leave behind.

use std::time::Duration;

use crate::harness::{
    Answer, EndpointWorker, Server, command_worker, offline_worker, wait_for, wait_until,
};

#[test]
fn pending_tasks_survive_and_keep_their_order() {
    let mut worker = EndpointWorker::stopped(|_| Answer::result("{}"));
    let mut server = Server::with(worker.config("w", ""));
    let mut ids: Vec<String> = (0..10)
        .map(|n| server.submit("w", &n.to_string()))
        .collect();
    for is_crash in [true, false, true] {
        server = if is_crash {
            server.kill()
        } else {
            server.stop()
        }
        .start();
        ids.push(server.submit("w", "later"));
    }
    assert!(
        ids.is_sorted(),
        "ids sort by creation across restarts: {ids:?}"
    );
    for id in &ids {
        let task = server.task(id);
        assert_eq!(task["state"], "pending");
        assert_eq!(task["attempts"], 0);
    }
    assert_eq!(server.worker("w")["pending"], 13);
    worker.resume();
    let server = server.kill().start();
    for id in &ids {
        server.task_in(id, "completed");
    }
    let started: Vec<String> = worker.attempts().into_iter().map(|a| a.id).collect();
    assert_eq!(started, ids);
}

#[test]
fn ended_tasks_stay_as_they_were() {
    let worker = EndpointWorker::start(|attempt| {
        Answer::status(
            if attempt.prompt == "fail" { 400 } else { 200 },
            "{\"output\":\"ü\"}",
        )
    });
    let workers = [worker.config("w", ""), offline_worker("offline")].concat();
    let server = Server::with(workers);
    let completed = server.submit("w", "p");
    let failed = server.submit("w", "fail");
    let cancelled = server.submit("offline", "p");
    server.delete(&format!("/task/{cancelled}")).expect(200);
    let tasks = [
        server.task_in(&completed, "completed"),
        server.task_in(&failed, "failed"),
        server.task_in(&cancelled, "failed"),
    ];
    let server = server.stop().start();
    for task in &tasks {
        assert_eq!(server.task(task["id"].as_str().unwrap()), *task);
    }
    let server = server.kill().start();
    for task in &tasks {
        assert_eq!(server.task(task["id"].as_str().unwrap()), *task);
    }
    let after = server.submit("w", "p");
    server.task_in(&after, "completed");
    assert_eq!(worker.attempts().len(), 3, "no ended task ran again");
}

#[test]
fn a_dispatched_task_runs_again_with_the_next_attempt() {
    let worker = EndpointWorker::start(|attempt| {
        if attempt.number < 3 {
            return Answer::Hang;
        }
        Answer::result("{}")
    });
    // A crash uses up none of the attempts.
    let mut server = Server::with(worker.config("w", "max_attempts = 1"));
    let id = server.submit("w", "p");
    for attempt in 1..=2 {
        worker.attempts_when(attempt);
        server = server.kill().start();
    }
    let task = server.task_in(&id, "completed");
    assert_eq!(task["id"], id.as_str());
    assert_eq!(task["attempts"], 3);
    let numbers: Vec<u64> = worker.attempts().iter().map(|a| a.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert!(worker.attempts().iter().all(|attempt| attempt.id == id));
}

#[test]
fn a_shown_attempt_number_is_never_used_again() {
    let worker = EndpointWorker::hanging();
    let mut server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    for round in 1..=4 {
        worker.attempts_when(round);
        let shown = server.task_in(&id, "dispatched")["attempts"]
            .as_u64()
            .unwrap();
        server = server.kill().start();
        let next = worker.attempts_when(round + 1)[round].number;
        assert!(next > shown, "{next} after {shown} was shown");
    }
}

#[test]
fn ten_attempts_broken_off_in_a_row_fail_the_task() {
    let worker = EndpointWorker::hanging();
    let mut server = Server::with(worker.config("w", "max_attempts = 2"));
    let id = server.submit("w", "p");
    for attempt in 1..=10 {
        worker.attempts_when(attempt);
        server = server.kill().start();
    }
    let task = server.task_in(&id, "failed");
    assert_eq!(task["attempts"], 10);
    assert!(task["error"].is_string());
    assert_eq!(worker.attempts().len(), 10);
}

#[test]
fn a_crash_between_two_attempts_keeps_count_and_error() {
    let worker = EndpointWorker::start(|attempt| {
        Answer::status(if attempt.number == 1 { 500 } else { 200 }, "{}")
    });
    let server = Server::with(worker.config("w", "backoff = \"1500ms\""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    let before = server.task_in(&id, "pending");
    let server = server.kill().start();
    let after = server.task(&id);
    if after["state"] == "pending" {
        assert_eq!(after, before);
    }
    let task = server.task_in(&id, "completed");
    assert_eq!(task["attempts"], 2);
    let attempts = worker.attempts();
    let pause = attempts[1].at - attempts[0].at;
    assert!(pause >= Duration::from_millis(700), "{pause:?} of 1.5 s");
}

#[test]
fn attempts_used_up_before_a_crash_stay_used_up() {
    let worker = EndpointWorker::start(|_| Answer::status(500, "{}"));
    let server = Server::with(worker.config("w", "max_attempts = 3\nbackoff = \"600ms\""));
    let id = server.submit("w", "p");
    worker.attempts_when(2);
    wait_until("the second attempt has failed", || {
        let task = server.task(&id);
        task["state"] == "pending" && task["attempts"] == 2
    });
    let server = server.kill().start();
    let task = server.task_in(&id, "failed");
    assert_eq!(task["attempts"], 3);
    assert_eq!(worker.attempts().len(), 3);
}

#[test]
fn a_command_that_was_running_at_a_crash_runs_again() {
    let script = "echo $MECHA_ATTEMPT >> attempts; test $MECHA_ATTEMPT = 1 && sleep 20; echo '{}'";
    let server = Server::with(command_worker("w", &["sh", "-c", script], ""));
    let id = server.submit("w", "p");
    let attempts = server.home().join("attempts");
    wait_for("it runs", || std::fs::read_to_string(&attempts).ok());
    let server = server.kill().start();
    assert_eq!(server.task_in(&id, "completed")["attempts"], 2);
}

#[test]
fn a_worker_that_is_gone_from_the_file_keeps_its_tasks() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    let server = server.stop().config(offline_worker("other")).start();
    assert_eq!(server.task(&id)["state"], "pending");
    assert_eq!(server.ids("/tasks?state=pending"), [id.as_str()]);
    let worker = EndpointWorker::obliging();
    let server = server.stop().config(worker.config("w", "")).start();
    server.task_in(&id, "completed");
}
