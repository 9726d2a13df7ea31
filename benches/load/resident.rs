//! What large texts cost of memory: the peak, and what is left two seconds later.
//!
//! Each load has a server of its own with `limits.memory` of `MECHA_BENCH_MEMORY` MiB, 64 by default;
//! what would not fit is made smaller. The highest peak is held against what docs/operations.md promises. The server inherits
//! its allocator's variables (`MIMALLOC_…`), which decide much of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::env;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_io::{Async, Timer};
use serde_json::{Value, json};
use smol::LocalExecutor;
use smol::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::patiently;
use crate::generator::stamp;
use crate::report::{self, Series, mebibytes};
use crate::server::Server;
use crate::summary::Target;
use crate::webhook::{delivery, event_config};
use crate::{Bench, OFFLINE, directory, memory};

/// Connections at once.
const CLIENTS: usize = 16;

/// How often the server's memory is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// After a load the server has so long to give memory back.
const REST: Duration = Duration::from_secs(2);

/// How long a load may take.
const PATIENCE: Duration = Duration::from_secs(200);

/// Pause before what was shed comes again.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Bytes that are kept of an answer.
const FRONT_BYTES: usize = 4 << 10;

const PROMPT_BYTES: usize = 8 << 20;
const RESULT_BYTES: usize = 10_000_000;
const PAYLOAD_BYTES: usize = 25_000_000;

/// MiB of `limits.memory` of a small host at most.
const SMALL_MAX: f64 = 24.0;

/// How large it all is.
#[derive(Clone, Copy)]
struct Sizes {
    /// MiB of `limits.memory`.
    limit: usize,
    /// Bytes of a payload.
    payload: usize,
    /// Bytes of a result.
    result: usize,
}

/// The memory of a server under one load.
struct Figures {
    peak: u64,
    later: u64,
    shed: usize,
}

/// Requests that are still to be sent, shared by the clients of a load.
type Requests = Rc<RefCell<VecDeque<Arc<[u8]>>>>;

/// Measures and prints.
pub(crate) async fn run(bench: &mut Bench<'_>) -> io::Result<()> {
    let text = env::var("MECHA_BENCH_MEMORY").unwrap_or_else(|_| "64".to_owned());
    let limit: usize = text.parse().map_err(|_| {
        io::Error::other(format!(
            "MECHA_BENCH_MEMORY is {text:?}; write a number of MiB"
        ))
    })?;
    let sizes = Sizes {
        limit,
        payload: PAYLOAD_BYTES.min((limit * 5) << 17),
        result: RESULT_BYTES.min(limit << 18),
    };
    let head = format!("16 clients, limits.memory {limit} MiB; MiB");
    let mut rows = Vec::new();
    let mut highest = 0;
    for (name, loads) in [
        ("32 × POST /task of 8 MiB", &["post"][..]),
        ("64 × GET /task/{id} of 8 MiB", &["get"]),
        ("64 × GET /tasks, 8 MiB each", &["list"]),
        ("24 webhooks of 25 MB", &["webhook"]),
        ("16 results of 10 MB at once", &["result"]),
        (
            "all of it at once",
            &["post", "get", "list", "webhook", "result"],
        ),
    ] {
        let figures = measure(bench.executor, sizes, loads).await?;
        highest = highest.max(figures.peak);
        // It takes minutes, so each is told when it is there.
        report::line(&format!("{name}: {:.0}", mebibytes(figures.peak)))?;
        rows.push(vec![
            name.to_owned(),
            format!("{:.0}", mebibytes(figures.peak)),
            format!("{:.0}", mebibytes(figures.later)),
            figures.shed.to_string(),
        ]);
    }
    report::line("")?;
    report::table(&[&head, "peak", "2 s later", "times 503"], &rows)?;
    let mut peak = Series::default();
    peak.push(mebibytes(highest));
    let name = format!("resident, highest peak, limits.memory {limit} MiB");
    let target = Target::AtMost(allowed(limit));
    bench.summary.judge(&name, target, " MiB", &peak, 1);
    Ok(())
}

/// MiB that are promised beside a limit of so many, with as many connections as are allowed unless somebody
/// says otherwise.
fn allowed(limit: usize) -> f64 {
    let limit = f64::from(u32::try_from(limit).unwrap_or(u32::MAX));
    if limit <= SMALL_MAX {
        16.0 + limit
    } else {
        64.0 + 1.5 * limit + 16.0
    }
}

