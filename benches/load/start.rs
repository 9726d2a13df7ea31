//! The time from the start of the process to its first answer, with nothing stored and with many
//! tasks pending; and the size of the executable.

use std::fs;
use std::io;
use std::time::Duration;

use async_io::Timer;
use tempfile::TempDir;

use crate::queue::Queue;
use crate::report::{self, Series, grouped, mebibytes, milliseconds};
use crate::server::{EXECUTABLE, Server, config};
use crate::settings::Settings;
use crate::{OFFLINE, directory};

/// How long a server runs before its memory is read.
const IDLE_TIME: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Starts {
    time: Series,
    memory: Series,
}

/// Measures and prints.
pub(crate) async fn run(settings: &Settings) -> io::Result<()> {
    let filled = directory::on_disk()?;
    Queue::open(&filled.path().join("data"))?
        .fill(settings.pending)
        .await?;
    let (mut with_none, mut with_many) = <(Starts, Starts)>::default();
    for _ in 0..settings.rounds {
        with_none.add(&directory::on_disk()?).await?;
        with_many.add(&filled).await?;
    }
    let pending = grouped(&settings.pending.to_string());
    let row =
        |name: String, starts: &Starts| vec![name, starts.time.cell(1), starts.memory.cell(1)];
    report::table(
        &["start", "to the first 200, ms", "memory after it, MiB"],
        &[
            row("with an empty store".to_owned(), &with_none),
            row(format!("with {pending} tasks pending"), &with_many),
        ],
    )?;
    let size = mebibytes(fs::metadata(EXECUTABLE)?.len());
    report::line(&format!("size of the executable: {size:.2} MiB"))
}

impl Starts {
    async fn add(&mut self, dir: &TempDir) -> io::Result<()> {
        let server = Server::start(dir.path(), &config(OFFLINE, 1)).await?;
        self.time.push(milliseconds(server.started_in));
        Timer::after(IDLE_TIME).await;
        self.memory.push(mebibytes(server.process.memory()?));
        server.process.stop().await
    }
}
