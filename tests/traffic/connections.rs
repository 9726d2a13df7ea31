//! How long a connection lives, what is asked of it, and requests that follow each other.

use super::{
    Outcome, PIPELINED, Row, SMUGGLED, Seen, TASK, get, health, post, refused, row, submission,
};

pub(super) fn rows() -> Vec<Row> {
    [options(), old(), upgrades(), expectations(), pipelines()].concat()
}

fn options() -> Vec<Row> {
    let rule = "RFC 9112, 9.6";
    let mut rows = Vec::new();
    for line in [
        "Connection: close",
        "Connection: Close",
        "connection: CLOSE",
        "Connection:close",
        "Connection: \tclose ",
        "Connection: keep-alive, close",
        "Connection: close, keep-alive",
        "Connection: x,close,y",
        "Connection: ,close",
        "Connection: x\r\nConnection: close",
        "Connection: close\r\nConnection: keep-alive",
    ] {
        rows.push(row(
            rule,
            format!("{line:?}"),
            get(&format!("{line}\r\n")),
            Outcome::Closed(vec![health()]),
        ));
    }
    for line in [
        "Connection:",
        "Connection: keep-alive",
        "Connection: x",
        "Connection: closed",
        "Connection: clos",
        "Connection: \"close\"",
        "Connection: close;x",
        "Connection: close x",
        "Proxy-Connection: close",
        "Keep-Alive: timeout=0",
        "X-Connection: close",
        "Connection: host",
    ] {
        rows.push(row(
            rule,
            format!("{line:?}"),
            get(&format!("{line}\r\n")),
            Outcome::Read(vec![health()]),
        ));
    }
    // A field that Connection names still says where the body ends.
    rows.push(row(
        "RFC 9110, 7.6.1",
        "a length that Connection names",
        post(
            &format!(
                "Connection: content-length\r\nContent-Length: {}\r\n",
                TASK.len()
            ),
            TASK,
        ),
        Outcome::Read(vec![submission()]),
    ));
    rows.push(row(
        rule,
        "a close with a body",
        post(
            &format!("Connection: close\r\nContent-Length: {}\r\n", TASK.len()),
            TASK,
        ),
        Outcome::Closed(vec![submission()]),
    ));
    rows
}

fn old() -> Vec<Row> {
    let rule = "RFC 9112, 9.3; crates.md A1";
    let get = |lines: &str| format!("GET /health HTTP/1.0\r\n{lines}\r\n");
    let nobody = || health().host("");
    let task = format!("Content-Length: {}\r\n\r\n{TASK}", TASK.len());
    let mut rows = vec![
        row(rule, "HTTP/1.0", get(""), Outcome::Closed(vec![nobody()])),
        row(
            rule,
            "HTTP/1.0 with a Host",
            get("Host: localhost\r\n"),
            Outcome::Closed(vec![health()]),
        ),
        row(
            rule,
            "HTTP/1.0 with a body",
            format!("POST /task HTTP/1.0\r\nHost: localhost\r\n{task}"),
            Outcome::Closed(vec![submission()]),
        ),
        row(
            rule,
            "HTTP/1.0 that goes on with a body",
            format!("POST /task HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n{task}"),
            Outcome::Read(vec![submission()]),
        ),
        row(
            rule,
            "HEAD in HTTP/1.0",
            "HEAD /health HTTP/1.0\r\n\r\n",
            Outcome::Closed(vec![Seen::new("HEAD", "/health", 200).host("")]),
        ),
        row(
            "RFC 9110, 10.1.1",
            "an expectation in HTTP/1.0",
            get("Expect: pancakes\r\n"),
            Outcome::Closed(vec![nobody()]),
        ),
    ];
    for (line, goes_on) in [
        ("Connection: keep-alive", true),
        ("Connection: Keep-Alive", true),
        ("Connection: x, keep-alive", true),
        ("Connection: keep-alive, close", false),
        ("Connection: keep-alive\r\nConnection: close", false),
        ("Connection: keep-alivex", false),
        ("Proxy-Connection: keep-alive", false),
        ("Keep-Alive: timeout=5", false),
    ] {
        let seen = vec![nobody()];
        rows.push(row(
            rule,
            format!("HTTP/1.0 and {line:?}"),
            get(&format!("{line}\r\n")),
            if goes_on {
                Outcome::Read(seen)
            } else {
                Outcome::Closed(seen)
            },
        ));
    }
    rows
}

