//! Answers per second: of nothing but HTTP, and of tasks that are synced before the answer,
//! beside Redis and the bare disk.

use std::io;
use std::time::Duration;

use async_io::Timer;
use smol::LocalExecutor;

use crate::client::{Load, Measured, patiently};
use crate::redis::Redis;
use crate::report::{self, Series, mebibytes, milliseconds};
use crate::server::{Server, config};
use crate::settings::Settings;
use crate::{OFFLINE, directory, disk, http, redis};

/// Connections of the loads with many.
const MANY: usize = 64;

#[derive(Default)]
struct Timed {
    rate: Series,
    p50: Series,
    p99: Series,
}

impl Timed {
    fn push(&mut self, measured: &Measured) {
        self.rate.push(measured.rate);
        self.p50.push(milliseconds(measured.p50));
        self.p99.push(milliseconds(measured.p99));
    }

    fn row(&self, name: &str) -> Vec<String> {
        let [p50, p99] = [&self.p50, &self.p99].map(|series| series.cell(2));
        vec![name.to_owned(), self.rate.cell(0), p50, p99]
    }
}

#[derive(Default)]
struct Figures {
    health: Timed,
    post_one: Timed,
    post_many: Timed,
    redis_one: Timed,
    redis_many: Timed,
    disk: Timed,
}

/// Measures and prints.
pub(crate) async fn run(executor: &LocalExecutor<'static>, settings: &Settings) -> io::Result<()> {
    let (dir, redis_dir) = (directory::on_disk()?, directory::on_disk()?);
    let server = Server::start(dir.path(), &config(OFFLINE, 1)).await?;
    let redis = Redis::start(redis_dir.path()).await?;
    Timer::after(Duration::from_secs(1)).await;
    let idle = server.process.memory()?;
    let load = |request, connections| Load {
        addr: server.addr,
        request,
        stamp_at: None,
        framing: http::framing,
        connections,
    };
    let post = http::post_task(server.addr);
    let mut figures = Figures::default();
    for _ in 0..settings.rounds {
        let health = load(http::get(server.addr, "/health"), MANY);
        figures
            .health
            .push(&measured(executor, settings, &health).await?);
        for connections in [1, MANY] {
            let (posted, added) = match connections {
                1 => (&mut figures.post_one, &mut figures.redis_one),
                _ => (&mut figures.post_many, &mut figures.redis_many),
            };
            let load = load(post.clone(), connections);
            posted.push(&measured(executor, settings, &load).await?);
            // What it still writes out must not slow the next one.
            server.process.quiet().await?;
            if let Some(redis) = &redis {
                let load = Load {
                    addr: redis.addr,
                    request: redis::add_task(),
                    stamp_at: None,
                    framing: redis::framing,
                    connections,
                };
                added.push(&measured(executor, settings, &load).await?);
                redis.process.quiet().await?;
            }
        }
        figures
            .disk
            .push(&disk::append_and_sync(dir.path(), settings.time)?);
    }
    let (peak, after) = (server.process.memory_peak()?, server.process.memory()?);
    show(&figures, redis.is_some())?;
    let memory = [("idle", idle), ("peak under load", peak), ("after", after)];
    let memory =
        memory.map(|(when, bytes)| vec![when.to_owned(), format!("{:.1}", mebibytes(bytes))]);
    report::table(&["memory of the server", "MiB"], &memory)?;
    server.process.stop().await?;
    if let Some(redis) = redis {
        redis.process.stop().await?;
    }
    Ok(())
}

async fn measured(
    executor: &LocalExecutor<'static>,
    settings: &Settings,
    load: &Load,
) -> io::Result<Measured> {
    let longest = settings.time * 2;
    patiently(longest, load.measure(executor, settings.time)).await
}

fn show(figures: &Figures, has_redis: bool) -> io::Result<()> {
    let mut rows = vec![
        figures.health.row("GET /health, 64 connections"),
        figures.post_one.row("POST /task, synced, 1 connection"),
        figures.post_many.row("POST /task, synced, 64 connections"),
    ];
    if has_redis {
        rows.push(figures.redis_one.row("Redis XADD, synced, 1 connection"));
        rows.push(figures.redis_many.row("Redis XADD, synced, 64 connections"));
    }
    rows.push(figures.disk.row("append of 512 bytes and fdatasync"));
    report::table(&["work", "per second", "p50, ms", "p99, ms"], &rows)?;
    if !has_redis {
        report::line("Redis: skipped: redis-server is not installed")?;
    }
    let disk = &figures.disk.rate;
    let ratio =
        |name: &str, of: &Timed, over: &Series| vec![name.to_owned(), of.rate.over(over).cell(2)];
    let mut rows = vec![
        ratio(
            "POST /task at 1 connection / fdatasync",
            &figures.post_one,
            disk,
        ),
        ratio(
            "POST /task at 64 connections / fdatasync",
            &figures.post_many,
            disk,
        ),
    ];
    if has_redis {
        let (one, many) = (&figures.redis_one.rate, &figures.redis_many.rate);
        rows.push(ratio(
            "POST /task / Redis at 1 connection",
            &figures.post_one,
            one,
        ));
        rows.push(ratio(
            "POST /task / Redis at 64 connections",
            &figures.post_many,
            many,
        ));
    }
    report::table(&["rates beside each other", "ratio"], &rows)
}
