//! How soon a task is with its worker when nothing else is to be done.

use std::io;
use std::time::Duration;

use async_io::Timer;
use mecha::clock::monotonic;

use crate::client::{Connection, patiently};
use crate::server::Server;
use crate::worker::Worker;
use crate::{http, server};

/// The worker that these tasks are for.
const NAME: &str = "clock";

/// A task for it.
const TASK: &str = r#"{"prompt":"Review this code for security issues in the following diff please","worker":"clock"}"#;

/// The pause in front of a task that finds an idle server.
const IDLE_TIME: Duration = Duration::from_millis(10);

/// How long a task may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The worker's part of a configuration.
pub(crate) fn config(worker: &Worker) -> String {
    server::endpoint(NAME, worker.addr, 64)
}

/// How long tasks that come one by one take from the sending of the `POST` to the worker; so
/// storing is part of it.
pub(crate) async fn measure(
    server: &Server,
    worker: &Worker,
    time: Duration,
) -> io::Result<Vec<Duration>> {
    // What went before is done first.
    server.process.quiet().await?;
    let mut connection = Connection::open(server.addr, http::framing).await?;
    let post = http::post(server.addr, TASK);
    while worker.received.try_recv().is_ok() {}
    let mut latencies = Vec::new();
    let began = monotonic();
    while monotonic().duration_since(began) < time {
        Timer::after(IDLE_TIME).await;
        let sent = monotonic();
        connection.exchange(&post).await?;
        let received = async { worker.received.recv().await.map_err(io::Error::other) };
        let received = patiently(PATIENCE, received).await?;
        latencies.push(received.saturating_duration_since(sent));
    }
    Ok(latencies)
}
