//! Contract section 4: submitting a task and reading it.

use serde_json::{Value, json};

use crate::harness::{Answer, EndpointWorker, Request, Server, offline_worker, server};

fn names(value: &Value) -> Vec<&str> {
    let fields = value.as_object().unwrap();
    fields.keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_is_time(value: &Value) {
    let text = value.as_str().unwrap();
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
    assert!(text > "2024-01-01", "{text}");
}

#[track_caller]
fn assert_is_id(value: &Value) {
    let text = value.as_str().unwrap();
    let is_digit = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    assert!(text.len() == 16 && text.chars().all(is_digit), "{text}");
}

#[test]
fn a_submitted_task_is_shown_as_pending() {
    let server = Server::with(offline_worker("w"));
    let body = json!({"prompt": "do it", "worker": "w"});
    let task = server.post("/task", &body).expect(202).json();
    assert_eq!(
        names(&task),
        [
            "attempts",
            "created_at",
            "id",
            "prompt",
            "state",
            "worker_name"
        ]
    );
    assert_is_id(&task["id"]);
    assert_is_time(&task["created_at"]);
    assert_eq!(task["worker_name"], "w");
    assert_eq!(task["prompt"], "do it");
    assert_eq!(task["state"], "pending");
    assert_eq!(task["attempts"], 0);
    assert_eq!(server.task(task["id"].as_str().unwrap()), task);
    assert_eq!(server.get("/tasks").json(), json!([task]));
}

#[test]
fn a_task_is_done_and_its_result_is_kept_as_it_came() {
    let result = "{ \"output\" : \"LGTM\",\n \"n\": 1.0e3, \"ü\": \"\\u00fc\", \"n\": 2 }";
    let worker = EndpointWorker::start(move |_| Answer::result(result));
    let server = Server::with(worker.config("w", ""));
    let body = json!({"prompt": "p", "worker": "w", "context": {"a": [1, {"b": null}]}});
    let id = server.post("/task", &body).expect(202).json()["id"].clone();
    let task = server.task_in(id.as_str().unwrap(), "completed");
    assert_eq!(
        names(&task),
        [
            "attempts",
            "completed_at",
            "context",
            "created_at",
            "dispatched_at",
            "id",
            "prompt",
            "result",
            "state",
            "worker_name"
        ]
    );
    assert_eq!(task["result"], result);
    assert_eq!(task["attempts"], 1);
    assert_eq!(task["context"], body["context"]);
    assert_is_time(&task["dispatched_at"]);
    assert_is_time(&task["completed_at"]);
    let time = |name: &str| task[name].as_str().unwrap().to_owned();
    assert!(time("created_at") <= time("dispatched_at"), "{task}");
    assert!(time("dispatched_at") <= time("completed_at"), "{task}");
}

#[test]
fn a_running_task_is_dispatched() {
    let worker = EndpointWorker::hanging();
    let server = Server::with(worker.config("w", ""));
    let id = server.submit("w", "p");
    worker.attempts_when(1);
    let task = server.task_in(&id, "dispatched");
    assert_eq!(task["attempts"], 1);
    assert_is_time(&task["dispatched_at"]);
    for absent in ["completed_at", "result", "error"] {
        assert!(task.get(absent).is_none(), "{task}");
    }
}

#[test]
fn bad_submissions_are_400_and_store_nothing() {
    let server = Server::with(offline_worker("w"));
    for (what, body) in [
        ("nothing", ""),
        ("white space", " \n"),
        ("no JSON", "prompt=p"),
        ("half JSON", "{\"prompt\": \"p\""),
        ("two values", "{\"prompt\": \"p\", \"worker\": \"w\"} {}"),
        (
            "a comma too many",
            "{\"prompt\": \"p\", \"worker\": \"w\",}",
        ),
        ("an array", "[]"),
        (
            "a list of tasks",
            "[{\"prompt\": \"p\", \"worker\": \"w\"}]",
        ),
        ("a string", "\"p\""),
        ("null", "null"),
        ("no prompt", "{\"worker\": \"w\"}"),
        ("an empty prompt", "{\"prompt\": \"\", \"worker\": \"w\"}"),
        ("a null prompt", "{\"prompt\": null, \"worker\": \"w\"}"),
        ("a number as prompt", "{\"prompt\": 1, \"worker\": \"w\"}"),
        (
            "a list as prompt",
            "{\"prompt\": [\"p\"], \"worker\": \"w\"}",
        ),
        ("a number as worker", "{\"prompt\": \"p\", \"worker\": 1}"),
        (
            "a list of workers",
            "{\"prompt\": \"p\", \"worker\": [\"w\"]}",
        ),
        (
            "a string as context",
            "{\"prompt\": \"p\", \"worker\": \"w\", \"context\": \"c\"}",
        ),
        (
            "a list as context",
            "{\"prompt\": \"p\", \"worker\": \"w\", \"context\": []}",
        ),
        (
            "a number as context",
            "{\"prompt\": \"p\", \"worker\": \"w\", \"context\": 1}",
        ),
        (
            "half a character",
            "{\"prompt\": \"\\ud800\", \"worker\": \"w\"}",
        ),
        (
            "a raw control",
            "{\"prompt\": \"a\u{1}b\", \"worker\": \"w\"}",
        ),
    ] {
        let answer = server.ask(Request::post("/task").body(body));
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    }
    let invalid_text = b"{\"prompt\": \"\xff\xfe\", \"worker\": \"w\"}";
    server
        .ask(Request::post("/task").body(invalid_text.as_slice()))
        .expect(400);
    let deep = "[".repeat(100_000);
    server
        .ask(Request::post("/task").body(deep.clone()))
        .expect(400);
    let deep = format!("{{\"prompt\": \"p\", \"worker\": \"w\", \"context\": {{\"a\": {deep}");
    server.ask(Request::post("/task").body(deep)).expect(400);
    assert!(server.ids("/tasks").is_empty());
}

#[test]
fn an_error_names_what_is_wrong() {
    let server = Server::with(offline_worker("w"));
    for (request, words) in [
        (
            Request::post("/task").body("{\"worker\": \"w\"}"),
            vec!["prompt"],
        ),
        (
            Request::post("/task").body("{\"prompt\": \"p\", \"context\": 1}"),
            vec!["context"],
        ),
        (Request::get("/tasks?limit=5000"), vec!["limit", "1000"]),
        (
            Request::get("/tasks?state=done"),
            vec!["state", "pending", "dispatched", "completed", "failed"],
        ),
        (Request::get("/tasks?before=x"), vec!["before"]),
    ] {
        let body = server.ask(request).expect(400).json();
        let text = body["error"].as_str().unwrap().to_owned();
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    let body = json!({"prompt": "p", "worker": "nobody"});
    let text = server
        .post("/task", &body)
        .expect_error(404, "unknown_worker");
    assert!(text.contains("nobody"), "{text}");
}

#[test]
fn an_unknown_worker_is_404() {
    let server = Server::with(offline_worker("w"));
    for worker in ["nobody", "W", "w2"] {
        let body = json!({"prompt": "p", "worker": worker});
        server
            .post("/task", &body)
            .expect_error(404, "unknown_worker");
    }
    for worker in ["a b", "../w", "-", "ü", &"w".repeat(65), " ", "w\n"] {
        let answer = server.post("/task", &json!({"prompt": "p", "worker": worker}));
        assert!(matches!(answer.status, 400 | 404), "{worker:?}");
    }
    assert!(server.ids("/tasks").is_empty());
}

#[test]
fn without_a_worker_and_none_online_the_answer_is_503() {
    let server = Server::with(offline_worker("w"));
    for body in [
        json!({"prompt": "p"}),
        json!({"prompt": "p", "worker": null}),
        json!({"prompt": "p", "worker": ""}),
    ] {
        server
            .post("/task", &body)
            .expect_error(503, "no_online_workers");
    }
    assert!(server.ids("/tasks").is_empty());
}

#[test]
fn a_server_without_workers_says_so() {
    let server = server().start();
    assert_eq!(server.get("/workers").expect(200).json(), json!([]));
    assert_eq!(server.get("/tasks").expect(200).json(), json!([]));
    server
        .post("/task", &json!({"prompt": "p"}))
        .expect_error(503, "no_online_workers");
}

#[test]
fn unknown_fields_and_content_types_are_ignored() {
    let server = Server::with(offline_worker("w"));
    let body = json!({
        "prompt": "p", "worker": "w", "priority": 1, "id": "x", "state": "completed",
        "attempts": 7, "created_at": "now", "extra": {"deep": []}
    });
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8",
        "nonsense",
    ] {
        let request = Request::post("/task")
            .header("content-type", content_type)
            .body(body.to_string());
        let task = server.ask(request).expect(202).json();
        assert_is_id(&task["id"]);
        assert_eq!(task["state"], "pending");
        assert_eq!(task["attempts"], 0);
    }
    let request = Request::post("/task").body(body.to_string());
    server.ask(request).expect(202);
}

#[test]
fn unknown_tasks_are_404() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    let upper = id.to_uppercase();
    for unknown in [
        "0000000000000000",
        "zzzzzzzzzzzzzzzz",
        "x",
        "00000000000000000",
        "0000-00000000000",
        "..",
        "%30000000000000000",
        upper.as_str(),
        &id[..15],
    ] {
        if unknown == id {
            continue;
        }
        for request in [
            Request::get(&format!("/task/{unknown}")),
            Request::new("DELETE", &format!("/task/{unknown}")),
            Request::post(&format!("/task/{unknown}/retry")).body(""),
        ] {
            let answer = server.ask(request);
            assert_eq!(answer.status, 404, "{unknown}: {}", answer.text());
        }
    }
}

