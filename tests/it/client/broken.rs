//! Connections that break, servers that are not there, and output that cannot be written.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use crate::harness::{Program, Relay, Server, Turn, now, offline_worker};

const DRAINING: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 37\r\n\r\n\
    {\"error\": \"stops\", \"code\":\"draining\"}";
const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";

#[track_caller]
fn task(server: &Server, addr: SocketAddr, more: &[&str]) -> crate::harness::Outcome {
    let mut command = server.client(&["task", "--worker=w", "p"]);
    command.args(more).args(["--addr", &addr.to_string()]);
    Program::start(command).ended()
}

#[test]
fn a_request_that_breaks_is_repeated_and_stores_one_task() {
    for turns in [
        &[Turn::Drop][..],
        &[Turn::Lose],
        &[
            Turn::Lose,
            Turn::Say(DRAINING),
            Turn::Say(UNAVAILABLE),
            Turn::Drop,
        ],
        &[Turn::Say(BAD_GATEWAY), Turn::Say(BAD_GATEWAY)],
    ] {
        let server = Server::with(offline_worker("w"));
        let relay = Relay::in_turn(server.addr, turns);
        let outcome = task(&server, relay.addr(), &[]).expect(0);
        assert_eq!(server.ids("/tasks"), [outcome.stdout.trim()], "{turns:?}");
        assert!(outcome.stderr.is_empty(), "{turns:?}: {outcome:#?}");
    }
}

#[test]
fn where_it_is_not_known_whether_a_task_was_stored_the_key_is_told() {
    let server = Server::with(offline_worker("w"));
    let relay = Relay::in_turn(server.addr, &[Turn::Lose, Turn::Say(FORBIDDEN)]);
    let outcome = task(&server, relay.addr(), &[]).expect(1);
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:#?}");
    for part in ["403", "whether the task was stored is not known"] {
        assert!(outcome.stderr.contains(part), "{outcome:#?}");
    }
    let (_, key) = outcome
        .stderr
        .trim_end()
        .rsplit_once("--idempotency-key ")
        .unwrap();
    let again = task(&server, server.addr, &["--idempotency-key", key]).expect(0);
    assert_eq!(server.ids("/tasks"), [again.stdout.trim()]);
}

#[test]
fn a_refusal_of_a_request_that_came_first_is_final() {
    let server = Server::with(offline_worker("w"));
    for said in [DRAINING, FORBIDDEN] {
        let relay = Relay::in_turn(server.addr, &[Turn::Say(said)]);
        let outcome = task(&server, relay.addr(), &[]).expect(1);
        assert!(!outcome.stderr.contains("not known"), "{outcome:#?}");
    }
    assert!(server.ids("/tasks").is_empty());
}

/// A server that accepts nothing: the kernel keeps as many connections as it may and answers no
/// further one.
fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 1_000, "the kernel keeps too many");
    }
    (listener, waiting)
}

#[test]
fn a_server_that_accepts_no_connection_is_not_there() {
    let server = Server::with(offline_worker("w"));
    let (listener, _waiting) = black_hole();
    let addr = listener.local_addr().unwrap();
    let begun = now();
    let outcome = task(&server, addr, &[]).expect(1);
    assert!(begun.elapsed() < Duration::from_secs(25));
    for part in ["no server answers", "--addr", "not accepted in time"] {
        assert!(outcome.stderr.contains(part), "{outcome:#?}");
    }
    assert!(!outcome.stderr.contains("not known"), "{outcome:#?}");
}

/// Commands that print in each of the ways there are.
const PRINTING: &[&[&str]] = &[
    &["tasks"],
    &["tasks", "--json"],
    &["workers"],
    &["workers", "--json"],
    &["task", "--worker=w", "p"],
    &["task", "--worker=w", "--json", "p"],
    &["--help"],
    &["man"],
];

#[test]
fn output_that_cannot_be_written_is_1_with_the_reason() {
    let server = Server::with(offline_worker("w"));
    for args in PRINTING {
        let mut command = server.client(args);
        command.stdout(File::options().write(true).open("/dev/full").unwrap());
        let outcome = Program::start(command).ended().expect(1);
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {outcome:#?}");
        assert!(
            outcome.stderr.contains("standard output: No space left"),
            "{args:?}: {outcome:#?}"
        );
    }
}

#[test]
fn output_that_nobody_reads_any_more_is_no_error() {
    let server = Server::with(offline_worker("w"));
    for args in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = server.client(args);
        command.stdout(Stdio::from(writer));
        let outcome = Program::start(command).ended().expect(0);
        assert!(outcome.stderr.is_empty(), "{args:?}: {outcome:#?}");
    }
}
