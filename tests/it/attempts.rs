//! `GET /task/{id}/attempts`: what became of a task's attempts.

use std::path::Path;

use serde_json::{Value, json};

use crate::backup::back_up;
use crate::harness::{
    Answer, Api, EndpointWorker, Program, Request, Server, command_worker, offline_worker, server,
    wait_for, wait_until,
};

/// The attempts of a task, which are shown in the order in which they began.
#[track_caller]
fn attempts(api: &Api, id: &str) -> Vec<Value> {
    let shown = api.get(&format!("/task/{id}/attempts")).expect(200).json();
    let attempts = shown.as_array().unwrap().clone();
    let started: Vec<&str> = attempts
        .iter()
        .map(|attempt| attempt["started_at"].as_str().unwrap())
        .collect();
    assert!(started.is_sorted(), "{attempts:?}");
    attempts
}

/// Number and outcome of each.
#[track_caller]
fn outcomes(api: &Api, id: &str) -> Vec<(u64, String)> {
    let shown = attempts(api, id);
    let outcome = |attempt: &Value| {
        let outcome = attempt["outcome"].as_str().unwrap_or("running").to_owned();
        (attempt["attempt"].as_u64().unwrap(), outcome)
    };
    shown.iter().map(outcome).collect()
}

fn pairs(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    let owned = |(number, outcome): &(u64, &str)| (*number, (*outcome).to_owned());
    expected.iter().map(owned).collect()
}

/// Reads every row of a directory that nobody has open.
#[track_caller]
fn is_sound(data: &Path) {
    let home = tempfile::tempdir().unwrap();
    let data = data.display().to_string();
    Program::run(home.path(), &["check", "--data", &data]).expect(0);
}

#[test]
fn a_task_that_fails_twice_and_completes_shows_all_three() {
    let worker = EndpointWorker::start(|attempt| match attempt.number {
        1 | 2 => Answer::status(500, "{\"why\": \"broken\"}"),
        _ => Answer::result("{}"),
    });
    let server = Server::with(worker.config("w", "backoff = \"10ms\""));
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "completed");
    let shown = attempts(&server, &id);
    assert_eq!(
        outcomes(&server, &id),
        pairs(&[(1, "failed"), (2, "failed"), (3, "completed")])
    );
    for attempt in &shown[..2] {
        let error = attempt["error"].as_str().unwrap();
        assert!(error.contains("answered 500"), "{error}");
        assert!(attempt["ended_at"].as_str() >= attempt["started_at"].as_str());
    }
    assert_eq!(
        shown[2],
        json!({"attempt": 3, "started_at": task["dispatched_at"], "ended_at": task["completed_at"],
               "outcome": "completed"})
    );
    // They are on disk.
    let stopped = server.kill();
    is_sound(&stopped.data());
    assert_eq!(attempts(&stopped.start(), &id), shown);
}

#[test]
fn one_that_completes_at_once_and_one_that_runs_are_shown() {
    let worker = EndpointWorker::start(|attempt| match attempt.prompt.as_str() {
        "hang" => Answer::Hang,
        _ => Answer::result("{}"),
    });
    let server = Server::with(worker.config("w", "") + &offline_worker("off"));
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "completed");
    assert_eq!(
        attempts(&server, &id),
        [
            json!({"attempt": 1, "started_at": task["dispatched_at"], "ended_at": task["completed_at"],
                   "outcome": "completed"})
        ]
    );
    let id = server.submit("w", "hang");
    let task = server.task_in(&id, "dispatched");
    assert_eq!(
        attempts(&server, &id),
        [json!({"attempt": 1, "started_at": task["dispatched_at"]})]
    );
    let id = server.submit("off", "p");
    assert!(attempts(&server, &id).is_empty());
}

