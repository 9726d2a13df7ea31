//! Redis with a synced append-only file, asked for the same: to store a task.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use crate::client::Connection;
use crate::http::TASK;
use crate::process::Process;

/// How long a start may take.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A Redis that answers.
pub(crate) struct Redis {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
}

impl Redis {
    /// Starts Redis on the data in `dir`; `None` where it is not installed.
    pub(crate) async fn start(dir: &Path) -> io::Result<Option<Self>> {
        let addr = unused_addr()?;
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--port", &addr.port().to_string()])
            .args([
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--save",
                "",
            ])
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = match Process::start("redis-server", &mut command) {
            Ok(process) => process,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let ping = command_of(&["PING"]);
        let began = monotonic();
        loop {
            let answered = match Connection::open(addr, framing).await {
                Ok(mut connection) => connection.exchange(&ping).await.map(drop),
                Err(error) => Err(error),
            };
            match answered {
                Ok(()) => return Ok(Some(Self { process, addr })),
                Err(error) => {
                    let has_ended = process.ended()?.is_some();
                    if has_ended || monotonic().duration_since(began) > START_PATIENCE {
                        return Err(io::Error::other(format!("redis-server: {error}")));
                    }
                }
            }
            Timer::after(Duration::from_millis(10)).await;
        }
    }
}

/// The command that appends a task to a stream.
pub(crate) fn add_task() -> Rc<[u8]> {
    command_of(&["XADD", "tasks", "*", "body", TASK])
}

/// The length of a reply of one line or one string; an error reply is an error.
pub(crate) fn framing(received: &[u8]) -> io::Result<Option<usize>> {
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
fn command_of(words: &[&str]) -> Rc<[u8]> {
    let count = format!("*{}\r\n", words.len());
    let words = words
        .iter()
        .map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let text: String = std::iter::once(count).chain(words).collect();
    text.into_bytes().into()
}

/// An address that nobody listened on a moment ago.
pub(crate) fn unused_addr() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
