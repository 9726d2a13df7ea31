//! Chunked bodies: sizes, line ends, extensions, trailers.

use super::{Outcome, Row, SMUGGLED, TASK, get, health, post, row, submission};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

pub(super) fn rows() -> Vec<Row> {
    [sizes(), line_ends(), trailers(), too_large(), taken()].concat()
}

/// The body on a request that wants one and on one that wants none.
fn both(rule: &'static str, what: &str, body: &str, status: u16) -> [Row; 2] {
    super::both(rule, what, CHUNKED, body, status)
}

fn sizes() -> Vec<Row> {
    let size = format!("{:x}", TASK.len());
    let mut rows = Vec::new();
    for (what, line) in [
        ("no size", String::new()),
        ("a prefix", format!("0x{size}")),
        ("a prefix and nothing", "0x".to_owned()),
        ("a suffix", format!("{size}h")),
        ("a plus", format!("+{size}")),
        ("a minus", format!("-{size}")),
        ("minus one", "-1".to_owned()),
        ("a space in front", format!(" {size}")),
        ("a tab in front", format!("\t{size}")),
        ("a space behind", format!("{size} ")),
        ("a tab behind", format!("{size}\t")),
        ("a vertical tab behind", format!("{size}\u{b}")),
        ("a NUL behind", format!("{size}\0")),
        ("a space within", format!("{} {}", &size[..1], &size[1..])),
        ("an underscore", format!("{}_{}", &size[..1], &size[1..])),
        ("a comma", format!("{size},{size}")),
        ("a point", format!("{size}.0")),
        ("no hexadecimal digit", "g".to_owned()),
        ("quotes", format!("\"{size}\"")),
        ("a digit beyond ASCII", "\u{ff12}1".to_owned()),
        ("17 digits", format!("{size:0>17}")),
        ("64 zeros in front", format!("{}{size}", "0".repeat(64))),
        ("an overflow of 64 bits", format!("1{size:0>16}")),
        (
            "an overflow of 64 bits by more",
            format!("ffffffffffffffff{size}"),
        ),
        (
            "an overflow of 32 bits written long",
            format!("{:0>15}{size}", "1"),
        ),
        ("an extension", format!("{size};x=y")),
        ("an extension without a value", format!("{size};x")),
        ("an empty extension", format!("{size};")),
        ("a quoted extension", format!("{size};x=\"y\"")),
        ("an extension behind a space", format!("{size} ;x")),
        ("a LF within an extension", format!("{size};x\ny")),
        (
            "a LF and a size within an extension",
            format!("{size};\n0\r\n"),
        ),
        ("a CR within an extension", format!("{size};x\ry")),
        (
            "an endless extension",
            format!("{size};{}", "x".repeat(4_096)),
        ),
    ] {
        rows.extend(both(
            "RFC 9112, 7.1; crates.md A4",
            &format!("a chunk size with {what}"),
            &format!("{line}\r\n{TASK}\r\n0\r\n\r\n{SMUGGLED}"),
            400,
        ));
        if what.contains("extension") {
            rows.extend(both(
                "RFC 9112, 7.1.1",
                &format!("a last chunk with {what}"),
                &format!(
                    "{size}\r\n{TASK}\r\n{}\r\n\r\n",
                    line.replacen(&size, "0", 1)
                ),
                400,
            ));
        }
    }
    rows
}

fn line_ends() -> Vec<Row> {
    let size = format!("{:x}", TASK.len());
    let mut rows = Vec::new();
    for (what, body) in [
        (
            "a LF behind the size",
            format!("{size}\n{TASK}\r\n0\r\n\r\n"),
        ),
        (
            "a CR behind the size",
            format!("{size}\r{TASK}\r\n0\r\n\r\n"),
        ),
        (
            "CR CR LF behind the size",
            format!("{size}\r\r\n{TASK}\r\n0\r\n\r\n"),
        ),
        (
            "LF CR behind the size",
            format!("{size}\n\r{TASK}\r\n0\r\n\r\n"),
        ),
        (
            "an empty line in front of the size",
            format!("\r\n{size}\r\n{TASK}\r\n0\r\n\r\n"),
        ),
        (
            "a LF behind the data",
            format!("{size}\r\n{TASK}\n0\r\n\r\n"),
        ),
        (
            "a CR behind the data",
            format!("{size}\r\n{TASK}\r0\r\n\r\n"),
        ),
        (
            "LF CR behind the data",
            format!("{size}\r\n{TASK}\n\r0\r\n\r\n"),
        ),
        (
            "nothing behind the data",
            format!("{size}\r\n{TASK}0\r\n\r\n"),
        ),
        (
            "two bytes of anything behind the data",
            format!("{size}\r\n{TASK}xx0\r\n\r\n"),
        ),
        (
            "more data than its size",
            format!("{size}\r\n{TASK}x\r\n0\r\n\r\n"),
        ),
        (
            "less data than its size",
            format!("{size}\r\n{}\r\n0\r\n\r\n", &TASK[1..]),
        ),
        (
            "an empty line behind the data",
            format!("{size}\r\n{TASK}\r\n\r\n0\r\n\r\n"),
        ),
        (
            "a LF behind the last size",
            format!("{size}\r\n{TASK}\r\n0\n\r\n"),
        ),
        ("a LF at the end", format!("{size}\r\n{TASK}\r\n0\r\n\n")),
        ("a CR at the end", format!("{size}\r\n{TASK}\r\n0\r\n\r\r")),
        ("LFs alone", format!("{size}\n{TASK}\n0\n\n")),
        ("a request for a chunk", SMUGGLED.to_owned()),
    ] {
        let body = format!("{body}{SMUGGLED}");
        rows.extend(both("RFC 9112, 7.1; crates.md A4", what, &body, 400));
    }
    rows
}

