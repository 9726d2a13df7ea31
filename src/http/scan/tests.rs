//! The rules of a head, by tables.

use super::super::request_line::TARGET_MAX;
use super::*;

fn scanned(text: &str) -> Result<Option<ScannedHead<'_>>, Refusal> {
    match HeadEnd::default().find(text.as_bytes())? {
        Some(length) => scan(&text.as_bytes()[..length]).map(Some),
        None => Ok(None),
    }
}

fn refused(text: &str) -> Kind {
    match scanned(text) {
        Err(refusal) => refusal.kind,
        Ok(found) => panic!("{text:?} gave {found:?}"),
    }
}

fn accepted(text: &str) -> ScannedHead<'_> {
    match scanned(text) {
        Ok(Some(scanned)) => scanned,
        other => panic!("{text:?} gave {other:?}"),
    }
}

/// A request with one more header line.
fn with_line(line: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n")
}

#[test]
fn request_lines_are_held_to_the_grammar() {
    for (line, kind) in [
        ("GET / HTTP/1.1 ", Kind::BadRequest),
        ("GET  / HTTP/1.1", Kind::BadRequest),
        (" GET / HTTP/1.1", Kind::BadRequest),
        ("GET /a b HTTP/1.1", Kind::BadRequest),
        ("GET /\ta HTTP/1.1", Kind::BadRequest),
        ("GET /", Kind::BadRequest),
        ("GET", Kind::BadRequest),
        ("GET /a#b HTTP/1.1", Kind::BadRequest),
        ("GET a HTTP/1.1", Kind::BadRequest),
        ("GET * HTTP/1.1", Kind::BadRequest),
        ("GET https://a/ HTTP/1.1", Kind::BadRequest),
        ("GET http:/a HTTP/1.1", Kind::BadRequest),
        ("GET http:///a HTTP/1.1", Kind::BadRequest),
        ("GET http://u@a/ HTTP/1.1", Kind::BadRequest),
        ("GET / http/1.1", Kind::BadRequest),
        ("GET / HTTP/", Kind::BadRequest),
        ("GET / HTTP/x.1", Kind::BadRequest),
        ("GET / FTP/1.1", Kind::BadRequest),
        ("G@T / HTTP/1.1", Kind::BadRequest),
        ("GET / HTTP/2.0", Kind::VersionNotSupported),
        ("GET / HTTP/2", Kind::VersionNotSupported),
        ("PRI * HTTP/2.0", Kind::VersionNotSupported),
        ("GET / HTTP/0.9", Kind::VersionNotSupported),
        ("GET / HTTP/1.10", Kind::VersionNotSupported),
        ("get / HTTP/1.1", Kind::NotImplemented),
        ("TRACE / HTTP/1.1", Kind::NotImplemented),
        ("CONNECT a:443 HTTP/1.1", Kind::NotImplemented),
        ("BREW /pot HTTP/1.1", Kind::NotImplemented),
    ] {
        assert_eq!(
            refused(&format!("{line}\r\nHost: a\r\n\r\n")),
            kind,
            "{line}"
        );
    }
}

