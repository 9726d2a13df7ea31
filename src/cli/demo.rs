//! `mecha demo`: both ways to a result, a task and a webhook, on a real server of its own.
//!
//! The server listens on loopback and keeps its data in a directory that is deleted at the end.
//! Everything that is shown went over HTTP.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::remote::{Answer, Remote};
use super::serve::exit;
use super::{Exit, output};
use crate::clock::{Clock, monotonic};
use crate::config::{Args, Config};
use crate::drain::{Cause, Drain};
use crate::server::Server;
use crate::source::Source;

/// How long the demo waits for its result.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks at the event.
const PAUSE: Duration = Duration::from_millis(20);

const PROMPT: &str = "Review this change: fn add(a: u32, b: u32) -> u32 { a - b }";

/// The demo's configuration. Its worker counts the words of the prompt; an agent would take its
/// place, with the prompt on standard input and its answer on standard output.
const SETTINGS: &str = r#"drain = "5s"

[limits]
disk_reserve = "0B" # the directory is small and short-lived

[[source]]
name = "github"
kind = "github"
secret = "SECRET"

[[worker]]
name = "demo"
command = ["sh", "-c", '''printf '{"output": "The prompt has %d words.", "status": "reviewed"}' "$(wc -w)"''']
timeout = "20s"
concurrency = 2
max_attempts = 2
backoff = "1s"

[[worker.events]]
source = "github"
on = ["pull_request.opened", "pull_request.synchronize"]
prompt = """
Review PR #{{ number }}: {{ title }}

{{ body | fence }}"""
"#;

/// What GitHub tells of.
const EVENT_TYPE: &str = "pull_request.opened";

/// A part of what GitHub sends.
const PAYLOAD: &str = r#"{"action":"opened","number":7,"pull_request":{"number":7,"title":"Add a cache","body":"It makes the start faster.","html_url":"https://github.com/octo/hello/pull/7","draft":false,"head":{"ref":"cache","sha":"6dcb09b5b57875f334f61aebed695e2e4193db5e"},"base":{"ref":"main"},"labels":[]},"repository":{"name":"hello","full_name":"octo/hello","owner":{"login":"octo"}},"sender":{"login":"mona"}}"#;

