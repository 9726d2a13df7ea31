//! Signed webhooks: how many a second are stored and synced, beside Debian's `webhook`; how soon
//! one is with its worker; and what many large ones take of memory.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_io::Timer;
use hmac::{Hmac, KeyInit, Mac};
use mecha::clock::monotonic;
use sha2::Sha256;
use smol::LocalExecutor;

use crate::client::{Connection, patiently};
use crate::generator::{Load, STAMP_LENGTH, percentile, stamp};
use crate::payload::{PAYLOAD_BYTES, pull_request};
use crate::peer::webhook::PATH;
use crate::report::{self, Series, mebibytes, milliseconds};
use crate::server::{Server, config};
use crate::settings::Settings;
use crate::summary::Target;
use crate::worker::Worker;
use crate::{Bench, OFFLINE, directory, http, peer};

const SECRET: &str = "bench secret";

/// Connections that deliver.
const MANY: usize = 64;

/// Large payloads at once, and the bytes of each.
const LARGE: usize = 40;
const LARGE_BYTES: usize = 20 << 20;

/// How long a round may take.
const ROUND_PATIENCE: Duration = Duration::from_secs(120);

/// The pause in front of a delivery that finds an idle server.
const IDLE_TIME: Duration = Duration::from_millis(10);

/// Pause before a delivery that was shed comes again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    let ratio = rates(&bench.settings).await?;
    let name = "signed webhooks of 21 KB / webhook, 64 connections";
    bench
        .summary
        .judge(name, Target::AtLeast(5.0), "", &ratio, 1);
    Ok(())
}

/// Gives the rate over that of the peer, if it is there.
async fn rates(settings: &Settings) -> io::Result<Series> {
    let (dir, busy_dir, peer_dir) = (
        directory::on_disk()?,
        directory::on_disk()?,
        directory::on_disk()?,
    );
    let worker = Worker::start()?;
    // One server stores events and the tasks that the rule makes of them; the other one has a
    // worker that does them at the same time.
    let server = Server::start(dir.path(), &event_config(OFFLINE)).await?;
    let busy = Server::start(busy_dir.path(), &event_config(worker.addr)).await?;
    let peer = peer::webhook::start(peer_dir.path(), SECRET).await?;
    let payload = pull_request(PAYLOAD_BYTES);
    let load = |addr, path: &str| {
        let (request, stamp_at) = delivery(addr, path, "pull_request", &payload);
        Load::new(addr, request, http::framing)
            .with(MANY)
            .stamped(stamp_at)
    };
    let (mut ours, mut theirs, mut dispatched) = <(Series, Series, Series)>::default();
    let (mut p50, mut p99) = <(Series, Series)>::default();
    let (mut idle_p50, mut idle_p99) = <(Series, Series)>::default();
    for _ in 0..settings.rounds {
        let delivering = load(server.addr, "/webhook/github");
        let measured = patiently(ROUND_PATIENCE, delivering.measure(settings.time));
        let measured = measured.await?;
        ours.push(measured.rate);
        p50.push(milliseconds(measured.p50));
        p99.push(milliseconds(measured.p99));
        server.process.quiet().await?;
        let delivering = load(busy.addr, "/webhook/github");
        let measured = patiently(ROUND_PATIENCE, delivering.measure(settings.time));
        dispatched.push(measured.await?.rate);
        busy.process.quiet().await?;
        if let Some(peer) = &peer {
            let delivering = load(peer.addr, PATH);
            let measured = patiently(ROUND_PATIENCE, delivering.measure(settings.time));
            theirs.push(measured.await?.rate);
            peer.process.quiet().await?;
        }
        let mut latencies = latencies(&busy, &worker, &payload, settings.time).await?;
        idle_p50.push(milliseconds(percentile(&mut latencies, 50)));
        idle_p99.push(milliseconds(percentile(&mut latencies, 99)));
    }
    let peak = mebibytes(server.process.memory_peak()?);
    let mut rows = vec![
        vec!["mecha, synced, per second".to_owned(), ours.cell(0)],
        vec!["mecha, p50, ms".to_owned(), p50.cell(2)],
        vec!["mecha, p99, ms".to_owned(), p99.cell(2)],
        vec!["mecha, peak memory, MiB".to_owned(), format!("{peak:.1}")],
        vec![
            "mecha with a worker that takes the tasks meanwhile, per second".to_owned(),
            dispatched.cell(0),
        ],
        vec![
            "idle, from the 202 to the worker, p50, ms".to_owned(),
            idle_p50.cell(2),
        ],
        vec![
            "idle, from the 202 to the worker, p99, ms".to_owned(),
            idle_p99.cell(2),
        ],
    ];
    if let Some(peer) = &peer {
        let peak = mebibytes(peer.process.memory_peak()?);
        rows.push(vec![
            "webhook, running /bin/true, per second".to_owned(),
            theirs.cell(0),
        ]);
        rows.push(vec![
            "webhook, peak memory, MiB".to_owned(),
            format!("{peak:.1}"),
        ]);
        rows.push(vec![
            "mecha / webhook".to_owned(),
            ours.over(&theirs).cell(1),
        ]);
    }
    report::table(
        &["signed webhooks of 21 KB, 64 connections", "figure"],
        &rows,
    )?;
    // It does not end with success when it is told to; dropped, it is killed.
    drop(peer);
    busy.process.stop().await?;
    server.process.stop().await?;
    Ok(ours.over(&theirs))
}

