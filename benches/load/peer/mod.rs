//! Programs of others that do the same work, as Debian packages them.
//!
//! Each is a child process on a loopback port of its own, with its data in a directory of the
//! bench. Where one is not installed it is skipped, and the bench says so.

pub(crate) mod beanstalkd;
pub(crate) mod nginx;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod webhook;

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use crate::client::{Connection, Framing};
use crate::process::Process;
use crate::report;

/// How long a start may take.
pub(crate) const START_PATIENCE: Duration = Duration::from_secs(20);

/// Pause between two looks at what is being started.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// Where programs are that a user's `PATH` may not name.
const MORE_DIRECTORIES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// A peer that answers.
pub(crate) struct Peer {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
}

impl Peer {
    /// Starts `command`, which is to listen on `addr`, and waits until it answers `request`.
    async fn start(
        name: &'static str,
        command: &mut Command,
        addr: SocketAddr,
        request: &[u8],
        framing: Framing,
    ) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Process::start(name, command)?;
        let began = monotonic();
        loop {
            let answered = match Connection::open(addr, framing).await {
                Ok(mut connection) => connection.exchange(request).await.map(drop),
                Err(error) => Err(error),
            };
            let Err(error) = answered else {
                return Ok(Self { process, addr });
            };
            if let Some(status) = process.ended()? {
                return Err(io::Error::other(format!("{name} ended with {status}")));
            }
            if monotonic().duration_since(began) > START_PATIENCE {
                return Err(io::Error::other(format!("{name} does not answer: {error}")));
            }
            Timer::after(LOOK).await;
        }
    }
}

/// The program of this name; where there is none, that is said.
pub(crate) fn program(name: &str) -> io::Result<Option<PathBuf>> {
    let found = installed(name);
    if found.is_none() {
        report::line(&format!("{name}: skipped: it is not installed"))?;
    }
    Ok(found)
}

/// The program of this name, if there is one.
fn installed(name: &str) -> Option<PathBuf> {
    directories()
        .into_iter()
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// Where programs are looked for.
fn directories() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let more = MORE_DIRECTORIES.map(PathBuf::from);
    env::split_paths(&path).chain(more).collect()
}

/// The version of each peer and of `wrk`, or that it is absent.
pub(crate) fn versions() -> String {
    let asked = [
        ("nginx", installed("nginx"), "-v"),
        ("redis-server", installed("redis-server"), "--version"),
        ("postgres", postgres::program("postgres"), "--version"),
        ("pgbench", postgres::program("pgbench"), "--version"),
        ("beanstalkd", installed("beanstalkd"), "-v"),
        ("webhook", installed("webhook"), "-version"),
        ("wrk", installed("wrk"), "-v"),
    ];
    let told = asked.map(|(name, path, argument)| {
        let version = path.and_then(|path| version(Command::new(path).arg(argument)));
        format!("{name} {}", version.as_deref().unwrap_or("absent"))
    });
    told.join(", ")
}

/// The first word with a number in it that a program says of itself.
fn version(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let word = text
        .split_ascii_whitespace()
        .find(|word| word.contains(|c: char| c.is_ascii_digit()) && word.contains('.'))?;
    let number = word.rsplit_once(['=', '/']).map_or(word, |(_, rest)| rest);
    Some(number.to_owned())
}

/// An address that nobody listened on a moment ago.
fn unused_addr() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A user's and a group's number in /etc/passwd.
fn user(name: &str) -> io::Result<Option<(u32, u32)>> {
    let users = fs::read_to_string("/etc/passwd")?;
    Ok(users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields.as_slice() {
            [user, _, uid, gid, ..] if *user == name => {
                Some((uid.parse().ok()?, gid.parse().ok()?))
            }
            _ => None,
        }
    }))
}

/// Bytes to send.
fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}
