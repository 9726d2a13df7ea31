//! Request lines, and what stands in front of them.

use super::{BEHIND, Outcome, Row, Seen, health, refused, row};

/// A message that has `line` and is right otherwise.
fn with(line: &str) -> String {
    format!("{line}\r\nHost: localhost\r\n\r\n")
}

fn lines<const N: usize>(
    rule: &'static str,
    status: u16,
    cases: [(&'static str, &'static str); N],
) -> Vec<Row> {
    refused(rule, status, cases.map(|(what, line)| (what, with(line))))
}

pub(super) fn rows() -> Vec<Row> {
    [
        words(),
        versions(),
        methods(),
        malformed_targets(),
        targets(),
        in_front(),
    ]
    .concat()
}

fn words() -> Vec<Row> {
    lines(
        "RFC 9112, 3",
        400,
        [
            ("HTTP/0.9: no version", "GET /health"),
            ("a method alone", "GET"),
            ("no target", "GET HTTP/1.1"),
            ("an empty target", "GET  HTTP/1.1"),
            ("two spaces in front of the target", "GET  /health HTTP/1.1"),
            ("two spaces behind the target", "GET /health  HTTP/1.1"),
            ("a space in front of the method", " GET /health HTTP/1.1"),
            ("a space behind the version", "GET /health HTTP/1.1 "),
            ("a tab behind the version", "GET /health HTTP/1.1\t"),
            ("tabs between the words", "GET\t/health\tHTTP/1.1"),
            ("a tab behind the method", "GET\t/health HTTP/1.1"),
            (
                "a vertical tab between the words",
                "GET\u{b}/health HTTP/1.1",
            ),
            ("a form feed between the words", "GET\u{c}/health HTTP/1.1"),
            ("a CR between the words", "GET\r/health HTTP/1.1"),
            ("a space in the target", "GET /health x HTTP/1.1"),
            ("two versions", "GET /health HTTP/1.1 HTTP/1.1"),
            ("a NUL in the method", "GET\0 /health HTTP/1.1"),
            ("a header line first", "Host: localhost"),
        ],
    )
}

