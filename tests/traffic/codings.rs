//! `Transfer-Encoding`: one coding, written in one way, and nothing beside it.

use super::{Outcome, Row, SMUGGLED, TASK, get, health, post, refused, row, submission};

/// A body in chunked coding that has no bytes, as CL.TE tricks end.
const NO_CHUNKS: &str = "0\r\n\r\n";

pub(super) fn rows() -> Vec<Row> {
    [
        beside_a_length(),
        obfuscated(),
        several(),
        foreign(),
        old(),
        taken(),
    ]
    .concat()
}

/// The same header lines on a request that wants a body and on one that wants none.
fn both(rule: &'static str, what: &str, lines: &str, status: u16) -> [Row; 2] {
    let (lines, behind) = (format!("{lines}\r\n"), format!("{NO_CHUNKS}{SMUGGLED}"));
    super::both(rule, what, &lines, &behind, status)
}

fn beside_a_length() -> Vec<Row> {
    let rule = "RFC 9112, 6.1; crates.md A4";
    let length = NO_CHUNKS.len() + SMUGGLED.len();
    let mut rows = Vec::new();
    for (what, lines) in [
        (
            "CL.TE",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        ),
        (
            "TE.CL",
            "Transfer-Encoding: chunked\r\nContent-Length: 4".to_owned(),
        ),
        (
            "CL.TE, a length of 0",
            "Content-Length: 0\r\nTransfer-Encoding: chunked".to_owned(),
        ),
        (
            "CL.TE, a foreign coding",
            format!("Content-Length: {length}\r\nTransfer-Encoding: x"),
        ),
        (
            "CL.TE, no coding",
            format!("Content-Length: {length}\r\nTransfer-Encoding:"),
        ),
        (
            "CL.TE, identity",
            format!("Content-Length: {length}\r\nTransfer-Encoding: identity"),
        ),
        (
            "TE.CL, a bad length",
            "Transfer-Encoding: chunked\r\nContent-Length: x".to_owned(),
        ),
        (
            "CL.TE, one of them named by Connection",
            format!(
                "Content-Length: {length}\r\nConnection: content-length\r\nTransfer-Encoding: chunked"
            ),
        ),
        (
            "CL.TE in another case",
            format!("content-length: {length}\r\ntransfer-encoding: CHUNKED"),
        ),
    ] {
        rows.extend(both(rule, what, &lines, 400));
    }
    // What the two tricks look like whole.
    rows.extend(refused(
        rule,
        400,
        [
            (
                "CL.TE with a prefix of the next request",
                post(
                    "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
                    "0\r\n\r\nG",
                ),
            ),
            (
                "TE.CL with a request in a chunk",
                post(
                    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                    &format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len()),
                ),
            ),
        ],
    ));
    rows
}

/// TE.TE: one server knows the coding, the other one does not.
fn obfuscated() -> Vec<Row> {
    let mut rows = Vec::new();
    for coding in [
        "",
        ",",
        "xchunked",
        "chunkedx",
        "chunked x",
        "x chunked",
        "chunked;",
        "chunked;q=1",
        "chunked=",
        "\"chunked\"",
        "'chunked'",
        "(chunked)",
        "[chunked]",
        "chunked\u{b}",
        "\u{b}chunked",
        "\u{c}chunked",
        "\0chunked",
        "chunked\0",
        "chunked\u{1}",
        "chunked\u{7f}",
        "\u{a0}chunked",
        "chunked\u{a0}",
        "chun\u{212a}ed",
        "\u{feff}chunked",
        "chun ked",
        "chunke",
        "chunk",
        "c",
        "chunked,",
        ",chunked",
        " , chunked , ",
        "chunked chunked",
        "\r\n chunked",
        "\r\n\tchunked",
        "chunked\r\n ,identity",
        "x\r\n chunked",
        "\nchunked",
        "\rchunked",
        "chunked\r",
    ] {
        rows.extend(both(
            "RFC 9112, 6.1 and 6.3; crates.md A4",
            &format!("the coding {coding:?}"),
            &format!("Transfer-Encoding: {coding}"),
            400,
        ));
    }
    for line in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding\u{b}: chunked",
        "Transfer-Encoding\0: chunked",
        " Transfer-Encoding: chunked",
        "\tTransfer-Encoding: chunked",
        "x: y\r\n Transfer-Encoding: chunked",
        "x: y\nTransfer-Encoding: chunked",
        "x: y\rTransfer-Encoding: chunked",
        "x: y\r\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding\r\n: chunked",
        "Transfer-Encoding chunked",
        "Transfer-Encoding= chunked",
        "Transfer Encoding: chunked",
        "\"Transfer-Encoding\": chunked",
        "Transfer\u{2010}Encoding: chunked",
        ": y\r\nTransfer-Encoding: chunked",
    ] {
        rows.extend(both(
            "RFC 9112, 2.2 and 5; crates.md A4",
            &format!("the line {line:?}"),
            line,
            400,
        ));
    }
    rows.push(row(
        "RFC 9112, 2.1",
        "the coding behind the head's end",
        post("\r\nTransfer-Encoding: chunked\r\n", NO_CHUNKS),
        Outcome::Refused(411),
    ));
    rows
}

