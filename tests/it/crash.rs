//! `kill -9` under load, again and again, against an oracle: nothing acknowledged is lost,
//! nothing completed runs again, no attempt number comes twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, Api, Connection, EndpointWorker, Request, Server, now, wait_until};

const ROUNDS: usize = 6;
const CLIENTS: usize = 4;

/// What clients were told, and what they asked without being told.
#[derive(Debug, Default)]
struct Oracle {
    /// Prompts by id of tasks that were acknowledged.
    acknowledged: Mutex<BTreeMap<String, String>>,
    /// Requests without an answer: their tasks may exist or not. Key and prompt.
    in_doubt: Mutex<BTreeMap<String, String>>,
    /// Tasks seen as completed, with the number of their worker calls at that time.
    completed: Mutex<BTreeMap<String, usize>>,
    next: AtomicUsize,
}

/// Attempt numbers by task, in the order of the calls.
type Calls = Arc<Mutex<BTreeMap<String, Vec<u64>>>>;

/// Submits tasks one after the other until the server is gone; every other one with a key.
fn submit_until_gone(api: &Api, oracle: &Oracle) {
    let Ok(mut connection) = Connection::try_open(api.addr) else {
        return;
    };
    loop {
        let number = oracle.next.fetch_add(1, Ordering::SeqCst);
        let (key, prompt) = (format!("key-{number}"), format!("prompt {number}"));
        let body = json!({"prompt": prompt, "worker": "w"});
        let mut request = Request::post("/task").json(&body);
        if number.is_multiple_of(2) {
            request = request.header("idempotency-key", &key);
        }
        let is_sent = connection.try_send(request.bytes(&api.addr.to_string()));
        let answer = if is_sent {
            connection.try_next(false)
        } else {
            Ok(None)
        };
        let Ok(Some(answer)) = answer else {
            oracle.in_doubt.lock().unwrap().insert(key, prompt);
            return;
        };
        if answer.status == 503 {
            // It stops in order: nothing was stored.
            return;
        }
        assert_eq!(answer.status, 202, "{}", answer.text());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        oracle.acknowledged.lock().unwrap().insert(id, prompt);
    }
}

/// Notes which tasks are shown as completed, until the server is gone.
fn watch_until_gone(api: &Api, oracle: &Oracle, calls: &Calls) {
    let Ok(mut connection) = Connection::try_open(api.addr) else {
        return;
    };
    let request = Request::get("/tasks?state=completed&limit=50").bytes(&api.addr.to_string());
    while connection.try_send(&request) {
        let Ok(Some(answer)) = connection.try_next(false) else {
            return;
        };
        let page: Value = answer.json();
        let calls = calls.lock().unwrap();
        let mut completed = oracle.completed.lock().unwrap();
        for task in page.as_array().unwrap() {
            let id = task["id"].as_str().unwrap();
            let count = calls.get(id).map_or(0, Vec::len);
            completed.entry(id.to_owned()).or_insert(count);
        }
    }
}

fn worker(calls: &Calls) -> EndpointWorker {
    let calls = Arc::clone(calls);
    let is_slow = AtomicBool::new(false);
    EndpointWorker::start(move |attempt| {
        calls
            .lock()
            .unwrap()
            .entry(attempt.id.clone())
            .or_default()
            .push(attempt.number);
        // Some answers take their time, so that every kill finds attempts that run.
        if is_slow.fetch_xor(true, Ordering::SeqCst) {
            thread::park_timeout(Duration::from_millis(3));
        }
        Answer::result("{\"output\":\"done\"}")
    })
}

