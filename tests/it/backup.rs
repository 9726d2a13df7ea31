//! `GET /backup` and `mecha backup`: a running server's data as it was at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Api, Connection, EndpointWorker, Outcome, Program, Request, Server, github_source, now,
    offline_worker, pull_request, rule, server, unused_address, wait_for, wait_until,
};

/// Runs `mecha backup` in `home`.
#[track_caller]
pub(crate) fn back_up(home: &Path, api: &Api, dir: &Path) -> Outcome {
    Program::start(command(home, api, dir)).ended()
}

fn command(home: &Path, api: &Api, dir: &Path) -> std::process::Command {
    let mut command = Program::command(home);
    command.args(["backup", "--addr", &api.addr.to_string()]);
    command.arg(dir);
    command.envs(api.key.iter().map(|key| ("MECHA_API_KEY", key)));
    command
}

/// A server on the data directory `copy`.
#[track_caller]
fn restored(copy: &Path, config: &str) -> Server {
    let launch = server().config(config);
    std::fs::rename(copy, launch.data()).unwrap();
    launch.start()
}

/// Submits tasks to each of `workers` in turn until it is told to stop; gives their prompts by
/// their ids as they are acknowledged.
struct Load {
    acknowledged: Arc<Mutex<BTreeMap<String, String>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(server: &Server, workers: &'static [&'static str]) -> Self {
        let acknowledged = Arc::<Mutex<BTreeMap<_, _>>>::default();
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..2)
            .map(|client| {
                let (api, acknowledged) = (server.api(), Arc::clone(&acknowledged));
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    for number in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            return;
                        }
                        let prompt = format!("{client} {number}");
                        let worker = workers[number % workers.len()];
                        let id = api.submit(worker, &prompt);
                        acknowledged.lock().unwrap().insert(id, prompt);
                    }
                })
            })
            .collect();
        Self {
            acknowledged,
            stop,
            threads,
        }
    }

    fn acknowledged(&self) -> BTreeMap<String, String> {
        self.acknowledged.lock().unwrap().clone()
    }

    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_server_on_a_backup_made_under_load_goes_on_where_it_was() {
    let fast = EndpointWorker::obliging();
    let stuck = EndpointWorker::hanging();
    let config = github_source("")
        + &fast.config("fast", "concurrency = 4")
        + &rule("pull_request.opened", "PR {{ number }}", "")
        + &stuck.config("stuck", "")
        + &offline_worker("off");
    let server = Server::with(&config);
    let registered = json!({"endpoint": format!("http://{}", unused_address()), "token": "t0ken"});
    server.put("/worker/registered", &registered).expect(201);
    let running = server.submit("stuck", "running");
    server.task_in(&running, "dispatched");
    let keyed = json!({"prompt": "keyed", "worker": "off"});
    let keyed = Request::post("/task")
        .json(&keyed)
        .header("idempotency-key", "k");
    let keyed_id = server.ask(keyed.clone()).expect(202).json()["id"].clone();
    let event = server
        .deliver("d-1", &pull_request("opened", 7))
        .expect(202)
        .json();
    let event = server.event_in(event["id"].as_str().unwrap(), "completed");

    let load = Load::start(&server, &["fast", "off"]);
    wait_until("tasks were acknowledged", || {
        load.acknowledged().len() > 200
    });
    let acknowledged = load.acknowledged();
    let completed = server.get("/tasks?state=completed&limit=1000").expect(200);
    let completed: Vec<Value> = completed.json().as_array().unwrap().clone();
    assert!(!completed.is_empty());
    let copy = server.home().join("copy");
    let outcome = back_up(server.home(), &server, &copy).expect(0);
    assert!(
        outcome.stdout.contains("mecha serve --data "),
        "{outcome:?}"
    );
    assert!(outcome.stderr.is_empty(), "{outcome:?}");
    load.end();
    let original = server.kill();

    let before: Vec<String> = fast.attempts().into_iter().map(|a| a.id).collect();
    let server = restored(&copy, &config);
    for (id, prompt) in &acknowledged {
        assert_eq!(server.task(id)["prompt"], *prompt);
    }
    for task in &completed {
        assert_eq!(server.task(task["id"].as_str().unwrap()), *task);
    }
    assert_eq!(server.event(event["id"].as_str().unwrap()), event);
    let replayed = server.ask(keyed).expect(202);
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    assert_eq!(replayed.json()["id"], keyed_id);
    assert_eq!(server.worker("registered")["kind"], "endpoint");
    let again = wait_for("what ran is run again", || {
        Some(server.task(&running)).filter(|task| task["attempts"] == 2)
    });
    assert_eq!(again["state"], "dispatched");

    // Counts and marks are those of the same moment: all that waited runs, and nothing else.
    wait_until("all tasks are done", || {
        server.worker("fast")["pending"] == 0
    });
    let id = server.submit("fast", "new");
    server.task_in(&id, "completed");
    let ended: BTreeSet<&str> = completed
        .iter()
        .map(|t| t["id"].as_str().unwrap())
        .collect();
    let attempts = fast.attempts();
    let again = attempts.iter().skip(before.len());
    for attempt in again {
        assert!(
            !ended.contains(attempt.id.as_str()),
            "{} ran again",
            attempt.id
        );
    }
    let waiting = ids(&server, "/tasks?worker=off").len();
    assert_eq!(server.worker("off")["pending"], waiting);
    let tasks = ids(&server, "/tasks?").len();
    drop(original);
    let counted = outcome.stdout.split(": ").nth(1).unwrap();
    // The one that was just submitted is not in the copy.
    assert!(
        counted.starts_with(&format!("{} tasks, 1 events", tasks - 1)),
        "{counted}"
    );
}