/// Goes both ways with a server on `addr`, which is a loopback address; with `exit` it
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
    let config = match config(addr, data) {
        Ok(config) => config,
        Err(problem) => {
            output::complain(&problem);
            return Exit::Failed;
        }
    };
    let Some(github) = config.sources.first().cloned() else {
        output::complain("the demo's configuration has no source");
        return Exit::Failed;
    };
    output::print("mecha demo: a task and a webhook go their whole way, on a server of its own");
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
    output::print("   Its configuration, mecha.toml there:");
    output::print("");
    for line in SETTINGS.lines().skip_while(|line| !line.starts_with("[[")) {
        output::print(format!("   | {}", line.replace("SECRET", "...")).trim_end());
    }
    let drain = server.drain();
    let showing = thread::spawn({
        let drain = drain.clone();
        move || show(addr, &github, stops, &drain)
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

/// Goes both ways and says whether both completed.
fn show(addr: SocketAddr, github: &Source, stops: bool, drain: &Drain) -> bool {
    let completed = match walk(addr, github) {
        Ok(completed) => completed,
        Err(problem) => {
            output::complain(&problem);
            false
        }
    };
    if stops {
        drain.begin(Cause::Asked);
    } else {
        output::print(&format!(
            "\nThe server goes on until Ctrl-C. See it in a browser at http://{addr}/ or try, in another terminal:"
        ));
        output::print("");
        for command in [
            format!("curl -s http://{addr}/task -d '{{\"prompt\": \"Count these words\"}}'"),
            format!("curl -s http://{addr}/tasks"),
            format!("curl -s http://{addr}/events"),
            format!("curl -s http://{addr}/workers"),
        ] {
            output::print(&format!("    {command}"));
        }
    }
    completed
}

/// What the demo reads of a task and of an event.
#[derive(Deserialize)]
struct Shown {
    id: String,
    state: String,
    task_id: Option<String>,
    result: Option<String>,
    error: Option<String>,
    reason: Option<String>,
}

/// Goes both ways; `true` when both completed.
fn walk(addr: SocketAddr, github: &Source) -> Result<bool, String> {
    let remote = Remote::open(addr);
    Ok(submit(&remote)? && deliver(&remote, github)?)
}

/// A task over the API.
fn submit(remote: &Remote) -> Result<bool, String> {
    let body = serde_json::json!({ "prompt": PROMPT }).to_string();
    output::print("\n2  A task is submitted.");
    let task = tell(
        &format!("POST /task {body}"),
        &remote.post("/task", &[], body.into_bytes())?,
    )?;
    output::print("   It is on disk now: from here on it survives a crash and a power loss.");
    output::print("\n3  Its worker is started, and its result kept.");
    await_task(remote, &task.id)
}

/// A webhook as GitHub sends it.
fn deliver(remote: &Remote, github: &Source) -> Result<bool, String> {
    output::print("\n4  A new pull request: its webhook comes, signed as GitHub signs it.");
    let headers = github.sign(
        EVENT_TYPE,
        "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        PAYLOAD.as_bytes(),
        Clock::system().now(),
    )?;
    let mut request = "POST /webhook/github".to_owned();
    for (name, value) in &headers {
        request.extend(["\n   ", name, ": ", value]);
    }
    request.extend(["\n   ", PAYLOAD]);
    let answer = remote.post("/webhook/github", &headers, PAYLOAD.as_bytes().to_vec())?;
    let event = tell(&request, &answer)?;
    output::print("   The signature is right, and the event is on disk.");
    output::print("\n5  The rule matches, and makes a task of the event.");
    let path = format!("/event/{}", event.id);
    let deadline = monotonic() + PATIENCE;
    let task = loop {
        let event = read(&remote.get(&path)?)?;
        match (event.task_id, event.reason) {
            (Some(task), _) => break task,
            (None, Some(reason)) => return Err(format!("the event is {}: {reason}", event.state)),
            (None, None) if monotonic() > deadline => {
                return Err(format!("the event is still {}", event.state));
            }
            (None, None) => thread::sleep(PAUSE),
        }
    };
    if !await_task(remote, &task)? {
        return Ok(false);
    }
    let answer = remote.get(&path)?;
    let event = read(&answer)?;
    output::print(&format!(
        "Event {} {}, with its task",
        event.id, event.state
    ));
    Ok(event.state == "completed")
}

/// Waits for a task's end and says how it ended.
fn await_task(remote: &Remote, id: &str) -> Result<bool, String> {
    let path = format!("/task/{id}?wait={}s", PATIENCE.as_secs());
    let task = tell(&format!("GET {path}"), &remote.get(&path)?)?;
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

/// Shows a request and its answer.
fn tell(request: &str, answer: &Answer) -> Result<Shown, String> {
    output::print(&format!("   {request}"));
    output::print(&format!("   {} {}", answer.status, answer.text()));
    read(answer)
}

fn read(answer: &Answer) -> Result<Shown, String> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| format!("the answer is no task and no event: {error}"))
}

/// Writes the demo's configuration file and reads it, as a server would.
fn config(addr: SocketAddr, data: &Path) -> Result<Config, String> {
    let file = data.join("mecha.toml");
    let secret = format!("{:032x}", fastrand::u128(..));
    fs::write(&file, SETTINGS.replace("SECRET", &secret))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    let args = Args {
        addr: Some(addr.to_string()),
        config: Some(file),
        data: Some(data.to_owned()),
        log: Some("text".to_owned()),
        ..Args::default()
    };
    let config = Config::load(&args).map_err(|error| error.to_string())?;
    // A key for another server, in the environment, is none of the demo's.
    Ok(Config {
        api_keys: Vec::new(),
        ..config
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