fn versions() -> Vec<Row> {
    let malformed = lines(
        "RFC 9112, 2.3",
        400,
        [
            ("a lower-case version", "GET /health http/1.1"),
            ("a version in mixed case", "GET /health Http/1.1"),
            ("a version with a letter", "GET /health HTTP/1.x"),
            ("a signed version", "GET /health HTTP/+1.1"),
            ("a version with a comma", "GET /health HTTP/1,1"),
            ("a version without a number", "GET /health HTTP/"),
            ("a version without a slash", "GET /health HTTP1.1"),
            ("another protocol", "GET /health ICAP/1.0"),
        ],
    );
    let foreign = lines(
        "RFC 9110, 15.6.6",
        505,
        [
            ("HTTP/0.9 by name", "GET /health HTTP/0.9"),
            ("HTTP/1", "GET /health HTTP/1"),
            ("HTTP/1.10", "GET /health HTTP/1.10"),
            ("HTTP/01.1", "GET /health HTTP/01.1"),
            ("HTTP/1.01", "GET /health HTTP/1.01"),
            ("HTTP/1.1.1", "GET /health HTTP/1.1.1"),
            ("HTTP/11.1", "GET /health HTTP/11.1"),
            ("HTTP/2", "GET /health HTTP/2"),
            ("HTTP/2.0", "GET /health HTTP/2.0"),
            ("HTTP/3.0", "GET /health HTTP/3.0"),
        ],
    );
    let preface = refused(
        "RFC 9113, 3.4",
        505,
        [("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
    );
    let later = row(
        "RFC 9110, 2.5",
        "a later minor version",
        with("GET /health HTTP/1.9"),
        Outcome::Read(vec![health()]),
    );
    [malformed, foreign, preface, vec![later]].concat()
}

fn methods() -> Vec<Row> {
    let malformed = lines(
        "RFC 9110, 9.1",
        400,
        [
            ("no method", " / HTTP/1.1"),
            ("a method with @", "G@T /health HTTP/1.1"),
            ("a method with a comma", "GET, /health HTTP/1.1"),
            ("a method with a colon", "GET: /health HTTP/1.1"),
            ("a method in quotes", "\"GET\" /health HTTP/1.1"),
            ("a method with a slash", "GET/ /health HTTP/1.1"),
        ],
    );
    let unknown = lines(
        "RFC 9110, 15.6.2",
        501,
        [
            ("a lower-case method", "get /health HTTP/1.1"),
            ("a method in mixed case", "Get /health HTTP/1.1"),
            ("TRACE", "TRACE /health HTTP/1.1"),
            ("TRACK", "TRACK /health HTTP/1.1"),
            ("CONNECT and an authority", "CONNECT localhost:80 HTTP/1.1"),
            ("CONNECT and a path", "CONNECT /health HTTP/1.1"),
            ("PROPFIND", "PROPFIND /nothing HTTP/1.1"),
            ("BREW", "BREW /pot HTTP/1.1"),
            ("PRI in HTTP/1.1", "PRI * HTTP/1.1"),
            ("a method behind underscores", "__GET /health HTTP/1.1"),
        ],
    );
    [malformed, unknown].concat()
}

fn malformed_targets() -> Vec<Row> {
    let text = lines(
        "RFC 9112, 3.2",
        400,
        [
            ("a relative target", "GET health HTTP/1.1"),
            ("a target that starts with a dot", "GET ./health HTTP/1.1"),
            ("a query alone", "GET ?x HTTP/1.1"),
            ("a backslash first", "GET \\health HTTP/1.1"),
            ("an encoded slash first", "GET %2fhealth HTTP/1.1"),
            ("a fragment", "GET /health#x HTTP/1.1"),
            ("a fragment in the query", "GET /health?x#y HTTP/1.1"),
            ("an empty fragment", "GET /health# HTTP/1.1"),
            ("an asterisk with GET", "GET * HTTP/1.1"),
            ("an asterisk and more", "OPTIONS *x HTTP/1.1"),
            ("an authority with GET", "GET localhost:80 HTTP/1.1"),
            ("a tab in the target", "GET /hea\tlth HTTP/1.1"),
            ("a NUL in the target", "GET /hea\0lth HTTP/1.1"),
            ("a control in the target", "GET /hea\u{1}lth HTTP/1.1"),
            ("a DEL in the target", "GET /hea\u{7f}lth HTTP/1.1"),
            ("a letter beyond ASCII", "GET /h\u{e4}lth HTTP/1.1"),
        ],
    );
    let absolute = lines(
        "RFC 9112, 3.2.2; crates.md A5",
        400,
        [
            ("one slash behind the scheme", "GET http:/health HTTP/1.1"),
            ("no authority", "GET http:///health HTTP/1.1"),
            ("https", "GET https://localhost/health HTTP/1.1"),
            ("ftp", "GET ftp://localhost/health HTTP/1.1"),
            ("file", "GET file:///etc/passwd HTTP/1.1"),
            ("user information", "GET http://u@localhost/health HTTP/1.1"),
            (
                "user and password",
                "GET http://u:p@localhost/health HTTP/1.1",
            ),
            (
                "a port that is no number",
                "GET http://localhost:x/health HTTP/1.1",
            ),
            (
                "a port that is too large",
                "GET http://localhost:65536/health HTTP/1.1",
            ),
            (
                "a bracket that is not closed",
                "GET http://[::1/health HTTP/1.1",
            ),
            (
                "a backslash in the authority",
                "GET http://localhost\\health HTTP/1.1",
            ),
            (
                "a comma in the authority",
                "GET http://localhost,evil/health HTTP/1.1",
            ),
            ("a fragment as authority", "GET http://#x HTTP/1.1"),
            (
                "a scheme behind a space",
                "GET  http://localhost/health HTTP/1.1",
            ),
        ],
    );
    [text, absolute].concat()
}

/// Targets that are read as they came: nothing is decoded, resolved or joined.
fn targets() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, target, status) in [
        ("a query", "/health?x=y", 200),
        ("two question marks", "/health?x?y", 200),
        ("a slash at the end", "/health/", 404),
        ("two slashes first", "//health", 404),
        ("two slashes and a host", "//evil/health", 404),
        ("a dot segment", "/./health", 404),
        ("two dots", "/x/../health", 404),
        ("encoded dots", "/x/%2e%2e/health", 404),
        ("an encoded letter", "/%68ealth", 404),
        ("an encoded slash", "/x%2f..%2fhealth", 404),
        ("an encoded NUL", "/health%00", 404),
        ("an encoded line end", "/health%0d%0aX:%20y", 404),
        ("a broken encoding", "/health%zz", 404),
        ("a backslash", "/x\\..\\health", 404),
        ("a parameter", "/health;x=y", 404),
        ("an absolute target inside", "/http://localhost/health", 404),
        ("characters of no URL", "/\"<>|{}^`", 404),
    ] {
        rows.push(row(
            "RFC 9112, 3.2.1; crates.md A5",
            what,
            with(&format!("GET {target} HTTP/1.1")),
            Outcome::Read(vec![Seen::new("GET", target, status)]),
        ));
    }
    for (what, target, path) in [
        ("an absolute target", "http://localhost/health", "/health"),
        ("a scheme in capitals", "HTTP://localhost/health", "/health"),
        (
            "an absolute target with dots",
            "http://localhost/../health",
            "/../health",
        ),
        (
            "an absolute target with a query",
            "http://localhost/health?x",
            "/health?x",
        ),
    ] {
        let status = if path.starts_with("/health") {
            200
        } else {
            404
        };
        rows.push(row(
            "RFC 9112, 3.2.2",
            what,
            with(&format!("GET {target} HTTP/1.1")),
            Outcome::Read(vec![Seen::new("GET", path, status)]),
        ));
    }
    rows.push(row(
        "RFC 9112, 3.2.4; crates.md A5",
        "the server itself",
        with("OPTIONS * HTTP/1.1"),
        Outcome::Read(vec![Seen::new("OPTIONS", "*", 204)]),
    ));
    rows
}

