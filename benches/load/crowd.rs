//! What a crowd costs the server, and what another client notices of it: idle connections, heads that
//! come byte by byte, readers that are slow, a storm of garbage.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::patiently;
use crate::crowds::{Acting, Crowd, exchange};
use crate::generator::Load;
use crate::report::{self, Series, grouped, milliseconds, per_second};
use crate::server::{Server, config};
use crate::settings::Settings;
use crate::{OFFLINE, directory, http};

/// The server's `limits.connections`, and the files that the bench itself may have open.
const CONNECTIONS: u64 = 12_000;

/// What is in the way of the other client, in turn. The storm comes twice: from one thread, and from
/// so many that they take the processors as well.
const CROWDS: [Crowd; 6] = [
    Crowd::Nobody,
    Crowd::Idle(10_000),
    Crowd::SlowHeads(1_000),
    Crowd::SlowReaders(24),
    Crowd::Storm { threads: 1 },
    Crowd::Storm { threads: 64 },
];

/// Requests before the memory is read for the first time.
const WARM_UP: usize = 2_000;

/// How long a crowd may take until it is there.
const CROWD_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Figures {
    memory: Series,
    rate: Series,
    health: [Series; 2],
    post: [Series; 2],
}

/// Measures and prints.
pub(crate) async fn run(settings: &Settings) -> io::Result<()> {
    raise_open_files()?;
    let mut figures: [Figures; CROWDS.len()] = Default::default();
    for _ in 0..settings.rounds {
        for (crowd, figures) in CROWDS.iter().zip(&mut figures) {
            figures.add(settings, *crowd).await?;
        }
    }
    let rows: Vec<_> = CROWDS
        .iter()
        .zip(&figures)
        .map(|(crowd, figures)| figures.row(*crowd))
        .collect();
    report::table(
        &[
            "meanwhile",
            "memory each, KiB",
            "GET /health p50, ms",
            "p99, ms",
            "POST /task p50, ms",
            "p99, ms",
        ],
        &rows,
    )
}

impl Figures {
    /// Measures beside `crowd`, on a server of its own: memory that was given back would be used again.
    async fn add(&mut self, settings: &Settings, crowd: Crowd) -> io::Result<()> {
        let dir = directory::on_disk()?;
        let limits = format!("[limits]\nconnections = {CONNECTIONS}\n");
        let config = config(OFFLINE, 1).replacen("[limits]\n", &limits, 1);
        let server = Server::start(dir.path(), &config).await?;
        let load =
            |request, connections| Load::new(server.addr, request, http::framing).with(connections);
        let health = http::get(server.addr, "/health");
        load(health.clone(), 64).send(WARM_UP).await?;
        let large = large_task(&server)?;
        server.process.quiet().await?;
        let before = server.process.memory()?;
        let begun = monotonic();
        let acting = Acting::begin(crowd, server.addr, &large)?;
        while !acting.is_there() {
            if monotonic().duration_since(begun) > CROWD_PATIENCE {
                return Err(io::Error::other("the crowd does not come"));
            }
            Timer::after(Duration::from_millis(10)).await;
        }
        if let Some(connections) = crowd.connections() {
            let grown = server.process.memory()?.saturating_sub(before);
            self.memory.push(kibibytes(grown) / f64::from(connections));
        }
        let (begun, stormed) = (monotonic(), acting.count());
        for (request, [p50, p99]) in [
            (health, &mut self.health),
            (http::post_task(server.addr), &mut self.post),
        ] {
            let measuring = load(request, 1);
            let measuring = measuring.measure(settings.time);
            let measured = patiently(settings.time * 2, measuring).await?;
            p50.push(milliseconds(measured.p50));
            p99.push(milliseconds(measured.p99));
        }
        let count = acting.count().saturating_sub(stormed);
        self.rate
            .push(per_second(count, monotonic().duration_since(begun)));
        acting.end()?;
        server.process.stop().await
    }

    fn row(&self, crowd: Crowd) -> Vec<String> {
        let mut row = vec![
            match crowd {
                Crowd::Nobody => "nobody else".to_owned(),
                Crowd::Idle(count) => format!("{} idle connections", grouped(&count.to_string())),
                Crowd::SlowHeads(count) => {
                    format!("{} heads byte by byte", grouped(&count.to_string()))
                }
                Crowd::SlowReaders(count) => format!("{count} slow readers of 256 KiB each"),
                Crowd::Storm { threads: 1 } => {
                    format!("garbage, {} connections a second", self.rate.cell(0))
                }
                Crowd::Storm { threads } => format!(
                    "the same from {threads} threads, {} a second",
                    self.rate.cell(0)
                ),
            },
            self.memory.cell(1),
        ];
        row.extend(
            self.health
                .iter()
                .chain(&self.post)
                .map(|figure| figure.cell(2)),
        );
        row
    }
}

/// Stores a task whose answer is large, and gives a request for it.
fn large_task(server: &Server) -> io::Result<Vec<u8>> {
    let prompt = "x".repeat(256 << 10);
    let body = format!(r#"{{"prompt":"{prompt}","worker":"claude-reviewer"}}"#);
    let (addr, length) = (server.addr, body.len());
    let request =
        format!("POST /task HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {length}\r\n\r\n{body}");
    let answer = exchange(&mut TcpStream::connect(addr)?, request.as_bytes())?;
    let task: serde_json::Value = serde_json::from_slice(http::body(&answer))?;
    let id = task.get("id").and_then(serde_json::Value::as_str);
    let id = id.ok_or_else(|| io::Error::other("a task has no id"))?;
    Ok(http::get(addr, &format!("/task/{id}")).to_vec())
}

/// Each connection of the crowd is a file of this process.
fn raise_open_files() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|files| files < CONNECTIONS) {
        return Err(io::Error::other(format!(
            "{CONNECTIONS} files must be allowed to be open; raise the hard limit (ulimit -Hn)"
        )));
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Bytes in KiB.
fn kibibytes(bytes: u64) -> f64 {
    report::mebibytes(bytes) * 1_024.0
}