#[test]
fn targets_come_out_as_they_came_in() {
    let absolute = "http://b.example:8080";
    for (target, path, query, host) in [
        ("/", "/", "", "a"),
        ("/task/1?wait=30s&x=%20", "/task/1", "wait=30s&x=%20", "a"),
        ("//admin/../%2e%2e/x\\", "//admin/../%2e%2e/x\\", "", "a"),
        ("/?a?b", "/", "a?b", "a"),
        ("/\"<>|{}^`", "/\"<>|{}^`", "", "a"),
        (absolute, "/", "", "b.example:8080"),
        ("HTTP://b/x?y", "/x", "y", "b"),
        ("http://b?y", "/", "y", "b"),
        ("http://[::1]:80/x", "/x", "", "[::1]:80"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let scanned = accepted(&text);
        assert_eq!(scanned.target, Target::Resource { path, query }, "{target}");
        assert_eq!(scanned.host, Some(host), "{target}");
    }
    let server = accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(server.target, Target::Server);
}

#[test]
fn header_lines_are_held_to_the_grammar() {
    for line in [
        "name",
        ": value",
        "na me: value",
        "name : value",
        " folded: x",
        "\tfolded: x",
        "a: b\r\n folded",
        "na\"me: x",
        "name\t: x",
        "(a): x",
    ] {
        assert_eq!(refused(&with_line(line)), Kind::BadRequest, "{line:?}");
    }
    for line in ["x:", "x: ", "x:y", "x:  \ty\t ", "!#$%&'*+-.^_`|~09: a:b"] {
        accepted(&with_line(line));
    }
}

#[test]
fn bytes_that_stand_in_no_head_are_refused_at_once() {
    // None of these has an end: they must not wait for the deadline.
    for bytes in [
        &b"GET / HTTP/1.1\nHost: a"[..],
        b"GET / HTTP/1.1\r\nHost: a\n",
        b"GET / HTTP/1.1\rHost",
        b"GET / HTTP/1.1\r\nHost: a\rb",
        b"GET / HTTP/1.1\r\n\r\r",
        b"GET /\0",
        b"GET / HTTP/1.1\r\nx: \x7f",
        b"GET / HTTP/1.1\r\nx: \xe9",
        b"GET / HTTP/1.1\r\nx: \xc3\xa9",
        b"GET /\xff",
        b"\x16\x03\x01\x02\x00",
        b"\n",
    ] {
        let refusal = HeadEnd::default().find(bytes).unwrap_err();
        assert_eq!(refusal.kind, Kind::BadRequest, "{bytes:?}");
    }
}

#[test]
fn every_byte_is_looked_at_wherever_it_stands() {
    for before in 0..20 {
        for byte in 0..=u8::MAX {
            let text = [&vec![b'~'; before][..], &[byte], &[b' '; 20]].concat();
            let is_taken = matches!(byte, b'\t' | b' '..=b'~');
            let found = HeadEnd::default().find(&text);
            assert_eq!(found == Ok(None), is_taken, "{byte:#x} behind {before}");
        }
    }
}

#[test]
fn the_bytes_of_a_token_are_those_of_rfc_9110() {
    for byte in 0..=u8::MAX {
        let is_mark = b"!#$%&'*+-.^_`|~".contains(&byte);
        let expected = is_mark || byte.is_ascii_alphanumeric();
        assert_eq!(field::is_token_byte(byte), expected, "{byte:#x}");
    }
}

#[test]
fn a_head_is_found_whatever_the_pieces() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET ";
    let mut end = HeadEnd::default();
    for length in 0..text.len() - 4 {
        assert_eq!(end.find(&text[..length]), Ok(None));
    }
    assert_eq!(end.find(text), Ok(Some(text.len() - 4)));
}

#[test]
fn there_is_exactly_one_valid_host() {
    for host in [
        "a",
        "a.example.com:8080",
        "127.0.0.1:21212",
        "[::1]",
        "[2001:db8::1]:80",
        "my_host-1.local.",
        "a:",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n");
        assert_eq!(accepted(&text).host, Some(host));
    }
    for host in [
        "", "a/b", "a/b?", "a#", "u@a", "a b", "a,b", "a:b", "a:99999", "a:+1", ":80", "[::1",
        "[a]", "[::1]x", "::1", "a\\b", "a%00",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(refused(&text), Kind::BadRequest, "{host:?}");
    }
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), Kind::BadRequest);
    assert_eq!(refused(&with_line("Host: a")), Kind::BadRequest);
    let absolute = "GET http://a/ HTTP/1.1\r\n\r\n";
    assert_eq!(refused(absolute), Kind::BadRequest);
    assert_eq!(accepted("GET / HTTP/1.0\r\n\r\n").host, None);
}

