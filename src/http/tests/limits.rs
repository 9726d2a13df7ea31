//! Sizes, times and the memory that bodies share.

use std::time::Instant;

use super::*;
use crate::clock::monotonic;

fn post(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

fn took(start: Instant) -> Duration {
    monotonic() - start
}

#[test]
fn bodies_are_taken_up_to_their_limit() {
    let server = Running::start();
    let body = "x".repeat(100_000);
    let text = server.ask(post(100_000) + &body);
    assert!(text.ends_with("POST /  a 100000"), "{text}");
    let text = server.ask(post(100_001) + &body + "x");
    assert_refused(&text, 413, "body_too_large");
    let text = server.ask_until_closed(post(usize::MAX / 2));
    assert_refused(&text, 413, "body_too_large");

    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = format!("3e8\r\n{}\r\n", "x".repeat(1_000)).repeat(100);
    let text = server.ask(format!("{chunked}{chunks}0\r\n\r\n"));
    assert!(text.ends_with("POST /  a 100000"), "{text}");
    let text = server.ask(format!("{chunked}{chunks}1\r\nx\r\n0\r\n\r\n"));
    assert_refused(&text, 413, "body_too_large");
    let tiny = "1\r\nx\r\n".repeat(100_000);
    let text = server.ask(format!("{chunked}{tiny}0\r\n\r\n"));
    assert!(text.ends_with("POST /  a 100000"), "{text}");
    // What is announced is refused before it comes.
    let text = server.ask_until_closed(format!("{chunked}FFFFFFFFFFFFFFFF\r\n"));
    assert_refused(&text, 413, "body_too_large");

    let bodiless = post(16 * 1024 + 1).replace("POST /", "POST /bodiless");
    assert_refused(&server.ask(bodiless), 413, "body_too_large");
    let ignored = post(2).replace("POST /", "POST /bodiless") + "{}";
    let text = server.ask(ignored);
    assert!(text.ends_with("POST /bodiless  a "), "{text}");
    let text = server.ask("POST /bodiless HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&text), ["200"]);
}

#[test]
fn a_refusal_reaches_a_client_that_sends_its_whole_body_first() {
    let server = Running::start();
    let mut stream = server.connect();
    stream.write_all(post(20_000_000).as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; 20_000_000]).unwrap();
    assert_refused(&rest(&mut stream), 413, "body_too_large");
}

#[test]
fn a_body_larger_than_all_memory_is_refused() {
    let server = Running::with(Options {
        budget: Budget::new(1_000),
        ..options()
    });
    assert_refused(&server.ask_until_closed(post(1_001)), 413, "body_too_large");
    let text = server.ask(post(1_000) + &"x".repeat(1_000));
    assert_eq!(statuses(&text), ["200"]);
}

#[test]
fn a_body_waits_for_memory_and_is_shed() {
    let budget = Budget::new(1_000);
    let server = Running::with(Options {
        budget: budget.clone(),
        ..options()
    });
    let held = budget.try_acquire(900).unwrap();
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n";
    for request in [post(101), format!("{chunked}{}\r\n", "x".repeat(101))] {
        let text = server.ask_until_closed(request);
        assert_refused(&text, 503, "overloaded");
        assert!(text.contains("retry-after: 1"), "{text}");
    }
    // A request without a body needs none.
    let text = server.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&text), ["200"]);
    drop(held);
    let text = server.ask(post(500) + &"x".repeat(500));
    assert_eq!(statuses(&text), ["200"]);
    assert_eq!(budget.free(), 1_000);
}

#[test]
fn memory_that_was_announced_and_is_not_filled_goes_to_others() {
    let budget = Budget::new(100_000);
    let mut options = Options {
        budget: budget.clone(),
        ..options()
    };
    options.timing.body = Duration::from_secs(20);
    options.timing.body_pause = Duration::from_secs(20);
    options.timing.reservation = Duration::from_millis(300);
    options.timing.budget = Duration::from_secs(20);
    let server = Running::with(options);
    let mut announcing = server.connect();
    announcing
        .write_all((post(100_000) + "x").as_bytes())
        .unwrap();
    let start = monotonic();
    while budget.free() > 0 && took(start) < Duration::from_secs(10) {
        thread::yield_now();
    }
    assert_eq!(budget.free(), 0, "what was announced is kept at first");
    let start = monotonic();
    let text = server.ask(post(20_000) + &"x".repeat(20_000));
    assert_eq!(statuses(&text), ["200"]);
    assert!(took(start) < Duration::from_secs(10));
    // What is slow may still come.
    let rest = "x".repeat(99_999);
    announcing.write_all(rest.as_bytes()).unwrap();
    assert_eq!(one(&mut announcing).0, 200);
}

#[test]
fn a_slow_head_is_refused_and_an_idle_connection_closed_without_a_word() {
    let mut options = options();
    options.timing.idle = Duration::from_millis(400);
    let server = Running::with(options);
    let start = monotonic();
    let text = server.ask_until_closed("GET / HTTP/1.1\r\nHost: a\r\n");
    assert_refused(&text, 408, "request_timeout");
    assert!(took(start) >= Duration::from_millis(150));

    let start = monotonic();
    assert_eq!(server.ask_until_closed(""), "");
    assert!(took(start) >= Duration::from_millis(400));
    // An empty line begins no request.
    assert_eq!(server.ask_until_closed("\r\n"), "");
    let text = server.ask_until_closed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&text), ["200"]);
}

#[test]
fn a_slow_body_is_refused() {
    let server = Running::start();
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n";
    for request in [post(10) + "x", chunked.to_owned() + "x"] {
        let start = monotonic();
        let text = server.ask_until_closed(request);
        assert_refused(&text, 408, "request_timeout");
        assert!(took(start) >= Duration::from_millis(150));
    }
}

#[test]
fn a_body_that_comes_fast_enough_is_waited_for() {
    let server = Running::start();
    let mut stream = server.connect();
    stream.write_all(post(1_000).as_bytes()).unwrap();
    let start = monotonic();
    for _ in 0..10 {
        stream.write_all(&[b'x'; 100]).unwrap();
        // The rate is what is tested: 100 bytes each 40 ms are 2.5 KiB a second.
        thread::sleep(Duration::from_millis(40));
    }
    assert!(took(start) > timing().body);
    assert_eq!(one(&mut stream).0, 200);
}

#[test]
fn a_client_that_does_not_take_its_answer_is_dropped() {
    let mut options = options();
    options.timing.answer = Duration::from_millis(100);
    let server = Running::with(options);
    let mut stream = server.connect();
    write!(stream, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    // The connection is dropped with the answer half sent; whoever waits for it sees the next
    // one served meanwhile.
    let text = server.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&text), ["200"]);
    thread::sleep(Duration::from_millis(300));
    let mut taken = Vec::new();
    stream.read_to_end(&mut taken).ok();
    assert!(taken.len() < LARGE, "{}", taken.len());
}

#[test]
fn a_large_answer_is_whole() {
    let server = Running::start();
    let text = server.ask("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), LARGE);
}

#[test]
fn a_connection_over_the_cap_waits_to_be_accepted() {
    let server = Running::with(Options {
        connections: 1,
        ..options()
    });
    let mut first = server.connect();
    write!(first, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(one(&mut first).0, 200);
    let mut second = server.connect();
    write!(second, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    second
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(second.read(&mut [0]).is_err(), "it is not served yet");
    drop(first);
    second
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(one(&mut second), (200, "GET /2  a ".to_owned()));
}
