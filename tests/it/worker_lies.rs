//! Contract section 5: a worker that lies costs its own attempt and nothing else.

use crate::harness::{Answer, EndpointWorker, Server};

/// An answer with the status 200, whose body ends with the connection.
fn ok_to_end(body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), body].concat()
}

/// An answer with the status 200 and a length.
fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Gives each of `answers` to one task and checks the attempts each was worth.
#[track_caller]
fn each(answers: &[(&str, Vec<u8>)], state: &str, attempts: u64) {
    let by_prompt: std::collections::HashMap<String, Vec<u8>> = answers
        .iter()
        .map(|(what, bytes)| ((*what).to_owned(), bytes.clone()))
        .collect();
    let worker =
        EndpointWorker::start(move |attempt| Answer::Raw(by_prompt[&attempt.prompt].clone()));
    let settings = "concurrency = 4\nmax_attempts = 2\nbackoff = \"10ms\"\ntimeout = \"20s\"";
    let server = Server::with(worker.config("w", settings));
    let tasks: Vec<_> = answers
        .iter()
        .map(|(what, _)| (server.submit("w", what), *what))
        .collect();
    for (id, what) in tasks {
        let task = crate::harness::wait_for(&format!("{what} has ended"), || {
            let task = server.task(&id);
            let has_ended = task["state"] == "completed" || task["state"] == "failed";
            has_ended.then_some(task)
        });
        assert_eq!(task["state"], state, "{what}: {task}");
        assert_eq!(task["attempts"], attempts, "{what}: {task}");
        assert_eq!(
            task.get("error").is_some(),
            state == "failed",
            "{what}: {task}"
        );
    }
    server.get("/health").expect(200);
}

#[test]
fn answers_that_are_no_json_object_fail_the_task_at_once() {
    each(
        &[
            ("nothing", ok(b"")),
            ("white space", ok(b"  \n")),
            ("text", ok(b"hello")),
            ("an array", ok(b"[{}]")),
            ("a string", ok(b"\"x\"")),
            ("a number", ok(b"1")),
            ("null", ok(b"null")),
            ("half an object", ok(b"{\"output\": ")),
            ("two objects", ok(b"{}{}")),
            ("text behind an object", ok(b"{} x")),
            ("single quotes", ok(b"{'output': 1}")),
            ("invalid text", ok(b"{\"output\": \"\xff\xfe\"}")),
            ("a deep nest", ok("{\"a\":".repeat(100_000).as_bytes())),
            ("HTML", ok(b"<html></html>")),
            ("204", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
            (
                "a redirect",
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            ),
        ],
        "failed",
        1,
    );
}

#[test]
fn what_is_no_http_fails_the_task_at_once() {
    each(
        &[
            ("text", b"hello\r\n\r\n".to_vec()),
            ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
            ("bytes", vec![0xff; 1_000]),
            ("TLS", b"\x15\x03\x01\x00\x02\x02\x28".to_vec()),
            (
                "no status",
                b"HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            ),
            (
                "a huge status",
                b"HTTP/1.1 20000 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            ),
            (
                "a length that is no number",
                b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}".to_vec(),
            ),
            (
                "a broken chunk",
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"
                    .to_vec(),
            ),
            ("an endless line", vec![b'H'; 1_000_000]),
            (
                "a large head",
                [
                    b"HTTP/1.1 200 OK\r\n".to_vec(),
                    b"x: y\r\n".repeat(200_000),
                    b"\r\n{}".to_vec(),
                ]
                .concat(),
            ),
        ],
        "failed",
        1,
    );
}

#[test]
fn answers_that_break_off_are_retried() {
    each(
        &[
            ("nothing", Vec::new()),
            ("half a status line", b"HTTP/1.".to_vec()),
            ("half a head", b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
            (
                "no body",
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n".to_vec(),
            ),
            (
                "a wrong length",
                b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}".to_vec(),
            ),
            (
                "a chunk that ends early",
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}".to_vec(),
            ),
            (
                "no last chunk",
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n".to_vec(),
            ),
        ],
        "failed",
        2,
    );
}

#[test]
fn unusual_answers_that_are_right_complete_the_task() {
    each(
        &[
            ("a body to the end", ok_to_end(b"{\"output\": 1}")),
            ("HTTP/1.0", b"HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6 Python/3.11\r\nContent-Type: application/json\r\n\r\n{}".to_vec()),
            ("HTTP/1.0 with a length", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
            ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\nx: y\r\n\r\n".to_vec()),
            ("no reason", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\n{}".to_vec()),
            ("not even a space", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
            ("interim answers", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
            ("no content type", ok(b"{}")),
            ("another content type", b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
            ("white space around", ok(b" \r\n {} \n")),
            ("more behind the length", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 500 no\r\n\r\n".to_vec()),
        ],
        "completed",
        1,
    );
}

#[test]
fn a_field_that_is_not_ascii_does_no_harm() {
    let worker = EndpointWorker::start(|_| {
        Answer::Raw("HTTP/1.1 200 OK\r\nx-author: Jürgen\r\ncontent-length: 2\r\n\r\n{}".into())
    });
    let server = Server::with(worker.config("w", "max_attempts = 1"));
    let id = server.submit("w", "p");
    crate::harness::wait_until("the task has ended", || {
        let state = server.task(&id)["state"].clone();
        state == "completed" || state == "failed"
    });
    server.get("/health").expect(200);
}

#[test]
fn at_most_10_mib_of_an_answer_are_read() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n{\"output\": \"".to_vec();
    let worker = EndpointWorker::start(move |_| Answer::Endless(head.clone(), vec![b'x'; 65_536]));
    let server = Server::with(worker.config("w", "max_attempts = 1"));
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "failed");
    assert_eq!(task["attempts"], 1);
    assert!(task["error"].is_string());
    // Socket buffers on both sides take some megabytes beyond the 10 that were read.
    assert!(
        worker.bytes_sent() < 24 * 1024 * 1024,
        "{}",
        worker.bytes_sent()
    );
}

#[test]
fn an_announced_answer_over_10_mib_is_not_believed() {
    let worker = EndpointWorker::start(|_| {
        Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n{}".to_vec())
    });
    let server = Server::with(worker.config("w", "max_attempts = 1"));
    let id = server.submit("w", "p");
    server.task_in(&id, "failed");
}

#[test]
fn a_large_result_is_kept_whole() {
    let output = "r".repeat(9 * 1024 * 1024);
    let result = format!("{{\"output\": \"{output}\"}}");
    let answer = result.clone();
    let worker = EndpointWorker::start(move |_| Answer::result(&answer));
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "completed");
    assert!(task["result"] == result, "the result differs");
}

#[test]
fn error_texts_of_workers_are_cut() {
    let worker = EndpointWorker::start(|_| Answer::status(400, &"e".repeat(1_000_000)));
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "failed");
    assert!(task["error"].as_str().unwrap().len() < 20_000);
}

#[test]
fn a_worker_that_hangs_does_not_hold_up_another() {
    let hanging = EndpointWorker::hanging();
    let obliging = EndpointWorker::obliging();
    let server = Server::with(
        [
            hanging.config("hanging", "concurrency = 100"),
            obliging.config("obliging", ""),
        ]
        .concat(),
    );
    for _ in 0..100 {
        server.submit("hanging", "p");
    }
    hanging.attempts_when(100);
    let id = server.submit("obliging", "p");
    server.task_in(&id, "completed");
}