/// The ids of all pages of a list.
fn ids(server: &Server, target: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let before = ids
            .last()
            .map_or(String::new(), |id| format!("&before={id}"));
        let page = server.ids(&format!("{target}&limit=1000{before}"));
        if page.is_empty() {
            return ids;
        }
        ids.extend(page);
    }
}

#[test]
fn the_endpoint_gives_json_of_one_moment_to_who_has_the_key() {
    let server = server().arg("--api-key").arg("s3cr3t").key("s3cr3t");
    let server = server.config(offline_worker("w")).start();
    for prompt in ["one", "two"] {
        server.submit("w", prompt);
    }
    server
        .connect()
        .ask(&Request::get("/backup"))
        .expect_error(401, "unauthorized");
    let answer = server.get("/backup").expect(200);
    assert!(answer.head.is_chunked());
    let backup = answer.json();
    assert_eq!(backup["mecha_backup"], 1);
    let rows = backup["rows"].as_array().unwrap();
    assert_eq!(backup["count"], rows.len());
    let tasks = rows.iter().filter(|row| row[0] == "tasks").count();
    assert_eq!(tasks, 2);
    assert_eq!(answer.text().lines().count(), rows.len() + 2);

    let head = server.ask(Request::new("HEAD", "/backup")).expect(200);
    assert!(head.head.is_chunked() && head.body.is_empty());
    let options = server.ask(Request::new("OPTIONS", "/backup")).expect(204);
    assert_eq!(options.header("allow"), Some("GET, HEAD, OPTIONS"));
    server
        .post("/backup", &json!({}))
        .expect_error(405, "method_not_allowed");
    // Each of them is over: the next one may begin.
    assert_eq!(server.get("/backup").expect(200).json(), backup);

    let copy = server.home().join("copy");
    back_up(server.home(), &server, &copy).expect(0);
    let wrong = Api {
        key: Some("wrong".to_owned()),
        ..server.api()
    };
    let outcome = back_up(server.home(), &wrong, &server.home().join("other")).expect(1);
    assert!(outcome.stderr.contains("401"), "{outcome:?}");
    assert!(!outcome.printed().contains("wrong"), "{outcome:?}");
    assert!(!server.home().join("other").exists());
}

/// A server that holds `count` prompts of 2 MiB.
fn full_server(count: usize, settings: &str) -> Server {
    let server = Server::with(settings.to_owned() + &offline_worker("w"));
    let prompt = "0123456789abcdef".repeat(128 * 1024);
    for _ in 0..count {
        server.submit("w", &prompt);
    }
    server
}

/// A client whose backup has begun and that takes no more of it than fits between two sockets.
#[track_caller]
fn deaf(server: &Server) -> Connection {
    let mut deaf = server.connect();
    deaf.send(Request::get("/backup").bytes(&server.addr.to_string()));
    wait_until("the backup has begun", || {
        !deaf.is_silent_for(Duration::from_millis(100))
    });
    deaf
}

