//! What a million pending tasks change: how soon another worker's task is there, how many are
//! claimed in a second, how long pages of lists take, and what memory they cost.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use crate::claiming::{claims, completions};
use crate::client::patiently;
use crate::dispatch::{CONCURRENCY, Cheap, unended};
use crate::filled::Filled;
use crate::latency::{self, Latencies};
use crate::pages::Pages;
use crate::queue::Queue;
use crate::report::{self, Series, grouped, mebibytes, per_second};
use crate::server::{Server, config};
use crate::summary::Target;
use crate::worker::Worker;
use crate::{Bench, OFFLINE, directory};

/// Tasks in the store with few.
const FEW: u64 = 1_000;

/// Tasks of a round of claims; before them so many that are not measured.
const CLAIMED: u64 = 18_000;
const CLAIMED_BEFORE: u64 = 1_000;

/// Tasks of a store that has nothing else to do than these claims.
const CLAIMED_ALL: u64 = 20_000;

/// How long a round of claims may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often the counts are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How long the server runs before its memory is read.
const IDLE_TIME: Duration = Duration::from_secs(1);

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    waiting(bench).await?;
    claimed(bench).await
}

/// Latencies, pages and memory beside tasks that wait for a worker that is offline.
async fn waiting(bench: &mut Bench<'_>) -> io::Result<()> {
    let (rounds, time) = (bench.settings.rounds, bench.settings.time);
    let none_dir = directory::on_disk()?;
    let few = Filled::new(FEW).await?;
    let many = bench.filled().await?;
    let since = many.since;
    let pending = grouped(&many.pending.to_string());
    let worker = Worker::start()?;
    let config = config(OFFLINE, 1) + &latency::config(&worker);
    let servers = [
        Server::start(none_dir.path(), &config).await?,
        Server::start(few.dir.path(), &config).await?,
        Server::start(many.dir.path(), &config).await?,
    ];
    let [_, _, large] = &servers;
    Timer::after(IDLE_TIME).await;
    let at_first = large.process.memory()?;
    let mut latencies: [Latencies; 3] = Default::default();
    let mut pages = Pages::new();
    for _ in 0..rounds {
        for (server, latencies) in servers.iter().zip(&mut latencies) {
            latencies.measure(server, &worker, time).await?;
        }
        pages.measure(large, since, time).await?;
    }
    let names = ["no task", "1,000 tasks", &format!("{pending} tasks")];
    let rows: Vec<_> = names
        .iter()
        .zip(&latencies)
        .map(|(name, latencies)| latencies.row(&format!("beside {name} pending for another")))
        .collect();
    report::table(&latency::HEAD, &rows)?;
    let head = format!("pages of 100 tasks with {pending} pending");
    report::table(&[&head, "p50, ms", "p99, ms"], &pages.rows())?;
    let (after, peak) = (large.process.memory()?, large.process.memory_peak()?);
    let rows = [
        ("after the start", at_first),
        ("after tasks and pages", after),
        ("at most", peak),
    ];
    let rows = rows.map(|(when, bytes)| vec![when.to_owned(), format!("{:.1}", mebibytes(bytes))]);
    report::table(&[&format!("memory with {pending} pending"), "MiB"], &rows)?;
    let mut resident = Series::default();
    resident.push(mebibytes(peak));
    let [_, _, beside_many] = &latencies;
    beside_many.judge(&mut bench.summary, &format!("beside {pending} pending"));
    for (name, bound, unit, series, decimals) in [
        (
            format!("slowest list with {pending} pending, p99"),
            5.0,
            " ms",
            &pages.slowest(),
            2,
        ),
        (
            format!("resident at most with {pending} pending"),
            64.0,
            " MiB",
            &resident,
            1,
        ),
    ] {
        let target = Target::AtMost(bound);
        bench.summary.judge(&name, target, unit, series, decimals);
    }
    for server in servers {
        server.process.stop().await?;
    }
    Ok(())
}

/// Claims with few and with many tasks pending: of the queue alone, and through a worker.
async fn claimed(bench: &mut Bench<'_>) -> io::Result<()> {
    let (rounds, time) = (bench.settings.rounds, bench.settings.time);
    let cheap_dir = directory::on_disk()?;
    let cheap = Cheap::start(cheap_dir.path()).await?;
    let many = bench.filled().await?;
    let pending = grouped(&many.pending.to_string());
    let (mut few_claims, mut many_claims) = <(Series, Series)>::default();
    let (mut few_ends, mut many_ends) = <(Series, Series)>::default();
    {
        let few = Filled::new(FEW).await?;
        let (mut few, mut many) = (Queue::open(&few.data())?, Queue::open(&many.data())?);
        for _ in 0..rounds {
            few_claims.push(claims(&mut few, time).await?);
            many_claims.push(claims(&mut many, time).await?);
            few_ends.push(completions(&mut few, time).await?);
            many_ends.push(completions(&mut many, time).await?);
        }
    }
    let (mut few_tasks, mut many_tasks) = <(Series, Series)>::default();
    for _ in 0..rounds {
        let few = Filled::new(CLAIMED_ALL).await?;
        few_tasks.push(through_worker(few.dir.path(), cheap.addr()).await?.0);
        let (rate, taken) = through_worker(many.dir.path(), cheap.addr()).await?;
        many_tasks.push(rate);
        many.add(taken).await?;
    }
    let row = |name: &str, few: &Series, many: &Series| {
        let ratio = many.over(few);
        vec![name.to_owned(), few.cell(0), many.cell(0), ratio.cell(2)]
    };
    report::table(
        &["per second, with tasks pending", "few", &pending, "ratio"],
        &[
            row(
                &format!("claimed and completed through a worker, {}", cheap.name()),
                &few_tasks,
                &many_tasks,
            ),
            row("claims of the queue alone", &few_claims, &many_claims),
            row(
                "claims and completions of the queue alone",
                &few_ends,
                &many_ends,
            ),
        ],
    )?;
    for (name, few, many) in [
        ("through a worker", &few_tasks, &many_tasks),
        ("of the queue alone", &few_claims, &many_claims),
    ] {
        let name = format!("claims with {pending} pending / with few, {name}");
        let target = Target::AtLeast(0.9);
        bench.summary.judge(&name, target, "", &many.over(few), 2);
    }
    Ok(())
}

/// Starts a server that has its tasks from before, and gives how many of them are claimed and
/// completed in a second, and how many were in all.
async fn through_worker(dir: &Path, worker: SocketAddr) -> io::Result<(f64, u64)> {
    let server = Server::start(dir, &config(worker, CONCURRENCY)).await?;
    let all = unended(&server).await?;
    let first = patiently(
        PATIENCE,
        down_to(&server, all.saturating_sub(CLAIMED_BEFORE)),
    )
    .await?;
    let began = monotonic();
    let last = patiently(PATIENCE, down_to(&server, first.saturating_sub(CLAIMED))).await?;
    let time = monotonic().duration_since(began);
    let count = usize::try_from(first.saturating_sub(last)).map_err(io::Error::other)?;
    let left = unended(&server).await?;
    server.process.stop().await?;
    Ok((per_second(count, time), all.saturating_sub(left)))
}

/// Waits until so many tasks or fewer are left, and gives how many these are.
async fn down_to(server: &Server, bound: u64) -> io::Result<u64> {
    loop {
        let left = unended(server).await?;
        if left <= bound {
            return Ok(left);
        }
        Timer::after(LOOK).await;
    }
}
