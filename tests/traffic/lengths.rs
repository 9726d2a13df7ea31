//! `Content-Length`: what is no length, and bodies that look like requests.

use super::{Outcome, Row, SMUGGLED, Seen, TASK, get, health, post, refused, row, submission};

pub(super) fn rows() -> Vec<Row> {
    [
        malformed(),
        several(),
        too_large(),
        none(),
        taken(),
        hidden(),
    ]
    .concat()
}

fn malformed() -> Vec<Row> {
    let mut rows = Vec::new();
    for length in [
        "",
        " ",
        "+5",
        "-5",
        "-0",
        "0x5",
        "0X5",
        "5h",
        "05h",
        "5 5",
        "5,5",
        "5, 5",
        "5,",
        ",5",
        "5;",
        "5;x=y",
        "5.0",
        "5.",
        "1e1",
        "1_0",
        "five",
        "\"5\"",
        "'5'",
        "\u{665}",
        "5\u{b}",
        "\u{b}5",
        "5\0",
        "5\r",
        "\u{a0}5",
        "NaN",
        "18446744073709551616",
        "18446744073709551621",
        "99999999999999999999999999999999",
        "00000000000000000005",
    ] {
        rows.push(row(
            "RFC 9110, 8.6; crates.md A4",
            format!("the Content-Length {length:?}"),
            post(&format!("Content-Length: {length}\r\n"), SMUGGLED),
            Outcome::Refused(400),
        ));
    }
    rows.extend(refused(
        "RFC 9112, 5.1",
        400,
        [
            (
                "a space in front of the colon",
                post("Content-Length : 5\r\n", SMUGGLED),
            ),
            (
                "a tab in front of the colon",
                post("Content-Length\t: 5\r\n", SMUGGLED),
            ),
            (
                "a NUL behind the name",
                post("Content-Length\0: 5\r\n", SMUGGLED),
            ),
            (
                "a space in front of the name",
                post(" Content-Length: 5\r\n", SMUGGLED),
            ),
            (
                "a folded length",
                post("Content-Length:\r\n 5\r\n", SMUGGLED),
            ),
            (
                "a length folded in two",
                post("Content-Length: 5\r\n 5\r\n", SMUGGLED),
            ),
            (
                "a length behind a LF",
                post("x: y\nContent-Length: 5\r\n", SMUGGLED),
            ),
            (
                "a length behind a CR",
                post("x: y\rContent-Length: 5\r\n", SMUGGLED),
            ),
        ],
    ));
    rows
}

fn several() -> Vec<Row> {
    let length = SMUGGLED.len();
    let mut rows = Vec::new();
    for (what, lines) in [
        (
            "the same length twice",
            format!("Content-Length: {length}\r\nContent-Length: {length}"),
        ),
        (
            "none and a length",
            format!("Content-Length: 0\r\nContent-Length: {length}"),
        ),
        (
            "a length and none",
            format!("Content-Length: {length}\r\nContent-Length: 0"),
        ),
        (
            "two in other cases",
            format!("Content-Length: 0\r\ncontent-LENGTH: {length}"),
        ),
        (
            "two apart",
            format!("Content-Length: 0\r\nx: y\r\nContent-Length: {length}"),
        ),
        (
            "a length and a bad one",
            "Content-Length: 0\r\nContent-Length: x".to_owned(),
        ),
        (
            "one and one that is written otherwise",
            "Content-Length: 5\r\nContent-Length: 05".to_owned(),
        ),
    ] {
        for (method, bytes) in [
            ("POST", post(&format!("{lines}\r\n"), SMUGGLED)),
            ("GET", get(&format!("{lines}\r\n")) + SMUGGLED),
        ] {
            rows.push(row(
                "RFC 9112, 6.3; crates.md A4",
                format!("{what}, {method}"),
                bytes,
                Outcome::Refused(400),
            ));
        }
    }
    rows
}

fn too_large() -> Vec<Row> {
    let mut rows = Vec::new();
    for length in ["99999999", "9223372036854775807", "9999999999999999999"] {
        for (method, bytes) in [
            (
                "POST",
                post(&format!("Content-Length: {length}\r\n"), SMUGGLED),
            ),
            (
                "GET",
                get(&format!("Content-Length: {length}\r\n")) + SMUGGLED,
            ),
        ] {
            rows.push(row(
                "RFC 9110, 15.5.14",
                format!("the Content-Length {length}, {method}"),
                bytes,
                Outcome::Refused(413),
            ));
        }
    }
    rows
}

fn none() -> Vec<Row> {
    refused(
        "RFC 9110, 15.5.12",
        411,
        [
            ("POST without a length", post("", SMUGGLED)),
            (
                "POST until the connection's end",
                post("Connection: close\r\n", SMUGGLED),
            ),
            (
                "POST without a length in HTTP/1.0",
                "POST /task HTTP/1.0\r\n\r\n".to_owned(),
            ),
        ],
    )
}

fn taken() -> Vec<Row> {
    let length = TASK.len();
    let mut rows = Vec::new();
    for (what, line) in [
        ("a length", format!("Content-Length: {length}")),
        (
            "a length in another case",
            format!("cOnTeNt-lEnGtH: {length}"),
        ),
        (
            "white space around the length",
            format!("Content-Length:\t  {length} \t"),
        ),
        ("no white space", format!("Content-Length:{length}")),
        ("zeros in front", format!("Content-Length: 000{length}")),
        ("19 digits", format!("Content-Length: {length:019}")),
    ] {
        rows.push(row(
            "RFC 9110, 8.6",
            what,
            post(&format!("{line}\r\n"), TASK),
            Outcome::Read(vec![submission()]),
        ));
    }
    rows.push(row(
        "RFC 9112, 2.2",
        "a CRLF behind a body",
        post(
            &format!("Content-Length: {length}\r\n"),
            &format!("{TASK}\r\n"),
        ),
        Outcome::Read(vec![submission()]),
    ));
    rows.push(row(
        "RFC 9112, 6.3",
        "a length of 0",
        post("Content-Length: 0\r\n", ""),
        Outcome::Read(vec![Seen::new("POST", "/task", 400)]),
    ));
    rows
}

/// CL.0: whoever answers a request without wanting its body must not read it as another one.
fn hidden() -> Vec<Row> {
    let mut rows = Vec::new();
    for (method, target, status) in [
        ("GET", "/health", 200),
        ("GET", "/tasks", 200),
        ("GET", "/nothing", 404),
        ("HEAD", "/health", 200),
        ("HEAD", "/nothing", 404),
        ("OPTIONS", "/tasks", 204),
        ("DELETE", "/tasks", 405),
        ("POST", "/health", 405),
        ("POST", "/nothing", 404),
        ("PUT", "/task", 405),
        ("PATCH", "/nothing", 404),
        ("DELETE", "/task/0000000000000000", 404),
        ("POST", "/task/0000000000000000/retry", 404),
        ("POST", "/webhook/nobody", 404),
        ("POST", "/task", 400),
    ] {
        rows.push(row(
            "RFC 9110, 9.3.1; crates.md A4",
            format!("a request within the body of {method} {target}"),
            format!(
                "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{SMUGGLED}",
                SMUGGLED.len()
            ),
            Outcome::Read(vec![Seen::new(method, target, status).body(SMUGGLED)]),
        ));
    }
    rows.push(row(
        "RFC 9112, 6.3",
        "a request right behind a GET",
        get("") + &get("x: y\r\n"),
        Outcome::Read(vec![health(), health()]),
    ));
    rows
}