/// How long deliveries that come one by one take from their 202 to the worker.
async fn latencies(
    server: &Server,
    worker: &Worker,
    payload: &str,
    time: Duration,
) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(server.addr, http::framing).await?;
    let (request, stamp_at) = delivery(server.addr, "/webhook/github", "pull_request", payload);
    let mut request = request.to_vec();
    // What the load left behind is done first.
    server.process.quiet().await?;
    while worker.received.try_recv().is_ok() {}
    let mut latencies = Vec::new();
    let began = monotonic();
    while monotonic().duration_since(began) < time {
        Timer::after(IDLE_TIME).await;
        stamp(&mut request, stamp_at, fastrand::u64(..));
        connection.exchange(&request).await?;
        let accepted = monotonic();
        let received = async { worker.received.recv().await.map_err(io::Error::other) };
        let received = patiently(ROUND_PATIENCE, received).await?;
        latencies.push(received.saturating_duration_since(accepted));
    }
    Ok(latencies)
}

/// Delivers large payloads at once to a server with the default `limits.memory`, each until it is
/// taken.
pub(crate) async fn large_payloads(executor: &LocalExecutor<'static>) -> io::Result<()> {
    let dir = directory::on_disk()?;
    let worker = Worker::start()?;
    let server = Server::start(dir.path(), &event_config(worker.addr)).await?;
    let payload: Rc<str> = pull_request(LARGE_BYTES).into();
    let began = monotonic();
    let mut deliveries = Vec::new();
    for number in 0..LARGE {
        let (request, stamp_at) =
            delivery(server.addr, "/webhook/github", "pull_request", &payload);
        let mut request = request.to_vec();
        stamp(&mut request, stamp_at, number as u64);
        let addr = server.addr;
        deliveries.push(executor.spawn(async move {
            let mut shed = 0_u32;
            // BOUND: the patience below.
            while deliver(addr, &request).await.is_err() {
                shed += 1;
                Timer::after(RETRY_PAUSE).await;
            }
            shed
        }));
    }
    let mut shed = 0;
    for delivery in deliveries {
        shed += patiently(ROUND_PATIENCE, async { Ok(delivery.await) }).await?;
    }
    let took = monotonic().duration_since(began).as_secs_f64();
    let peak = mebibytes(server.process.memory_peak()?);
    server.process.quiet().await?;
    let after = mebibytes(server.process.memory()?);
    report::table(
        &[
            "40 payloads of 20 MiB at once, limits.memory 64 MiB",
            "figure",
        ],
        &[
            vec!["until all were taken, s".to_owned(), format!("{took:.1}")],
            vec![
                "times that one was shed and came again".to_owned(),
                shed.to_string(),
            ],
            vec!["peak memory, MiB".to_owned(), format!("{peak:.1}")],
            vec!["memory afterwards, MiB".to_owned(), format!("{after:.1}")],
        ],
    )?;
    server.process.stop().await
}

async fn deliver(addr: SocketAddr, request: &[u8]) -> io::Result<()> {
    let mut connection = Connection::open(addr, http::framing).await?;
    connection.exchange(request).await.map(drop)
}

pub(crate) fn event_config(worker: SocketAddr) -> String {
    let [source, rule] = [
        format!("\n[[source]]\nname = \"github\"\nkind = \"github\"\nsecret = \"{SECRET}\"\n"),
        "\n[[worker.events]]\nsource = \"github\"\non = [\"pull_request.opened\"]\n\
         filter = { base_branch = \"main\" }\n\
         prompt = \"Review #{{ number }}: {{ title }}\\n\\n{{ body | fence }}\"\n"
            .to_owned(),
    ];
    format!("{}{rule}{source}", config(worker, 64))
}

/// A signed delivery, and where its id stands in it. GitHub does not sign the id.
pub(crate) fn delivery(
    addr: SocketAddr,
    path: &str,
    event: &str,
    payload: &str,
) -> (Arc<[u8]>, usize) {
    let mut signature = String::new();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())
        .unwrap_or_else(|_| Hmac::<Sha256>::new(&[0; 64].into()));
    mac.update(payload.as_bytes());
    for byte in mac.finalize().into_bytes() {
        // Writing to a text cannot fail.
        let _ = write!(signature, "{byte:02x}");
    }
    let before = format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\n\
         X-GitHub-Event: {event}\r\nX-Hub-Signature-256: sha256={signature}\r\n\
         Content-Length: {}\r\nX-GitHub-Delivery: ",
        payload.len()
    );
    let stamp = "0".repeat(STAMP_LENGTH);
    let request = format!("{before}{stamp}\r\n\r\n{payload}");
    (request.into_bytes().into(), before.len())
}
