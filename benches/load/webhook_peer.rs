//! Debian's `webhook` (adnanh/webhook), which checks the same signature and runs `/bin/true`.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use crate::client::Connection;
use crate::http;
use crate::process::Process;
use crate::redis::unused_addr;

/// How long a start may take.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// The path of its hook.
pub(crate) const PATH: &str = "/hooks/github";

/// A `webhook` that answers.
pub(crate) struct WebhookPeer {
    /// Its process.
    pub(crate) process: Process,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
}

impl WebhookPeer {
    /// Starts it with its configuration in `dir`; `None` where it is not installed.
    pub(crate) async fn start(dir: &Path, secret: &str) -> io::Result<Option<Self>> {
        let addr = unused_addr()?;
        let hooks = serde_json::json!([{
            "id": "github",
            "execute-command": "/bin/true",
            "trigger-rule": {"match": {
                "type": "payload-hmac-sha256",
                "secret": secret,
                "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
            }},
        }]);
        let file = dir.join("hooks.json");
        fs::write(&file, hooks.to_string())?;
        let mut command = Command::new("webhook");
        command
            .arg("-hooks")
            .arg(&file)
            .args(["-ip", "127.0.0.1", "-port", &addr.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = match Process::start("webhook", &mut command) {
            Ok(process) => process,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let began = monotonic();
        while Connection::open(addr, http::framing).await.is_err() {
            let has_ended = process.ended()?.is_some();
            if has_ended || monotonic().duration_since(began) > START_PATIENCE {
                return Err(io::Error::other("webhook did not start"));
            }
            Timer::after(Duration::from_millis(10)).await;
        }
        Ok(Some(Self { process, addr }))
    }
}