fn in_front() -> Vec<Row> {
    let mut rows = refused(
        "RFC 9112, 2.2",
        400,
        [
            ("a LF in front", format!("\n{BEHIND}")),
            ("a CR in front", format!("\r{BEHIND}")),
            ("CR CR LF in front", format!("\r\r\n{BEHIND}")),
            ("LF CR in front", format!("\n\r{BEHIND}")),
            ("a CRLF and a LF in front", format!("\r\n\n{BEHIND}")),
            ("a line with a space in front", format!(" \r\n{BEHIND}")),
            ("a NUL in front", format!("\0{BEHIND}")),
            ("a byte order mark in front", format!("\u{feff}{BEHIND}")),
            (
                "five empty lines in front",
                format!("{}{BEHIND}", "\r\n".repeat(5)),
            ),
            ("empty lines alone", "\r\n".repeat(6)),
            ("text", "hello\r\n\r\n".to_owned()),
            ("an SMTP greeting", "EHLO localhost\r\n\r\n".to_owned()),
            (
                "a proxy's greeting",
                format!("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n{BEHIND}"),
            ),
        ],
    );
    rows.extend(refused(
        "RFC 9112, 2.2",
        400,
        [
            (
                "TLS",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            ),
            ("bytes that are no text", vec![0xff; 64]),
            ("NULs", vec![0; 64]),
        ],
    ));
    for count in [1, 4] {
        rows.push(row(
            "RFC 9112, 2.2",
            format!("{count} empty lines in front"),
            "\r\n".repeat(count) + BEHIND,
            Outcome::Read(vec![health()]),
        ));
    }
    rows
}
