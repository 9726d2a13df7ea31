//! The real executable, serving on a port of its own.

use std::env;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use crate::client::{Connection, patiently};
use crate::http;
use crate::process::Process;

/// The executable that is measured.
pub(crate) const EXECUTABLE: &str = env!("CARGO_BIN_EXE_mecha");

/// The start of a configuration: room for any number of tasks.
pub(crate) const LIMITS: &str = "[limits]\nqueue = 1_000_000_000\ndisk_reserve = \"0B\"\n";

/// How long a start may take.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// What the log says in front of the address.
const LISTENING: &str = "listening on http://";

/// A server that answers.
pub(crate) struct Server {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// The time from its start to its first 200.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts a server on the data in `dir`, with a configuration file that says `config`.
    pub(crate) async fn start(dir: &Path, config: &str) -> io::Result<Self> {
        let (file, log) = (dir.join("mecha.toml"), dir.join("mecha.log"));
        fs::write(&file, config)?;
        let mut command = Command::new(EXECUTABLE);
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--config"])
            .arg(&file)
            .arg("--data")
            .arg(dir.join("data"))
            .env_clear()
            // What the allocator does with memory is measured, too.
            .envs(env::vars().filter(|(name, _)| name.starts_with("MIMALLOC_")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let began = monotonic();
        let mut process = Process::start("mecha", &mut command)?;
        let addr = loop {
            let text = fs::read_to_string(&log)?;
            if let Some(addr) = listening(&text) {
                break addr;
            }
            let has_ended = process.ended()?.is_some();
            if has_ended || monotonic().duration_since(began) > START_PATIENCE {
                return Err(io::Error::other(format!("mecha did not start: {text}")));
            }
            Timer::after(Duration::from_micros(200)).await;
        };
        let answered = async {
            let mut connection = Connection::open(addr, http::framing).await?;
            let answer = connection.exchange(&http::get(addr, "/health")).await;
            answer.map(drop)
        };
        patiently(START_PATIENCE, answered).await?;
        Ok(Self {
            process,
            addr,
            started_in: monotonic().duration_since(began),
        })
    }

    /// The body of the answer to a GET of `path`.
    pub(crate) async fn get(&self, path: &str) -> io::Result<String> {
        let mut connection = Connection::open(self.addr, http::framing).await?;
        let answer = connection.exchange(&http::get(self.addr, path)).await?;
        Ok(String::from_utf8_lossy(http::body(answer)).into_owned())
    }
}

/// A configuration with room for any number of tasks, and one endpoint worker,
/// `claude-reviewer`.
pub(crate) fn config(worker: SocketAddr, concurrency: u32) -> String {
    let worker = endpoint("claude-reviewer", worker, concurrency);
    format!("{LIMITS}{worker}")
}

/// An endpoint worker of a configuration.
pub(crate) fn endpoint(name: &str, addr: SocketAddr, concurrency: u32) -> String {
    format!(
        "\n[[worker]]\n\
         name = \"{name}\"\n\
         endpoint = \"http://{addr}\"\n\
         concurrency = {concurrency}\n"
    )
}

/// The address in the log, once its line is whole.
fn listening(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once(LISTENING)?;
    let (addr, _) = rest.split_once('\n')?;
    addr.parse().ok()
}
