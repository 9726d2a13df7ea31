//! Contract section 3: slow peers are cut off, others do not notice.

use std::thread;
use std::time::Duration;

use crate::harness::{Connection, Request, Server, now, server};

/// Sends one byte again and again until the server has had enough; gives the time that took.
fn drip(connection: &mut Connection, byte: u8) -> Duration {
    let begun = now();
    while connection.is_silent_for(Duration::from_millis(500)) && connection.try_send([byte]) {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it is never cut off"
        );
    }
    begun.elapsed()
}

/// Opens a connection that has sent `start`, then drips.
fn dripping(server: &Server, start: &str) -> thread::JoinHandle<(Duration, Option<u16>)> {
    let mut connection = server.connect();
    connection.send(start);
    thread::spawn(move || {
        let taken = drip(&mut connection, b'a');
        let answer = connection.try_next(false).ok().flatten();
        (taken, answer.map(|answer| answer.status))
    })
}

#[test]
fn slow_heads_and_bodies_are_cut_after_10_seconds() {
    let server = server().start();
    let host = server.addr;
    let peers = [
        (
            "a silent head",
            dripping_silently(&server, "GET /health HTTP/1.1\r\n"),
        ),
        (
            "a slow head",
            dripping(
                &server,
                &format!("GET /health HTTP/1.1\r\nHost: {host}\r\nx: "),
            ),
        ),
        ("a slow start line", dripping(&server, "G")),
        (
            "a slow body",
            dripping(
                &server,
                &format!("POST /task HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\n"),
            ),
        ),
        (
            "a slow chunk",
            dripping(
                &server,
                &format!(
                    "POST /task HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"
                ),
            ),
        ),
    ];
    // A connection that is merely idle stays, and others are served meanwhile.
    let mut idle = server.connect();
    idle.ask(&Request::get("/health")).expect(200);
    for (what, peer) in peers {
        let (taken, status) = peer.join().unwrap();
        assert!(taken >= Duration::from_secs(8), "{what}: {taken:?}");
        assert!(taken <= Duration::from_secs(20), "{what}: {taken:?}");
        assert!(matches!(status, Some(408) | None), "{what}: {status:?}");
    }
    idle.ask(&Request::get("/health")).expect(200);
    server.get("/health").expect(200);
}

/// Opens a connection that has sent `start` and sends nothing more.
fn dripping_silently(server: &Server, start: &str) -> thread::JoinHandle<(Duration, Option<u16>)> {
    let mut connection = server.connect();
    connection.send(start);
    thread::spawn(move || {
        let begun = now();
        let answer = connection.try_next(false).ok().flatten();
        (begun.elapsed(), answer.map(|answer| answer.status))
    })
}

#[test]
fn a_client_that_does_not_read_does_not_stop_the_others() {
    let server = server().start();
    let host = server.addr.to_string();
    let mut deaf: Vec<_> = (0..4)
        .map(|_| {
            let mut connection = server.connect();
            let requests = Request::get("/tasks?limit=nonsense")
                .bytes(&host)
                .repeat(2_000);
            connection.try_send_some(&requests, Duration::from_millis(300));
            connection
        })
        .collect();
    for _ in 0..20 {
        server.get("/health").expect(200);
    }
    let answer = deaf[0].receive();
    assert_eq!(answer.status, 400);
}
