//! beanstalkd with its log synced for each job (`-f0`), asked for the same: to store a task.

use std::io;
use std::path::Path;
use std::process::Command;

use super::{Peer, bytes, program, unused_addr};
use crate::generator::Load;
use crate::http::TASK;

/// Starts it with its log in `dir`.
pub(crate) async fn start(dir: &Path) -> io::Result<Option<Peer>> {
    let Some(program) = program("beanstalkd")? else {
        return Ok(None);
    };
    let addr = unused_addr()?;
    let mut command = Command::new(program);
    command
        .args(["-l", "127.0.0.1", "-p", &addr.port().to_string(), "-f0"])
        .arg("-b")
        .arg(dir);
    let request = b"list-tube-used\r\n";
    Peer::start("beanstalkd", &mut command, addr, request, framing)
        .await
        .map(Some)
}

/// Puts a task, again and again.
pub(crate) fn load(peer: &Peer) -> Load {
    Load::new(
        peer.addr,
        bytes(&format!("put 0 0 60 {}\r\n{TASK}\r\n", TASK.len())),
        framing,
    )
}

/// The length of a reply, which is one line.
fn framing(received: &[u8]) -> io::Result<Option<usize>> {
    let Some(line_end) = received.windows(2).position(|window| window == b"\r\n") else {
        return Ok(None);
    };
    if received.starts_with(b"INSERTED ") || received.starts_with(b"USING ") {
        return Ok(Some(line_end + 2));
    }
    let line = String::from_utf8_lossy(received.get(..line_end).unwrap_or_default());
    Err(io::Error::other(format!("beanstalkd answered {line:?}")))
}
