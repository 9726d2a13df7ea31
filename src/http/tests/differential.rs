//! What this server reads in a stream, compared with what hyper reads in it.
//!
//! Hyper frames messages by code of its own. What both accept, both must read as the same requests
//! with the same bodies; and where one of them goes on to a further request the other one must have
//! refused to. That one is stricter than the other is no difference.
//!
//! `MECHA_STREAMS` is how many streams are compared, `MECHA_STREAM_SEED` the first one's seed.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use hyper::body::{Body as _, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::direct::{Direct, Reached};
use super::traffic::grammar::{self, Stream};
use super::traffic::{number, rows};

/// How a server came to the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It would have read on.
    Waited,
    /// It closed the connection because of what was asked.
    Closed,
    /// It refused what followed.
    Refused,
}

/// What a server made of a stream.
#[derive(Debug)]
struct Reading {
    requests: Vec<Reached>,
    end: End,
}

fn by_mecha(direct: &Direct, bytes: &[u8]) -> Reading {
    let conversation = direct.converse(&[bytes]);
    let end = if conversation.refusal().is_some() {
        End::Refused
    } else if conversation.was_closed() {
        End::Closed
    } else {
        End::Waited
    };
    Reading {
        requests: conversation.reached,
        end,
    }
}

/// A connection's bytes in memory.
struct Memory<'a> {
    input: &'a [u8],
    output: &'a Mutex<Vec<u8>>,
}

impl Read for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let length = self.input.len().min(buffer.remaining());
        let (read, rest) = self.input.split_at(length);
        buffer.put_slice(read);
        self.input = rest;
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.output.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn by_hyper(bytes: &[u8]) -> Reading {
    let requests = Mutex::new(Vec::new());
    let output = Mutex::new(Vec::new());
    let memory = Memory {
        input: bytes,
        output: &output,
    };
    let service = service_fn(|request: hyper::Request<Incoming>| async {
        if let Some(reached) = reached(request).await {
            requests.lock().unwrap().push(reached);
        }
        Ok::<_, Infallible>(hyper::Response::new(String::new()))
    });
    let served = smol::block_on(
        http1::Builder::new()
            .half_close(true)
            .header_read_timeout(None)
            .serve_connection(memory, service),
    );
    let answers = String::from_utf8(output.into_inner().unwrap()).unwrap();
    let last = answers.rfind("HTTP/1.").unwrap_or_default();
    let end = if served.is_err() {
        End::Refused
    } else if answers[last..].contains("connection: close") || answers.contains("HTTP/1.0 ") {
        End::Closed
    } else {
        End::Waited
    };
    Reading {
        requests: requests.into_inner().unwrap(),
        end,
    }
}

/// The request with its whole body; `None` when the body is malformed or has no end.
async fn reached(request: hyper::Request<Incoming>) -> Option<Reached> {
    let (parts, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            body.extend_from_slice(&data);
        }
    }
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => parts
            .headers
            .get("host")
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default(),
    };
    Some(Reached {
        method: parts.method.to_string(),
        // A query that is empty is none here.
        target: match parts.uri.query() {
            Some(query) if !query.is_empty() => format!("{}?{query}", parts.uri.path()),
            _ => parts.uri.path().to_owned(),
        },
        host: host.to_owned(),
        body,
    })
}

/// Compares two readings; the requests that both accepted.
#[track_caller]
fn compare(what: &str, bytes: &[u8], mecha: &mut Reading, hyper: &mut Reading) -> usize {
    // The server itself answers for itself; no service sees that.
    hyper.requests.retain(|request| request.target != "*");
    let context = || {
        let text = String::from_utf8_lossy(bytes);
        format!("{what}: {text:?}\n{mecha:#?}\n{hyper:#?}")
    };
    let both = mecha.requests.len().min(hyper.requests.len());
    assert_eq!(
        mecha.requests[..both],
        hyper.requests[..both],
        "{}",
        context()
    );
    for (shorter, longer) in [(&*mecha, &*hyper), (&*hyper, &*mecha)] {
        let has_more = longer.requests.len() > shorter.requests.len();
        assert!(!has_more || shorter.end != End::Waited, "{}", context());
    }
    both
}

#[test]
fn what_hyper_accepts_too_is_framed_alike() {
    let direct = Direct::new();
    let first = number("MECHA_STREAM_SEED", 0);
    let count = number("MECHA_STREAMS", 1_000);
    let mut both = 0;
    let mut mecha_requests = 0;
    let mut hyper_requests = 0;
    for seed in first..first.saturating_add(count) {
        let Stream { bytes, meant } = grammar::stream(seed);
        let mut mecha = by_mecha(&direct, &bytes);
        let mut hyper = by_hyper(&bytes);
        mecha_requests += mecha.requests.len();
        hyper_requests += hyper.requests.len();
        both += compare(&format!("seed {seed}"), &bytes, &mut mecha, &mut hyper);
        if let Some(meant) = meant {
            let read = mecha.requests.iter();
            let read: Vec<_> = read.map(|r| (&*r.method, &*r.target, &*r.body)).collect();
            let meant = meant.iter();
            let meant: Vec<_> = meant.map(|m| (m.method, &*m.target, &*m.body)).collect();
            assert_eq!(read, meant, "seed {seed}: {mecha:?}");
            assert_eq!(mecha.end, End::Waited, "seed {seed}");
        }
        // Pieces of any length make no difference.
        let mut rng = fastrand::Rng::with_seed(seed);
        let cut = rng.usize(..=bytes.len());
        let (front, rest) = bytes.split_at(cut);
        let pieces: Vec<&[u8]> = [front]
            .into_iter()
            .chain(rest.chunks(rng.usize(1..100)))
            .collect();
        assert_eq!(
            direct.converse(&pieces).reached,
            mecha.requests,
            "seed {seed}"
        );
    }
    println!(
        "{count} streams from seed {first}: {mecha_requests} requests read here, \
         {hyper_requests} by hyper, {both} by both"
    );
    assert!(
        both as u64 > count,
        "{both} requests of {count} streams compared"
    );
}

#[test]
fn hyper_reads_the_table_no_other_way() {
    let direct = Direct::new();
    let mut both = 0;
    for row in rows() {
        let mut mecha = by_mecha(&direct, &row.bytes);
        let mut hyper = by_hyper(&row.bytes);
        both += compare(&row.what, &row.bytes, &mut mecha, &mut hyper);
    }
    assert!(both > 100, "{both}");
}