/// An upgrade that is not done changes nothing.
fn upgrades() -> Vec<Row> {
    let settings = "HTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let mut rows = Vec::new();
    for (what, lines) in [
        (
            "h2c",
            format!("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n{settings}"),
        ),
        (
            "h2c without Connection",
            format!("Upgrade: h2c\r\n{settings}"),
        ),
        (
            "TLS",
            "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n".to_owned(),
        ),
        (
            "a web socket",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                .to_owned(),
        ),
    ] {
        rows.push(row(
            "RFC 9110, 7.8",
            format!("an upgrade to {what}"),
            get(&lines),
            Outcome::Read(vec![health()]),
        ));
        rows.push(row(
            "RFC 9110, 7.8",
            format!("an upgrade to {what} with a body"),
            post(&format!("{lines}Content-Length: {}\r\n", TASK.len()), TASK),
            Outcome::Read(vec![submission()]),
        ));
    }
    rows
}

fn expectations() -> Vec<Row> {
    let length = format!("Content-Length: {}\r\n", TASK.len());
    let mut rows = Vec::new();
    for expect in [
        "pancakes",
        "",
        "100-continue, x",
        "x, 100-continue",
        "100-continue;x",
        "100",
        "200-ok",
    ] {
        rows.extend(refused(
            "RFC 9110, 10.1.1; crates.md A4",
            417,
            [(
                "an expectation that can't be met",
                post(&format!("Expect: {expect}\r\n{length}"), SMUGGLED),
            )],
        ));
    }
    rows.push(row(
        "RFC 9110, 10.1.1",
        "two expectations",
        post(
            &format!("Expect: 100-continue\r\nExpect: 100-continue\r\n{length}"),
            TASK,
        ),
        Outcome::Refused(400),
    ));
    rows.push(row(
        "RFC 9110, 10.1.1",
        "an expectation in front of contradictory framing",
        post(
            &format!("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n{length}"),
            TASK,
        ),
        Outcome::Refused(400),
    ));
    for expect in [
        "100-continue",
        "100-Continue",
        "100-CONTINUE",
        "\t100-continue ",
    ] {
        rows.push(row(
            "RFC 9110, 10.1.1; crates.md A4",
            format!("the expectation {expect:?} with the body right behind"),
            post(&format!("Expect: {expect}\r\n{length}"), TASK),
            Outcome::Read(vec![submission()]),
        ));
    }
    rows.push(row(
        "RFC 9110, 10.1.1",
        "an expectation with a chunked body",
        post(
            "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
            &format!("{:x}\r\n{TASK}\r\n0\r\n\r\n", TASK.len()),
        ),
        Outcome::Read(vec![submission()]),
    ));
    rows.push(row(
        "RFC 9110, 10.1.1",
        "an expectation without a body",
        get("Expect: 100-continue\r\n"),
        Outcome::Read(vec![health()]),
    ));
    rows
}

fn pipelines() -> Vec<Row> {
    let length = TASK.len();
    let sized = post(&format!("Content-Length: {length}\r\n"), TASK);
    let chunks = format!("{length:x}\r\n{TASK}\r\n0\r\n\r\n");
    let chunked = post("Transfer-Encoding: chunked\r\n", &chunks);
    let head = "HEAD /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let all = [
        &get(""),
        &sized,
        "\r\n",
        &chunked,
        head,
        &sized,
        &get("x: y\r\n"),
    ]
    .concat();
    let seen = vec![
        health(),
        submission(),
        submission(),
        Seen::new("HEAD", "/tasks", 200),
        submission(),
        health(),
    ];
    let mut until_close = seen.clone();
    until_close.push(health());
    vec![
        row(
            "RFC 9112, 9.3.2; crates.md A4",
            PIPELINED,
            all.clone(),
            Outcome::Read(seen),
        ),
        row(
            "RFC 9112, 9.3.2",
            format!("{PIPELINED} and a close"),
            all + &get("Connection: close\r\n"),
            Outcome::Closed(until_close),
        ),
        row(
            "RFC 9112, 9.3.2; crates.md A4",
            "more than one read of requests",
            get("").repeat(100),
            Outcome::Read(vec![health(); 100]),
        ),
    ]
}