#[test]
fn a_refused_attempt_shares_its_number() {
    let worker = EndpointWorker::start(|attempt| match attempt.prompt.as_str() {
        "refuse" => Answer::status(429, "{}").header("retry-after", "1"),
        _ => Answer::result("{}"),
    });
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "refuse");
    worker.attempts_when(2);
    let is_refused = |attempt: &Value| attempt["outcome"] == "refused";
    let first = wait_for("it is refused", || {
        attempts(&server, &id).into_iter().find(is_refused)
    });
    assert_eq!(first["attempt"], 1);
    let error = first["error"].as_str().unwrap();
    assert!(error.contains("429"), "{error}");
    // However often it is refused, that is one.
    worker.attempts_when(3);
    let shown = attempts(&server, &id);
    assert_eq!(
        shown.iter().filter(|a| is_refused(a)).count(),
        1,
        "{shown:?}"
    );
    server.delete(&format!("/task/{id}")).expect(200);
    let last = attempts(&server, &id).pop().unwrap();
    assert!(["refused", "cancelled"].contains(&last["outcome"].as_str().unwrap()));
}

#[test]
fn an_attempt_that_a_crash_broke_off_is_told_apart() {
    let mut worker = EndpointWorker::start(|attempt| match attempt.number {
        1 => Answer::Hang,
        _ => Answer::result("{}"),
    });
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    let waiting = server.submit("w", "p");
    let task = server.task_in(&id, "dispatched");
    let stopped = server.kill();
    worker.stop();
    let server = stopped.start();
    // Nothing has been written about it yet, and when it was is not known.
    let broken_off = json!({"attempt": 1, "started_at": task["dispatched_at"],
                            "outcome": "broken_off"});
    assert_eq!(attempts(&server, &id), std::slice::from_ref(&broken_off));
    let shown = attempts(&server, &waiting);
    assert!(shown.is_empty(), "{shown:?}");
    let stopped = server.kill();
    is_sound(&stopped.data());
    worker.resume();
    let server = stopped.start();
    server.task_in(&id, "completed");
    let shown = attempts(&server, &id);
    assert_eq!(shown[0], broken_off);
    assert_eq!(
        outcomes(&server, &id),
        pairs(&[(1, "broken_off"), (2, "completed")])
    );
}

#[test]
fn a_task_that_is_cancelled_after_a_crash_keeps_what_was_broken_off() {
    let mut worker = EndpointWorker::hanging();
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    server.task_in(&id, "dispatched");
    let stopped = server.kill();
    worker.stop();
    let server = stopped.start();
    server.delete(&format!("/task/{id}")).expect(200);
    assert_eq!(outcomes(&server, &id), pairs(&[(1, "broken_off")]));
    is_sound(&server.kill().data());
}

#[test]
fn a_drain_and_a_cancellation_are_told_apart() {
    let worker = EndpointWorker::hanging();
    let drain = "drain = \"200ms\"\n".to_owned();
    let config = drain + &worker.config("w", "") + &offline_worker("off");
    let server = Server::with(config);
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    let server = server.stop().start();
    worker.attempts_when(2);
    server.task_in(&id, "dispatched");
    server.delete(&format!("/task/{id}")).expect(200);
    assert_eq!(
        outcomes(&server, &id),
        pairs(&[(1, "broken_off"), (2, "cancelled")])
    );
    let shown = attempts(&server, &id);
    assert_eq!(shown[0]["error"], "the server stopped");
    for attempt in &shown {
        assert!(attempt["ended_at"].as_str() >= attempt["started_at"].as_str());
    }
    assert!(shown[1].get("error").is_none(), "{shown:?}");
    // A task that was cancelled before its first attempt has none.
    let id = server.submit("off", "p");
    server.delete(&format!("/task/{id}")).expect(200);
    assert!(attempts(&server, &id).is_empty());
    is_sound(&server.stop().data());
}

