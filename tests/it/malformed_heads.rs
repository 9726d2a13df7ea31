//! Contract section 3 against malformed heads: each gets one clear refusal, and the server goes on.

use crate::harness::server;

#[test]
fn malformed_heads_are_400() {
    let server = server().start();
    let host = server.addr;
    let good = format!("Host: {host}\r\n");
    for (what, head) in [
        ("no version", format!("GET /tasks\r\n{good}\r\n")),
        ("two spaces", format!("GET  /tasks HTTP/1.1\r\n{good}\r\n")),
        ("a tab", format!("GET\t/tasks\tHTTP/1.1\r\n{good}\r\n")),
        ("four words", format!("GET /tasks x HTTP/1.1\r\n{good}\r\n")),
        (
            "lower-case version",
            format!("GET /tasks http/1.1\r\n{good}\r\n"),
        ),
        (
            "a short version",
            format!("GET /tasks HTTP/1\r\n{good}\r\n"),
        ),
        (
            "relative target",
            format!("GET tasks HTTP/1.1\r\n{good}\r\n"),
        ),
        ("empty target", format!("GET  HTTP/1.1\r\n{good}\r\n")),
        (
            "a control in the target",
            format!("GET /ta\u{1}sks HTTP/1.1\r\n{good}\r\n"),
        ),
        (
            "a non-ASCII target",
            format!("GET /täsks HTTP/1.1\r\n{good}\r\n"),
        ),
        ("a fragment", format!("GET /tasks#x HTTP/1.1\r\n{good}\r\n")),
        ("no Host", "GET /tasks HTTP/1.1\r\n\r\n".to_owned()),
        (
            "two Hosts",
            format!("GET /tasks HTTP/1.1\r\n{good}{good}\r\n"),
        ),
        (
            "no colon",
            format!("GET /tasks HTTP/1.1\r\n{good}nonsense\r\n\r\n"),
        ),
        (
            "an empty name",
            format!("GET /tasks HTTP/1.1\r\n{good}: x\r\n\r\n"),
        ),
        (
            "a space in front of the colon",
            format!("GET /tasks HTTP/1.1\r\n{good}x : y\r\n\r\n"),
        ),
        (
            "a space in a name",
            format!("GET /tasks HTTP/1.1\r\n{good}x y: z\r\n\r\n"),
        ),
        (
            "a folded line",
            format!("GET /tasks HTTP/1.1\r\n{good}x: y\r\n z\r\n\r\n"),
        ),
        (
            "a first line that is folded",
            format!("GET /tasks HTTP/1.1\r\n x: y\r\n{good}\r\n"),
        ),
        (
            "a NUL",
            format!("GET /tasks HTTP/1.1\r\n{good}x: \0\r\n\r\n"),
        ),
        (
            "a control",
            format!("GET /tasks HTTP/1.1\r\n{good}x: \u{7f}\r\n\r\n"),
        ),
        (
            "a non-ASCII value",
            format!("GET /tasks HTTP/1.1\r\n{good}x: ä\r\n\r\n"),
        ),
        (
            "a non-ASCII name",
            format!("GET /tasks HTTP/1.1\r\n{good}ä: x\r\n\r\n"),
        ),
        (
            "a bare CR",
            format!("GET /tasks HTTP/1.1\r\n{good}x: a\rb\r\n\r\n"),
        ),
        ("bare LFs", format!("GET /tasks HTTP/1.1\nHost: {host}\n\n")),
        (
            "one bare LF",
            format!("GET /tasks HTTP/1.1\r\n{good}x: y\n\r\n\r\n"),
        ),
    ] {
        // Where a version is unreadable, 505 says as much.
        let statuses: &[u16] = if what.contains("version") {
            &[400, 505]
        } else {
            &[400]
        };
        server.refuses(what, head.as_bytes(), statuses);
    }
    server.refuses("bytes that are no text", [0xff; 64], &[400, 408, 501]);
    let mut latin = format!("GET /tasks HTTP/1.1\r\n{good}x: ").into_bytes();
    latin.extend(b"\xe4\r\n\r\n");
    server.refuses("Latin-1", latin, &[400]);
    server.refuses(
        "TLS",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        &[400, 501],
    );
}

#[test]
fn a_host_cannot_move_the_path() {
    let server = server().arg("--api-key=key").key("key").start();
    for host in [
        "",
        "a/health?",
        "a#",
        "user@a",
        "a b",
        "a\\health",
        "a:port",
        "a:99999",
        "[::1",
        "/health",
    ] {
        let bytes = format!("GET /tasks HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answers = server.raw(bytes);
        assert_eq!(answers.len(), 1, "{host}");
        assert!(
            matches!(answers[0].status, 400 | 401 | 403),
            "{host}: {}",
            answers[0].status
        );
    }
}

#[test]
fn an_absolute_target_is_mapped_or_refused() {
    let server = server().start();
    let host = server.addr;
    let answers = server.raw(format!(
        "GET http://{host}/health HTTP/1.1\r\nHost: {host}\r\n\r\n"
    ));
    assert_eq!(answers.len(), 1);
    assert!(matches!(answers[0].status, 200 | 400));
}
