//! How much of a stream there is, for whom, and for how long.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::Signal;
use serde_json::json;

use super::reader::{Next, Reader};
use crate::harness::{
    Api, EndpointWorker, Gate, Request, Server, now, offline_worker, server, wait_until,
};

/// Changes that the server keeps (API.md).
const KEPT: usize = 8_192;

/// Readers that it has at once.
const READERS: usize = 64;

/// Submits `count` tasks, many at once.
fn submit_many(server: &Server, worker: &'static str, count: usize) {
    let clients: Vec<_> = (0..16)
        .map(|client| {
            let api = server.api();
            thread::spawn(move || {
                let mut connection = api.connect();
                let body = json!({"prompt": "p", "worker": worker});
                let request = Request::post("/task").json(&body);
                for _ in (client..count).step_by(16) {
                    connection.ask(&request).expect(202);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

/// A reader that takes nothing, and has little room to be sent anything.
fn deaf(server: &Server) -> TcpStream {
    let mut deaf = TcpStream::connect(server.addr).unwrap();
    set_socket_recv_buffer_size(&deaf, 2_048).unwrap();
    deaf.write_all(b"GET /stream HTTP/1.1\r\nHost: a.localhost\r\n\r\n")
        .unwrap();
    deaf
}

#[test]
fn what_is_lost_is_told_and_a_slow_reader_disturbs_nobody() {
    let server = Server::with(offline_worker("w"));
    let mut fast = Reader::open(&server);
    let behind = fast.last_id().to_owned();
    let slow = deaf(&server);
    let memory = server.resident_kib();
    let submitted = KEPT + 500;
    let counted = thread::spawn(move || {
        let mut count = 0;
        while count < submitted {
            count += usize::from(fast.message().event == "task");
        }
        fast
    });
    submit_many(&server, "w", submitted);
    let begun = now();
    let mut fast = counted.join().unwrap();
    // Who comes back with the first id has lost the first ones, and is told so.
    let mut reader = Reader::open_behind(&server, &behind);
    let reset = reader.message();
    assert_eq!(
        (reset.event.as_str(), &reset.data),
        ("reset", &json!({"reason": "overrun"}))
    );
    // It goes on from there, and may come back.
    let id = server.submit("w", "p");
    assert_eq!(reader.message_of("task").text("id"), id);
    assert_eq!(fast.message_of("task").text("id"), id);
    let mut reader = Reader::open_behind(&server, &reset.id);
    assert_eq!(reader.message_of("task").text("id"), id);
    let grown = server.resident_kib().saturating_sub(memory);
    assert!(grown < 48 << 10, "{grown} KiB");
    // The slow one is cut off half a minute after its socket took something for the last time.
    let peer = slow.local_addr().unwrap();
    let cut = format!("dropped the connection of {peer}: it did not take its answer in time");
    while !server.log().contains(&cut) {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it is never cut off"
        );
        // The live one is not, though nothing happens to be told.
        assert_eq!(fast.next(), Next::Comment);
    }
}

#[test]
fn streams_end_at_once_when_the_server_stops() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", "") + &offline_worker("off"));
    server.submit("w", "p");
    worker.attempts_when(1);
    let mut readers: Vec<_> = (0..4).map(|_| Reader::open(&server)).collect();
    let mut asking = server.connect();
    server.signal(Signal::TERM);
    for reader in &mut readers {
        assert_eq!(reader.end(), Next::End, "its end is a whole one");
    }
    // An attempt still runs, so the server is there, and takes no readers.
    let refused = asking.ask(&Request::get("/stream"));
    refused.expect_error(503, "draining");
    let begun = now();
    gate.open();
    let stopped = server.ended();
    assert_eq!(stopped.outcome.code, Some(0), "{:#?}", stopped.outcome);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_reader_that_takes_nothing_does_not_hold_up_the_stop() {
    let server = Server::with(offline_worker("w"));
    let _slow = deaf(&server);
    let mut fast = Reader::open(&server);
    // More than the sockets hold between them: a message has 150 bytes at least.
    let count = 4_000;
    submit_many(&server, "w", count);
    for _ in 0..count {
        fast.message_of("task");
    }
    let begun = now();
    assert_eq!(server.stop().outcome.code, Some(0));
    assert_eq!(fast.end(), Next::End);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_key_is_wanted() {
    let config = format!("api_key = \"k\"\n{}", offline_worker("w"));
    let server = server().config(config).key("k").start();
    let keyless = Api {
        key: None,
        ..server.api()
    };
    keyless.get("/stream").expect_error(401, "unauthorized");
    let mut reader = Reader::open(&server);
    let id = server.submit("w", "p");
    assert_eq!(reader.message_of("task").text("id"), id);
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let server = Server::with(offline_worker("w"));
    let request = "HEAD /stream HTTP/1.1\r\nHost: a.localhost\r\n\r\n";
    let next = "GET /health HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n\r\n";
    for _ in 0..2 * READERS {
        let mut reader = Reader::send(&server, &[request, next].concat());
        assert!(reader.head.starts_with("HTTP/1.1 200 "), "{}", reader.head);
        assert!(
            reader
                .head
                .contains("\r\ncontent-type: text/event-stream\r\n")
        );
        assert!(reader.rest().starts_with("HTTP/1.1 200 "));
    }
}

#[test]
fn http_1_0_gets_it_up_to_the_end_of_the_connection() {
    let server = Server::with(offline_worker("w"));
    let mut reader = Reader::send(&server, "GET /stream HTTP/1.0\r\nHost: a.localhost\r\n\r\n");
    assert!(
        !reader.head.contains("transfer-encoding"),
        "{}",
        reader.head
    );
    assert!(reader.head.contains("\r\nconnection: close\r\n"));
    let id = server.submit("w", "p");
    assert_eq!(reader.message_of("task").text("id"), id);
    server.signal(Signal::TERM);
    assert_eq!(reader.end(), Next::End);
    server.ended();
}

#[test]
fn readers_are_so_many_at_most() {
    let server = Server::with(offline_worker("w"));
    let mut readers: Vec<_> = (0..READERS).map(|_| Reader::open(&server)).collect();
    let message = server.get("/stream").expect_error(503, "too_many_readers");
    assert!(message.contains("64"), "{message}");
    // All of them are served.
    let id = server.submit("w", "p");
    for reader in &mut readers {
        assert_eq!(reader.message_of("task").text("id"), id);
    }
    // The place of one that has gone is free soon.
    readers.pop();
    let next = "GET /stream HTTP/1.1\r\nHost: a.localhost\r\n\r\n";
    wait_until("a reader's place is free", || {
        let reader = Reader::send(&server, next);
        reader.head.starts_with("HTTP/1.1 200 ")
    });
}

#[test]
fn an_id_that_is_none_is_refused() {
    let server = Server::with(offline_worker("w"));
    for id in ["7", "nonsense", "0123456789ab-", "0123456789AB-1", "-1"] {
        let header = Request::get("/stream").header("last-event-id", id);
        let message = server.ask(header).expect_error(400, "bad_parameter");
        assert!(message.contains("Last-Event-ID"), "{message}");
        let target = format!("/stream?last_event_id={id}");
        let message = server.get(&target).expect_error(400, "bad_parameter");
        assert!(message.contains("last_event_id"), "{message}");
    }
    let twice = Request::get("/stream")
        .header("last-event-id", "0123456789ab-1")
        .header("last-event-id", "0123456789ab-1");
    server.ask(twice).expect_error(400, "bad_parameter");
    // The header counts, because a browser sends it beside the parameter of the first time.
    let mut reader = Reader::open(&server);
    let first = reader.last_id().to_owned();
    let ids: Vec<_> = (0..2).map(|_| server.submit("w", "p")).collect();
    let second = reader.message_of("task").id;
    let target = format!("/stream?last_event_id={first}");
    let fields = format!("Last-Event-ID: {second}\r\n");
    let mut reader = Reader::ask(&server, &target, &fields);
    assert_eq!(reader.message_of("task").text("id"), ids[1]);
    // An empty one is none.
    let mut reader = Reader::ask(&server, "/stream?last_event_id=", "Last-Event-ID:\r\n");
    assert!(reader.is_silent_for(Duration::from_millis(300)));
}
