//! Contract section 7: `GET /stream` sends changes of tasks, events and workers.

mod bounds;
mod reader;

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use reader::{Message, Next, Reader};
use serde_json::{Value, json};

use crate::harness::{
    Answer, EndpointWorker, Gate, Request, Server, github_source, now, offline_worker,
    pull_request, rule, unused_address, wait_for,
};

/// The states of the messages of a kind that are about `id`.
fn states<'m>(messages: &'m [Message], event: &str, id: &str) -> Vec<&'m str> {
    let about = messages
        .iter()
        .filter(|message| message.event == event && message.text("id") == id);
    about.map(|message| message.text("state")).collect()
}

fn number(id: &str) -> u64 {
    id.split_once('-').unwrap().1.parse().unwrap()
}

/// Whether a message says that the task has ended.
fn is_end_of(id: &str) -> impl Fn(&Message) -> bool {
    move |message| {
        message.event == "task"
            && message.text("id") == id
            && matches!(message.text("state"), "completed" | "failed")
    }
}

#[test]
fn a_task_is_told_of_in_each_of_its_states() {
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let server = Server::with(worker.config("w", ""));
    server.worker_in("w", "online");
    let mut reader = Reader::open(&server);
    for field in [
        "content-type: text/event-stream",
        "cache-control: no-store",
        "x-accel-buffering: no",
        "transfer-encoding: chunked",
    ] {
        assert!(
            reader.head.contains(&format!("\r\n{field}\r\n")),
            "{field}: {}",
            reader.head
        );
    }
    let id = server.submit("w", "a secret prompt");
    let pending = reader.message_of("task");
    let task = server.task(&id);
    assert_eq!(
        pending.data,
        json!({"id": id, "worker_name": "w", "state": "pending", "attempts": 0,
               "created_at": task["created_at"]})
    );
    let dispatched = reader.message_of("task");
    let task = server.task_in(&id, "dispatched");
    assert_eq!(
        dispatched.data,
        json!({"id": id, "worker_name": "w", "state": "dispatched", "attempts": 1,
               "created_at": task["created_at"], "dispatched_at": task["dispatched_at"]})
    );
    gate.open();
    let completed = reader.message_of("task");
    let task = server.task(&id);
    assert_eq!(
        completed.data,
        json!({"id": id, "worker_name": "w", "state": "completed", "attempts": 1,
               "created_at": task["created_at"], "dispatched_at": task["dispatched_at"],
               "completed_at": task["completed_at"]})
    );
    let numbers = [&pending, &dispatched, &completed].map(|message| number(&message.id));
    assert!(
        numbers.is_sorted() && numbers[0] < numbers[1],
        "{numbers:?}"
    );
}

#[test]
fn what_becomes_of_a_task_otherwise_is_told_too() {
    let worker = EndpointWorker::start(|attempt| match attempt.prompt.as_str() {
        "hang" => Answer::Hang,
        _ => Answer::status(500, "no"),
    });
    let settings = "max_attempts = 2\nbackoff = \"10ms\"";
    let server = Server::with(worker.config("w", settings));
    let mut reader = Reader::open(&server);
    let id = server.submit("w", "fail");
    let messages = reader.until(is_end_of(&id));
    let attempt = ["pending", "dispatched"];
    let failed = [&attempt[..], &attempt, &["failed"]].concat();
    assert_eq!(states(&messages, "task", &id), failed);
    server
        .ask(Request::post(&format!("/task/{id}/retry")))
        .expect(202);
    let messages = reader.until(is_end_of(&id));
    assert_eq!(states(&messages, "task", &id), failed);
    let id = server.submit("w", "hang");
    reader.until(|message| message.text("state") == "dispatched");
    server.delete(&format!("/task/{id}")).expect(200);
    let messages = reader.until(is_end_of(&id));
    assert_eq!(states(&messages, "task", &id), ["failed"]);
}

#[test]
fn an_event_is_told_of_in_each_of_its_states() {
    let worker = EndpointWorker::start(|attempt| match attempt.number {
        1 => Answer::status(500, "no"),
        _ => Answer::result("{}"),
    });
    let config = github_source("")
        + &worker.config("w", "backoff = \"10ms\"")
        + &rule("pull_request.opened", "PR {{ number }}", "");
    let server = Server::with(config);
    let mut reader = Reader::open(&server);
    let id = server.receive("d-1", &pull_request("opened", 7));
    let ended = |message: &Message| {
        message.event == "event" && matches!(message.text("state"), "completed" | "skipped")
    };
    let messages = reader.until(ended);
    let event = server.event(&id);
    let task = event["task_id"].as_str().unwrap();
    assert_eq!(
        states(&messages, "event", &id),
        [
            "received",
            "matched",
            "dispatched",
            "matched",
            "dispatched",
            "completed"
        ]
    );
    assert_eq!(
        states(&messages, "task", task),
        [
            "pending",
            "dispatched",
            "pending",
            "dispatched",
            "completed"
        ]
    );
    let of_event: Vec<&Value> = messages
        .iter()
        .filter(|message| message.event == "event")
        .map(|message| &message.data)
        .collect();
    assert_eq!(
        *of_event[0],
        json!({"id": id, "source": "github", "type": "pull_request.opened", "subject": "octo/hello",
               "state": "received", "created_at": event["created_at"],
               "updated_at": event["created_at"]})
    );
    assert_eq!(
        *of_event[5],
        json!({"id": id, "source": "github", "type": "pull_request.opened", "subject": "octo/hello",
               "state": "completed", "worker_name": "w", "task_id": task,
               "created_at": event["created_at"], "updated_at": event["updated_at"]})
    );
    let of_task = messages.iter().find(|message| message.event == "task");
    assert_eq!(of_task.unwrap().data["event_id"], id.as_str());

    let id = server.receive("d-2", &pull_request("closed", 7));
    let messages = reader.until(ended);
    assert_eq!(states(&messages, "event", &id), ["received", "skipped"]);
}