#[test]
fn a_retry_goes_on_with_the_same_list() {
    let worker = EndpointWorker::start(|attempt| match attempt.number {
        1 => Answer::status(400, "{}"),
        2 => Answer::status(500, "{}"),
        _ => Answer::result("{}"),
    });
    let server = Server::with(worker.config("w", "max_attempts = 2\nbackoff = \"10ms\""));
    let id = server.submit("w", "p");
    server.task_in(&id, "failed");
    assert_eq!(outcomes(&server, &id), pairs(&[(1, "failed")]));
    server
        .ask(Request::post(&format!("/task/{id}/retry")))
        .expect(202);
    server.task_in(&id, "completed");
    assert_eq!(
        outcomes(&server, &id),
        pairs(&[(1, "failed"), (2, "failed"), (3, "completed")])
    );
}

#[test]
fn the_last_20_are_kept_each_with_a_short_error() {
    let script = "head -c 3000 /dev/zero | tr '\\0' x >&2; exit 1";
    let settings = "max_attempts = 25\nbackoff = \"1ms\"";
    let config = command_worker("w", &["sh", "-c", script], settings);
    let server = Server::with(config);
    let id = server.submit("w", "p");
    // The pause doubles: from the tenth attempt on it is seconds.
    for _ in 0..3 {
        wait_until("some attempts have failed", || {
            server.task(&id)["attempts"].as_u64() >= Some(8)
        });
        server.delete(&format!("/task/{id}"));
        server
            .ask(Request::post(&format!("/task/{id}/retry")))
            .expect(202);
        let before = server.task(&id)["attempts"].as_u64().unwrap();
        wait_until("some more have failed", || {
            server.task(&id)["attempts"].as_u64() >= Some(before + 8)
        });
    }
    server.delete(&format!("/task/{id}"));
    let last = server.task(&id)["attempts"].as_u64().unwrap();
    let shown = attempts(&server, &id);
    assert_eq!(shown.len(), 20);
    assert_eq!(shown[19]["attempt"], last);
    assert_eq!(shown[0]["attempt"], last - 19);
    for attempt in shown
        .iter()
        .filter(|attempt| attempt["outcome"] == "failed")
    {
        assert_eq!(attempt["error"].as_str().unwrap().len(), 1_024);
    }
    is_sound(&server.kill().data());
}

#[test]
fn retention_deletes_them_with_their_task() {
    let worker = EndpointWorker::start(|_| Answer::status(400, "{}"));
    let config = "[limits]\nretention = \"1s\"\n".to_owned() + &worker.config("w", "");
    let server = Server::with(config);
    let id = server.submit("w", "p");
    let path = format!("/task/{id}/attempts");
    wait_until("the task is deleted", || server.get(&path).status == 404);
    server.get(&path).expect_error(404, "unknown_task");
    // A row without its task would be found here.
    is_sound(&server.kill().data());
}

#[test]
fn a_backup_has_them() {
    let worker = EndpointWorker::start(|attempt| match attempt.number {
        1 => Answer::status(500, "{}"),
        _ => Answer::result("{}"),
    });
    let config = worker.config("w", "backoff = \"10ms\"");
    let server = Server::with(&config);
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
    let shown = attempts(&server, &id);
    let copy = server.home().join("copy");
    back_up(server.home(), &server, &copy).expect(0);
    is_sound(&copy);
    let launch = crate::harness::server().config(&config);
    std::fs::rename(&copy, launch.data()).unwrap();
    assert_eq!(attempts(&launch.start(), &id), shown);
}

#[test]
fn what_names_no_task_is_not_found() {
    let config = format!("api_key = \"k\"\n{}", offline_worker("w"));
    let server = server().config(config).key("k").start();
    for id in ["0k3v9z2c8m1d0qxa", "nonsense"] {
        let target = format!("/task/{id}/attempts");
        server.get(&target).expect_error(404, "unknown_task");
    }
    let id = server.submit("w", "p");
    let target = format!("/task/{id}/attempts");
    let keyless = Api {
        key: None,
        ..server.api()
    };
    keyless.get(&target).expect_error(401, "unauthorized");
    server.ask(Request::new("HEAD", &target)).expect(200);
    server
        .ask(Request::new("PUT", &target).body("{}"))
        .expect_error(405, "method_not_allowed");
}
