//! `mecha demo`: the whole way of a task, on a real server of its own.
//!
//! The server listens on loopback and keeps its data in a directory that is deleted at the end.
//! Everything that is shown went over HTTP.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::serve::exit;
use super::{Exit, output};
use crate::budget::Budget;
use crate::clock::monotonic;
use crate::config::{Config, Limits, LogFormat};
use crate::drain::{Cause, Drain};
use crate::http::client::{self, Outgoing};
use crate::server::Server;
use crate::worker::{Endpoint, Target, Worker, WorkerName};

/// How long the demo waits for its result.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 1 << 20;

const PROMPT: &str = "Review this change: fn add(a: u32, b: u32) -> u32 { a - b }";

/// The demo's worker: it counts the words of the prompt. An agent would take its place, with the
/// prompt on standard input and its answer on standard output.
const SCRIPT: &str =
    r#"printf '{"output": "The prompt has %d words.", "status": "reviewed"}' "$(wc -w)""#;

/// Shows the way of a task with a server on `addr`, which is a loopback address; with `exit` it
/// stops after the result.
pub(super) fn run(addr: SocketAddr, stops: bool) -> Exit {
    let data = match private_dir() {
        Ok(data) => data,
        Err(error) => {
            output::complain(&format!("cannot create a directory for the demo: {error}"));
            return Exit::Failed;
        }
    };
    let ended = serve(addr, stops, &data);
    if let Err(error) = fs::remove_dir_all(&data) {
        output::complain(&format!("cannot delete {}: {error}", data.display()));
    }
    ended
}

fn serve(addr: SocketAddr, stops: bool, data: &Path) -> Exit {
    let Some(config) = config(addr, data) else {
        return Exit::Failed;
    };
    output::print("mecha demo: a task goes its whole way, on a server of its own");
    output::print("\n1  The server starts.");
    let server = match Server::open(config.clone()) {
        Ok(server) => server,
        Err(error) => {
            output::complain(&error.to_string());
            return exit(&error);
        }
    };
    let addr = server.local_addr();
    output::print(&format!(
        "   It listens on http://{addr} and keeps its data in"
    ));
    output::print(&format!(
        "   {}, which is deleted at the end.",
        data.display()
    ));
    output::print("   Its worker \"demo\" is a program that gets the prompt on standard input:");
    output::print(&format!("   sh -c '{}'", SCRIPT.replace('\'', "'\\''")));
    let drain = server.drain();
    let showing = thread::spawn({
        let drain = drain.clone();
        move || show(addr, stops, &drain)
    });
    let reload = config;
    let ended = server.run(Box::new(move || Ok(reload.clone())));
    // However the server ended, the demonstration has nothing more to wait for.
    drain.begin(Cause::Asked);
    let is_shown = showing.join().unwrap_or(false);
    match ended {
        Ok(()) if is_shown || !stops => Exit::Done,
        Ok(()) => Exit::Failed,
        Err(error) => {
            output::complain(&error.to_string());
            exit(&error)
        }
    }
}

/// Submits a task, waits for it, and says whether it completed.
fn show(addr: SocketAddr, stops: bool, drain: &Drain) -> bool {
    let completed = match walk(addr) {
        Ok(completed) => completed,
        Err(problem) => {
            output::complain(&problem);
            false
        }
    };
    if stops {
        drain.begin(Cause::Asked);
    } else {
        output::print("\nThe server goes on until Ctrl-C. Try, in another terminal:");
        output::print("");
        for command in [
            format!("curl -s http://{addr}/task -d '{{\"prompt\": \"Count these words\"}}'"),
            format!("curl -s http://{addr}/tasks"),
            format!("curl -s http://{addr}/workers"),
        ] {
            output::print(&format!("    {command}"));
        }
    }
    completed
}

#[derive(Deserialize)]
struct Shown {
    id: String,
    state: String,
    result: Option<String>,
    error: Option<String>,
}

fn walk(addr: SocketAddr) -> Result<bool, String> {
    let body = serde_json::json!({ "prompt": PROMPT }).to_string();
    output::print("\n2  A task is submitted.");
    output::print(&format!("   POST /task {body}"));
    let answer = ask(addr, "/task", Some(body.into_bytes()))?;
    output::print(&format!("   {answer}"));
    output::print("   It is on disk now: from here on it survives a crash and a power loss.");
    let task = read(&answer)?;
    let path = format!("/task/{}?wait={}s", task.id, PATIENCE.as_secs());
    output::print("\n3  Its worker is started, and its result kept.");
    output::print(&format!("   GET {path}"));
    let answer = ask(addr, &path, None)?;
    output::print(&format!("   {answer}"));
    let task = read(&answer)?;
    match (task.state.as_str(), task.result, task.error) {
        ("completed", Some(result), _) => {
            output::print(&format!("\nTask {} completed: {result}", task.id));
            Ok(true)
        }
        (state, _, error) => Err(format!(
            "task {} is {state} after {} s: {}",
            task.id,
            PATIENCE.as_secs(),
            error.as_deref().unwrap_or("no error was reported")
        )),
    }
}

fn read(answer: &str) -> Result<Shown, String> {
    let body = answer.split_once(' ').map_or("", |(_, body)| body);
    serde_json::from_str(body).map_err(|error| format!("the answer is no task: {error}"))
}

/// Status and body of an answer.
fn ask(addr: SocketAddr, path: &str, body: Option<Vec<u8>>) -> Result<String, String> {
    let endpoint = Endpoint {
        host: addr.ip().to_string(),
        port: addr.port(),
        path: String::new(),
    };
    let deadline = monotonic() + PATIENCE + PATIENCE;
    let outgoing = Outgoing {
        endpoint: &endpoint,
        token: None,
        body,
        path,
        deadline,
        answer_max: ANSWER_MAX,
    };
    let answer = smol::block_on(client::send(outgoing, &Budget::new(ANSWER_MAX)))
        .map_err(|error| format!("http://{addr}{path}: {error}"))?;
    Ok(format!(
        "{} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    ))
}

fn config(addr: SocketAddr, data: &Path) -> Option<Config> {
    let name: WorkerName = "demo".parse().ok()?;
    let worker = Worker {
        name,
        target: Target::Command {
            argv: ["sh", "-c", SCRIPT].map(str::to_owned).to_vec(),
            env: Vec::new(),
            cwd: None,
        },
        timeout: Duration::from_secs(20),
        concurrency: 2,
        rate: None,
        max_attempts: 2,
        backoff: Duration::from_secs(1),
    };
    Some(Config {
        addr,
        api_keys: Vec::new(),
        allow_anonymous: false,
        data: data.to_owned(),
        log: LogFormat::Text,
        drain: Duration::from_secs(5),
        // The directory is small and short-lived, so it may use the last of the disk.
        limits: Limits {
            disk_reserve: 0,
            ..Limits::default()
        },
        workers: vec![worker],
        secret_variables: Vec::new(),
        warnings: Vec::new(),
    })
}

/// A new directory that nobody else can read.
fn private_dir() -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let name = format!(
        "mecha-demo-{}-{:08x}",
        std::process::id(),
        fastrand::u32(..)
    );
    let path = std::env::temp_dir().join(name);
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}
