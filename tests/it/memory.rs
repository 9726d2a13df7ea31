//! The memory contract: whatever the load, the server's resident memory stays under the function that
//! docs/operations.md states, what does not fit is shed with 503, and the server recovers by itself.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Request, SECRET, github_source, hex_hmac, now, offline_worker, server, stays, wait_for,
    wait_until,
};

const MIB: u64 = 1 << 20;

/// `limits.memory` and `limits.connections` of the server here.
const MEMORY: u64 = 32 * MIB;
const CONNECTIONS: u64 = 256;

/// How long the load goes on.
const TIME: Duration = Duration::from_secs(12);

/// The pause between two looks at the server's memory.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes of prompts, results and payloads.
const PROMPT: usize = 6 << 20;
const RESULT: usize = 4 << 20;
const PAYLOAD: usize = 20 << 20;

/// Resident bytes that the contract allows.
const fn allowed(memory: u64, connections: u64) -> u64 {
    64 * MIB + memory + memory / 2 + connections * 16 * 1_024
}

/// What the load has seen.
#[derive(Default)]
struct Seen {
    is_over: AtomicBool,
    done: AtomicU64,
    shed: AtomicU64,
    /// What must not be answered.
    odd: Mutex<Vec<String>>,
    peak: AtomicU64,
}

/// An answer, of whose body nothing is kept.
struct Answer {
    status: u16,
    head: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::trim)
    }
}

/// Sends a request on a connection of its own and reads the answer to its end. Of `slow` the last byte
/// is sent after that pause.
fn exchange(addr: SocketAddr, request: &[u8], slow: Option<Duration>) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(40)))?;
    stream.set_write_timeout(Some(Duration::from_secs(40)))?;
    let (front, last) = request.split_at(request.len() - 1);
    // A server that sheds a body answers before it has read it, and closes.
    let mut written = stream.write_all(front);
    if let Some(pause) = slow {
        stays("the sender is slow", pause, || true);
    }
    written = written.and_then(|()| stream.write_all(last));
    let mut front = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                let room = (8_usize << 10).saturating_sub(front.len());
                front.extend_from_slice(&chunk[..read.min(room)]);
            }
            Err(_) if !front.is_empty() => break,
            Err(error) => return Err(written.err().unwrap_or(error)),
        }
    }
    let text = String::from_utf8_lossy(&front);
    let head = text.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.unwrap_or(0),
        head,
    })
}

impl Seen {
    /// Asks, and notes the answer: one of `expected`, or 503.
    fn ask(
        &self,
        addr: SocketAddr,
        request: Request,
        expected: &[u16],
        slow: Option<Duration>,
    ) -> Option<Answer> {
        let request = request.header("connection", "close");
        // One that is shed while it sends may lose its answer to the reset.
        let answer = exchange(addr, &request.bytes("localhost"), slow).ok()?;
        if expected.contains(&answer.status) {
            self.done.fetch_add(1, Ordering::SeqCst);
            return Some(answer);
        }
        if answer.status == 503 && answer.header("retry-after").is_some() {
            self.shed.fetch_add(1, Ordering::SeqCst);
        } else if answer.status != 0 {
            self.odd.lock().unwrap().push(answer.head);
        }
        None
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }
}

/// Text that does not get smaller when it is compressed.
fn noise(length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.alphanumeric())
        .take(length)
        .collect()
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or(0, |kib: u64| kib * 1_024)
}

/// Large prompts, each cancelled once it is stored.
fn submit(seen: &Seen, addr: SocketAddr, body: &str) {
    while seen.goes_on() {
        let request = Request::post("/task").body(body);
        let Some(answer) = seen.ask(addr, request, &[202, 429], None) else {
            continue;
        };
        if let Some(task) = answer.header("location") {
            seen.ask(addr, Request::get(task), &[200], None);
            seen.ask(addr, Request::new("DELETE", task), &[200, 404], None);
        }
    }
}