#[test]
fn a_worker_is_told_of_when_it_changes() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(offline_worker("w"));
    let mut reader = Reader::open(&server);
    let settings = json!({"endpoint": worker.endpoint()});
    server.put("/worker/new", &settings).expect(201);
    let is_online = |message: &Message| message.data["state"] == "online";
    let messages = reader.until(is_online);
    assert!(
        messages
            .iter()
            .all(|message| message.event == "worker" && message.data["name"] == "new")
    );
    let last = &messages.last().unwrap().data;
    assert_eq!(*last, server.worker("new"));
    // One that came and went while nobody was there is told of afterwards.
    let id = reader.last_id().to_owned();
    drop(reader);
    server.delete("/worker/new").expect(204);
    let mut reader = Reader::open_behind(&server, &id);
    let left = reader.until(|message| message.data["removed"] == true);
    assert_eq!(
        left.last().unwrap().data,
        json!({"name": "new", "kind": "endpoint", "state": "offline",
               "endpoint": worker.endpoint(), "concurrency": 1, "running": 0, "pending": 0,
               "removed": true})
    );
}

#[test]
fn a_reader_that_comes_back_misses_nothing() {
    let worker = EndpointWorker::obliging();
    let config = github_source("")
        + &worker.config("w", "concurrency = 4")
        + &rule("pull_request.opened", "PR {{ number }}", "");
    let server = Server::with(config);
    server.worker_in("w", "online");
    let mut whole = Reader::open(&server);
    let first = Reader::open(&server).last_id().to_owned();
    let work = thread::spawn({
        let api = server.api();
        move || {
            for round in 0..60 {
                api.submit("w", "p");
                api.receive(&format!("d-{round}"), &pull_request("opened", round));
            }
            api.submit("w", "last")
        }
    });
    // It reads a few messages each time, and comes back with the id of the last one: in the header, or, as
    // a page's own code does, in the target.
    let mut pieces: Vec<Message> = Vec::new();
    let mut last_id = first;
    let mut rounds = 0;
    let is_through = |messages: &[Message]| {
        let ended = messages
            .iter()
            .filter(|message| message.event == "task" && message.text("state") == "completed");
        ended.count() == 121
    };
    while !is_through(&pieces) {
        rounds += 1;
        let mut reader = if rounds % 2 == 0 {
            Reader::open_behind(&server, &last_id)
        } else {
            let target = format!("/stream?last_event_id={last_id}");
            Reader::ask(&server, &target, "")
        };
        for _ in 0..7 {
            if !is_through(&pieces) {
                pieces.push(reader.message());
            }
        }
        reader.last_id().clone_into(&mut last_id);
    }
    let last = work.join().unwrap();
    assert!(rounds > 20, "{rounds}");
    // How often a worker is told of depends on when somebody reads.
    let of_rows = |messages: Vec<Message>| -> Vec<Message> {
        let mut messages = messages;
        messages.retain(|message| message.event != "worker");
        messages
    };
    let mut all: Vec<Message> = Vec::new();
    while !is_through(&all) {
        all.push(whole.message());
    }
    let (all, pieces) = (of_rows(all), of_rows(pieces));
    assert_eq!(all, pieces);
    assert!(all.iter().any(|message| message.text("id") == last));
    let ids: BTreeSet<&str> = all.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids.len(), all.len(), "each has an id of its own");
    let numbers: Vec<u64> = all.iter().map(|message| number(&message.id)).collect();
    assert!(numbers.is_sorted());
    for id in server.ids("/tasks?limit=1000") {
        assert_eq!(
            states(&all, "task", &id),
            ["pending", "dispatched", "completed"],
            "{id}"
        );
    }
}

#[test]
fn a_reader_of_a_former_run_is_told_so() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let mut reader = Reader::open(&server);
    let id = server.submit("w", "p");
    reader.until(is_end_of(&id));
    let last_id = reader.last_id().to_owned();
    let server = server.kill().start();
    assert_eq!(reader.end(), Next::Cut);
    for _ in 0..2 {
        let mut reader = Reader::open_behind(&server, &last_id);
        let reset = reader.message();
        assert_eq!(
            (reset.event.as_str(), &reset.data),
            ("reset", &json!({"reason": "restarted"}))
        );
        let id = server.submit("w", "p");
        let messages = reader.until(is_end_of(&id));
        assert_eq!(
            states(&messages, "task", &id),
            ["pending", "dispatched", "completed"]
        );
        let mut again = Reader::open_behind(&server, &reset.id);
        assert!(again.until(is_end_of(&id)).len() >= 3);
    }
}

#[test]
fn a_quiet_stream_is_kept_alive_and_nobody_else_is_woken() {
    let server = Server::with("");
    let mut reader = Reader::open(&server);
    let begun = now();
    assert_eq!(reader.next(), Next::Comment);
    let taken = begun.elapsed();
    assert!(
        (Duration::from_secs(14)..Duration::from_secs(20)).contains(&taken),
        "{taken:?}"
    );
    let registered = json!({"endpoint": format!("http://{}", unused_address())});
    server.put("/worker/w", &registered).expect(201);
    assert_eq!(reader.message_of("worker").data["name"], "w");
    // The connection of a reader that has gone is given up by itself.
    drop(reader);
    wait_for("the reader is missed", || {
        server
            .log()
            .contains("dropped the connection")
            .then_some(())
    });
}
