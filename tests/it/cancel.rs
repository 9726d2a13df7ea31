//! Contract section 4: `DELETE /task/{id}`.

use std::time::Duration;

use crate::harness::{
    Answer, EndpointWorker, Gate, Server, command_worker, is_running, offline_worker, stays,
    wait_for, wait_until,
};

#[test]
fn a_pending_task_fails_at_once() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    let task = server.delete(&format!("/task/{id}")).expect(200).json();
    assert_eq!(task["id"], id.as_str());
    assert_eq!(task["state"], "failed");
    assert_eq!(task["error"], "cancelled");
    assert_eq!(task["attempts"], 0);
    assert!(task["completed_at"].is_string(), "{task}");
    assert_eq!(server.task(&id), task);
    server
        .delete(&format!("/task/{id}"))
        .expect_error(409, "already_ended");
    assert_eq!(server.worker("w")["pending"], 0);
    let server = server.kill().start();
    assert_eq!(server.task(&id), task, "it survives a crash");
}

#[test]
fn a_running_endpoint_attempt_is_broken_off_and_its_slot_is_free() {
    let worker = EndpointWorker::start(|attempt| {
        if attempt.prompt == "hang" {
            return Answer::Hang;
        }
        Answer::result("{}")
    });
    let server = Server::with(worker.config("w", "concurrency = 1"));
    let id = server.submit("w", "hang");
    let next = server.submit("w", "p");
    worker.attempts_when(1);
    let task = server.delete(&format!("/task/{id}")).expect(200).json();
    assert_eq!(task["state"], "failed");
    assert_eq!(task["error"], "cancelled");
    assert_eq!(task["attempts"], 1);
    wait_until("the connection is closed", || worker.broken_off() == 1);
    server.task_in(&next, "completed");
    assert_eq!(server.task(&id)["error"], "cancelled");
    assert_eq!(worker.attempts().len(), 2);
}

#[test]
fn a_running_command_s_process_group_is_ended() {
    let script = "sleep 60 & echo $! > child; trap '' TERM; echo $$ > parent; wait; sleep 60";
    let server = Server::with(command_worker("w", &["sh", "-c", script], ""));
    let id = server.submit("w", "p");
    let pid = |file: &str| {
        let path = server.home().join(file);
        wait_for(&format!("the command wrote {file}"), || {
            let text = std::fs::read_to_string(&path).ok()?;
            text.strip_suffix('\n')?.parse::<u32>().ok()
        })
    };
    let (parent, child) = (pid("parent"), pid("child"));
    assert!(is_running(parent) && is_running(child));
    let task = server.delete(&format!("/task/{id}")).expect(200).json();
    assert_eq!(task["error"], "cancelled");
    wait_until("the group is gone", || {
        !is_running(parent) && !is_running(child)
    });
    assert_eq!(server.task(&id)["state"], "failed");
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    let task = server.delete(&format!("/task/{id}")).expect(200).json();
    gate.open();
    let next = server.submit("w", "p");
    server.task_in(&next, "completed");
    assert_eq!(server.task(&id), task);
}

#[test]
fn ended_tasks_are_409() {
    let worker = EndpointWorker::start(|attempt| {
        Answer::status(if attempt.prompt == "fail" { 400 } else { 200 }, "{}")
    });
    let server = Server::with(worker.config("w", ""));
    let completed = server.submit("w", "p");
    let failed = server.submit("w", "fail");
    for (id, state) in [(completed, "completed"), (failed, "failed")] {
        let task = server.task_in(&id, state);
        server
            .delete(&format!("/task/{id}"))
            .expect_error(409, "already_ended");
        assert_eq!(server.task(&id), task);
    }
}

#[test]
fn a_task_that_waits_for_its_next_attempt_can_be_cancelled() {
    let worker = EndpointWorker::start(|_| Answer::status(500, "{}"));
    let server = Server::with(worker.config("w", "backoff = \"300ms\""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    server.task_in(&id, "pending");
    let task = server.delete(&format!("/task/{id}")).expect(200).json();
    assert_eq!(task["error"], "cancelled");
    let attempts = worker.attempts().len();
    stays("no attempt follows", Duration::from_millis(900), || {
        worker.attempts().len() == attempts
    });
    assert_eq!(server.task(&id)["state"], "failed");
}

#[test]
fn a_cancelled_task_can_be_retried() {
    let worker = EndpointWorker::start(|attempt| {
        if attempt.number == 1 {
            return Answer::Hang;
        }
        Answer::result("{}")
    });
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    server.delete(&format!("/task/{id}")).expect(200);
    server
        .ask(crate::harness::Request::post(&format!("/task/{id}/retry")))
        .expect(202);
    let task = server.task_in(&id, "completed");
    assert_eq!(task["attempts"], 2);
    assert!(task.get("error").is_none_or(|error| error == "cancelled"));
}

#[test]
fn of_a_cancellation_and_a_completion_one_wins() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", "concurrency = 4"));
    let outcomes: Vec<_> = (0..60)
        .map(|_| {
            let id = server.submit("w", "p");
            let answer = server.delete(&format!("/task/{id}"));
            assert!(matches!(answer.status, 200 | 409), "{}", answer.text());
            (id, answer.status)
        })
        .collect();
    for (id, status) in outcomes {
        let task = server.task(&id);
        if status == 200 {
            assert_eq!(task["error"], "cancelled", "{task}");
            assert!(task.get("result").is_none(), "{task}");
        } else {
            assert_eq!(task["state"], "completed", "{task}");
        }
    }
    let shown = server.worker_in("w", "online");
    assert_eq!(
        (&shown["running"], &shown["pending"]),
        (&0.into(), &0.into())
    );
}
