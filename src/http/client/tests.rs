//! Requests to workers that behave in every way they should not.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;

use super::*;
use crate::clock::monotonic;

/// A worker for one connection.
fn worker(act: impl FnOnce(TcpStream) + Send + 'static) -> (Endpoint, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        path: "/v1".to_owned(),
    };
    let acting = thread::spawn(move || act(listener.accept().unwrap().0));
    (endpoint, acting)
}

/// A worker that reads a head and answers with `answer`.
fn answering(answer: Vec<u8>) -> (Endpoint, thread::JoinHandle<()>) {
    worker(move |mut stream| {
        read_until(&mut stream, b"\r\n\r\n");
        stream.write_all(&answer).ok();
    })
}

fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end) && stream.read(&mut byte).unwrap() == 1 {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn the_only_address_has_the_patience_that_it_is_given() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // Nobody accepts, so the kernel answers no further connection at some point.
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 1_000, "the kernel keeps too many");
    }
    let endpoint = Endpoint {
        host: addr.ip().to_string(),
        port: addr.port(),
        path: String::new(),
    };
    let within = |connect_patience, deadline: Duration| {
        smol::block_on(send(
            Outgoing {
                connect_patience,
                deadline: monotonic() + deadline,
                ..request(&endpoint)
            },
            &Budget::new(1 << 20),
        ))
        .unwrap_err()
    };
    let error = within(Some(Duration::from_millis(50)), Duration::from_secs(20));
    assert!(
        matches!(&error, Error::Connect(error) if error.kind() == io::ErrorKind::TimedOut),
        "{error:?}"
    );
    let error = within(None, Duration::from_millis(50));
    assert!(matches!(error, Error::Timeout), "{error:?}");
}

pub(super) fn request(endpoint: &Endpoint) -> Outgoing<'_> {
    Outgoing {
        method: Method::Get,
        endpoint,
        token: None,
        headers: &[],
        body: None,
        path: "/health",
        connect_patience: None,
        reuse: Reuse::Never,
        deadline: monotonic() + Duration::from_secs(20),
        answer_max: 10 * 1024 * 1024,
    }
}

fn send_now(request: Outgoing<'_>) -> Result<Answer, Error> {
    smol::block_on(send(request, &Budget::new(64 * 1024 * 1024)))
}

#[test]
fn a_task_is_posted_and_its_answer_read() {
    let (endpoint, acting) = worker(|mut stream| {
        let head = read_until(&mut stream, b"\r\n\r\n");
        let port = stream.local_addr().unwrap().port();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            head,
            format!(
                "POST /v1/task HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: application/json\r\n\
                 authorization: Bearer hunter2\r\nconnection: close\r\ncontent-length: 2\r\n\
                 content-type: application/json\r\nuser-agent: mecha/{version}\r\n\r\n"
            )
        );
        assert_eq!(read_until(&mut stream, b"}"), "{}");
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}";
        stream.write_all(answer).unwrap();
    });
    let token = Secret::new("hunter2");
    let answer = send_now(Outgoing {
        method: Method::Post,
        token: Some(&token),
        body: Some(b"{}".to_vec()),
        path: "/task",
        ..request(&endpoint)
    })
    .unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"a\": 1}"[..]));
    acting.join().unwrap();
}

#[test]
fn large_bodies_go_both_ways() {
    let (endpoint, acting) = worker(|mut stream| {
        let head = read_until(&mut stream, b"\r\n\r\n");
        assert!(head.contains("content-length: 3000000\r\n"));
        let mut body = vec![0; 3_000_000];
        stream.read_exact(&mut body).unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\n\r\n").unwrap();
        stream.write_all(&body).unwrap();
    });
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let answer = send_now(Outgoing {
        method: Method::Post,
        body: Some(body.clone()),
        ..request(&endpoint)
    })
    .unwrap();
    assert!(answer.body == body);
    assert_eq!(answer.permit.bytes(), 3_000_000);
    acting.join().unwrap();
}

#[test]
fn an_early_answer_counts_although_the_request_could_not_be_sent() {
    let (endpoint, acting) = worker(|mut stream| {
        let answer = b"HTTP/1.1 429 Later\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Nothing more is read: the rest of the request has nowhere to go.
        read_until(&mut stream, b"\r\n\r\n");
    });
    let answer = send_now(Outgoing {
        method: Method::Post,
        body: Some(vec![b'x'; 32 * 1024 * 1024]),
        ..request(&endpoint)
    })
    .unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.retry_after.as_deref(), Some("3"));
    acting.join().unwrap();
}

#[test]
fn broken_answers_are_told_apart() {
    type Is = fn(&Error) -> bool;
    let broken: Is = |error| matches!(error, Error::Broken(_));
    let not_http: Is = |error| matches!(error, Error::NotHttp(_));
    let too_large: Is = |error| matches!(error, Error::TooLarge);
    let endless_head = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 100_000]].concat();
    let too_much = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'y'; 11 << 20]].concat();
    for (answer, is) in [
        (Vec::new(), broken),
        (b"HTTP/1.1 200 OK\r\n".to_vec(), broken),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}".to_vec(),
            broken,
        ),
        (b"220 mail.example ESMTP\r\n".to_vec(), not_http),
        (endless_head, not_http),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_vec(),
            too_large,
        ),
        (too_much, too_large),
    ] {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        let (endpoint, acting) = answering(answer);
        let error = send_now(request(&endpoint)).unwrap_err();
        assert!(is(&error), "{start:?}: {error:?}");
        acting.join().unwrap();
    }
}

