//! Bytes that a task of 300 bytes costs the disk over its whole life: stored, claimed, completed,
//! written out of memory, merged, deleted.

use std::io;
use std::time::Duration;

use async_io::Timer;

use crate::client::patiently;
use crate::dispatch::{CONCURRENCY, Cheap, complete, unended};
use crate::generator::Load;
use crate::report::{self, Series};
use crate::server::{LIMITS, Server, endpoint};
use crate::summary::Target;
use crate::{Bench, directory, http};

/// Tasks with many at once, and one by one.
const MANY: u32 = 100_000;
const ONE_BY_ONE: u32 = 5_000;

/// Bytes of a prompt.
const PROMPT_BYTES: usize = 300;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it is looked whether a single task has ended.
const SHORT_LOOK: Duration = Duration::from_micros(100);

/// How often it is looked whether all are deleted.
const LOOK: Duration = Duration::from_millis(100);

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    let (dir, cheap_dir) = (directory::on_disk()?, directory::on_disk()?);
    let cheap = Cheap::start(cheap_dir.path()).await?;
    // The shortest retention there is, so that deletion is part of what is measured.
    let limits = format!("{LIMITS}retention = \"1s\"\n");
    let config = limits + &endpoint("claude-reviewer", cheap.addr(), CONCURRENCY);
    let server = Server::start(dir.path(), &config).await?;
    if server.process.written().is_err() {
        return report::line(
            "skipped: /proc/PID/io of the server can be read by root alone, since it is not dumpable",
        );
    }
    let place = "x".repeat(PROMPT_BYTES);
    let body = format!(r#"{{"prompt":"{place}","worker":"claude-reviewer"}}"#);
    let request = http::post(server.addr, &body);
    let end = request.len() - r#"","worker":"claude-reviewer"}"#.len();
    let load = Load::new(server.addr, request, http::framing).lettered(end - PROMPT_BYTES..end);
    server.process.quiet().await?;

    let before = server.process.written()?;
    let tasks = usize::try_from(MANY).map_err(io::Error::other)?;
    let sending = complete(&server, &load, tasks);
    patiently(PATIENCE, sending).await?;
    let many = per_task(&server, before, MANY).await?;

    let before = server.process.written()?;
    let one_by_one = async {
        for _ in 0..ONE_BY_ONE {
            load.send(1).await?;
            while unended(&server).await? > 0 {
                Timer::after(SHORT_LOOK).await;
            }
        }
        Ok(())
    };
    patiently(PATIENCE, one_by_one).await?;
    let few = per_task(&server, before, ONE_BY_ONE).await?;

    report::table(
        &["tasks of 300 bytes, until they are deleted", "KiB written"],
        &[
            vec!["each of 100,000, 64 at once".to_owned(), many.cell(2)],
            vec!["each of 5,000, one after another".to_owned(), few.cell(2)],
        ],
    )?;
    let name = "written for a task of 300 bytes over its life, 64 at once";
    let target = Target::AtMost(6.0);
    bench.summary.judge(name, target, " KiB", &many, 2);
    server.process.stop().await
}

/// The KiB that each of `tasks` took since `before`, once all are deleted and nothing is left to do.
async fn per_task(server: &Server, before: u64, tasks: u32) -> io::Result<Series> {
    let deleted = async {
        while server.get("/tasks?limit=1").await? != "[]" {
            Timer::after(LOOK).await;
        }
        Ok(())
    };
    patiently(PATIENCE, deleted).await?;
    server.process.quiet().await?;
    let bytes = server.process.written()?.saturating_sub(before);
    let mut series = Series::default();
    series.push(report::mebibytes(bytes) * 1_024.0 / f64::from(tasks));
    Ok(series)
}
