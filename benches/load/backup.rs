//! A backup of a large store: how long it takes, what it costs the server's memory, and what the
//! clients notice of it.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;
use smol::LocalExecutor;

use crate::client::patiently;
use crate::generator::{Load, Measured};
use crate::process::Process;
use crate::queue::Queue;
use crate::report::{self, Series, grouped, mebibytes, milliseconds};
use crate::server::{EXECUTABLE, Server, config};
use crate::settings::Settings;
use crate::{OFFLINE, directory, http};

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// How long a backup may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the server's log says in front of the bytes of a backup.
const BYTES: &str = "bytes: ";

#[derive(Default)]
struct Posts {
    p50: Series,
    p99: Series,
}

impl Posts {
    fn push(&mut self, measured: &Measured) {
        self.p50.push(milliseconds(measured.p50));
        self.p99.push(milliseconds(measured.p99));
    }

    fn row(&self, name: &str) -> Vec<String> {
        vec![name.to_owned(), self.p50.cell(2), self.p99.cell(2)]
    }
}

/// One backup: its time, and the most memory that the client and the server had.
struct Taken {
    time: Duration,
    client_peak: u64,
    server_peak: u64,
}

/// Measures and prints.
pub(crate) async fn run(executor: &LocalExecutor<'static>, settings: &Settings) -> io::Result<()> {
    let dir = directory::on_disk()?;
    Queue::open(&dir.path().join("data"))?
        .fill(settings.pending)
        .await?;
    let server = Rc::new(Server::start(dir.path(), &config(OFFLINE, 1)).await?);
    let load = Load::new(server.addr, http::post_task(server.addr), http::framing);
    let (mut alone, mut beside) = <(Posts, Posts)>::default();
    let (mut seconds, mut rate) = <(Series, Series)>::default();
    let (mut before, mut server_peak, mut client_peak) = <(Series, Series, Series)>::default();
    for _ in 0..settings.rounds {
        server.process.quiet().await?;
        before.push(mebibytes(server.process.memory()?));
        let taken = take(&server, dir.path()).await?;
        seconds.push(taken.time.as_secs_f64());
        server_peak.push(mebibytes(taken.server_peak));
        client_peak.push(mebibytes(taken.client_peak));
        rate.push(mebibytes(document_bytes(dir.path())?) / taken.time.as_secs_f64());
        let longest = settings.time * 2;
        alone.push(&patiently(longest, load.measure(settings.time)).await?);

        let goes_on = Rc::new(Cell::new(true));
        let (again, copied, place) = (
            Rc::clone(&goes_on),
            Rc::clone(&server),
            dir.path().to_owned(),
        );
        let taking = executor.spawn(async move {
            while again.get() {
                take(&copied, &place).await?;
            }
            io::Result::Ok(())
        });
        beside.push(&patiently(longest, load.measure(settings.time)).await?);
        goes_on.set(false);
        taking.await?;
    }
    let tasks = grouped(&settings.pending.to_string());
    report::table(
        &["backup of tasks", "seconds", "MiB/s of the document"],
        &[vec![tasks, seconds.cell(2), rate.cell(0)]],
    )?;
    report::table(
        &["POST /task, synced, 1 connection", "p50, ms", "p99, ms"],
        &[
            alone.row("alone"),
            beside.row("while one backup follows another"),
        ],
    )?;
    let row = |name: &str, series: &Series| vec![name.to_owned(), series.cell(1)];
    report::table(
        &["memory", "MiB"],
        &[
            row("of the server before a backup", &before),
            row("of the server during it, at most", &server_peak),
            row("of the client, at most", &client_peak),
        ],
    )?;
    match Rc::try_unwrap(server) {
        Ok(server) => server.process.stop().await,
        Err(_) => Err(io::Error::other("a backup was left running")),
    }
}

/// Takes a backup and removes it.
async fn take(server: &Server, dir: &Path) -> io::Result<Taken> {
    let copy = dir.join("copy");
    let mut command = Command::new(EXECUTABLE);
    command
        .args(["backup", "--addr", &server.addr.to_string()])
        .arg(&copy)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let began = monotonic();
    let mut process = Process::start("mecha backup", &mut command)?;
    let mut taken = Taken {
        time: Duration::ZERO,
        client_peak: 0,
        server_peak: 0,
    };
    let waiting = async {
        loop {
            let memory = process.memory_peak().unwrap_or_default();
            taken.client_peak = taken.client_peak.max(memory);
            taken.server_peak = taken.server_peak.max(server.process.memory()?);
            match process.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(io::Error::other(format!(
                        "mecha backup ended with {status}"
                    )));
                }
                None => Timer::after(LOOK).await,
            };
        }
    };
    patiently(PATIENCE, waiting).await?;
    taken.time = monotonic().duration_since(began);
    fs::remove_dir_all(copy)?;
    Ok(taken)
}

/// The bytes of the last document that the server sent, by its log.
fn document_bytes(dir: &Path) -> io::Result<u64> {
    let log = fs::read_to_string(dir.join("mecha.log"))?;
    let line = log.lines().rev().find_map(|line| line.split_once(BYTES));
    let digits = line.and_then(|(_, rest)| rest.split(',').next());
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| io::Error::other("the server's log tells of no backup"))
}
