//! The harness itself: its client against its worker, and the worker against raw bytes.

use serde_json::json;

use crate::harness::{
    Answer, Api, Connection, EndpointWorker, Gate, Request, unused_address, wait_until,
};

fn address(worker: &EndpointWorker) -> std::net::SocketAddr {
    worker.endpoint()["http://".len()..].parse().unwrap()
}

fn attempt(id: &str, number: u64) -> Request {
    Request::post("/task").json(&json!({"id": id, "prompt": "p", "attempt": number}))
}

#[test]
fn a_worker_answers_and_remembers() {
    let worker = EndpointWorker::start(|attempt| {
        match attempt.number {
        1 => Answer::Raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\ndate: Tue, 24 Nov 2026 06:44:00 GMT\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec()),
        _ => Answer::Close,
    }
    });
    let api = Api {
        addr: address(&worker),
        key: None,
    };
    let response = api.ask(attempt("a", 1)).expect(200);
    assert_eq!(response.json(), json!({}));
    let mut connection = Connection::open(address(&worker));
    connection.send(attempt("b", 2).bytes("worker"));
    assert!(connection.next(false).is_none());
    let seen: Vec<_> = worker
        .attempts()
        .into_iter()
        .map(|attempt| (attempt.id, attempt.number))
        .collect();
    assert_eq!(seen, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

#[test]
fn a_worker_counts_what_runs_and_what_is_broken_off() {
    let gate = Gate::closed();
    let held = gate.clone();
    let worker = EndpointWorker::start(move |attempt| {
        if attempt.id == "hang" {
            return Answer::Hang;
        }
        held.pass();
        Answer::result("{}")
    });
    let mut hanging = Connection::open(address(&worker));
    hanging.send(attempt("hang", 1).bytes("worker"));
    worker.attempts_when(1);
    drop(hanging);
    wait_until("the break is noticed", || worker.broken_off() == 1);
    let mut first = Connection::open(address(&worker));
    let mut second = Connection::open(address(&worker));
    first.send(attempt("a", 1).bytes("worker"));
    second.send(attempt("b", 1).bytes("worker"));
    worker.attempts_when(3);
    gate.open();
    assert_eq!(worker.running_max(), 2);
}

#[test]
fn a_stopped_worker_refuses_until_it_resumes() {
    let mut worker = EndpointWorker::obliging();
    worker.stop();
    assert!(Connection::try_open(address(&worker)).is_err());
    worker.resume();
    assert!(Connection::try_open(address(&worker)).is_ok());
    assert!(Connection::try_open(unused_address()).is_err());
}

#[test]
#[should_panic(expected = "content-type")]
fn an_answer_that_is_not_json_fails_the_test() {
    let worker = EndpointWorker::start(|_| {
        Answer::Raw(b"HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 06:44:00 GMT\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\n{}".to_vec())
    });
    Connection::open(address(&worker)).ask(&attempt("a", 1));
}
