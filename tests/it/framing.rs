//! Messages that end early, and bodies behind a request that is refused on its head alone: nothing
//! of them is taken for whole, or for a request. What else a stream may hold is in `strictness`.

use serde_json::json;

use crate::harness::{EndpointWorker, Server, server};
use crate::traffic::SMUGGLED;

#[test]
fn a_body_that_ends_early_stores_nothing() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let body = json!({"prompt": "p", "worker": "w"}).to_string();
    for (what, framing, sent) in [
        (
            "length",
            format!("Content-Length: {}", body.len() + 1),
            body.clone(),
        ),
        (
            "chunk",
            "Transfer-Encoding: chunked".to_owned(),
            format!("{:x}\r\n{body}\r\n", body.len()),
        ),
        (
            "last line",
            "Transfer-Encoding: chunked".to_owned(),
            format!("{:x}\r\n{body}\r\n0\r\n", body.len()),
        ),
    ] {
        let answers = server.raw(format!(
            "POST /task HTTP/1.1\r\nHost: {}\r\n{framing}\r\n\r\n{sent}",
            server.addr
        ));
        assert!(answers.len() <= 1, "{what}");
        assert!(
            answers
                .iter()
                .all(|answer| answer.status == 400 || answer.status == 408),
            "{what}"
        );
    }
    assert!(server.ids("/tasks").is_empty());
}

#[test]
fn a_head_that_ends_early_gets_at_most_one_answer() {
    let server = server().start();
    let whole = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr);
    for length in 1..whole.len() {
        let answers = server.raw(&whole[..length]);
        assert!(answers.len() <= 1);
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer.status, 400 | 408)),
            "{length}"
        );
    }
}

#[test]
fn a_stream_without_a_request_gets_no_answer() {
    let server = server().start();
    assert!(server.raw("").is_empty());
    assert!(server.raw("\r\n").is_empty());
}

#[test]
fn a_chunked_body_that_nobody_wants_ends_the_connection() {
    let server = server().start();
    for (line, status) in [("POST /nothing", 404), ("DELETE /tasks", 405)] {
        let answers = server.raw(format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\n{SMUGGLED}"
        ));
        assert_eq!(answers.len(), 1, "{line}");
        assert_eq!(answers[0].status, status, "{line}");
        assert!(answers[0].closes(), "{line}");
    }
}
