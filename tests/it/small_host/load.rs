//! The load of a small host, all of it at once, and what must have become of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Api, Connection, PATIENCE, Request, Response, SECRET, hex_hmac, now, stays, wait_until,
};

/// Connections that submit small prompts, and the prompts of each.
const SUBMITTERS: usize = 32;
const SMALL_PROMPTS: usize = 50;

/// Connections that submit large prompts, and the bytes of these.
const LARGE_SUBMITTERS: usize = 4;
const LARGE_PROMPTS: [usize; 5] = [1 << 20, 2 << 20, 4_190_000, 500_000, 3_000_000];

/// Connections that deliver webhooks, and how many each; every tenth one is large.
const SENDERS: usize = 8;
const DELIVERIES: usize = 40;
const PAYLOAD: usize = 21_000;
const LARGE_PAYLOAD: usize = 1 << 20;

/// Bytes of a large result, and how many there are of each kind of worker.
pub(super) const RESULT: usize = 1 << 20;
const LARGE_RESULTS: usize = 8;

/// How a prompt begins that asks for a large result.
const WANTS_MUCH: &str = "much ";

/// The pause between two readings of one reader.
const READ_PAUSE: Duration = Duration::from_millis(20);

/// The pause before what was shed is sent again.
const SHED_PAUSE: Duration = Duration::from_millis(50);

/// How long what was shed is sent again.
const INSISTENCE: Duration = Duration::from_secs(120);

/// Text that does not get smaller when it is compressed.
fn noise(seed: usize, length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(seed as u64);
    std::iter::repeat_with(|| random.alphanumeric())
        .take(length)
        .collect()
}

/// What the endpoint worker makes of a prompt.
pub(super) fn mirrored(prompt: &str) -> String {
    match prompt.strip_prefix(WANTS_MUCH) {
        Some(seed) => json!({"output": noise(seed.parse().unwrap(), RESULT)}).to_string(),
        None => json!({"bytes": prompt.len(), "hash": hex_hmac("", prompt.as_bytes())}).to_string(),
    }
}

/// A task that was acknowledged.
struct Submitted {
    id: String,
    prompt: String,
    result: String,
}

/// What was acknowledged, and how it went.
#[derive(Default)]
pub(super) struct Acknowledged {
    tasks: Mutex<Vec<Submitted>>,
    /// The events' ids and their prompts.
    events: Mutex<Vec<(String, String)>>,
    is_over: AtomicBool,
    pub(super) read: AtomicUsize,
    pub(super) shed: AtomicUsize,
}

impl Acknowledged {
    /// Sends a request until it is not shed. A server that sheds a body answers before it has read it, and the
    /// answer may be lost with the rest.
    #[track_caller]
    fn insist(&self, api: &Api, request: &Request) -> Response {
        let bytes = request
            .clone()
            .header("connection", "close")
            .bytes("localhost");
        let end = now() + INSISTENCE;
        while now() < end {
            let mut connection = Connection::open(api.addr);
            connection.try_send(&bytes);
            match connection.try_next(false) {
                Ok(Some(answer)) if answer.status != 503 => return answer,
                _ => self.pause(),
            }
        }
        panic!("it was shed for {INSISTENCE:?}");
    }

    fn pause(&self) {
        self.shed.fetch_add(1, Ordering::SeqCst);
        stays("it is busy", SHED_PAUSE, || true);
    }

    fn note(&self, answer: &Value, prompt: String, result: String) {
        assert_eq!(answer["prompt"], prompt.as_str());
        let id = answer["id"].as_str().unwrap().to_owned();
        let submitted = Submitted { id, prompt, result };
        self.tasks.lock().unwrap().push(submitted);
    }

    fn submit(&self, api: &Api, worker: &str, prompt: String, result: String) {
        let key = hex_hmac(worker, prompt.as_bytes());
        let request = Request::post("/task").header("idempotency-key", &key);
        let request = request.json(&json!({"worker": worker, "prompt": prompt}));
        let task = self.insist(api, &request).expect(202).json();
        self.note(&task, prompt, result);
    }

    /// Small prompts, on one connection as long as it lasts.
    fn submit_small(&self, api: &Api, submitter: usize) {
        let mut connection = api.connect();
        for number in 0..SMALL_PROMPTS {
            let prompt = noise(1_000_000 + submitter * 1_000 + number, 300);
            let request = Request::post("/task").header("idempotency-key", &prompt[..32]);
            let request = request.json(&json!({"worker": "mirror", "prompt": prompt}));
            let bytes = request.bytes("localhost");
            let end = now() + INSISTENCE;
            let answer = loop {
                assert!(now() < end, "it was shed for {INSISTENCE:?}");
                if connection.try_send(&bytes)
                    && let Ok(Some(answer)) = connection.try_next(false)
                    && answer.status != 503
                {
                    break answer.expect(202).json();
                }
                self.pause();
                connection = api.connect();
            };
            let result = mirrored(&prompt);
            self.note(&answer, prompt, result);
        }
    }

    fn submit_large(&self, api: &Api, submitter: usize) {
        for (number, bytes) in LARGE_PROMPTS.into_iter().enumerate() {
            let prompt = noise(submitter * 100 + number, bytes);
            if (submitter + number).is_multiple_of(2) {
                let result = mirrored(&prompt);
                self.submit(api, "mirror", prompt, result);
            } else {
                let result = json!({"output": format!("{bytes}\n")}).to_string();
                self.submit(api, "count", prompt, result);
            }
        }
    }

    fn ask_for_much(&self, api: &Api) {
        for number in 0..LARGE_RESULTS {
            let prompt = format!("{WANTS_MUCH}{number}");
            let result = mirrored(&prompt);
            self.submit(api, "mirror", prompt, result);
            let result = json!({"output": "x".repeat(RESULT)}).to_string();
            self.submit(api, "print", number.to_string(), result);
        }
    }

