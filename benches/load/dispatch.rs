//! The whole way: a task is posted, stored, handed to an endpoint worker, and its result stored.

use std::io;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;
use smol::LocalExecutor;

use crate::client::{Connection, Load, patiently, percentile};
use crate::report::{self, Series, mebibytes, milliseconds, per_second};
use crate::server::{Server, config};
use crate::settings::Settings;
use crate::worker::Worker;
use crate::{directory, http};

/// Attempts of the worker at once, and connections that post.
const CONCURRENCY: u32 = 64;

/// Tasks in one round.
const TASKS: usize = 20_000;

/// How long a round may take.
const ROUND_PATIENCE: Duration = Duration::from_secs(300);

/// How often the counts are looked at: often enough for a round of a second, and far apart
/// enough to cost nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The pause in front of a task that finds an idle server.
const IDLE_TIME: Duration = Duration::from_millis(10);

/// Measures and prints.
pub(crate) async fn run(executor: &LocalExecutor<'static>, settings: &Settings) -> io::Result<()> {
    let dir = directory::on_disk()?;
    let worker = Worker::start()?;
    let server = Server::start(dir.path(), &config(worker.addr, CONCURRENCY)).await?;
    let (mut completed, mut p50, mut p99) = <(Series, Series, Series)>::default();
    for _ in 0..settings.rounds {
        let round = complete_many(executor, &server, &worker);
        completed.push(patiently(ROUND_PATIENCE, round).await?);
        server.process.quiet().await?;
        let mut latencies = latencies(&server, &worker, settings.time).await?;
        p50.push(milliseconds(percentile(&mut latencies, 50)));
        p99.push(milliseconds(percentile(&mut latencies, 99)));
    }
    let peak = mebibytes(server.process.memory_peak()?);
    report::table(
        &["through an endpoint worker", "figure"],
        &[
            vec![
                "tasks completed/s, 64 at once".to_owned(),
                completed.cell(0),
            ],
            vec![
                "idle, from POST to the worker, p50, ms".to_owned(),
                p50.cell(2),
            ],
            vec![
                "idle, from POST to the worker, p99, ms".to_owned(),
                p99.cell(2),
            ],
            vec![
                "peak memory of the server, MiB".to_owned(),
                format!("{peak:.1}"),
            ],
        ],
    )?;
    server.process.stop().await
}

/// Posts many tasks and waits until all are completed. Gives tasks per second.
async fn complete_many(
    executor: &LocalExecutor<'static>,
    server: &Server,
    worker: &Worker,
) -> io::Result<f64> {
    let load = Load {
        addr: server.addr,
        request: http::post_task(server.addr),
        stamp_at: None,
        framing: http::framing,
        connections: usize::try_from(CONCURRENCY).map_err(io::Error::other)?,
    };
    let received_before = worker.tasks();
    let began = monotonic();
    load.send(executor, TASKS).await?;
    while unended(server).await? > 0 {
        Timer::after(LOOK_INTERVAL).await;
    }
    let time = monotonic().duration_since(began);
    let received = worker.tasks() - received_before;
    if received != TASKS {
        return Err(io::Error::other(format!(
            "the worker received {received} tasks of {TASKS}"
        )));
    }
    for state in ["pending", "dispatched", "failed"] {
        let listed = server.get(&format!("/tasks?limit=1&state={state}")).await?;
        if listed != "[]" {
            return Err(io::Error::other(format!("a task is {state}: {listed}")));
        }
    }
    Ok(per_second(TASKS, time))
}

/// Pending and running tasks, as `GET /workers` has them.
async fn unended(server: &Server) -> io::Result<u64> {
    let workers = server.get("/workers").await?;
    let workers: serde_json::Value = serde_json::from_str(&workers)?;
    let count = |name| {
        workers
            .pointer("/0")
            .and_then(|worker| worker.get(name)?.as_u64())
    };
    match (count("pending"), count("running")) {
        (Some(pending), Some(running)) => Ok(pending + running),
        _ => Err(io::Error::other(format!("GET /workers answered {workers}"))),
    }
}

/// How long tasks that come one by one take from the client to the worker.
async fn latencies(server: &Server, worker: &Worker, time: Duration) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(server.addr, http::framing).await?;
    let post = http::post_task(server.addr);
    while worker.received.try_recv().is_ok() {}
    let mut latencies = Vec::new();
    let began = monotonic();
    while monotonic().duration_since(began) < time {
        Timer::after(IDLE_TIME).await;
        let sent = monotonic();
        connection.exchange(&post).await?;
        let received = async { worker.received.recv().await.map_err(io::Error::other) };
        let received = patiently(ROUND_PATIENCE, received).await?;
        latencies.push(received.saturating_duration_since(sent));
    }
    Ok(latencies)
}
