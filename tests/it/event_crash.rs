//! `kill -9` between receiving, matching and dispatching, again and again: no event that was
//! acknowledged is lost, and none has two tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::harness::{
    Answer, Api, Connection, EndpointWorker, Server, delivery, github_source, pull_request, rule,
    wait_until,
};

const ROUNDS: usize = 6;
const CLIENTS: usize = 3;

/// What senders were told.
#[derive(Debug, Default)]
struct Oracle {
    /// Event by delivery.
    acknowledged: Mutex<BTreeMap<usize, String>>,
    /// Deliveries without an answer: a sender would make them again.
    in_doubt: Mutex<BTreeSet<usize>>,
    next: AtomicUsize,
}

/// Delivers until the server is gone; some of it twice.
fn deliver_until_gone(api: &Api, oracle: &Oracle) {
    let Ok(mut connection) = Connection::try_open(api.addr) else {
        return;
    };
    loop {
        let number = oracle.next.fetch_add(1, Ordering::SeqCst);
        let repeats = 1 + usize::from(number.is_multiple_of(3));
        for _ in 0..repeats {
            let request = request_of(number);
            let is_sent = connection.try_send(request.bytes(&api.addr.to_string()));
            let answer = if is_sent {
                connection.try_next(false)
            } else {
                Ok(None)
            };
            let Ok(Some(answer)) = answer else {
                oracle.in_doubt.lock().unwrap().insert(number);
                return;
            };
            note(oracle, number, answer.status, &answer.json());
        }
    }
}

fn request_of(number: usize) -> crate::harness::Request {
    let payload = pull_request("opened", number as u64);
    delivery("pull_request", &format!("delivery-{number}"), &payload)
}

fn note(oracle: &Oracle, number: usize, status: u16, answer: &Value) {
    assert!(matches!(status, 200 | 202), "{status} {answer}");
    let id = answer["id"].as_str().unwrap().to_owned();
    let known = oracle
        .acknowledged
        .lock()
        .unwrap()
        .insert(number, id.clone());
    assert!(
        known.is_none_or(|known| known == id),
        "{number} became two events"
    );
}

#[test]
fn acked_events_survive_kill_9_and_each_has_one_task() {
    let worker = EndpointWorker::start(|_| Answer::result("{\"output\":\"done\"}"));
    let config = github_source("")
        + &worker.config(
            "w",
            "concurrency = 4\nbackoff = \"20ms\"\nmax_attempts = 100",
        )
        + &rule("pull_request.opened", "Review {{ number }}", "");
    let oracle = Arc::new(Oracle::default());
    let mut server = Server::with(config);
    for round in 0..ROUNDS {
        let before = oracle.acknowledged.lock().unwrap().len();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (api, oracle) = (server.api(), Arc::clone(&oracle));
                thread::spawn(move || deliver_until_gone(&api, &oracle))
            })
            .collect();
        // The moment of the kill moves over receiving, matching and dispatching.
        let enough = before + 20 + fastrand::usize(0..60) + 7 * round;
        wait_until("senders made progress", || {
            oracle.acknowledged.lock().unwrap().len() >= enough
        });
        let stopped = server.kill();
        for client in clients {
            client.join().unwrap();
        }
        server = stopped.start();
        for number in std::mem::take(&mut *oracle.in_doubt.lock().unwrap()) {
            let answer = server.ask(request_of(number));
            note(&oracle, number, answer.status, &answer.json());
        }
    }
    let acknowledged = oracle.acknowledged.lock().unwrap();
    for (number, id) in acknowledged.iter() {
        let event = server.event_in(id, "completed");
        let task = server.task(event["task_id"].as_str().unwrap());
        assert_eq!(task["prompt"], format!("Review {number}"));
        assert_eq!(task["event_id"], id.as_str());
    }
    let events: BTreeSet<_> = all(&server, "/events").into_iter().collect();
    assert_eq!(events.len(), acknowledged.len());
    assert!(acknowledged.values().all(|id| events.contains(id)));
    assert_eq!(
        all(&server, "/tasks").len(),
        acknowledged.len(),
        "a task for each event"
    );
}

/// Every id of a list.
fn all(server: &Server, path: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut target = format!("{path}?limit=1000");
    loop {
        let page = server.get(&target).expect(200);
        let entries: Vec<Value> = serde_json::from_value(page.json()).unwrap();
        ids.extend(
            entries
                .iter()
                .map(|entry| entry["id"].as_str().unwrap().to_owned()),
        );
        match page.header("link") {
            Some(link) => link[1..link.find('>').unwrap()].clone_into(&mut target),
            None => return ids,
        }
    }
}