    fn deliver(&self, api: &Api, sender: usize) {
        for number in 0..DELIVERIES {
            let name = format!("{sender}-{number}");
            let is_large = (sender + number).is_multiple_of(10);
            let bytes = if is_large { LARGE_PAYLOAD } else { PAYLOAD };
            let filler = noise(2_000_000 + sender * 1_000 + number, bytes);
            let payload = json!({"filler": filler, "number": name}).to_string();
            let signature = format!("sha256={}", hex_hmac(SECRET, payload.as_bytes()));
            let request = Request::post("/webhook/github")
                .header("x-github-event", "push")
                .header("x-github-delivery", &name)
                .header("x-hub-signature-256", &signature)
                .body(payload);
            let answer = self.insist(api, &request);
            // 200: it came before, and its answer was lost.
            assert!(matches!(answer.status, 200 | 202), "{answer:?}");
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            let event = (id, format!("event {name}"));
            self.events.lock().unwrap().push(event);
        }
    }

    /// Reads what `target` gives, again and again, in the way of a client that takes it all.
    fn read(&self, api: &Api, target: impl Fn() -> Option<String>) {
        while !self.is_over.load(Ordering::SeqCst) {
            if let Some(target) = target() {
                self.insist(api, &Request::get(&target)).expect(200);
                self.read.fetch_add(1, Ordering::SeqCst);
            }
            stays("others have their turn", READ_PAUSE, || true);
        }
    }

    /// The path of one of the last tasks with a large prompt.
    fn large_task(&self) -> Option<String> {
        let tasks = self.tasks.lock().unwrap();
        let large: Vec<_> = tasks
            .iter()
            .filter(|task| task.prompt.len() > RESULT)
            .collect();
        let task = large.get(fastrand::usize(..large.len().max(1)))?;
        Some(format!("/task/{}", task.id))
    }

    /// Follows the stream of changes.
    fn follow(&self, api: &Api) {
        let mut stream = TcpStream::connect(api.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut chunk = vec![0; 64 << 10];
        while !self.is_over.load(Ordering::SeqCst) {
            assert_ne!(stream.read(&mut chunk).unwrap(), 0, "the stream ended");
            self.read.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// What was acknowledged has been done, once, and is what it was.
    pub(super) fn check(&self, api: &Api) {
        let tasks = self.tasks.lock().unwrap();
        for Submitted { id, prompt, result } in &*tasks {
            let task = self.ended(api, &format!("/task/{id}?wait=20s"));
            assert_eq!(task["state"], "completed", "{}", task["error"]);
            assert_eq!(task["prompt"].as_str(), Some(prompt.as_str()));
            assert_eq!(task["result"].as_str(), Some(result.as_str()));
        }
        let events = self.events.lock().unwrap();
        for (id, prompt) in &*events {
            let event = self.ended(api, &format!("/event/{id}"));
            assert_eq!(event["state"], "completed", "{event}");
            let id = event["task_id"].as_str().unwrap();
            let task = self.ended(api, &format!("/task/{id}"));
            assert_eq!(task["result"].as_str(), Some(mirrored(prompt).as_str()));
        }
        let count = tasks.len() + events.len();
        let metrics = api.get("/metrics").expect(200);
        let metrics = String::from_utf8(metrics.body).unwrap();
        let sum = |name: &str| -> usize {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            let numbers = lines.map(|line| line.rsplit_once(' ').unwrap().1);
            numbers.map(|number| number.parse::<usize>().unwrap()).sum()
        };
        assert_eq!(sum("mecha_tasks_submitted_total"), count);
        assert_eq!(sum("mecha_tasks_ended_total{"), count);
        assert_eq!(sum("mecha_http_panics_total"), 0);
    }

    fn ended(&self, api: &Api, target: &str) -> Value {
        let mut found = Value::Null;
        wait_until("it has ended", || {
            found = self.insist(api, &Request::get(target)).expect(200).json();
            matches!(
                found["state"].as_str(),
                Some("completed" | "failed" | "skipped")
            )
        });
        found
    }
}

type Send<'a> = Box<dyn FnOnce() + std::marker::Send + 'a>;

/// Runs the load to its end.
pub(super) fn all_at_once(api: &Api, seen: &Acknowledged) {
    let mut senders: Vec<Send<'_>> = Vec::new();
    for submitter in 0..SUBMITTERS {
        senders.push(Box::new(move || seen.submit_small(api, submitter)));
    }
    for submitter in 0..LARGE_SUBMITTERS {
        senders.push(Box::new(move || seen.submit_large(api, submitter)));
    }
    for sender in 0..SENDERS {
        senders.push(Box::new(move || seen.deliver(api, sender)));
    }
    senders.push(Box::new(|| seen.ask_for_much(api)));
    thread::scope(|scope| {
        for target in [
            "/tasks?limit=100",
            "/events?limit=100",
            "/metrics",
            "/tasks?state=completed&limit=100",
        ] {
            scope.spawn(move || seen.read(api, || Some(target.to_owned())));
        }
        for _ in 0..4 {
            scope.spawn(|| seen.read(api, || seen.large_task()));
        }
        scope.spawn(|| seen.follow(api));
        let senders: Vec<_> = senders.into_iter().map(|send| scope.spawn(send)).collect();
        let ends = senders.into_iter().map(thread::ScopedJoinHandle::join);
        let failed = ends.filter(Result::is_err).count();
        seen.is_over.store(true, Ordering::SeqCst);
        assert_eq!(failed, 0, "senders failed");
    });
}