#[test]
fn there_is_at_most_one_framing() {
    for (lines, framing) in [
        ("x: y", Framing::None),
        ("Content-Length: 0", Framing::Length(0)),
        ("content-length:  007 ", Framing::Length(7)),
        (
            "content-length: 9999999999999999999",
            Framing::Length(9_999_999_999_999_999_999),
        ),
        ("Transfer-Encoding: Chunked", Framing::Chunked),
    ] {
        assert_eq!(accepted(&with_line(lines)).framing, framing, "{lines}");
    }
    for (lines, kind) in [
        ("Content-Length: ", Kind::BadRequest),
        ("Content-Length: +5", Kind::BadRequest),
        ("Content-Length: -5", Kind::BadRequest),
        ("Content-Length: 5, 5", Kind::BadRequest),
        ("Content-Length: 0x5", Kind::BadRequest),
        ("Content-Length: 5 5", Kind::BadRequest),
        ("Content-Length: 10000000000000000000", Kind::BadRequest),
        ("Content-Length: 5\r\nContent-Length: 5", Kind::BadRequest),
        ("Content-Length: 5\r\nContent-Length: 6", Kind::BadRequest),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            Kind::BadRequest,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            Kind::BadRequest,
        ),
        ("Transfer-Encoding: ", Kind::BadRequest),
        ("Transfer-Encoding: chunked, chunked", Kind::BadRequest),
        ("Transfer-Encoding: chunked,", Kind::BadRequest),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            Kind::BadRequest,
        ),
        ("Transfer-Encoding: gzip, chunked", Kind::NotImplemented),
        ("Transfer-Encoding: chunked, gzip", Kind::BadRequest),
        ("Transfer-Encoding: identity", Kind::BadRequest),
        ("Transfer-Encoding: xchunked", Kind::BadRequest),
        ("Transfer-Encoding: chunked;a=b", Kind::BadRequest),
    ] {
        assert_eq!(refused(&with_line(lines)), kind, "{lines}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(old), Kind::BadRequest);
}

#[test]
fn connection_is_a_list_of_tokens_in_any_case() {
    for (version, line, persistent) in [
        ("1.1", "x: y", true),
        ("1.1", "Connection: close", false),
        ("1.1", "connection: CLOSE", false),
        ("1.1", "Connection: keep-alive, Close", false),
        ("1.1", "Connection: te\r\nConnection: close", false),
        ("1.1", "Connection: closed", true),
        ("1.9", "Connection: upgrade", true),
        ("1.0", "x: y", false),
        ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: keep-alive, close", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{line}\r\n\r\n");
        assert_eq!(accepted(&text).persistent, persistent, "{version} {line}");
    }
}

#[test]
fn only_100_continue_can_be_expected() {
    assert!(accepted(&with_line("Expect: 100-continue")).expects_continue);
    assert!(accepted(&with_line("Expect: 100-Continue")).expects_continue);
    assert!(!accepted(&with_line("x: y")).expects_continue);
    assert_eq!(
        refused(&with_line("Expect: a-miracle")),
        Kind::ExpectationFailed
    );
    let old = "POST / HTTP/1.0\r\nExpect: a-miracle\r\n\r\n";
    assert!(!accepted(old).expects_continue);
}

#[test]
fn sizes_are_taken_up_to_their_limits() {
    let target = |length: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "x".repeat(length - 1)
        )
    };
    accepted(&target(3_000));
    accepted(&target(TARGET_MAX));
    assert_eq!(refused(&target(TARGET_MAX + 1)), Kind::UriTooLong);

    let fields = |count: usize| with_line(&vec!["a: b"; count - 1].join("\r\n"));
    accepted(&fields(FIELDS_MAX));
    assert_eq!(refused(&fields(FIELDS_MAX + 1)), Kind::HeaderTooLarge);

    accepted(&with_line(&format!("a: {}", "x".repeat(6 * 1024))));
    let largest = with_line(&format!("a: {}", "x".repeat(HEAD_MAX - 33)));
    assert_eq!(largest.len(), HEAD_MAX);
    assert!(accepted(&largest).rewritten().len() < 8_192);

    assert_eq!(too_large(b"GET /xxx").kind, Kind::UriTooLong);
    assert_eq!(
        too_large(b"GET / HTTP/1.1\r\na: x").kind,
        Kind::HeaderTooLarge
    );
}

#[test]
fn async_h1_sees_neither_framing_nor_the_clients_host() {
    let text = "PUT http://b/x?y HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTE: trailers\r\n\
                Connection: x, Keep-Alive\r\nExpect: 100-continue\r\nUpgrade: h2c\r\nX-A:  b \r\n\r\n";
    assert_eq!(
        accepted(text).rewritten(),
        b"PUT /x?y HTTP/1.1\r\nhost: mecha\r\nX-A:b\r\n\r\n"
    );
}
