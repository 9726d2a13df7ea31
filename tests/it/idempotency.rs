//! Contract section 4: `Idempotency-Key`.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{Api, EndpointWorker, Request, Response, Server, offline_worker};

fn submit(api: &Api, key: &str, body: &Value) -> Response {
    api.ask(
        Request::post("/task")
            .header("Idempotency-Key", key)
            .json(body),
    )
}

fn is_replayed(response: &Response) -> bool {
    match response.header("idempotent-replayed") {
        None => false,
        Some(value) => {
            assert_eq!(value, "true");
            true
        }
    }
}

#[test]
fn the_same_key_again_gives_the_same_task_as_it_is_now() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let body = json!({"prompt": "p", "worker": "w"});
    let first = submit(&server, "k", &body).expect(202);
    assert!(!is_replayed(&first));
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let completed = server.task_in(&id, "completed");
    let again = submit(&server, "k", &body).expect(202);
    assert!(is_replayed(&again));
    assert_eq!(again.json(), completed);
    let other = submit(&server, "K", &body).expect(202);
    assert!(!is_replayed(&other), "keys differ by case");
    server.task_in(other.json()["id"].as_str().unwrap(), "completed");
    assert_eq!(server.ids("/tasks").len(), 2);
    assert_eq!(worker.attempts().len(), 2);
}

#[test]
fn another_body_under_the_same_key_is_409() {
    let server = Server::with(offline_worker("w"));
    let body = json!({"prompt": "p", "worker": "w"});
    submit(&server, "k", &body).expect(202);
    for other in [
        json!({"prompt": "q", "worker": "w"}),
        json!({"prompt": "p", "worker": "w", "context": {}}),
    ] {
        submit(&server, "k", &other).expect_error(409, "idempotency_mismatch");
    }
    // Whether a body that was refused claims its key is not said; it must not break it.
    submit(&server, "bad", &json!({"worker": "w"})).expect(400);
    let task = submit(&server, "bad", &body).expect(202);
    assert!(!is_replayed(&task));
    assert_eq!(server.ids("/tasks").len(), 2);
}

#[test]
fn keys_are_1_to_255_visible_ascii_characters() {
    let server = Server::with(offline_worker("w"));
    let body = json!({"prompt": "p", "worker": "w"});
    let longest = "k".repeat(255);
    for key in ["k", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", &longest] {
        submit(&server, key, &body).expect(202);
        assert!(is_replayed(&submit(&server, key, &body)), "{key}");
    }
    let too_long = "k".repeat(256);
    for key in ["", "a b", "a\tb", &too_long] {
        let answer = submit(&server, key, &body);
        assert_eq!(answer.status, 400, "{key}");
    }
    assert_eq!(server.ids("/tasks").len(), 3);
}

#[test]
fn keys_survive_restart_and_crash() {
    let server = Server::with(offline_worker("w"));
    let body = json!({"prompt": "p", "worker": "w"});
    let id = submit(&server, "k", &body).expect(202).json()["id"].clone();
    let server = server.stop().start();
    assert_eq!(submit(&server, "k", &body).expect(202).json()["id"], id);
    let server = server.kill().start();
    let again = submit(&server, "k", &body).expect(202);
    assert!(is_replayed(&again));
    assert_eq!(again.json()["id"], id);
    submit(&server, "k", &json!({"prompt": "q", "worker": "w"}))
        .expect_error(409, "idempotency_mismatch");
    assert_eq!(server.ids("/tasks").len(), 1);
}

#[test]
fn one_key_at_once_from_many_clients_makes_one_task() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let api = server.api();
            thread::spawn(move || {
                let answer = submit(&api, "k", &json!({"prompt": "p", "worker": "w"}));
                let task = answer.clone().expect(202).json();
                (
                    task["id"].as_str().unwrap().to_owned(),
                    is_replayed(&answer),
                )
            })
        })
        .collect();
    let answers: Vec<_> = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .collect();
    assert!(answers.iter().all(|(id, _)| *id == answers[0].0));
    assert_eq!(answers.iter().filter(|(_, replayed)| !replayed).count(), 1);
    server.task_in(&answers[0].0, "completed");
    assert_eq!(worker.attempts().len(), 1);
}

#[test]
fn a_cancelled_task_is_replayed_as_failed() {
    let server = Server::with(offline_worker("w"));
    let body = json!({"prompt": "p", "worker": "w"});
    let task = submit(&server, "k", &body).expect(202).json();
    server
        .delete(&format!("/task/{}", task["id"].as_str().unwrap()))
        .expect(200);
    let again = submit(&server, "k", &body).expect(202);
    assert!(is_replayed(&again));
    assert_eq!(again.json()["state"], "failed");
}