fn several() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, lines) in [
        ("chunked twice", "Transfer-Encoding: chunked, chunked"),
        (
            "chunked three times",
            "Transfer-Encoding: chunked,chunked,chunked",
        ),
        (
            "two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        (
            "two lines apart",
            "Transfer-Encoding: chunked\r\nx: y\r\nTransfer-Encoding: chunked",
        ),
        (
            "two lines in other cases",
            "Transfer-Encoding: chunked\r\ntransfer-ENCODING: chunked",
        ),
        (
            "chunked and a line of identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ),
        (
            "a line of identity and chunked",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        ),
        (
            "chunked and a line of nonsense",
            "Transfer-Encoding: chunked\r\nTransfer-encoding: x",
        ),
        (
            "a line of nonsense and chunked",
            "Transfer-Encoding: x\r\nTransfer-encoding: chunked",
        ),
        (
            "chunked and an empty line",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
        ),
        (
            "gzip and chunked on two lines",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        ),
    ] {
        rows.extend(both("RFC 9112, 6.1; crates.md A4", what, lines, 400));
    }
    rows
}

fn foreign() -> Vec<Row> {
    let mut rows = Vec::new();
    // Where chunked is not the last coding the body has no end that is known.
    for codings in [
        "identity",
        "gzip",
        "x-gzip",
        "compress",
        "deflate",
        "br",
        "chunked, identity",
        "chunked, gzip",
        "chunked,x",
        "gzip, identity",
        "gzip, chunked, gzip",
    ] {
        rows.extend(both(
            "RFC 9112, 6.3, 4; crates.md A4",
            &format!("the codings {codings:?}"),
            &format!("Transfer-Encoding: {codings}"),
            400,
        ));
    }
    for codings in [
        "gzip, chunked",
        "gzip,chunked",
        "identity, chunked",
        "x, chunked",
        "deflate, gzip, chunked",
        "gzip;q=1, chunked",
    ] {
        rows.extend(both(
            "RFC 9112, 6.1; crates.md A4",
            &format!("the codings {codings:?}"),
            &format!("Transfer-Encoding: {codings}"),
            501,
        ));
    }
    rows
}

fn old() -> Vec<Row> {
    let behind = format!("{NO_CHUNKS}{SMUGGLED}");
    let head = |method: &str, lines: &str| {
        format!("{method} HTTP/1.0\r\nHost: localhost\r\n{lines}\r\n\r\n{behind}")
    };
    refused(
        "RFC 9112, 6.1",
        400,
        [
            (
                "chunked in HTTP/1.0",
                head("POST /task", "Transfer-Encoding: chunked"),
            ),
            (
                "chunked in HTTP/1.0, GET",
                head("GET /health", "Transfer-Encoding: chunked"),
            ),
            (
                "chunked in HTTP/1.0 that goes on",
                head(
                    "POST /task",
                    "Connection: keep-alive\r\nTransfer-Encoding: chunked",
                ),
            ),
            (
                "chunked and a length in HTTP/1.0",
                head(
                    "POST /task",
                    "Content-Length: 5\r\nTransfer-Encoding: chunked",
                ),
            ),
            (
                "a foreign coding in HTTP/1.0",
                head("POST /task", "Transfer-Encoding: gzip"),
            ),
        ],
    )
}

fn taken() -> Vec<Row> {
    let chunks = format!("{:x}\r\n{TASK}\r\n0\r\n\r\n", TASK.len());
    let mut rows = Vec::new();
    for line in [
        "Transfer-Encoding: chunked",
        "transfer-encoding: chunked",
        "TRANSFER-ENCODING: CHUNKED",
        "Transfer-Encoding: Chunked",
        "Transfer-Encoding:chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding: \t chunked \t",
        "Transfer-Encoding: chunked\r\nConnection: transfer-encoding",
        "Transfer-Encoding: chunked\r\nTrailer: x",
    ] {
        rows.push(row(
            "RFC 9112, 6.1",
            format!("the line {line:?}"),
            post(&format!("{line}\r\n"), &chunks),
            Outcome::Read(vec![submission()]),
        ));
    }
    // TE.0: the body of a request that wants none.
    let hidden = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    rows.push(row(
        "RFC 9112, 6.3; crates.md A4",
        "a request within the chunked body of a GET",
        get("Transfer-Encoding: chunked\r\n") + &hidden,
        Outcome::Read(vec![health().body(SMUGGLED)]),
    ));
    rows
}
