//! Rates and latencies of several rounds, of several who are measured in turn.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::patiently;
use crate::disk;
use crate::generator::{Load, Measured};
use crate::peer::postgres::Driver;
use crate::process::Process;
use crate::report::{Series, milliseconds};
use crate::settings::Settings;
use crate::wrk::Wrk;

/// Rates in a second and latencies in milliseconds.
#[derive(Clone, Default)]
pub(crate) struct Timed {
    pub(crate) rate: Series,
    pub(crate) p50: Series,
    pub(crate) p99: Series,
}

impl Timed {
    /// Adds a round.
    pub(crate) fn push(&mut self, measured: &Measured) {
        self.rate.push(measured.rate);
        self.p50.push(milliseconds(measured.p50));
        self.p99.push(milliseconds(measured.p99));
    }

    /// Cells of a table: per second, p50, p99.
    pub(crate) fn cells(&self) -> [String; 3] {
        [self.rate.cell(0), self.p50.cell(2), self.p99.cell(2)]
    }
}

/// What is done over and over.
pub(crate) enum Work {
    /// Requests of the bench's own generator.
    Sent(Load),
    /// GETs of `wrk`.
    Asked(Wrk),
    /// Statements of `pgbench`.
    Inserted(Driver),
    /// Records that are appended to a file in this directory and synced, one by one.
    Appended(PathBuf),
}

/// Who is measured beside others.
pub(crate) struct Subject<'a> {
    /// What it is called in tables.
    pub(crate) name: &'static str,
    /// Its process, whose work behind the answers must not slow the next one.
    pub(crate) process: Option<&'a Process>,
    /// What it does.
    pub(crate) work: Work,
}

impl Subject<'_> {
    async fn measure(
        &self,
        connections: usize,
        time: Duration,
        timed: &mut Timed,
    ) -> io::Result<()> {
        match &self.work {
            Work::Sent(load) => {
                let load = load.with(connections);
                timed.push(&patiently(time * 2, load.measure(time)).await?);
            }
            Work::Asked(wrk) => timed.push(&wrk.measure(connections, time).await?),
            Work::Inserted(driver) => timed.rate.push(driver.rate(connections, time).await?),
            Work::Appended(dir) => timed.push(&disk::append_and_sync(dir, time)?),
        }
        match self.process {
            Some(process) => process.quiet().await,
            None => Ok(()),
        }
    }
}

/// Measures each of `subjects` once in each round, with so many connections. Each round begins with
/// another one.
pub(crate) async fn in_turn(
    settings: &Settings,
    subjects: &[&Subject<'_>],
    connections: usize,
) -> io::Result<Vec<Timed>> {
    let mut figures = vec![Timed::default(); subjects.len()];
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    for _ in 0..settings.rounds {
        for number in &order {
            if let (Some(subject), Some(timed)) = (subjects.get(*number), figures.get_mut(*number))
            {
                subject.measure(connections, settings.time, timed).await?;
            }
        }
        let first = 1.min(order.len());
        order.rotate_left(first);
    }
    Ok(figures)
}
