//! The real server under load, beside Redis, Debian's `webhook` and the bare disk. Run it with
//! `cargo bench --bench load`; names behind `--` choose parts: `throughput`, `webhook`, `dispatch`,
//! `start`, `backup`, `memory`, `crowd`.
//!
//! Client, worker and server share the machine, so only what stands in one table can be
//! compared. All of it is measured in turn, round by round, on loopback and on a disk.
//! `MECHA_BENCH_ROUNDS`, `MECHA_BENCH_SECONDS` and `MECHA_BENCH_PENDING` set the size.

#[path = "load/backup.rs"]
mod backup;
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
#[path = "load/http.rs"]
mod http;
#[path = "support/interrupt.rs"]
mod interrupt;
#[path = "support/memory.rs"]
mod memory;
#[path = "load/process.rs"]
mod process;
#[path = "support/queue.rs"]
mod queue;
#[path = "load/redis.rs"]
mod redis;
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
#[path = "load/throughput.rs"]
mod throughput;
#[path = "load/webhook.rs"]
mod webhook;
#[path = "load/webhook_peer.rs"]
mod webhook_peer;
#[path = "load/worker.rs"]
mod worker;

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::ExitCode;

use smol::LocalExecutor;

use crate::settings::Settings;

/// A port for privileged processes that nobody listens on: the worker there is offline.
const OFFLINE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

/// The parts, in the order in which they are run.
const PARTS: [&str; 7] = [
    "throughput",
    "webhook",
    "dispatch",
    "start",
    "backup",
    "memory",
    "crowd",
];

fn main() -> ExitCode {
    report::exit(interrupt::run(run))
}

async fn run(executor: &LocalExecutor<'static>) -> io::Result<()> {
    // Cargo gives arguments of its own, which begin with a dash.
    let chosen: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let Some(unknown) = chosen.iter().find(|part| !PARTS.contains(&part.as_str())) {
        let parts = PARTS.join(", ");
        return Err(io::Error::other(format!(
            "no part is called {unknown:?}; there are {parts}"
        )));
    }
    let is_chosen = |part: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == part);
    let settings = Settings::read()?;
    report::machine()?;
    if is_chosen("throughput") {
        throughput::run(executor, &settings).await?;
    }
    if is_chosen("webhook") {
        webhook::run(executor, &settings).await?;
    }
    if is_chosen("dispatch") {
        dispatch::run(executor, &settings).await?;
    }
    if is_chosen("start") {
        start::run(&settings).await?;
    }
    if is_chosen("backup") {
        backup::run(executor, &settings).await?;
    }
    if is_chosen("memory") {
        resident::run(executor).await?;
    }
    if is_chosen("crowd") {
        crowd::run(executor, &settings).await?;
    }
    Ok(())
}