#[test]
fn a_silent_worker_costs_no_more_than_the_deadline() {
    let (endpoint, acting) = worker(|mut stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{{").unwrap();
        // Waits for the other side to give up.
        while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
    });
    let error = send_now(Outgoing {
        deadline: monotonic() + Duration::from_millis(100),
        ..request(&endpoint)
    });
    assert!(matches!(error, Err(Error::Timeout)), "{error:?}");
    acting.join().unwrap();
}

#[test]
fn a_refused_connection_is_an_error_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint {
        host: "localhost".to_owned(),
        port: listener.local_addr().unwrap().port(),
        path: String::new(),
    };
    drop(listener);
    let error = send_now(request(&endpoint)).unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
}

#[test]
fn an_answer_waits_for_the_budget_and_then_gives_up() {
    let body = vec![b'x'; 200_000];
    let answer = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), body].concat();
    let (endpoint, acting) = answering(answer);
    let budget = Budget::new(100_000);
    let error = smol::block_on(exchange(
        request(&endpoint),
        &budget,
        Duration::from_millis(50),
    ))
    .unwrap_err();
    assert!(matches!(error, Error::NoMemory), "{error:?}");
    assert_eq!(budget.free(), 100_000);
    acting.join().unwrap();
}

#[test]
fn what_cannot_stand_in_a_request_is_not_sent() {
    let endpoint = |host: &str| Endpoint {
        host: host.to_owned(),
        port: 9,
        path: String::new(),
    };
    let error = send_now(request(&endpoint("a\r\nb"))).unwrap_err();
    assert!(error.to_string().contains("host"), "{error}");
    for token in ["a\r\nb: c", "caf\u{e9}"] {
        let token = Secret::new(token);
        let endpoint = endpoint("127.0.0.1");
        let error = send_now(Outgoing {
            token: Some(&token),
            ..request(&endpoint)
        })
        .unwrap_err();
        assert!(error.to_string().contains("token"), "{error}");
    }
}

/// All of a download, or why it broke off.
fn download(endpoint: &Endpoint, silence: Duration) -> Result<(u16, Vec<u8>), Error> {
    smol::block_on(async {
        let mut download = Download::start_with(request(endpoint), silence).await?;
        let mut body = Vec::new();
        while let Some(piece) = download.next().await? {
            assert!(!piece.is_empty());
            body.extend(piece);
        }
        assert!(download.next().await?.is_none());
        Ok((download.status(), body))
    })
}

#[test]
fn a_download_is_read_whatever_its_framing_and_told_from_a_cut_one() {
    let silence = Duration::from_secs(20);
    let large = "x".repeat(1_000_000);
    let chunked = format!("{:x}\r\n{large}\r\n1\r\ny\r\n0\r\n\r\n", large.len());
    for (head, body, expected) in [
        ("200 OK\r\nContent-Length: 2", "{}", Some("{}".to_owned())),
        ("200 OK\r\nContent-Length: 3", "{}", None),
        (
            "200 OK\r\nTransfer-Encoding: chunked",
            &chunked,
            Some(large + "y"),
        ),
        (
            "200 OK\r\nTransfer-Encoding: chunked",
            &chunked[..chunked.len() - 3],
            None,
        ),
        (
            "503 No\r\nConnection: close",
            "busy",
            Some("busy".to_owned()),
        ),
        ("204 No Content", "", Some(String::new())),
    ] {
        let (endpoint, acting) = answering(format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes());
        let found = download(&endpoint, silence);
        acting.join().unwrap();
        match (found, expected) {
            (Ok((status, body)), Some(expected)) => {
                assert_eq!(status.to_string(), head[..3]);
                assert!(body == expected.into_bytes(), "{head}");
            }
            (Err(Error::Broken(_)), None) => {}
            (found, _) => panic!("{head}: {:?}", found.map(|(status, _)| status)),
        }
    }
}

#[test]
fn a_download_that_stalls_or_drips_is_given_up() {
    for pause in [Duration::from_secs(20), Duration::from_millis(20)] {
        let (release, released) = std::sync::mpsc::sync_channel::<()>(0);
        let (endpoint, acting) = worker(move |mut stream| {
            read_until(&mut stream, b"\r\n\r\n");
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n";
            stream.write_all(head).unwrap();
            // Until the client has closed.
            while stream.write_all(b"x").is_ok() && released.recv_timeout(pause).is_err() {}
        });
        let begun = monotonic();
        let given_up = download(&endpoint, Duration::from_millis(200));
        assert!(matches!(given_up, Err(Error::Timeout)), "{given_up:?}");
        assert!(monotonic() - begun >= Duration::from_millis(200));
        drop(release);
        acting.join().unwrap();
    }
}
