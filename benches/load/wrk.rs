//! `wrk`, a load generator of others that is faster than the bench's own one.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::generator::Measured;
use crate::peer;
use crate::process::output;

/// How long it may take beyond its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it is to ask for.
#[derive(Clone)]
pub(crate) struct Wrk {
    program: PathBuf,
    /// Where to.
    url: String,
    /// What it prints is kept here.
    file: PathBuf,
}

impl Wrk {
    /// It with a GET of `path`; `None` where it is not installed, which is said.
    pub(crate) fn new(addr: SocketAddr, path: &str, file: PathBuf) -> io::Result<Option<Self>> {
        Ok(peer::program("wrk")?.map(|program| Self {
            program,
            url: format!("http://{addr}{path}"),
            file,
        }))
    }

    /// Asks from one thread. The time is rounded to seconds.
    pub(crate) async fn measure(&self, connections: usize, time: Duration) -> io::Result<Measured> {
        let seconds = time.as_secs_f64().round().max(1.0);
        let mut command = Command::new(&self.program);
        command
            .args(["--threads", "1", "--latency"])
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &format!("{seconds}s")])
            .arg(&self.url);
        let patience = time.saturating_add(PATIENCE);
        let text = output("wrk", &mut command, &self.file, patience).await?;
        // "Non-2xx or 3xx responses: 7", "Socket errors: connect 0, read 7, ..."
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            return Err(io::Error::other(format!("wrk was refused: {text}")));
        }
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
            line.map(str::trim)
        };
        let rate = value("Requests/sec:").and_then(|text| text.parse().ok());
        let [p50, p99] = ["50%", "99%"].map(|name| value(name).and_then(duration));
        match (rate, p50, p99) {
            (Some(rate), Some(p50), Some(p99)) => Ok(Measured { rate, p50, p99 }),
            _ => Err(io::Error::other(format!("wrk said {text:?}"))),
        }
    }
}

/// A duration as `wrk` writes it: `512.00us`, `1.40ms`, `1.02s`.
fn duration(text: &str) -> Option<Duration> {
    let (number, scale) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .into_iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * scale).ok()
}