#[test]
fn acked_tasks_survive_kill_9_under_load_and_none_completed_runs_again() {
    let calls = Calls::default();
    let oracle = Arc::new(Oracle::default());
    let worker = worker(&calls);
    let settings = "concurrency = 6\nbackoff = \"20ms\"\nmax_attempts = 100";
    let mut server = Server::with(worker.config("w", settings));
    let begun = now();
    for round in 0..ROUNDS {
        let before = oracle.acknowledged.lock().unwrap().len();
        let mut threads = Vec::new();
        for _ in 0..CLIENTS {
            let (api, oracle) = (server.api(), Arc::clone(&oracle));
            threads.push(thread::spawn(move || submit_until_gone(&api, &oracle)));
        }
        let (api, watched, seen) = (server.api(), Arc::clone(&oracle), Arc::clone(&calls));
        threads.push(thread::spawn(move || {
            watch_until_gone(&api, &watched, &seen);
        }));
        // The moment of the kill moves over the batches of the store from round to round.
        let enough = before + 60 + fastrand::usize(0..120) + 13 * round;
        wait_until("clients made progress", || {
            let count = oracle.acknowledged.lock().unwrap().len();
            count >= enough || (count > before + 20 && begun.elapsed().as_secs() > 20)
        });
        // One stop in order among them holds to the same.
        let stopped = if round == 2 {
            server.stop()
        } else {
            server.kill()
        };
        for thread in threads {
            thread.join().unwrap();
        }
        server = stopped.start();
        resend(&server, &oracle);
        check(&server, &oracle, &calls);
    }
    for id in oracle.acknowledged.lock().unwrap().keys() {
        let task = server.task_in(id, "completed");
        assert_eq!(task["result"], "{\"output\":\"done\"}");
    }
    check(&server, &oracle, &calls);
    check_whole_list(&server, &oracle);
}

/// Requests with a key that got no answer are sent again: their tasks must not be doubled.
fn resend(server: &Server, oracle: &Oracle) {
    let mut in_doubt = oracle.in_doubt.lock().unwrap();
    let keyed: Vec<(String, String)> = in_doubt
        .iter()
        .filter(|(key, _)| {
            key["key-".len()..]
                .parse::<usize>()
                .unwrap()
                .is_multiple_of(2)
        })
        .map(|(key, prompt)| (key.clone(), prompt.clone()))
        .collect();
    for (key, prompt) in keyed {
        let body = json!({"prompt": prompt, "worker": "w"});
        let request = Request::post("/task").header("idempotency-key", &key);
        let task = server.ask(request.json(&body)).expect(202).json();
        let id = task["id"].as_str().unwrap().to_owned();
        in_doubt.remove(&key);
        oracle.acknowledged.lock().unwrap().insert(id, prompt);
    }
}

fn check(server: &Server, oracle: &Oracle, calls: &Calls) {
    let acknowledged = oracle.acknowledged.lock().unwrap();
    let mut connection = server.connect();
    for (id, prompt) in acknowledged.iter() {
        let task = connection.ask(&Request::get(&format!("/task/{id}")));
        assert_eq!(task.status, 200, "acknowledged and lost: {id}");
        let task = task.json();
        assert_eq!(task["prompt"], prompt.as_str());
        assert_ne!(task["state"], "failed", "{task}");
    }
    let calls = calls.lock().unwrap();
    for (id, count) in oracle.completed.lock().unwrap().iter() {
        let made = calls.get(id).map_or(0, Vec::len);
        assert_eq!(made, *count, "{id} ran again after it was completed");
    }
    for (id, numbers) in calls.iter() {
        let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len(), "{id}: {numbers:?}");
        assert!(numbers.is_sorted(), "{id}: {numbers:?}");
    }
}

/// There is nothing but what was acknowledged or is in doubt, each once.
fn check_whole_list(server: &Server, oracle: &Oracle) {
    let acknowledged = oracle.acknowledged.lock().unwrap();
    let in_doubt: BTreeSet<String> = oracle.in_doubt.lock().unwrap().values().cloned().collect();
    let mut prompts = BTreeSet::new();
    let mut target = "/tasks?limit=1000".to_owned();
    loop {
        let page = server.get(&target).expect(200).json();
        let tasks = page.as_array().unwrap();
        for task in tasks {
            let id = task["id"].as_str().unwrap();
            let prompt = task["prompt"].as_str().unwrap().to_owned();
            assert!(
                acknowledged.contains_key(id) || in_doubt.contains(&prompt),
                "nobody asked for {task}"
            );
            assert!(prompts.insert(prompt), "doubled: {task}");
        }
        match tasks.last() {
            Some(last) if tasks.len() == 1_000 => {
                let id = last["id"].as_str().unwrap();
                target = format!("/tasks?limit=1000&before={id}");
            }
            _ => break,
        }
    }
    assert!(prompts.len() >= acknowledged.len());
}