#[test]
fn ids_sort_by_creation() {
    let server = Server::with(offline_worker("w"));
    let ids: Vec<String> = (0..200).map(|_| server.submit("w", "p")).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    let mut listed = server.ids("/tasks?limit=1000");
    listed.reverse();
    assert_eq!(listed, ids);
}

#[test]
fn prompts_and_contexts_arrive_unchanged() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", "concurrency = 1"));
    let prompts = [
        "Grüße, 世界 🦀 \u{202e}right to left",
        "null\0inside",
        "quotes \" and \\ and / and \u{7f}\u{1}\u{1f}",
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "{{ template }} $(shell) `x` %s %n",
        "\u{feff}mark",
        "\u{2028}\u{2029}",
        " ",
    ];
    let context =
        json!({"prompt": "x", "Grüße": ["🦀", 1e300, -0.5, 9_007_199_254_740_993_u64, true, null]});
    for prompt in prompts {
        let body = json!({"prompt": prompt, "worker": "w", "context": context});
        let task = server.post("/task", &body).expect(202).json();
        assert_eq!(task["prompt"], prompt);
        let task = server.task_in(task["id"].as_str().unwrap(), "completed");
        assert_eq!(task["prompt"], prompt);
        assert_eq!(task["context"], context);
    }
    let attempts = worker.attempts();
    for (attempt, prompt) in attempts.iter().zip(prompts) {
        assert_eq!(attempt.prompt, prompt);
        assert_eq!(attempt.body["context"], context);
    }
}

#[test]
fn numbers_beyond_a_double_survive_in_a_context() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let number = "123456789012345678901234567890";
    let body = format!(r#"{{"prompt": "p", "worker": "w", "context": {{"n": {number}}}}}"#);
    let task = server.ask(Request::post("/task").body(body)).expect(202);
    assert!(task.text().contains(number), "{}", task.text());
}

#[test]
fn a_large_prompt_arrives_whole() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", ""));
    let line = "0123456789abcdef ü\n";
    let prompt = line.repeat(7 * 1024 * 1024 / line.len());
    let id = server.submit("w", &prompt);
    let task = server.task_in(&id, "completed");
    assert!(task["prompt"] == prompt, "the stored prompt differs");
    assert!(
        worker.attempts()[0].prompt == prompt,
        "the delivered prompt differs"
    );
}

#[test]
fn a_duplicated_field_is_refused_or_its_last_value_counts() {
    let server = Server::with(offline_worker("w"));
    let body = r#"{"prompt": "first", "prompt": "last", "worker": "w"}"#;
    let answer = server.ask(Request::post("/task").body(body));
    match answer.status {
        400 => {}
        202 => assert_eq!(answer.json()["prompt"], "last"),
        other => panic!("{other}"),
    }
}
