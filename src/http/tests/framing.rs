//! What the answers to a request say of the connection, and sizes of heads; where messages begin and
//! end is in `cuts`.

use super::*;

#[test]
fn refusals_say_why_and_are_counted() {
    let server = Running::start();
    for (text, status, code) in [
        ("hello\r\n\r\n", 400, "bad_request"),
        (
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            505,
            "version_not_supported",
        ),
        ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "not_implemented"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
            417,
            "expectation_failed",
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 411, "length_required"),
        ("GET / HTTP/1.1\r\nHost", 400, "bad_request"),
    ] {
        assert_refused(&server.ask(text), status, code);
    }
    let refusals = server
        .stats
        .refusals
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(refusals, 6);
}

#[test]
fn http_1_0_is_answered() {
    let server = Running::start();
    let text = server.ask_until_closed("GET /a HTTP/1.0\r\n\r\n");
    assert_eq!(statuses(&text), ["200"]);
    assert!(text.contains("connection: close"), "{text}");
    assert!(text.ends_with("GET /a  none "), "{text}");

    let mut stream = server.connect();
    for _ in 0..2 {
        write!(stream, "GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap();
        let (head, _) = one_whole(&mut stream);
        assert!(head.contains("connection: keep-alive"), "{head}");
    }
}

#[test]
fn an_endless_header_line_is_cut_at_the_head_limit() {
    let server = Running::start();
    let endless = "y".repeat(100_000);
    let text = server.ask(format!("GET / HTTP/1.1\r\nx: {endless}"));
    assert_refused(&text, 431, "header_too_large");
    let text = server.ask(format!("GET /{endless}"));
    assert_refused(&text, 414, "uri_too_long");
    let target = "y".repeat(5_000);
    let text = server.ask(format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_refused(&text, 414, "uri_too_long");
    let fields = "a: b\r\n".repeat(150);
    let text = server.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    assert_refused(&text, 431, "header_too_large");
}

#[test]
fn heads_within_the_limits_are_taken() {
    let server = Running::start();
    let target = "y".repeat(3_000);
    let fields = "name: a value of some length\r\n".repeat(60);
    let text = server.ask(format!(
        "GET /{target} HTTP/1.1\r\nHost: a\r\n{fields}x: {}\r\n\r\n",
        "z".repeat(1_500)
    ));
    assert_eq!(statuses(&text), ["200"]);
}

#[test]
fn a_body_cut_short_is_not_taken_as_whole() {
    let server = Running::start();
    for (lines, body) in [
        ("Content-Length: 5", "1234"),
        ("Transfer-Encoding: chunked", "4\r\n1234\r\n"),
        ("Transfer-Encoding: chunked", "4\r\n12"),
        ("Transfer-Encoding: chunked", "0\r\n"),
    ] {
        let text = server.ask(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n{body}"
        ));
        assert_refused(&text, 400, "bad_request");
    }
}

#[test]
fn a_head_request_has_the_length_and_no_body() {
    let server = Running::start();
    let text = server.ask("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(text.contains("content-length: 11"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    let text = server.ask("HEAD / HTTP/1.1\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn an_answer_204_says_nothing_of_a_length() {
    let server = Running::start();
    let text = server.ask("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 204 "), "{text}");
    assert!(!text.contains("content-length"), "{text}");
}

#[test]
fn the_server_itself_has_options() {
    let server = Running::start();
    let text = server.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 204 "), "{text}");
    assert!(text.contains("allow: GET, HEAD, POST"), "{text}");
}

#[test]
fn continue_is_said_when_the_body_will_be_read() {
    let server = Running::start();
    let mut stream = server.connect();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(head.as_bytes()).unwrap();
        assert_eq!(one_whole(&mut stream).0, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"abc").unwrap();
        assert_eq!(one(&mut stream), (200, "POST /  a abc".to_owned()));
    }
    // The body is there already: it need not be asked for.
    stream.write_all(format!("{head}abc").as_bytes()).unwrap();
    assert_eq!(one(&mut stream), (200, "POST /  a abc".to_owned()));

    let refused = head.replace("POST /", "POST /forbidden");
    let text = server.ask_until_closed(refused);
    assert_eq!(statuses(&text), ["403"]);
    assert!(text.contains("connection: close"), "{text}");
    let too_large = head.replace("Length: 3", "Length: 100001");
    assert_refused(&server.ask_until_closed(too_large), 413, "body_too_large");
}

#[test]
fn a_refused_small_body_is_skipped_and_the_connection_goes_on() {
    let server = Running::start();
    let mut stream = server.connect();
    let post = "POST /forbidden HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n";
    write!(stream, "{post}GET /a HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(one(&mut stream).0, 403);
    stream.write_all(b"x").unwrap();
    write!(stream, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(one(&mut stream), (200, "GET /b  a ".to_owned()));
}
