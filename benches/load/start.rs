//! The time from the start of the process to its first answer, with nothing stored and with many
//! tasks pending; and the size of the executable.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_io::Timer;

use crate::report::{self, Series, grouped, mebibytes, milliseconds};
use crate::server::{EXECUTABLE, Server, config};
use crate::summary::Target;
use crate::{Bench, OFFLINE, directory};

/// How long a server runs before its memory is read.
const IDLE_TIME: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Starts {
    time: Series,
    memory: Series,
}

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    let rounds = bench.settings.rounds;
    let filled = bench.filled().await?;
    let (mut with_none, mut with_many) = <(Starts, Starts)>::default();
    for _ in 0..rounds {
        with_none.add(directory::on_disk()?.path()).await?;
        with_many.add(filled.dir.path()).await?;
    }
    let pending = grouped(&filled.pending.to_string());
    let row =
        |name: String, starts: &Starts| vec![name, starts.time.cell(1), starts.memory.cell(1)];
    report::table(
        &["start", "to the first 200, ms", "memory after it, MiB"],
        &[
            row("with an empty store".to_owned(), &with_none),
            row(format!("with {pending} tasks pending"), &with_many),
        ],
    )?;
    let size = |path: &Path| fs::metadata(path).map(|metadata| mebibytes(metadata.len()));
    let mut static_size = Series::default();
    let mut rows = vec![vec![
        "as the bench runs it".to_owned(),
        format!("{:.2}", size(Path::new(EXECUTABLE))?),
    ]];
    if let Some(path) = static_executable() {
        static_size.push(size(&path)?);
        rows.push(vec![
            "static, as `.ci/run` built it last".to_owned(),
            static_size.cell(2),
        ]);
    }
    report::table(&["size of the executable", "MiB"], &rows)?;
    let name = format!("start to the first 200 with {pending} pending");
    let (time, size) = (Target::AtMost(1_000.0), Target::AtMost(6.0));
    let summary = &mut bench.summary;
    summary.judge(&name, time, " ms", &with_many.time, 0);
    summary.judge("static executable", size, " MiB", &static_size, 2);
    Ok(())
}

/// The statically linked executable, where `.ci/run` has left one.
fn static_executable() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    fs::read_dir(target.join("static"))
        .ok()?
        .flatten()
        .map(|host| host.path().join("release/mecha"))
        .find(|path| path.is_file())
}

impl Starts {
    async fn add(&mut self, dir: &Path) -> io::Result<()> {
        let server = Server::start(dir, &config(OFFLINE, 1)).await?;
        self.time.push(milliseconds(server.started_in));
        Timer::after(IDLE_TIME).await;
        self.memory.push(mebibytes(server.process.memory()?));
        server.process.stop().await
    }
}
