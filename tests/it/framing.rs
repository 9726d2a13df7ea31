//! Contract section 3 against malformed and contradictory messages: each gets one clear refusal,
//! nothing behind it is taken for another request, and the server goes on.

use serde_json::json;

use crate::harness::{EndpointWorker, Server, server};

/// What a smuggled request would be seen by.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn contradictory_lengths_are_refused() {
    let server = server().start();
    let host = server.addr;
    let body = SMUGGLED;
    let length = body.len();
    for (what, fields) in [
        (
            "length and coding",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        ),
        (
            "coding and length",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n".to_owned(),
        ),
        (
            "two lengths",
            format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        ),
        (
            "two equal lengths",
            format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
        ),
        (
            "a list of lengths",
            format!("Content-Length: {length}, {length}\r\n"),
        ),
        (
            "two codings",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        ),
        (
            "chunked twice",
            "Transfer-Encoding: chunked, chunked\r\n".to_owned(),
        ),
        ("identity", "Transfer-Encoding: identity\r\n".to_owned()),
        ("gzip", "Transfer-Encoding: gzip\r\n".to_owned()),
        (
            "gzip, chunked",
            "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
        ),
        (
            "chunked, gzip",
            "Transfer-Encoding: chunked, gzip\r\n".to_owned(),
        ),
        ("xchunked", "Transfer-Encoding: xchunked\r\n".to_owned()),
        ("an empty coding", "Transfer-Encoding: \r\n".to_owned()),
        (
            "a coding with a vertical tab",
            "Transfer-Encoding: \u{b}chunked\r\n".to_owned(),
        ),
        (
            "a coding with a space in front of the colon",
            "Transfer-Encoding : chunked\r\n".to_owned(),
        ),
        (
            "a folded coding",
            "Transfer-Encoding:\r\n chunked\r\n".to_owned(),
        ),
    ] {
        for (target, method) in [("/task", "POST"), ("/health", "GET")] {
            let bytes = format!(
                "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n0\r\n\r\n{body}"
            );
            server.refuses(what, &bytes, &[400, 501]);
        }
    }
}

#[test]
fn lengths_that_are_no_numbers_are_400() {
    let server = server().start();
    for length in [
        "",
        "+5",
        "-1",
        "0x5",
        "5 5",
        "5,",
        "1e3",
        "five",
        "٥",
        "5;",
        "18446744073709551616",
        "99999999999999999999999999999999",
        "5\u{b}",
        "1_000",
    ] {
        let bytes = format!(
            "POST /task HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}",
            server.addr
        );
        let answers = server.raw(&bytes);
        assert_eq!(answers.len(), 1, "{length}");
        let statuses: &[u16] = if length.len() > 18 {
            &[400, 413]
        } else {
            &[400]
        };
        assert!(
            statuses.contains(&answers[0].status),
            "{length:?}: {}",
            answers[0].status
        );
    }
}

#[test]
fn chunked_in_http_1_0_is_refused() {
    let server = server().start();
    let bytes = format!(
        "POST /task HTTP/1.0\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}",
        server.addr
    );
    server.refuses("HTTP/1.0 chunked", bytes, &[400, 501, 411]);
}

#[test]
fn malformed_chunks_are_400() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let body = json!({"prompt": "p", "worker": "w"}).to_string();
    let size = format!("{:x}", body.len());
    let huge = "0".repeat(64);
    for (what, chunks) in [
        ("no size", format!("\r\n{body}\r\n0\r\n\r\n")),
        (
            "a size with a prefix",
            format!("0x{size}\r\n{body}\r\n0\r\n\r\n"),
        ),
        ("a signed size", format!("+{size}\r\n{body}\r\n0\r\n\r\n")),
        ("a negative size", format!("-1\r\n{body}\r\n0\r\n\r\n")),
        (
            "a space in front of the size",
            format!(" {size}\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a space behind the size",
            format!("{size} \r\n{body}\r\n0\r\n\r\n"),
        ),
        ("no hex", format!("zz\r\n{body}\r\n0\r\n\r\n")),
        (
            "an overflowing size",
            format!("ffffffffffffffff{size}\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "an endless size",
            format!("{huge}{size}\r\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a bare LF behind the size",
            format!("{size}\n{body}\r\n0\r\n\r\n"),
        ),
        (
            "a bare LF behind the data",
            format!("{size}\r\n{body}\n0\r\n\r\n"),
        ),
        (
            "a longer chunk than announced",
            format!("{size}\r\n{body}xx\r\n0\r\n\r\n"),
        ),
        (
            "no line end behind the data",
            format!("{size}\r\n{body}0\r\n\r\n"),
        ),
        (
            "a malformed trailer",
            format!("{size}\r\n{body}\r\n0\r\nnonsense\r\n\r\n"),
        ),
        (
            "a trailer with a bare LF",
            format!("{size}\r\n{body}\r\n0\r\nx: y\n\r\n\r\n"),
        ),
    ] {
        let bytes = format!(
            "POST /task HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{SMUGGLED}",
            server.addr
        );
        // A size beyond all limits may as well be too large.
        let statuses: &[u16] = if what.contains("overflow") || what.contains("endless") {
            &[400, 413]
        } else {
            &[400]
        };
        server.refuses(what, &bytes, statuses);
    }
    assert!(server.ids("/tasks").is_empty());
}

#[test]
fn endless_trailers_are_refused() {
    let server = server().start();
    let trailers = "x-trailer: y\r\n".repeat(20_000);
    let bytes = format!(
        "POST /task HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n{trailers}\r\n",
        server.addr
    );
    server.refuses("trailers", bytes, &[400, 431, 413]);
}

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
fn a_get_with_a_body_does_not_desynchronise_the_connection() {
    let server = server().start();
    let host = server.addr;
    let body = SMUGGLED;
    let answers = server.raw(format!(
        "GET /health HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}\
         GET /nothing HTTP/1.1\r\nHost: {host}\r\n\r\n",
        body.len()
    ));
    for answer in &answers {
        assert!(!answer.text().contains("smuggled"), "{}", answer.text());
    }
    assert!((1..=2).contains(&answers.len()));
}

#[test]
fn a_refused_body_is_not_taken_for_a_request() {
    let server = server().start();
    let host = server.addr;
    for (line, status) in [
        ("POST /nothing", 404),
        ("DELETE /tasks", 405),
        ("POST /task", 400),
    ] {
        let answers = server.raw(format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
            SMUGGLED.len()
        ));
        assert_eq!(answers.len(), 1, "{line}");
        assert_eq!(answers[0].status, status, "{line}");
        assert!(!answers[0].text().contains("smuggled"));
    }
}

#[test]
fn an_empty_line_in_front_of_a_request_does_no_harm() {
    let server = server().start();
    let answers = server.raw(format!(
        "\r\nGET /health HTTP/1.1\r\nHost: {}\r\n\r\n",
        server.addr
    ));
    assert_eq!(answers.len(), 1);
    assert!(matches!(answers[0].status, 200 | 400));
    assert!(server.raw("").is_empty());
    assert!(server.raw("\r\n").len() <= 1);
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
