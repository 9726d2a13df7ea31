//! What becomes of connections when a handler panics, a client leaves, or the server drains.

use std::sync::atomic::Ordering;

use super::*;

const GET_WAIT: &str = "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_panic_is_answered_and_takes_nothing_else_down() {
    let server = Running::start();
    let mut other = server.connect();
    for path in ["/panic", "/admit-panic"] {
        let text = server.ask_until_closed(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_refused(&text, 500, "internal");
        assert!(!text.contains("in the handler"), "{text}");
    }
    assert_eq!(server.stats.panics.load(Ordering::Relaxed), 2);
    write!(other, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(one(&mut other).0, 200);
}

#[test]
fn a_client_that_has_closed_its_direction_gets_its_answer() {
    let server = Running::start();
    let entered = server.toy.entered.listen();
    let mut stream = server.connect();
    stream.write_all(GET_WAIT.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    smol::block_on(entered);
    // Long enough for the server to look whether the client is there.
    thread::sleep(Duration::from_millis(100));
    server.toy.released.notify(usize::MAX);
    assert_eq!(one(&mut stream), (200, "\"released\"".to_owned()));
}

#[test]
fn the_handler_of_a_client_that_has_gone_is_dropped() {
    let server = Running::start();
    let (entered, dropped) = (server.toy.entered.listen(), server.toy.dropped.listen());
    let mut waiting = server.connect();
    waiting.write_all(GET_WAIT.as_bytes()).unwrap();
    smol::block_on(entered);
    reset(&waiting);
    drop(waiting);
    smol::block_on(dropped);
}

/// Makes the end of `stream` a reset instead of an orderly one.
pub(super) fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}

#[test]
fn pipelined_bytes_wait_while_a_handler_runs() {
    let server = Running::start();
    let entered = server.toy.entered.listen();
    let mut stream = server.connect();
    stream.write_all(GET_WAIT.as_bytes()).unwrap();
    smol::block_on(entered);
    write!(stream, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    thread::sleep(Duration::from_millis(100));
    server.toy.released.notify(usize::MAX);
    assert_eq!(one(&mut stream).1, "\"released\"");
    assert_eq!(one(&mut stream).1, "GET /next  a ");
}

#[test]
fn draining_answers_what_is_in_and_closes_what_is_idle() {
    let mut server = Running::start();
    let mut idle = server.connect();
    let mut asking = server.connect();
    let mut waiting = server.connect();
    for stream in [&mut idle, &mut asking] {
        write!(stream, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(one(stream).0, 200);
    }
    let entered = server.toy.entered.listen();
    waiting.write_all(GET_WAIT.as_bytes()).unwrap();
    smol::block_on(entered);
    server.drain.begin(Cause::Asked);

    // Open connections may still ask; each is closed behind its answer.
    while TcpStream::connect(server.addr).is_ok() {
        thread::yield_now();
    }
    write!(asking, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let text = rest(&mut asking);
    assert!(text.contains("connection: close"), "{text}");
    assert!(text.ends_with("GET /b  a "), "{text}");

    server.settled.notify(usize::MAX);
    assert_eq!(rest(&mut idle), "");
    server.toy.released.notify(usize::MAX);
    let text = rest(&mut waiting);
    assert!(text.ends_with("\"released\""), "{text}");
    assert!(text.contains("connection: close"), "{text}");
    server.join();
}

#[test]
fn a_request_that_outlasts_the_grace_is_dropped() {
    let mut server = Running::with(Options {
        grace: Duration::from_millis(50),
        ..options()
    });
    let entered = server.toy.entered.listen();
    let mut waiting = server.connect();
    waiting.write_all(GET_WAIT.as_bytes()).unwrap();
    smol::block_on(entered);
    server.drain.begin(Cause::Asked);
    server.settled.notify(usize::MAX);
    server.join();
    assert_eq!(rest(&mut waiting), "");
}

#[test]
fn an_idle_connection_is_small() {
    // The future is what a connection costs besides its socket and a buffer of 2 KiB.
    let size = connection_future_bytes();
    assert!(size <= 2 * 1024, "{size} bytes");
}

fn connection_future_bytes() -> usize {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = async_io::Async::new(stream).unwrap();
    let peer = listener.local_addr().unwrap();
    let wire = wire::Wire::new(stream, peer, sweeper::Sweeper::new().register());
    let shared = Arc::new(server::Shared {
        service: Arc::new(Toy::default()),
        options: options(),
        stats: Arc::default(),
        refusal_log: server::BoundedLog::default(),
    });
    size_of_val(&connection::serve(wire, shared))
}
