//! Bodies that are made while they are sent: their framing, and everything that may end one.

use std::sync::atomic::Ordering;

use smol::stream::unfold;

use super::lifecycle::reset;
use super::*;
use crate::clock::monotonic;

/// Bytes of each piece of `/stream/endless`.
const PIECE: usize = 64 * 1024;

/// The body at `path`: `three` pieces and an empty one, `endless`, `quiet` behind the first
/// piece, `fails` or `panics` behind the first piece.
pub(super) fn pieces(toy: &Toy, path: &str) -> Pieces {
    let kind = path.rsplit('/').next().unwrap().to_owned();
    let noticed = Noticed(Arc::clone(&toy.dropped));
    let (entered, made) = (Arc::clone(&toy.entered), Arc::clone(&toy.made));
    let state = (0_usize, noticed);
    Box::pin(unfold(state, move |(number, noticed)| {
        let (kind, entered, made) = (kind.clone(), Arc::clone(&entered), Arc::clone(&made));
        async move {
            made.fetch_add(1, Ordering::SeqCst);
            let piece = match (kind.as_str(), number) {
                ("endless", _) => Ok(vec![b'x'; PIECE]),
                ("three", 1) => Ok(Vec::new()),
                ("three", 4) => return None,
                (_, 0) | ("three", _) => Ok(format!("piece {number}").into_bytes()),
                ("fails", _) => Err(Unfinished),
                ("panics", _) => panic!("in the source"),
                _ => {
                    entered.notify(usize::MAX);
                    std::future::pending().await
                }
            };
            Some((piece, (number + 1, noticed)))
        }
    }))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn each_piece_is_a_chunk_and_the_connection_goes_on() {
    let server = Running::start();
    let text = server.ask([get("/stream/three"), get("/next")].concat());
    let (head, rest) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\ntransfer-encoding: chunked"), "{head}");
    assert!(head.contains("\r\ncontent-type: text/plain"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    let body = "7\r\npiece 0\r\n7\r\npiece 2\r\n7\r\npiece 3\r\n0\r\n\r\n";
    let rest = rest.strip_prefix(body).unwrap_or_else(|| panic!("{rest}"));
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{rest}");
    assert!(rest.ends_with("GET /next  a "), "{rest}");
}

#[test]
fn for_http_1_0_the_body_ends_with_the_connection() {
    let server = Running::start();
    let ask = "GET /stream/three HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let text = server.ask_until_closed(ask);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(!head.contains("content-length"), "{head}");
    assert!(head.contains("\r\nconnection: close"), "{head}");
    assert_eq!(body, "piece 0piece 2piece 3");
}

#[test]
fn a_head_request_makes_no_piece() {
    let server = Running::start();
    let ask = "HEAD /stream/endless HTTP/1.1\r\nHost: a\r\n\r\n";
    let text = server.ask([ask, &get("/next")].concat());
    let (head, rest) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\ntransfer-encoding: chunked"), "{head}");
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{rest}");
    assert_eq!(server.toy.made.load(Ordering::SeqCst), 0);
}

#[test]
fn a_source_that_fails_or_panics_leaves_the_body_without_its_end() {
    let server = Running::start();
    for (path, panics) in [("/stream/fails", 0), ("/stream/panics", 1)] {
        let text = server.ask_until_closed([get(path), get("/next")].concat());
        assert!(text.ends_with("\r\n\r\n7\r\npiece 0\r\n"), "{text}");
        assert_eq!(server.stats.panics.load(Ordering::Relaxed), panics);
    }
    assert_eq!(statuses(&server.ask(get("/next"))), ["200"]);
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_no_more_is_made() {
    let answer = Duration::from_millis(150);
    let server = Running::with(Options {
        timing: Timing { answer, ..timing() },
        ..options()
    });
    let dropped = server.toy.dropped.listen();
    let mut deaf = server.connect();
    deaf.write_all(get("/stream/endless").as_bytes()).unwrap();
    smol::block_on(dropped);
    // What the sockets hold between them, and not what could be made in that time.
    let made = server.toy.made.load(Ordering::SeqCst);
    assert!(made < 64 * 1024 * 1024 / PIECE, "{made} pieces");
    let mut taken = Vec::new();
    // It is cut: an end or a reset, and in no case the last chunk.
    let _ = deaf.read_to_end(&mut taken);
    assert!(!taken.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_client_that_has_gone_ends_a_source_that_is_quiet_or_busy() {
    let server = Running::start();
    let (entered, dropped) = (server.toy.entered.listen(), server.toy.dropped.listen());
    let mut quiet = server.connect();
    quiet.write_all(get("/stream/quiet").as_bytes()).unwrap();
    smol::block_on(entered);
    reset(&quiet);
    drop(quiet);
    smol::block_on(dropped);

    let dropped = server.toy.dropped.listen();
    let mut busy = server.connect();
    busy.write_all(get("/stream/endless").as_bytes()).unwrap();
    busy.read_exact(&mut vec![0; PIECE]).unwrap();
    reset(&busy);
    drop(busy);
    smol::block_on(dropped);
}

#[test]
fn a_stream_that_outlasts_the_grace_is_dropped() {
    let mut server = Running::with(Options {
        grace: Duration::from_millis(50),
        ..options()
    });
    let entered = server.toy.entered.listen();
    let mut stream = server.connect();
    stream.write_all(get("/stream/quiet").as_bytes()).unwrap();
    smol::block_on(entered);
    server.drain.begin(Cause::Asked);
    server.settled.notify(usize::MAX);
    server.join();
    let text = rest(&mut stream);
    assert!(text.ends_with("\r\n\r\n7\r\npiece 0\r\n"), "{text}");
}

#[test]
fn a_live_stream_that_nobody_takes_does_not_hold_up_the_end() {
    let mut server = Running::with(Options {
        grace: Duration::from_secs(60),
        ..options()
    });
    let mut deaf = server.connect();
    let ask = get("/stream/live/endless");
    deaf.write_all(ask.as_bytes()).unwrap();
    deaf.read_exact(&mut vec![0; PIECE]).unwrap();
    let begun = monotonic();
    server.drain.begin(Cause::Asked);
    server.settled.notify(usize::MAX);
    server.join();
    let taken = monotonic().duration_since(begun);
    assert!(taken < Duration::from_secs(20), "{taken:?}");
    // The kernel held little of it for its client.
    let made = server.toy.made.load(Ordering::SeqCst);
    assert!(made < 8 * 1024 * 1024 / PIECE, "{made} pieces");
}

#[test]
fn a_stream_is_not_cut_as_an_idle_connection_is() {
    let idle = Duration::from_millis(50);
    let server = Running::with(Options {
        timing: Timing { idle, ..timing() },
        ..options()
    });
    let entered = server.toy.entered.listen();
    let mut quiet = server.connect();
    quiet
        .write_all(get("/stream/live/quiet").as_bytes())
        .unwrap();
    smol::block_on(entered);
    let mut text = Vec::new();
    quiet
        .set_read_timeout(Some(Duration::from_millis(600)))
        .unwrap();
    let ended = quiet.read_to_end(&mut text);
    assert!(ended.is_err(), "{}", String::from_utf8_lossy(&text));
    assert!(text.ends_with(b"7\r\npiece 0\r\n"));
}
