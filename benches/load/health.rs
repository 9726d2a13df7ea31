//! Nothing but HTTP: a small constant JSON, beside nginx, by the bench's own generator and by `wrk`.

use std::io;

use crate::generator::Load;
use crate::server::{Server, config};
use crate::summary::Target;
use crate::timed::{Subject, Timed, Work, in_turn};
use crate::wrk::Wrk;
use crate::{Bench, OFFLINE, directory, http, peer, report};

/// Connections of the load.
const CONNECTIONS: usize = 64;

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    let (dir, nginx_dir) = (directory::on_disk()?, directory::on_disk()?);
    let server = Server::start(dir.path(), &config(OFFLINE, 1)).await?;
    let body = server.get("/health").await?;
    let nginx = peer::nginx::start(nginx_dir.path(), &body).await?;
    let own = |addr| Work::Sent(Load::new(addr, http::get(addr, "/health"), http::framing));
    let wrk = Wrk::new(server.addr, "/health", dir.path().join("wrk"))?;
    let mut subjects = vec![Subject {
        name: "mecha, own generator",
        process: Some(&server.process),
        work: own(server.addr),
    }];
    if let Some(nginx) = &nginx {
        subjects.push(Subject {
            name: "nginx, own generator",
            process: Some(&nginx.process),
            work: own(nginx.addr),
        });
    }
    if let Some(wrk) = wrk {
        subjects.push(Subject {
            name: "mecha, wrk",
            process: Some(&server.process),
            work: Work::Asked(wrk),
        });
        if let Some(nginx) = &nginx
            && let Some(wrk) = Wrk::new(nginx.addr, "/health", nginx_dir.path().join("wrk"))?
        {
            subjects.push(Subject {
                name: "nginx, wrk",
                process: Some(&nginx.process),
                work: Work::Asked(wrk),
            });
        }
    }
    let measured: Vec<&Subject> = subjects.iter().collect();
    let figures = in_turn(&bench.settings, &measured, CONNECTIONS).await?;
    let named = |name: &str| {
        let at = subjects.iter().position(|subject| subject.name == name)?;
        figures.get(at)
    };
    let mut rows = Vec::new();
    for (subject, timed) in subjects.iter().zip(&figures) {
        let [rate, p50, p99] = timed.cells();
        rows.push(vec![subject.name.to_owned(), rate, p50, p99]);
    }
    let head = "GET /health, 64 connections";
    report::table(&[head, "per second", "p50, ms", "p99, ms"], &rows)?;
    let ratio = |ours: Option<&Timed>, theirs: Option<&Timed>| {
        let (ours, theirs) = (ours?, theirs?);
        Some(ours.rate.over(&theirs.rate))
    };
    let by_own = ratio(named("mecha, own generator"), named("nginx, own generator"));
    let by_wrk = ratio(named("mecha, wrk"), named("nginx, wrk"));
    let generators = ["own generator", "wrk"];
    let ratios = [&by_own, &by_wrk];
    let rows: Vec<_> = generators
        .iter()
        .zip(ratios)
        .filter_map(|(name, ratio)| Some(vec![(*name).to_owned(), ratio.as_ref()?.cell(2)]))
        .collect();
    if !rows.is_empty() {
        report::table(&["mecha / nginx by", "ratio"], &rows)?;
    }
    // The faster generator is the better judge: a slow one makes all servers alike.
    let name = match by_wrk {
        Some(_) => "GET /health / nginx, 64 connections, by wrk",
        None => "GET /health / nginx, 64 connections, by the own generator",
    };
    let judged = by_wrk.or(by_own).unwrap_or_default();
    bench
        .summary
        .judge(name, Target::AtLeast(0.80), "", &judged, 2);
    server.process.stop().await
}