async fn measure(
    executor: &LocalExecutor<'static>,
    sizes: Sizes,
    loads: &[&str],
) -> io::Result<Figures> {
    let dir = directory::on_disk()?;
    let server = Server::start(dir.path(), &settings(sizes)).await?;
    let addr = server.addr;
    // What is read must be there.
    let task = post_task(addr, "claude-reviewer", PROMPT_BYTES);
    let mut stored = String::new();
    if loads.contains(&"get") || loads.contains(&"list") {
        for _ in 0..3 {
            let answer = exchange(addr, &task).await?;
            stored = location(&answer)?;
        }
        server.process.quiet().await?;
    }
    let is_over = Rc::new(Cell::new(false));
    let peak = executor.spawn(watch(server.process.id(), Rc::clone(&is_over)));
    let mut clients = Vec::new();
    for load in loads {
        let requests: VecDeque<Arc<[u8]>> = match *load {
            "post" => vec![Arc::clone(&task); 32].into(),
            "get" => vec![get(addr, &stored); 64].into(),
            "list" => vec![get(addr, "/tasks"); 64].into(),
            "webhook" => webhooks(addr, sizes.payload),
            _ => vec![post_task(addr, "large", 1); CLIENTS].into(),
        };
        let requests: Requests = Rc::new(RefCell::new(requests));
        for _ in 0..CLIENTS {
            clients.push(executor.spawn(send(addr, Rc::clone(&requests))));
        }
    }
    let mut shed = 0_usize;
    for client in clients {
        shed += patiently(PATIENCE, client).await?;
    }
    if loads.contains(&"result") {
        patiently(PATIENCE, all_ended(&server)).await?;
    }
    is_over.set(true);
    let peak = peak.await?;
    Timer::after(REST).await;
    let later = server.process.memory()?;
    server.process.stop().await?;
    Ok(Figures { peak, later, shed })
}

/// The most that the process `pid` has in memory until it is over.
async fn watch(pid: u32, is_over: Rc<Cell<bool>>) -> io::Result<u64> {
    let mut peak = 0;
    while !is_over.get() {
        peak = peak.max(memory::of(pid, memory::NOW)?);
        Timer::after(LOOK).await;
    }
    Ok(peak)
}

/// Sends what is left, one after the other, what was shed again; how often that was.
async fn send(addr: SocketAddr, requests: Requests) -> io::Result<usize> {
    let mut shed = 0;
    loop {
        let Some(request) = requests.borrow_mut().pop_front() else {
            return Ok(shed);
        };
        // BOUND: the patience of who waits for all.
        while !exchange(addr, &request)
            .await
            .is_ok_and(|answer| answer.starts_with("HTTP/1.1 2"))
        {
            shed += 1;
            Timer::after(RETRY_PAUSE).await;
        }
    }
}

/// The beginning of the answer to a request, which is read to its end.
async fn exchange(addr: SocketAddr, request: &[u8]) -> io::Result<String> {
    let mut stream = Async::<TcpStream>::connect(addr).await?;
    stream.write_all(request).await?;
    let mut front = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        let room = FRONT_BYTES.saturating_sub(front.len()).min(read);
        front.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&front).into_owned())
}

/// Waits until the tasks with large results have ended.
async fn all_ended(server: &Server) -> io::Result<()> {
    loop {
        // It may be shed, too.
        let workers = server.get("/workers").await.unwrap_or_default();
        let is_idle = |worker: &Value| worker["running"] == 0 && worker["pending"] == 0;
        let workers: Vec<Value> = serde_json::from_str(&workers).unwrap_or_default();
        if workers
            .iter()
            .any(|worker| worker["name"] == "large" && is_idle(worker))
        {
            return Ok(());
        }
        Timer::after(RETRY_PAUSE).await;
    }
}

fn settings(sizes: Sizes) -> String {
    let Sizes { limit, result, .. } = sizes;
    let script = format!("head -c {result} /dev/zero | tr '\\0' x");
    let config = event_config(OFFLINE).replacen(
        "[limits]\n",
        &format!("[limits]\nmemory = \"{limit}MiB\"\n"),
        1,
    );
    let worker = json!(script);
    format!(
        "{config}\n[[worker]]\nname = \"large\"\nconcurrency = {CLIENTS}\n\
         command = [\"sh\", \"-c\", {worker}]\nmax_attempts = 1000\nbackoff = \"100ms\"\n"
    )
}

fn get(addr: SocketAddr, target: &str) -> Arc<[u8]> {
    let head = format!("GET {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    head.into_bytes().into()
}

fn post_task(addr: SocketAddr, worker: &str, prompt_bytes: usize) -> Arc<[u8]> {
    // A little less than the limit of a body.
    let prompt = noise(prompt_bytes.saturating_sub(100).max(1));
    let body = json!({"prompt": prompt, "worker": worker}).to_string();
    let length = body.len();
    let head = "Connection: close\r\nContent-Type: application/json\r\nContent-Length";
    let request = format!("POST /task HTTP/1.1\r\nHost: {addr}\r\n{head}: {length}\r\n\r\n{body}");
    request.into_bytes().into()
}

fn webhooks(addr: SocketAddr, bytes: usize) -> VecDeque<Arc<[u8]>> {
    let payload =
        json!({"action": "opened", "filler": noise(bytes.saturating_sub(100))}).to_string();
    let (request, stamp_at) = delivery(addr, "/webhook/github", "push", &payload);
    let close = b"Connection: close\r\n";
    let head = request.iter().position(|byte| *byte == b'\n');
    let (line, rest) = request.split_at(head.map_or(0, |at| at + 1));
    let request = [line, close, rest].concat();
    (0..24)
        .map(|number| {
            let mut request = request.clone();
            stamp(&mut request, stamp_at + close.len(), number);
            request.into()
        })
        .collect()
}

/// Text that does not get smaller when it is compressed.
fn noise(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.alphanumeric())
        .take(length)
        .collect()
}

/// The path that an answer's `Location` has.
fn location(answer: &str) -> io::Result<String> {
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("location: "));
    line.map(|path| path.trim().to_owned())
        .ok_or_else(|| io::Error::other(format!("no task was made: {answer:.200}")))
}