#[test]
fn there_is_one_backup_at_a_time_and_it_ends_with_its_client() {
    let server = full_server(8, "");
    let deaf = deaf(&server);
    server.get("/backup").expect_error(503, "backup_running");
    let copy = server.home().join("copy");
    let outcome = back_up(server.home(), &server, &copy).expect(1);
    assert!(
        outcome.stderr.contains("another backup is under way"),
        "{outcome:?}"
    );
    assert!(!copy.exists());
    drop(deaf);
    wait_until("the next one may begin", || {
        server.get("/backup").status == 200
    });
}

#[test]
fn a_backup_holds_up_neither_tasks_nor_the_drain() {
    let server = full_server(8, "drain = \"1s\"\n");
    let mut deaf = deaf(&server);
    // What the backup keeps is of its moment: what is written from then on costs no memory.
    let before = server.resident_kib();
    let prompt = "0123456789abcdef".repeat(128 * 1024);
    for _ in 0..32 {
        server.submit("w", &prompt);
    }
    let grown = server.resident_kib().saturating_sub(before) / 1_024;
    assert!(grown < 48, "{grown} MiB more for 64 MiB of prompts");
    server.get("/backup").expect_error(503, "backup_running");
    let begun = now();
    server.signal(Signal::TERM);
    let stopped = server.ended();
    assert_eq!(stopped.outcome.code, Some(0), "{:#?}", stopped.outcome);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    // The client is told by the missing end, not by a wrong one.
    assert!(deaf.try_next(false).is_err());
}

#[test]
fn memory_of_server_and_client_does_not_grow_with_the_data() {
    const MIB: u64 = 1_024;
    let server = full_server(32, "");
    let before = server.resident_kib();
    let copy = server.home().join("copy");
    let mut client = Program::start(command(server.home(), &server, &copy));
    let (mut of_server, mut of_client) = (0, 0);
    while client.is_running() {
        of_server = server.resident_kib().max(of_server);
        of_client = client
            .resident_peak_kib()
            .unwrap_or_default()
            .max(of_client);
        thread::sleep(Duration::from_millis(1));
    }
    client.ended().expect(0);
    let grown = of_server.saturating_sub(before);
    assert!(of_client > 0);
    assert!(
        grown < 24 * MIB,
        "server: {grown} KiB more, for 64 MiB of rows"
    );
    assert!(
        of_client < 48 * MIB,
        "client: {of_client} KiB, for 64 MiB of rows"
    );
    let server = restored(&copy, &offline_worker("w"));
    assert_eq!(server.worker("w")["pending"], 32);
}

#[test]
fn only_its_owner_can_read_a_backup() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::with(offline_worker("w"));
    server.submit("w", "p");
    let copy = server.home().join("copy");
    let mut command = Program::command_behind(server.home(), "umask 0");
    command.args(["backup", "--addr", &server.addr.to_string(), "copy"]);
    Program::start(command).ended().expect(0);
    let mut found: Vec<PathBuf> = vec![copy];
    let mut count = 0;
    while let Some(path) = found.pop() {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
        count += 1;
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn a_backup_of_a_backup_is_the_same() {
    let worker = EndpointWorker::start(|attempt| match attempt.prompt.as_str() {
        "fail" => Answer::status(400, "{}"),
        _ => Answer::result("{\"output\":\"\u{fc}\"}"),
    });
    let config = worker.config("w", "");
    let server = Server::with(&config);
    for (prompt, state) in [("p", "completed"), ("fail", "failed")] {
        let id = server.submit("w", prompt);
        server.task_in(&id, state);
    }
    let rows_of = |server: &Server| {
        let backup = server.get("/backup").expect(200).json();
        let mut rows = backup["rows"].as_array().unwrap().clone();
        // The number of the run is another one.
        rows.retain(|row| row[0] != "meta" || row[1] != "bg==");
        rows
    };
    let rows = rows_of(&server);
    let mut copied = server;
    for _ in 0..2 {
        let copy = copied.home().join("copy");
        back_up(copied.home(), &copied, &copy).expect(0);
        copied = restored(&copy, &config);
        assert_eq!(rows_of(&copied), rows);
    }
}
