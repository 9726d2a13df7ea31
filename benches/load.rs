//! The real server under load, beside the peers that Debian offers. One command builds the
//! release executable, starts it and them, measures all in turn, and prints tables:
//!
//! ```text
//! cargo bench --bench load                 # everything; some 20 minutes
//! cargo bench --bench load -- health post  # cases by their names
//! ```
//!
//! | case | what is measured | beside |
//! |---|---|---|
//! | `health` | `GET /health` at 64 connections, by the own generator and by `wrk` | nginx |
//! | `post` | synced `POST /task` at 1, 16, 64 and 256 connections; memory | Redis, PostgreSQL, beanstalkd, the disk |
//! | `webhook` | signed webhooks of 21 KB at 64 connections | `webhook` |
//! | `large` | what 40 webhooks of 20 MiB at once cost of time and memory | |
//! | `dispatch` | tasks completed through a worker that costs nothing; from `POST` to the worker when idle | |
//! | `start` | start to the first 200 with none and with 1,000,000 pending; size of the executable | |
//! | `pending` | latency, claims, pages of lists and memory with 1,000 and 1,000,000 tasks pending | |
//! | `written` | bytes written to disk for each task over its whole life | |
//! | `idle` | processor time and context switches of a server that has nothing to do | |
//! | `backup` | a backup, and what clients notice of it | |
//! | `memory` | what large texts cost of memory | |
//! | `crowd` | what crowds of connections cost, and what others notice of them | |
//!
//! The last table holds what was measured against what is aimed at. Peers come from Debian:
//! `apt-get install nginx-light redis-server postgresql beanstalkd webhook wrk`. Each is a child
//! process on a loopback port of its own; one that is absent is skipped, and that is said. As root
//! the bench runs PostgreSQL as the user `postgres` or `nobody`, who must be able to reach the
//! directory.
//!
//! Client, worker, peers and server share the machine, so only what stands in one table can be
//! compared. All of it is measured in turn, round by round. The environment sets the size:
//! `MECHA_BENCH_ROUNDS` (5), `MECHA_BENCH_SECONDS` of one measurement (3),
//! `MECHA_BENCH_PENDING` (1,000,000), and `MECHA_BENCH_DIR`, a directory on a disk (by default in
//! `target`).

#[path = "load/backup.rs"]
mod backup;
#[path = "support/claiming.rs"]
mod claiming;
#[path = "load/client.rs"]
mod client;
#[path = "load/crowd.rs"]
mod crowd;
#[path = "load/crowds.rs"]
mod crowds;
#[path = "support/directory.rs"]
mod directory;
#[path = "load/disk.rs"]
mod disk;
#[path = "load/dispatch.rs"]
mod dispatch;
#[path = "load/filled.rs"]
mod filled;
#[path = "load/generator.rs"]
mod generator;
#[path = "load/health.rs"]
mod health;
#[path = "load/http.rs"]
mod http;
#[path = "load/idle.rs"]
mod idle;
#[path = "support/interrupt.rs"]
mod interrupt;
#[path = "load/latency.rs"]
mod latency;
#[path = "support/memory.rs"]
mod memory;
#[path = "load/pages.rs"]
mod pages;
#[path = "support/payload.rs"]
mod payload;
#[path = "load/peer/mod.rs"]
mod peer;
#[path = "load/pending.rs"]
mod pending;
#[path = "load/post.rs"]
mod post;
#[path = "load/process.rs"]
mod process;
#[path = "support/queue.rs"]
mod queue;
#[path = "support/report.rs"]
mod report;
#[path = "load/resident.rs"]
mod resident;
#[path = "load/server.rs"]
mod server;
#[path = "support/settings.rs"]
mod settings;
#[path = "load/start.rs"]
mod start;
#[path = "load/summary.rs"]
mod summary;
#[path = "load/timed.rs"]
mod timed;
#[path = "load/webhook.rs"]
mod webhook;
#[path = "load/worker.rs"]
mod worker;
#[path = "load/written.rs"]
mod written;
#[path = "load/wrk.rs"]
mod wrk;

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::ExitCode;

use smol::LocalExecutor;

use crate::filled::Filled;
use crate::settings::Settings;
use crate::summary::Summary;

/// A port for privileged processes that nobody listens on: the worker there is offline.
const OFFLINE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

/// The cases, in the order in which they are run.
const CASES: [&str; 12] = [
    "health", "post", "webhook", "large", "dispatch", "start", "pending", "written", "idle",
    "backup", "memory", "crowd",
];

/// What the cases of a run share.
struct Bench<'a> {
    executor: &'a LocalExecutor<'static>,
    settings: Settings,
    summary: Summary,
    /// Made by the first case that needs it.
    filled: Option<Filled>,
}

fn main() -> ExitCode {
    report::exit(interrupt::run(run))
}

async fn run(executor: &LocalExecutor<'static>) -> io::Result<()> {
    // Cargo gives arguments of its own, which begin with a dash.
    let chosen: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let Some(unknown) = chosen.iter().find(|name| !CASES.contains(&name.as_str())) {
        let cases = CASES.join(", ");
        return Err(io::Error::other(format!(
            "no case is called {unknown:?}; there are {cases}"
        )));
    }
    let mut bench = Bench {
        executor,
        settings: Settings::read()?,
        summary: Summary::default(),
        filled: None,
    };
    report::machine()?;
    report::line(&peer::versions())?;
    report::line(&format!("data on {}", disk::file_system()?))?;
    for case in CASES {
        if chosen.is_empty() || chosen.iter().any(|name| name == case) {
            report::line(&format!("### {case}"))?;
            bench.measure(case).await?;
        }
    }
    bench.summary.show()
}

impl Bench<'_> {
    async fn measure(&mut self, case: &str) -> io::Result<()> {
        match case {
            "health" => health::run(self).await,
            "post" => post::run(self).await,
            "webhook" => webhook::run(self).await,
            "large" => webhook::large_payloads(self.executor).await,
            "dispatch" => dispatch::run(self).await,
            "pending" => pending::run(self).await,
            "start" => start::run(self).await,
            "written" => written::run(self).await,
            "idle" => idle::run(self).await,
            "backup" => backup::run(self.executor, &self.settings).await,
            "memory" => resident::run(self).await,
            _ => crowd::run(&self.settings).await,
        }
    }
}
