//! Contract section 4: `GET /task/{id}?wait=`.

use std::thread;
use std::time::Duration;

use crate::harness::{Answer, EndpointWorker, Gate, Request, Server, now, offline_worker};

#[test]
fn a_wait_is_answered_as_soon_as_the_task_has_ended() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    let waiters: Vec<_> = (0..20)
        .map(|_| {
            let mut connection = server.connect();
            let target = format!("/task/{id}?wait=30s");
            thread::spawn(move || connection.ask(&Request::get(&target)))
        })
        .collect();
    let mut watched = server.connect();
    watched.send(Request::get(&format!("/task/{id}?wait=30s")).bytes(&server.addr.to_string()));
    worker.attempts_when(1);
    assert!(watched.is_silent_for(Duration::from_millis(100)));
    let opened = now();
    gate.open();
    let task = watched.receive().expect(200).json();
    assert_eq!(task["state"], "completed");
    for waiter in waiters {
        let task = waiter.join().unwrap().expect(200).json();
        assert_eq!(task["state"], "completed");
    }
    assert!(opened.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_wait_that_is_over_shows_the_task_as_it_is() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    for (wait, least) in [("300ms", 250), ("1s", 950), ("0s", 0)] {
        let begun = now();
        let task = server.get(&format!("/task/{id}?wait={wait}")).expect(200);
        assert_eq!(task.json()["state"], "pending");
        let taken = begun.elapsed();
        assert!(taken >= Duration::from_millis(least), "{wait}: {taken:?}");
        assert!(taken < Duration::from_secs(10), "{wait}: {taken:?}");
    }
}

#[test]
fn a_wait_for_an_ended_or_unknown_task_is_answered_at_once() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
    let begun = now();
    // A longer wait is cut, not refused.
    for wait in ["60s", "61s", "10m", "24h"] {
        let task = server.get(&format!("/task/{id}?wait={wait}")).expect(200);
        assert_eq!(task.json()["state"], "completed");
    }
    server.get("/task/0000000000000000?wait=30s").expect(404);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn bad_waits_are_400() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    for wait in ["", "30", "soon", "-1s", "1.5s", "s", "30x"] {
        let answer = server.get(&format!("/task/{id}?wait={wait}"));
        assert_eq!(answer.status, 400, "{wait}: {}", answer.text());
        assert!(answer.text().contains("wait"), "{}", answer.text());
    }
}

#[test]
fn a_wait_ends_with_a_cancellation() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    let mut connection = server.connect();
    connection.send(Request::get(&format!("/task/{id}?wait=30s")).bytes(&server.addr.to_string()));
    assert!(connection.is_silent_for(Duration::from_millis(50)));
    server.delete(&format!("/task/{id}")).expect(200);
    let task = connection.receive().expect(200).json();
    assert_eq!(task["state"], "failed");
}

#[test]
fn a_wait_holds_through_failed_attempts() {
    let worker = EndpointWorker::start(|attempt| {
        Answer::status(if attempt.number < 3 { 500 } else { 200 }, "{}")
    });
    let server = Server::with(worker.config("w", "backoff = \"20ms\""));
    let id = server.submit("w", "p");
    let task = server
        .get(&format!("/task/{id}?wait=30s"))
        .expect(200)
        .json();
    assert_eq!(task["state"], "completed");
    assert_eq!(task["attempts"], 3);
}

#[test]
fn waiters_that_go_away_leave_the_server_as_it_was() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(format!(
        "[limits]\nconnections = 8\n{}",
        worker.config("w", "")
    ));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    // More than there may be at once: those that have gone must not count.
    for _ in 0..24 {
        let mut connection = server.connect();
        connection
            .send(Request::get(&format!("/task/{id}?wait=60s")).bytes(&server.addr.to_string()));
    }
    let begun = now();
    server.get("/health").expect(200);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    gate.open();
    server.task_in(&id, "completed");
}

#[test]
fn what_is_pipelined_behind_a_wait_is_answered_behind_it() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    let host = server.addr.to_string();
    let mut connection = server.connect();
    let mut bytes = Request::get(&format!("/task/{id}?wait=300ms")).bytes(&host);
    bytes.extend(Request::get("/nothing").bytes(&host));
    connection.send(bytes);
    let task = connection.receive().expect(200).json();
    assert_eq!(task["id"], id.as_str());
    connection.receive().expect(404);
}