/// Small prompts whose results are large, waited for.
fn wait_for_results(seen: &Seen, addr: SocketAddr) {
    while seen.goes_on() {
        let request = Request::post("/task").body(r#"{"prompt": "p", "worker": "large"}"#);
        let Some(answer) = seen.ask(addr, request, &[202, 429], None) else {
            continue;
        };
        if let Some(task) = answer.header("location") {
            let request = Request::get(&format!("{task}?wait=10s"));
            seen.ask(addr, request, &[200, 404], None);
        }
    }
}

/// Large payloads; every third one from a sender that is slow with the last byte.
fn deliver(seen: &Seen, addr: SocketAddr, name: &str, payload: &str, slow: Option<Duration>) {
    let signature = format!("sha256={}", hex_hmac(SECRET, payload.as_bytes()));
    for number in 0.. {
        if !seen.goes_on() {
            return;
        }
        let request = Request::post("/webhook/github")
            .header("x-github-event", "push")
            .header("x-github-delivery", &format!("{name}-{number}"))
            .header("x-hub-signature-256", &signature)
            .body(payload);
        seen.ask(addr, request, &[202, 429], slow);
    }
}

fn read(seen: &Seen, addr: SocketAddr, target: &str) {
    while seen.goes_on() {
        seen.ask(addr, Request::get(target), &[200], None);
    }
}

#[test]
fn resident_memory_stays_under_its_bound_whatever_the_load() {
    let script = format!("head -c {RESULT} /dev/zero | tr '\\\\0' x");
    let config = format!(
        "[limits]\nmemory = \"32MiB\"\nconnections = {CONNECTIONS}\nretention = \"2s\"\n\
         queue = 200\ndisk_reserve = \"1MiB\"\n{}{}\
         [[worker]]\nname = \"large\"\ncommand = [\"sh\", \"-c\", {}]\nconcurrency = 4\n",
        github_source(""),
        offline_worker("idle"),
        json!(script)
    );
    let server = server().config(config).start();
    server.worker_in("large", "online");
    let (addr, pid) = (server.api().addr, server.pid());
    let prompt = json!({"prompt": noise(PROMPT), "worker": "idle"}).to_string();
    let payload = json!({"filler": noise(PAYLOAD)}).to_string();
    let slow = Some(Duration::from_secs(7));
    let seen = Seen::default();
    let end = now() + TIME;
    thread::scope(|scope| {
        let seen = &seen;
        scope.spawn(move || {
            while seen.goes_on() {
                seen.peak.fetch_max(resident(pid), Ordering::SeqCst);
                if now() >= end {
                    seen.is_over.store(true, Ordering::SeqCst);
                }
                stays("the next look is to come", LOOK, || true);
            }
        });
        for _ in 0..3 {
            scope.spawn(|| submit(seen, addr, &prompt));
        }
        for _ in 0..2 {
            scope.spawn(|| wait_for_results(seen, addr));
            scope.spawn(|| read(seen, addr, "/tasks"));
        }
        scope.spawn(|| read(seen, addr, "/backup"));
        scope.spawn(|| deliver(seen, addr, "a", &payload, None));
        scope.spawn(|| deliver(seen, addr, "b", &payload, None));
        scope.spawn(|| deliver(seen, addr, "slow", &payload, slow));
    });
    let peak = seen.peak.load(Ordering::SeqCst);
    let (done, shed) = (seen.done.into_inner(), seen.shed.into_inner());
    println!("peak {} MiB; {done} answers, {shed} times 503", peak / MIB);
    assert_eq!(seen.odd.into_inner().unwrap(), Vec::<String>::new());
    assert!(
        peak <= allowed(MEMORY, CONNECTIONS),
        "{} MiB resident, and {} MiB are allowed",
        peak / MIB,
        allowed(MEMORY, CONNECTIONS) / MIB
    );
    assert!(done > 20 && shed > 0, "{done} answers, {shed} times 503");
    // It has recovered by itself.
    wait_until("memory falls", || resident(pid) < 64 * MIB);
    let id = wait_for("there is room in the queue", || {
        let body = json!({"prompt": "p", "worker": "large"});
        let answer = server.post("/task", &body);
        let task = (answer.status == 202).then(|| answer.json())?;
        Some(task["id"].as_str()?.to_owned())
    });
    wait_until("work goes on", || {
        let answer = server.get(&format!("/task/{id}?wait=10s"));
        // What has ended is deleted soon.
        answer.status == 404 || answer.json()["state"] == "completed"
    });
}
