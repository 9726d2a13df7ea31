//! Debian's `webhook` (adnanh/webhook), which checks the same signature and runs `/bin/true`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::{Peer, program, unused_addr};
use crate::http;

/// The path of its hook.
pub(crate) const PATH: &str = "/hooks/github";

/// Starts it with its configuration in `dir`.
pub(crate) async fn start(dir: &Path, secret: &str) -> io::Result<Option<Peer>> {
    let Some(program) = program("webhook")? else {
        return Ok(None);
    };
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
    let mut command = Command::new(program);
    command
        .arg("-hooks")
        .arg(&file)
        .args(["-ip", "127.0.0.1", "-port", &addr.port().to_string()]);
    // Its root answers 200 without a hook.
    let request = http::get(addr, "/");
    Peer::start("webhook", &mut command, addr, &request, http::framing)
        .await
        .map(Some)
}
