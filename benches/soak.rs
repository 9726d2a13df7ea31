//! The real server for hours: mixed load, everything that goes wrong in practice, and a look every
//! few seconds at what it holds. Run it with `cargo bench --bench soak -- --minutes 60`.
//!
//! For the first half of the time the server is killed every few minutes, as a power cut or the
//! kernel would do it. The second half is one life of the process: memory, open files and threads are
//! judged there, because a killed process starts afresh and would hide what grows. Disk is judged over
//! both. `watch` has the bands and their reasons.
//!
//! The load is paced: it takes about a third of a core, so that the machine can be used meanwhile.
//! `--pace 2` doubles it. Exit code 0 if everything stayed within its band and nothing unexpected was
//! answered.

#[path = "load/client.rs"]
mod client;
#[path = "support/directory.rs"]
mod directory;
#[path = "soak/faults.rs"]
mod faults;
#[path = "load/http.rs"]
#[allow(dead_code, reason = "the soak has requests of its own")]
mod http;
#[path = "support/interrupt.rs"]
mod interrupt;
#[path = "support/memory.rs"]
mod memory;
#[path = "soak/mix.rs"]
mod mix;
#[path = "load/process.rs"]
#[allow(dead_code, reason = "the soak looks at more than memory")]
mod process;
#[path = "support/report.rs"]
#[allow(dead_code, reason = "the soak has no rounds")]
mod report;
#[path = "load/server.rs"]
#[allow(dead_code, reason = "the soak has a configuration of its own")]
mod server;
#[path = "soak/settings.rs"]
mod settings;
#[path = "soak/target.rs"]
mod target;
#[path = "soak/verdict.rs"]
mod verdict;
#[path = "soak/watch.rs"]
mod watch;
#[path = "soak/wire.rs"]
mod wire;
#[path = "soak/worker.rs"]
mod worker;

use std::io;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;
use rustix::process::{Pid, Signal, kill_process};
use smol::LocalExecutor;

use crate::server::{EXECUTABLE, Server};
use crate::settings::Settings;
use crate::target::Target;
use crate::watch::Watch;
use crate::worker::Worker;

/// Kills in the first half.
const KILLS: u32 = 8;

/// How long the server may take to delete what has ended, beyond the retention: what still waits
/// is done before.
const EMPTY_PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    report::exit(interrupt::run(run))
}

async fn run(executor: &LocalExecutor<'static>) -> io::Result<()> {
    let settings = Settings::read()?;
    report::machine()?;
    let dir = directory::on_disk()?;
    let worker = Worker::start(executor)?;
    let config = settings.config(worker.addr, 0);
    let mut server = Server::start(dir.path(), &config).await?;
    let target = Rc::new(Target::new(server.addr));
    let began = monotonic();
    let mut watch = Watch::new(dir.path().join("data"), began);
    let load = mix::start(executor, &target, &settings)?;
    let faults = faults::start(executor, &target);
    let restarts = worker.restart_now_and_then(executor);
    let half = settings.time / 2;
    for kill in 1..=KILLS {
        let jitter = fastrand::f64().mul_add(0.4, 0.8);
        let until = half.mul_f64(f64::from(kill) / f64::from(KILLS));
        let life = until.saturating_sub(monotonic().duration_since(began));
        live(
            &server,
            &mut watch,
            life.mul_f64(jitter),
            &settings,
            &dir,
            &worker,
        )
        .await?;
        target.down();
        drop(server);
        server = Server::start(dir.path(), &config).await?;
        watch.next_life(server.started_in);
        target.up(server.addr);
    }
    let rest = settings
        .time
        .saturating_sub(monotonic().duration_since(began));
    live(&server, &mut watch, rest, &settings, &dir, &worker).await?;
    drop((load, faults, restarts));
    let emptied = empty(&server, &settings).await;
    watch.look(&server.process)?;
    target.down();
    server.process.stop().await?;
    let checked = Command::new(EXECUTABLE)
        .args(["check", "--data"])
        .arg(dir.path().join("data"))
        .status()?;
    verdict::report(&watch, &target, emptied, checked.success())
}

/// Watches one server for `time`, and lets it read its configuration again now and then.
async fn live(
    server: &Server,
    watch: &mut Watch,
    time: Duration,
    settings: &Settings,
    dir: &tempfile::TempDir,
    worker: &Worker,
) -> io::Result<()> {
    let began = monotonic();
    let mut looks = 0_u32;
    while monotonic().duration_since(began) < time {
        let left = time.saturating_sub(monotonic().duration_since(began));
        Timer::after(settings.look_every.min(left)).await;
        watch.look(&server.process)?;
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(6) {
            let config = settings.config(worker.addr, looks / 6);
            std::fs::write(dir.path().join("mecha.toml"), config)?;
            let process = Pid::from_raw(server.process.id().cast_signed());
            kill_process(process.ok_or(io::ErrorKind::NotFound)?, Signal::HUP)?;
        }
    }
    Ok(())
}

/// Whether all that has ended is deleted once the load is over.
async fn empty(server: &Server, settings: &Settings) -> bool {
    let began = monotonic();
    while monotonic().duration_since(began) < settings.retention + EMPTY_PATIENCE {
        Timer::after(Duration::from_secs(1)).await;
        let mut is_empty = true;
        for list in ["/tasks?limit=1", "/events?limit=1"] {
            is_empty &= server.get(list).await.is_ok_and(|body| body == "[]");
        }
        if is_empty {
            return true;
        }
    }
    false
}
