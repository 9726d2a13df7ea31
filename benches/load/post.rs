//! Tasks that are synced before the answer, on few and many connections, beside who stores as
//! safely: Redis, PostgreSQL, beanstalkd; and beside the bare disk.

use std::io;
use std::time::Duration;

use async_io::Timer;

use crate::generator::Load;
use crate::peer::postgres::Postgres;
use crate::peer::{beanstalkd, redis};
use crate::report::{Series, mebibytes};
use crate::server::{Server, config};
use crate::summary::{Summary, Target};
use crate::timed::{Subject, Timed, Work, in_turn};
use crate::{Bench, OFFLINE, directory, http, report};

/// Connections of the loads, in turn.
const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];

/// Who is measured.
const MECHA: &str = "mecha, POST /task";
const REDIS: &str = "Redis, XADD, appendfsync always";
const POSTGRES: &str = "PostgreSQL, INSERT … RETURNING, by pgbench";
const BEANSTALKD: &str = "beanstalkd -f0, put";
const DISK: &str = "append of 512 bytes and fdatasync";

/// How long the server runs before its memory is read.
const IDLE_TIME: Duration = Duration::from_secs(1);

/// The figures of one number of connections.
struct Row {
    connections: usize,
    name: &'static str,
    timed: Timed,
}

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    let dirs = (
        directory::on_disk()?,
        directory::on_disk()?,
        directory::on_disk()?,
        directory::on_disk()?,
    );
    let server = Server::start(dirs.0.path(), &config(OFFLINE, 1)).await?;
    let redis = redis::start(dirs.1.path()).await?;
    let postgres = Postgres::start(dirs.2.path()).await?;
    let beanstalkd = beanstalkd::start(dirs.3.path()).await?;
    Timer::after(IDLE_TIME).await;
    let idle = server.process.memory()?;
    let mut subjects = vec![Subject {
        name: MECHA,
        process: Some(&server.process),
        work: Work::Sent(Load::new(
            server.addr,
            http::post_task(server.addr),
            http::framing,
        )),
    }];
    if let Some(redis) = &redis {
        subjects.push(Subject {
            name: REDIS,
            process: Some(&redis.process),
            work: Work::Sent(redis::load(redis)),
        });
    }
    if let Some(postgres) = &postgres {
        subjects.push(Subject {
            name: POSTGRES,
            process: Some(&postgres.peer.process),
            work: Work::Inserted(postgres.driver()),
        });
    }
    if let Some(beanstalkd) = &beanstalkd {
        subjects.push(Subject {
            name: BEANSTALKD,
            process: Some(&beanstalkd.process),
            work: Work::Sent(beanstalkd::load(beanstalkd)),
        });
    }
    subjects.push(Subject {
        name: DISK,
        process: None,
        work: Work::Appended(dirs.0.path().to_owned()),
    });
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        // The bare disk has no connections.
        let measured: Vec<&Subject> = subjects
            .iter()
            .filter(|subject| connections == 1 || subject.name != DISK)
            .collect();
        let figures = in_turn(&bench.settings, &measured, connections).await?;
        let figures = measured.iter().zip(figures).map(|(subject, timed)| Row {
            connections,
            name: subject.name,
            timed,
        });
        let figures: Vec<Row> = figures.collect();
        show(connections, &figures)?;
        rows.extend(figures);
    }
    let peak = server.process.memory_peak()?;
    let mut memory = vec![
        ("mecha, idle", idle),
        ("mecha, peak under all of it", peak),
        ("mecha, afterwards", server.process.memory()?),
    ];
    if let Some(redis) = &redis {
        memory.push(("Redis, afterwards", redis.process.memory()?));
    }
    if let Some(postgres) = &postgres {
        memory.push(("PostgreSQL, afterwards", postgres.memory()?));
    }
    if let Some(beanstalkd) = &beanstalkd {
        memory.push(("beanstalkd, afterwards", beanstalkd.process.memory()?));
    }
    let memory: Vec<_> = memory
        .into_iter()
        .map(|(when, bytes)| vec![when.to_owned(), format!("{:.1}", mebibytes(bytes))])
        .collect();
    report::table(&["memory", "MiB"], &memory)?;
    judge(&mut bench.summary, &rows);
    for (name, bound, bytes) in [
        ("resident, idle", 8.0, idle),
        ("resident, peak under POST /task", 48.0, peak),
    ] {
        let mut series = Series::default();
        series.push(mebibytes(bytes));
        let target = Target::AtMost(bound);
        bench.summary.judge(name, target, " MiB", &series, 1);
    }
    server.process.stop().await
}

/// Mecha's rate over that of `name`.
fn ratio(rows: &[Row], connections: usize, name: &str) -> Series {
    let rate = |name: &str| {
        rows.iter()
            .find(|row| row.connections == connections && row.name == name)
            .map_or_else(Series::default, |row| row.timed.rate.clone())
    };
    rate(MECHA).over(&rate(name))
}

/// Shows the figures of so many connections.
fn show(connections: usize, rows: &[Row]) -> io::Result<()> {
    let cells = rows.iter().map(|row| {
        let [rate, p50, p99] = row.timed.cells();
        let ratio = match row.name {
            MECHA => String::new(),
            name => ratio(rows, connections, name).cell(2),
        };
        vec![row.name.to_owned(), rate, p50, p99, ratio]
    });
    let first = match connections {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    };
    let head = [&first, "per second", "p50, ms", "p99, ms", "mecha / it"];
    report::table(&head, &cells.collect::<Vec<_>>())
}

fn judge(summary: &mut Summary, rows: &[Row]) {
    for (name, connections, peer, bound) in [
        ("POST /task / Redis, 1 connection", 1, REDIS, 1.0),
        ("POST /task / Redis, 64 connections", 64, REDIS, 0.6),
        ("POST /task / PostgreSQL, 64 connections", 64, POSTGRES, 1.2),
        (
            "POST /task / beanstalkd -f0, 64 connections",
            64,
            BEANSTALKD,
            5.0,
        ),
    ] {
        let target = Target::AtLeast(bound);
        summary.judge(name, target, "", &ratio(rows, connections, peer), 2);
    }
}