fn trailers() -> Vec<Row> {
    let mut rows = Vec::new();
    let endless = "x-trailer: y\r\n".repeat(200);
    let endless_line = format!("x: {}\r\n", "y".repeat(2_000));
    for (what, trailer) in [
        ("no colon", "nonsense\r\n"),
        ("a request line", "GET /smuggled HTTP/1.1\r\n"),
        ("an empty name", ": x\r\n"),
        ("a space in front of the colon", "x : y\r\n"),
        ("a space within a name", "x y: z\r\n"),
        ("a folded value", "x: y\r\n z\r\n"),
        ("white space first", " x: y\r\n"),
        ("a LF", "x: y\n"),
        ("a CR", "x: y\rz: a\r\n"),
        ("CR CR LF", "x: y\r\r\n"),
        ("a NUL", "x: \0\r\n"),
        ("a letter beyond ASCII", "x: \u{e4}\r\n"),
        ("fields without an end", endless.as_str()),
        ("a line without an end", endless_line.as_str()),
    ] {
        rows.extend(both(
            "RFC 9112, 7.1.2; crates.md A3, A4",
            &format!("a trailer with {what}"),
            &format!("0\r\n{trailer}\r\n{SMUGGLED}"),
            400,
        ));
    }
    rows
}

fn too_large() -> Vec<Row> {
    let mut rows = Vec::new();
    for size in [
        "ffffffffffffffff",
        "7fffffffffffffff",
        "8000000000000000",
        "0000000100000021",
    ] {
        rows.extend(both(
            "RFC 9110, 15.5.14; RFC 9112, 7.1",
            &format!("a chunk of {size}"),
            &format!("{size}\r\n{SMUGGLED}"),
            413,
        ));
    }
    rows
}

fn taken() -> Vec<Row> {
    let size = format!("{:x}", TASK.len());
    let (front, rest) = TASK.split_at(11);
    let by_bytes: Vec<String> = TASK.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    let by_bytes = by_bytes.concat();
    let mut rows = Vec::new();
    for (what, body) in [
        (
            "zeros in front of a size",
            format!("00{size}\r\n{TASK}\r\n0\r\n\r\n"),
        ),
        (
            "a size of 16 digits",
            format!("{size:0>16}\r\n{TASK}\r\n0\r\n\r\n"),
        ),
        (
            "two chunks, one with a capital",
            format!("B\r\n{front}\r\n{:X}\r\n{rest}\r\n0\r\n\r\n", rest.len()),
        ),
        ("chunks of one byte", format!("{by_bytes}0\r\n\r\n")),
        (
            "several zeros at the end",
            format!("{size}\r\n{TASK}\r\n0000\r\n\r\n"),
        ),
        (
            "a trailer",
            format!("{size}\r\n{TASK}\r\n0\r\nx: y\r\n\r\n"),
        ),
        (
            "two trailers",
            format!("{size}\r\n{TASK}\r\n0\r\nx: y\r\nz:\r\n\r\n"),
        ),
        (
            "a length in the trailer",
            format!("{size}\r\n{TASK}\r\n0\r\nContent-Length: 50\r\n\r\n"),
        ),
        (
            "a coding in the trailer",
            format!("{size}\r\n{TASK}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ),
        (
            "a Host in the trailer",
            format!("{size}\r\n{TASK}\r\n0\r\nHost: evil.example\r\n\r\n"),
        ),
        (
            "a close in the trailer",
            format!("{size}\r\n{TASK}\r\n0\r\nConnection: close\r\n\r\n"),
        ),
        (
            "a CRLF behind the body",
            format!("{size}\r\n{TASK}\r\n0\r\n\r\n\r\n"),
        ),
    ] {
        rows.push(row(
            "RFC 9112, 7.1",
            format!("a chunked body with {what}"),
            post(CHUNKED, &body),
            Outcome::Read(vec![submission()]),
        ));
    }
    rows.push(row(
        "RFC 9112, 7.1",
        "no chunks for a GET",
        get(CHUNKED) + "0\r\n\r\n",
        Outcome::Read(vec![health()]),
    ));
    rows
}
