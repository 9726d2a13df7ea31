//! Header lines: their ends, their names, and names that look like others.

use super::{BEHIND, Outcome, Row, TASK, get, health, post, refused, row, submission};

pub(super) fn rows() -> Vec<Row> {
    [line_ends(), folded(), names(), values(), lookalikes()].concat()
}

fn line_ends() -> Vec<Row> {
    let host = "Host: localhost";
    refused(
        "RFC 9112, 2.2; crates.md A4",
        400,
        [
            ("LFs alone", format!("GET /health HTTP/1.1\n{host}\n\n")),
            (
                "a LF behind the request line",
                format!("GET /health HTTP/1.1\n{host}\r\n\r\n"),
            ),
            ("a LF behind a field", get("x: y\n")),
            (
                "a LF behind Host",
                format!("GET /health HTTP/1.1\r\n{host}\n\r\n"),
            ),
            (
                "a head that ends in LF",
                format!("GET /health HTTP/1.1\r\n{host}\r\n\n"),
            ),
            (
                "an early end by LFs",
                format!("GET /health HTTP/1.1\r\n{host}\n\n{BEHIND}"),
            ),
            ("a CR behind a field", get("x: y\r")),
            ("a CR within a value", get("x: y\rz\r\n")),
            (
                "a CR that hides a field",
                get("x: y\rTransfer-Encoding: chunked\r\n"),
            ),
            ("a CR within a name", get("x\ry: z\r\n")),
            ("CRs alone", format!("GET /health HTTP/1.1\r{host}\r\r")),
            ("CR CR LF behind a field", get("x: y\r\r\n")),
            (
                "CR CR LF at the end",
                format!("GET /health HTTP/1.1\r\n{host}\r\n\r\r\n"),
            ),
            ("LF CR behind a field", get("x: y\n\r")),
            (
                "CRLF and LF",
                format!("GET /health HTTP/1.1\r\n{host}\r\n\nx: y\r\n\r\n"),
            ),
        ],
    )
}

fn folded() -> Vec<Row> {
    refused(
        "RFC 9112, 5.2",
        400,
        [
            ("a folded value", get("x: y\r\n z\r\n")),
            ("a value folded by a tab", get("x: y\r\n\tz\r\n")),
            ("a line of white space", get("x: y\r\n \r\n")),
            ("a folded name", get("x\r\n : y\r\n")),
            (
                "a folded framing field",
                get("x: y\r\n Transfer-Encoding: chunked\r\n"),
            ),
            (
                "white space in front of the first field",
                "GET /health HTTP/1.1\r\n x: y\r\nHost: localhost\r\n\r\n".to_owned(),
            ),
            (
                "white space in front of Host",
                "GET /health HTTP/1.1\r\n\tHost: localhost\r\n\r\n".to_owned(),
            ),
        ],
    )
}

fn names() -> Vec<Row> {
    let mut rows = refused(
        "RFC 9112, 5.1",
        400,
        [
            ("no colon", get("nonsense\r\n")),
            (
                "a request line among the fields",
                get("GET /smuggled HTTP/1.1\r\n"),
            ),
            ("an empty name", get(": x\r\n")),
            ("a space in front of the colon", get("x : y\r\n")),
            ("a tab in front of the colon", get("x\t: y\r\n")),
            ("a NUL in front of the colon", get("x\0: y\r\n")),
            ("a vertical tab in front of the colon", get("x\u{b}: y\r\n")),
            ("a space within a name", get("x y: z\r\n")),
            ("a letter beyond ASCII in a name", get("\u{e4}: x\r\n")),
            (
                "a soft hyphen in a name",
                get("Content\u{ad}-Length: 5\r\n"),
            ),
        ],
    );
    for delimiter in "\"(),/;<=>?@[\\]{}".chars() {
        rows.push(row(
            "RFC 9110, 5.6.2",
            format!("a name with {delimiter}"),
            get(&format!("na{delimiter}me: x\r\n")),
            Outcome::Refused(400),
        ));
    }
    rows
}

fn values() -> Vec<Row> {
    let mut rows = refused(
        "RFC 9110, 5.5; crates.md A3",
        400,
        [
            ("a NUL in a value", get("x: \0\r\n")),
            ("a control in a value", get("x: \u{1}\r\n")),
            ("an escape in a value", get("x: \u{1b}[31m\r\n")),
            ("a DEL in a value", get("x: \u{7f}\r\n")),
            ("UTF-8 in a value", get("x: \u{e4}\r\n")),
            ("a no-break space in a value", get("x:\u{a0}y\r\n")),
            ("a line separator in a value", get("x: \u{2028}y: z\r\n")),
        ],
    );
    for byte in [0x80, 0xa0, 0xe4, 0xff] {
        let mut bytes = b"GET /health HTTP/1.1\r\nHost: localhost\r\nx: ".to_vec();
        bytes.push(byte);
        bytes.extend(b"\r\n\r\n");
        rows.push(row(
            "RFC 9110, 5.5; crates.md A3",
            format!("the byte {byte:#x} in a value"),
            bytes,
            Outcome::Refused(400),
        ));
    }
    for (what, line) in [
        ("no value", "x:"),
        ("white space for a value", "x: \t "),
        ("a value right behind the colon", "x:y"),
        ("tabs around a value", "x:\ty\t"),
        ("colons in a value", "x: y: z"),
        ("every character of a token", "!#$%&'*+-.^_`|~09az: y"),
        ("an escaped line end", "x: \\r\\nContent-Length: 5"),
        ("the same field twice", "x: y\r\nx: z"),
    ] {
        rows.push(row(
            "RFC 9112, 5",
            what,
            get(&format!("{line}\r\n")),
            Outcome::Read(vec![health()]),
        ));
    }
    rows
}

/// Fields that frame nothing, whatever they look like.
fn lookalikes() -> Vec<Row> {
    let mut rows = Vec::new();
    for line in [
        "Content_Length: 5",
        "X-Content-Length: 5",
        "Content-Lengthx: 5",
        "ContentLength: 5",
        "Content.Length: 5",
        "Transfer_Encoding: chunked",
        "Transfer-Encodin: chunked",
        "X-Transfer-Encoding: chunked",
        "Content-Encoding: chunked",
        "TE: chunked",
        "TE: trailers, deflate",
        "Trailer: Content-Length",
        "Content-Range: bytes 0-4/5",
        "X-HTTP-Method-Override: DELETE",
        "X-Original-URL: /tasks",
        "X-Rewrite-URL: /tasks",
        "X-Forwarded-Host: evil.example",
        "Forwarded: host=evil.example",
    ] {
        rows.push(row(
            "RFC 9112, 6",
            format!("{line:?} on a request without a body"),
            get(&format!("{line}\r\n")),
            Outcome::Read(vec![health()]),
        ));
        rows.push(row(
            "RFC 9112, 6",
            format!("{line:?} on a request with a body"),
            post(
                &format!("{line}\r\nContent-Length: {}\r\n", TASK.len()),
                TASK,
            ),
            Outcome::Read(vec![submission()]),
        ));
    }
    rows
}
