//! HTTP/1.1 as far as the generator speaks it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A task as a client submits it.
pub(crate) const TASK: &str = r#"{"prompt":"Review this code for security issues in the following diff please","worker":"claude-reviewer"}"#;

/// A GET of `path`.
pub(crate) fn get(addr: SocketAddr, path: &str) -> Arc<[u8]> {
    format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n")
        .into_bytes()
        .into()
}

/// `POST /task` with [`TASK`].
pub(crate) fn post_task(addr: SocketAddr) -> Arc<[u8]> {
    post(addr, TASK)
}

/// `POST /task` with `body`.
pub(crate) fn post(addr: SocketAddr, body: &str) -> Arc<[u8]> {
    let length = body.len();
    let head = "Content-Type: application/json\r\nContent-Length";
    format!("POST /task HTTP/1.1\r\nHost: {addr}\r\n{head}: {length}\r\n\r\n{body}")
        .into_bytes()
        .into()
}

/// The length of an answer with a status of 2xx; another status is an error.
pub(crate) fn framing(received: &[u8]) -> io::Result<Option<usize>> {
    let Some(body_at) = body_at(received) else {
        return Ok(None);
    };
    let head = received.get(..body_at).unwrap_or_default();
    if !head.starts_with(b"HTTP/1.1 2") {
        let answer = String::from_utf8_lossy(received);
        return Err(io::Error::other(format!("the server answered {answer:?}")));
    }
    let length = content_length(head)?.saturating_add(body_at);
    Ok((received.len() >= length).then_some(length))
}

/// The body of a whole answer.
pub(crate) fn body(answer: &[u8]) -> &[u8] {
    let body = body_at(answer).and_then(|at| answer.get(at..));
    body.unwrap_or_default()
}

/// Where the body begins, if the head is whole.
pub(crate) fn body_at(received: &[u8]) -> Option<usize> {
    let end = received
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

/// The value of `Content-Length`.
pub(crate) fn content_length(head: &[u8]) -> io::Result<usize> {
    const NAME: &[u8] = b"content-length:";
    let value = head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        let is_it = name.eq_ignore_ascii_case(NAME);
        is_it.then(|| std::str::from_utf8(value.trim_ascii()).ok())?
    });
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| io::Error::other("a message has no Content-Length"))
}
