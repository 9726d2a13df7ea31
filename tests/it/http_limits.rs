//! Contract section 3: how large a request may be, and how a larger one is refused.

use serde_json::json;

use crate::harness::{EndpointWorker, Request, Server, server};

#[test]
fn the_promised_sizes_of_a_head_are_taken() {
    let server = server().start();
    let mut many = Request::get("/tasks");
    for number in 0..58 {
        many = many.header(&format!("x-field-{number}"), "value");
    }
    server.ask(many).expect(200);
    let host = server.addr.to_string();
    let bare = Request::get("/tasks").header("x-filler", "").bytes(&host);
    let filler = "a".repeat(6 * 1024 - bare.len());
    server
        .ask(Request::get("/tasks").header("x-filler", &filler))
        .expect(200);
    // A target of 3,000 bytes reaches the routes.
    let target = format!("/{}", "a".repeat(2_999));
    server.get(&target).expect(404);
}

#[test]
fn larger_heads_are_refused_and_the_server_goes_on() {
    let server = server().start();
    let host = server.addr;
    let fields = "x-field: y\r\n".repeat(2_000);
    for (what, bytes, statuses) in [
        (
            "2,000 fields",
            format!("GET /tasks HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"),
            vec![431],
        ),
        (
            "an endless field",
            format!(
                "GET /tasks HTTP/1.1\r\nHost: {host}\r\nx: {}",
                "a".repeat(200_000)
            ),
            vec![431],
        ),
        (
            "a target of 5,000 bytes",
            format!(
                "GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n",
                "a".repeat(5_000)
            ),
            vec![414],
        ),
        (
            "an endless target",
            format!("GET /{}", "a".repeat(200_000)),
            vec![414, 431],
        ),
        (
            "an endless method",
            "A".repeat(200_000),
            vec![400, 414, 431, 501],
        ),
    ] {
        let answers = server.raw(bytes);
        assert_eq!(answers.len(), 1, "{what}");
        let status = answers[0].status;
        assert!(statuses.contains(&status), "{what}: {status}");
        assert!(answers[0].closes(), "{what}");
    }
    server.get("/health").expect(200);
}

#[test]
fn a_body_over_the_limit_is_413_and_one_of_the_limit_is_taken() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(format!(
        "[limits]\ntask_body = \"2KiB\"\n{}",
        worker.config("w", "")
    ));
    let bare = json!({"worker": "w", "prompt": ""}).to_string().len();
    let prompt = "x".repeat(2_048 - bare);
    server.submit("w", &prompt);
    let body = json!({"worker": "w", "prompt": prompt + "x"}).to_string();
    let text = server
        .ask(Request::post("/task").body(body.clone()))
        .expect(413)
        .json()["error"]
        .to_string();
    assert!(text.contains('2'), "the limit is named: {text}");
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let chunked = Request::post("/task")
        .header("transfer-encoding", "chunked")
        .body(chunked);
    server.ask(chunked).expect(413);
    assert_eq!(server.ids("/tasks").len(), 1);
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_before_it_is_sent() {
    let server = server().start();
    for length in ["8388609", "99999999999", "9223372036854775807"] {
        let mut connection = server.connect();
        connection.send(format!(
            "POST /task HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n",
            server.addr
        ));
        connection.receive().expect(413);
        assert!(connection.ends());
    }
}

#[test]
fn the_refusal_of_a_large_body_reaches_a_client_that_is_sending() {
    let server = server().start();
    let body = vec![b'x'; 9 * 1024 * 1024];
    let bytes = Request::post("/task")
        .body(body)
        .bytes(&server.addr.to_string());
    let mut connection = server.connect();
    // The server may close while this is under way; its answer has to be readable all the same.
    connection.try_send(&bytes[..256 * 1024]);
    connection.receive().expect(413);
}

#[test]
fn a_body_larger_than_the_memory_for_all_is_413() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(format!(
        "[limits]\nmemory = \"1MiB\"\ntask_body = \"1MiB\"\n{}",
        worker.config("w", "")
    ));
    let mut connection = server.connect();
    connection.send(format!(
        "POST /task HTTP/1.1\r\nHost: {}\r\nContent-Length: 1048577\r\n\r\n",
        server.addr
    ));
    connection.receive().expect(413);
    server.submit("w", "p");
}

#[test]
fn expectations_are_met_or_refused() {
    let server = server().start();
    let head = |length: &str, expect: &str| {
        format!(
            "POST /task HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\nExpect: {expect}\r\n\r\n",
            server.addr
        )
    };
    for expect in ["100-continue", "100-Continue"] {
        let mut connection = server.connect();
        connection.send(head("2", expect));
        connection.receive().expect(100);
        connection.send("{}");
        connection.receive().expect(400);
        connection.ask(&Request::get("/health")).expect(200);
    }
    let mut connection = server.connect();
    connection.send(head("2", "pancakes"));
    connection.receive().expect(417);
    let mut connection = server.connect();
    connection.send(head("99999999", "100-continue"));
    connection.receive().expect(413);
}
