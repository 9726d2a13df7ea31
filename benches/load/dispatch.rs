//! The whole way: a task is posted, stored, handed to an endpoint worker, and its result stored.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use crate::client::patiently;
use crate::generator::Load;
use crate::latency::{self, Latencies};
use crate::peer::{Peer, nginx};
use crate::report::{self, Series, mebibytes, per_second};
use crate::server::{Server, config};
use crate::summary::Target;
use crate::worker::Worker;
use crate::{Bench, directory, http};

/// Attempts of the worker at once, and connections that post.
pub(crate) const CONCURRENCY: u32 = 64;

/// Tasks in one round.
const TASKS: usize = 20_000;

/// How long a round may take.
const ROUND_PATIENCE: Duration = Duration::from_secs(300);

/// How often the counts are looked at: often enough for a round of a second, and far apart
/// enough to cost nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A worker that costs almost nothing: nginx, or, where it is absent, threads of the bench.
pub(crate) enum Cheap {
    Nginx(Peer),
    Own(Worker),
}

impl Cheap {
    pub(crate) async fn start(dir: &Path) -> io::Result<Self> {
        match nginx::start(dir, r#"{"status":"ok"}"#).await? {
            Some(nginx) => Ok(Self::Nginx(nginx)),
            None => Ok(Self::Own(Worker::start()?)),
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        match self {
            Self::Nginx(nginx) => nginx.addr,
            Self::Own(worker) => worker.addr,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Nginx(_) => "nginx",
            Self::Own(_) => "threads of the bench",
        }
    }
}

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    let (dir, cheap_dir) = (directory::on_disk()?, directory::on_disk()?);
    let cheap = Cheap::start(cheap_dir.path()).await?;
    let worker = Worker::start()?;
    let config = config(cheap.addr(), CONCURRENCY) + &latency::config(&worker);
    let server = Server::start(dir.path(), &config).await?;
    let (mut completed, mut latencies) = <(Series, Latencies)>::default();
    for _ in 0..bench.settings.rounds {
        let load = Load::new(server.addr, http::post_task(server.addr), http::framing);
        let round = complete(&server, &load, TASKS);
        completed.push(patiently(ROUND_PATIENCE, round).await?);
        latencies
            .measure(&server, &worker, bench.settings.time)
            .await?;
    }
    let peak = mebibytes(server.process.memory_peak()?);
    let row = |name: &str, figure: String| vec![name.to_owned(), figure];
    report::table(
        &[
            &format!("through an endpoint worker, {}", cheap.name()),
            "figure",
        ],
        &[
            row("tasks completed/s, 64 at once", completed.cell(0)),
            row("peak memory of the server, MiB", format!("{peak:.1}")),
        ],
    )?;
    report::table(&latency::HEAD, &[latencies.row("idle")])?;
    let summary = &mut bench.summary;
    let at_least = Target::AtLeast(5_000.0);
    summary.judge(
        "tasks completed through a worker, 64 at once",
        at_least,
        "/s",
        &completed,
        0,
    );
    latencies.judge(summary, "idle");
    let mut resident = Series::default();
    resident.push(peak);
    let name = "resident, peak through a worker";
    summary.judge(name, Target::AtMost(48.0), " MiB", &resident, 1);
    server.process.stop().await
}

/// Sends tasks, as many at once as the worker takes, and waits until all are completed. Gives
/// tasks per second.
pub(crate) async fn complete(server: &Server, load: &Load, tasks: usize) -> io::Result<f64> {
    let connections = usize::try_from(CONCURRENCY).map_err(io::Error::other)?;
    let load = load.with(connections);
    let began = monotonic();
    load.send(tasks).await?;
    while unended(server).await? > 0 {
        Timer::after(LOOK_INTERVAL).await;
    }
    let time = monotonic().duration_since(began);
    // All were acknowledged, so what is in no other state is completed.
    for state in ["pending", "dispatched", "failed"] {
        let listed = server.get(&format!("/tasks?limit=1&state={state}")).await?;
        if listed != "[]" {
            return Err(io::Error::other(format!("a task is {state}: {listed}")));
        }
    }
    Ok(per_second(tasks, time))
}

/// Pending and running tasks of all workers, as `GET /workers` has them.
pub(crate) async fn unended(server: &Server) -> io::Result<u64> {
    let text = server.get("/workers").await?;
    let workers: serde_json::Value = serde_json::from_str(&text)?;
    let count = |worker: &serde_json::Value, name| worker.get(name)?.as_u64();
    let unended = workers.as_array().and_then(|workers| {
        let counts = workers
            .iter()
            .map(|worker| Some(count(worker, "pending")? + count(worker, "running")?));
        counts.sum()
    });
    unended.ok_or_else(|| io::Error::other(format!("GET /workers answered {text}")))
}
