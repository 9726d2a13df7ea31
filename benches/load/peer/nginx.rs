//! nginx, one worker process, with two constant answers: a server of nothing but HTTP, and an
//! endpoint worker that costs almost nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::{Peer, program, unused_addr};
use crate::http;

/// Starts it with its files in `dir`. `GET /health` is answered with `health`, a JSON text, and
/// `POST /task` with a result.
pub(crate) async fn start(dir: &Path, health: &str) -> io::Result<Option<Peer>> {
    let Some(program) = program("nginx")? else {
        return Ok(None);
    };
    let addr = unused_addr()?;
    let file = dir.join("nginx.conf");
    fs::write(&file, config(dir, &addr.to_string(), health))?;
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(dir)
        .args(["-e", "stderr"])
        .arg("-c")
        .arg(&file);
    let request = http::get(addr, "/health");
    Peer::start("nginx", &mut command, addr, &request, http::framing)
        .await
        .map(Some)
}

/// One process, so that nothing is left behind when it is killed.
fn config(dir: &Path, addr: &str, health: &str) -> String {
    let dir = dir.display();
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {dir}/{name};\n"))
        .concat();
    format!(
        "daemon off;\n\
         master_process off;\n\
         worker_processes 1;\n\
         pid {dir}/nginx.pid;\n\
         error_log stderr crit;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
         {places}\
         \x20 access_log off;\n\
         \x20 default_type application/json;\n\
         \x20 keepalive_requests 1000000000;\n\
         \x20 keepalive_timeout 1h;\n\
         \x20 server {{\n\
         \x20   listen {addr} backlog=1024;\n\
         \x20   location = /health {{ return 200 '{health}'; }}\n\
         \x20   location = /task {{ return 200 '{{\"output\":\"LGTM\"}}'; }}\n\
         \x20 }}\n\
         }}\n"
    )
}
