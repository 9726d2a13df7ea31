//! Redis with a synced append-only file, asked for the same: to store a task.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::{Peer, bytes, program, unused_addr};
use crate::generator::Load;
use crate::http::TASK;

/// Starts it on the data in `dir`.
pub(crate) async fn start(dir: &Path) -> io::Result<Option<Peer>> {
    let Some(program) = program("redis-server")? else {
        return Ok(None);
    };
    let addr = unused_addr()?;
    let mut command = Command::new(program);
    command
        .args(["--bind", "127.0.0.1", "--port", &addr.port().to_string()])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .args(["--save", ""])
        .arg("--dir")
        .arg(dir);
    let ping = command_of(&["PING"]);
    Peer::start("redis-server", &mut command, addr, &ping, framing)
        .await
        .map(Some)
}

/// Appends a task to a stream, again and again.
pub(crate) fn load(peer: &Peer) -> Load {
    let request = command_of(&["XADD", "tasks", "*", "body", TASK]);
    Load::new(peer.addr, request, framing)
}

/// The length of a reply of one line or one string; an error reply is an error.
fn framing(received: &[u8]) -> io::Result<Option<usize>> {
    let Some(line_end) = received.windows(2).position(|window| window == b"\r\n") else {
        return Ok(None);
    };
    let line = String::from_utf8_lossy(received.get(..line_end).unwrap_or_default());
    let behind_line = line_end + 2;
    let length = match line.split_at_checked(1) {
        Some(("+" | ":", _)) => behind_line,
        Some(("$", length)) => {
            let length: usize = length.parse().map_err(io::Error::other)?;
            behind_line.saturating_add(length).saturating_add(2)
        }
        _ => return Err(io::Error::other(format!("Redis answered {line:?}"))),
    };
    Ok((received.len() >= length).then_some(length))
}

/// A command in RESP, an array of strings.
fn command_of(words: &[&str]) -> Arc<[u8]> {
    let count = format!("*{}\r\n", words.len());
    let words = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let text: String = std::iter::once(count).chain(words).collect();
    bytes(&text)
}
