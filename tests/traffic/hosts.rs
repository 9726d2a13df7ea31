//! `Host`, and whom a request is for.

use super::{Outcome, Row, Seen, health, refused, row};

/// A `GET /health` with these header lines and no `Host` but theirs.
fn get(lines: &str) -> String {
    format!("GET /health HTTP/1.1\r\n{lines}\r\n")
}

pub(super) fn rows() -> Vec<Row> {
    [counts(), values(), taken(), absolute()].concat()
}

fn counts() -> Vec<Row> {
    refused(
        "RFC 9112, 3.2",
        400,
        [
            ("no Host", get("")),
            (
                "no Host, but an X-Forwarded-Host",
                get("X-Forwarded-Host: localhost\r\n"),
            ),
            (
                "the same Host twice",
                get("Host: localhost\r\nHost: localhost\r\n"),
            ),
            ("two Hosts", get("Host: localhost\r\nHost: evil\r\n")),
            (
                "two Hosts in other cases",
                get("Host: localhost\r\nhOST: evil\r\n"),
            ),
            (
                "two Hosts apart",
                get("Host: localhost\r\nx: y\r\nHost: evil\r\n"),
            ),
            (
                "a Host with a space in front of the colon",
                get("Host : localhost\r\n"),
            ),
            (
                "a second Host with a space",
                get("Host: localhost\r\nHost : evil\r\n"),
            ),
            ("a folded Host", get("Host:\r\n localhost\r\n")),
            (
                "a second Host, folded",
                get("Host: localhost\r\n Host: evil\r\n"),
            ),
            (
                "no Host with an absolute target",
                "GET http://localhost/health HTTP/1.1\r\n\r\n".into(),
            ),
            (
                "two Hosts in HTTP/1.0",
                "GET /health HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".into(),
            ),
        ],
    )
}

fn values() -> Vec<Row> {
    let mut rows = Vec::new();
    for host in [
        "",
        " \t ",
        "localhost, evil",
        "localhost,evil",
        "localhost evil",
        "localhost\tevil",
        "localhost/health",
        "localhost/health?",
        "localhost?",
        "localhost#",
        "/health",
        "user@localhost",
        "user:password@localhost",
        "localhost\\health",
        "http://localhost",
        "localhost:port",
        "localhost:65536",
        "localhost:99999999999999999999",
        "localhost:+80",
        "localhost:-1",
        "localhost:80:80",
        "localhost:80/",
        ":80",
        "localhost;x",
        "localhost&x",
        "<localhost>",
        "\"localhost\"",
        "localhost%00",
        "%6cocalhost",
        "[::1",
        "::1",
        "[localhost]",
        "[::1]x",
        "[::1]:port",
        "[v1.x]",
        "*",
    ] {
        rows.push(row(
            "RFC 9110, 7.2; crates.md A5",
            format!("the Host {host:?}"),
            get(&format!("Host: {host}\r\n")),
            Outcome::Refused(400),
        ));
    }
    let absolute = "GET http://localhost/health HTTP/1.1\r\nHost: a/b\r\n\r\n";
    let old = "GET /health HTTP/1.0\r\nHost: a/b\r\n\r\n";
    for (what, bytes) in [
        ("a bad Host with an absolute target", absolute),
        ("a bad Host in HTTP/1.0", old),
    ] {
        rows.push(row("RFC 9112, 3.2", what, bytes, Outcome::Refused(400)));
    }
    rows
}

fn taken() -> Vec<Row> {
    let mut rows = Vec::new();
    for host in [
        "LOCALHOST",
        "localhost:80",
        "localhost:",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:65535",
        "[::1]",
        "[::1]:80",
        "[::ffff:127.0.0.1]",
        "my_host-1.example",
        "evil.example",
    ] {
        rows.push(row(
            "RFC 9110, 7.2",
            format!("the Host {host:?}"),
            get(&format!("Host: {host}\r\n")),
            Outcome::Read(vec![health().host(host)]),
        ));
    }
    rows
}

/// The target's authority is whom an absolute target is for, and `Host` then means nothing.
fn absolute() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, authority, host, status) in [
        ("the same Host", "localhost", "localhost", 200),
        ("another Host", "localhost", "evil.example", 200),
        ("another authority", "evil.example", "localhost", 403),
        ("a port", "localhost:80", "localhost", 200),
    ] {
        rows.push(row(
            "RFC 9112, 3.2.2; crates.md A5",
            format!("an absolute target and {what}"),
            format!("GET http://{authority}/tasks HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            Outcome::Read(vec![Seen::new("GET", "/tasks", status).host(authority)]),
        ));
    }
    rows
}
