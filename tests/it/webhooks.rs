//! Contract section 6: deliveries, their signatures, and what is refused.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{
    Request, SECRET, Server, command_worker, delivery, github_source, hex_hmac, offline_worker,
    pull_request, rule, server, wait_until,
};

const PROMPT: &str = "Review PR #{{ number }}: {{ title }}\n\n{{ body }}";

/// A server with a GitHub source and a worker that echoes prompts for opened pull requests.
fn reviewer() -> Server {
    Server::with(
        github_source("")
            + &command_worker("reviewer", &["cat"], "")
            + &rule("pull_request.opened", PROMPT, ""),
    )
}

fn push(id: &str) -> Request {
    delivery(
        "push",
        id,
        &json!({"ref": "refs/heads/main", "sender": {"login": "mona"}}),
    )
}

#[test]
fn a_signed_pull_request_becomes_a_task_and_completes_with_it() {
    let server = reviewer();
    let payload = pull_request("opened", 7);
    let answer = server.deliver("d-1", &payload).expect(202);
    let received = answer.json();
    let id = received["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(&*format!("/event/{id}")));
    assert_eq!(received["state"], "received");
    assert!(received.get("payload").is_none() && received.get("task_id").is_none());
    // What its rule made of it was stored with it.
    assert!(server.event(id).get("task_id").is_some());

    let event = server.event_in(id, "completed");
    for (field, value) in [
        ("source", "github"),
        ("type", "pull_request.opened"),
        ("delivery_id", "d-1"),
        ("actor", "mona"),
        ("subject", "octo/hello"),
        ("worker_name", "reviewer"),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
    assert_eq!(event["payload"], payload);
    let attrs = &event["attrs"];
    assert_eq!(attrs["number"], 7);
    assert_eq!(attrs["labels"], json!(["bug", "help wanted"]));
    assert_eq!(attrs["draft"], false);
    assert_eq!(attrs["repo_owner"], "octo");
    assert_eq!(attrs["base_branch"], "main");
    assert_eq!(attrs["url"], "https://github.com/octo/hello/pull/7");

    let task = server.task(event["task_id"].as_str().unwrap());
    assert_eq!(
        task["prompt"],
        "Review PR #7: Change 7\n\nIt makes things better."
    );
    assert_eq!(task["event_id"], id);
    assert_eq!(task["state"], "completed");
    assert_eq!(event["updated_at"], task["completed_at"]);
}

#[test]
fn every_bad_signature_gets_the_same_answer_and_a_reason_in_the_journal() {
    let server = reviewer();
    let body = pull_request("opened", 7).to_string();
    let right = hex_hmac(SECRET, body.as_bytes());
    let wrong = hex_hmac("another", body.as_bytes());
    let upper = format!("sha256={}", right.to_uppercase());
    let request = || {
        Request::post("/webhook/github")
            .header("x-github-event", "pull_request")
            .header("x-github-delivery", "d-1")
            .body(body.clone())
    };
    let signed = |value: &str| request().header("x-hub-signature-256", value);
    let cases = [
        (request(), "missing_signature"),
        (signed(""), "empty_signature"),
        (signed("sha256="), "malformed_signature"),
        (signed(&right), "malformed_signature"),
        (signed(&upper), "malformed_signature"),
        (
            signed(&format!("sha1={}", &right[..40])),
            "malformed_signature",
        ),
        (
            signed(&format!("sha256={}", &right[..62])),
            "wrong_signature",
        ),
        (
            signed(&format!("sha256={right}")).header("x-hub-signature-256", "sha256=00"),
            "malformed_signature",
        ),
        (signed(&format!("sha256={wrong}")), "wrong_signature"),
    ];
    let mut answers = BTreeSet::new();
    let mut reasons = Vec::new();
    for (request, reason) in cases {
        let answer = server.ask(request);
        answers.insert((answer.status, answer.text()));
        reasons.push(reason);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers.first().unwrap().0, 401);
    let refused = server.get("/refusals").expect(200).json();
    let seen: Vec<&str> = refused
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|refused| {
            assert_eq!(refused["source"], "github");
            assert_eq!(refused["bytes"], body.len());
            refused["reason"].as_str().unwrap()
        })
        .collect();
    assert_eq!(seen, reasons);
    assert_eq!(server.get("/events").expect(200).json(), json!([]));
    server.logs("refused a delivery");
    for reason in reasons {
        server.logs(reason);
    }
    assert!(!server.log().contains(&right), "no signature is told");
}

#[test]
fn a_delivery_is_stored_once() {
    let server = reviewer();
    let payload = pull_request("opened", 1);
    let id = server.receive("d-1", &payload);
    let event = server.event_in(&id, "completed");
    let again = server.deliver("d-1", &payload).expect(200).json();
    assert_eq!(
        again,
        json!({
            "status": "duplicate",
            "id": id,
            "state": "completed",
            "task_id": event["task_id"],
        })
    );
    // Another source of the same sender would be another matter; another id is, too.
    let other = server.receive("d-2", &payload);
    assert_ne!(other, id);
    server.event_in(&other, "completed");
    assert_eq!(server.ids("/tasks").len(), 2);
}

#[test]
fn a_redelivery_of_an_event_that_failed_runs_it_again() {
    let script = "read line; test -e ok || exit 1; echo done";
    let server = Server::with(
        github_source("")
            + &command_worker("reviewer", &["sh", "-c", script], "max_attempts = 1")
            + &rule("pull_request.opened", PROMPT, ""),
    );
    let payload = pull_request("opened", 1);
    let id = server.receive("d-1", &payload);
    let failed = server.event_in(&id, "failed");
    assert!(
        failed["reason"].as_str().unwrap().contains("exit"),
        "{failed}"
    );
    std::fs::write(server.home().join("ok"), "").unwrap();
    let again = server.deliver("d-1", &payload).expect(202).json();
    assert_eq!(again["id"], id.as_str());
    assert_eq!(again["created_at"], failed["created_at"]);
    let event = server.event_in(&id, "completed");
    assert_ne!(event["task_id"], failed["task_id"]);
    assert!(event.get("reason").is_none());
    // The task that failed is not the event's any more.
    let old = failed["task_id"].as_str().unwrap();
    server
        .ask(Request::post(&format!("/task/{old}/retry")))
        .expect(202);
    server.task_in(old, "completed");
    assert_eq!(server.event(&id)["task_id"], event["task_id"]);
}

#[test]
fn a_form_delivery_carries_its_json_in_payload() {
    let server = reviewer();
    let payload = pull_request("opened", 3);
    let mut encoded = String::new();
    for byte in payload.to_string().bytes() {
        let _ = write!(encoded, "%{byte:02X}");
    }
    let body = format!("payload={encoded}");
    let request = Request::post("/webhook/github")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-github-event", "pull_request")
        .header("x-github-delivery", "d-1")
        .header(
            "x-hub-signature-256",
            &format!("sha256={}", hex_hmac(SECRET, body.as_bytes())),
        )
        .body(body);
    let id = server.ask(request).expect(202).json()["id"].clone();
    let event = server.event_in(id.as_str().unwrap(), "completed");
    assert_eq!(event["payload"], payload);
}

#[test]
fn what_is_no_json_is_refused_though_rightly_signed() {
    let server = reviewer();
    for body in [&b"{"[..], b"", b"{\"a\":\xff}", b"nonsense", b"{} {}"] {
        let request = Request::post("/webhook/github")
            .header("x-github-event", "push")
            .header(
                "x-hub-signature-256",
                &format!("sha256={}", hex_hmac(SECRET, body)),
            )
            .body(body);
        assert_eq!(server.ask(request).status, 400, "{body:?}");
    }
    assert_eq!(server.get("/events").expect(200).json(), json!([]));
}

#[test]
fn a_payload_is_kept_byte_for_byte() {
    let server = reviewer();
    let body =
        "  {\"z\": 1.50e+3, \"a\" : [1,2 ,3],\"z\":12345678901234567890123, \"u\": \"\\u00e4\"}\n";
    let request = Request::post("/webhook/github")
        .header("x-github-event", "push")
        .header(
            "x-hub-signature-256",
            &format!("sha256={}", hex_hmac(SECRET, body.as_bytes())),
        )
        .body(body);
    let id = server.ask(request).expect(202).json()["id"].clone();
    let shown = server
        .get(&format!("/event/{}", id.as_str().unwrap()))
        .expect(200);
    assert!(
        shown
            .text()
            .contains(&format!("\"payload\":{}", body.trim())),
        "{}",
        shown.text()
    );
}

#[test]
fn an_unknown_source_is_refused_before_its_body_is_read() {
    let server = reviewer();
    server
        .ask(Request::post("/webhook/gitlab").body("{}"))
        .expect_error(404, "unknown_source");
    let mut connection = server.connect();
    connection.try_send(
        "POST /webhook/nobody HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 20000000\r\n\r\n",
    );
    let answer = connection.next(false).unwrap();
    answer.expect_error(404, "unknown_source");
    let answer = server.get("/webhook/github").expect(405);
    assert_eq!(answer.header("allow"), Some("OPTIONS, POST"));
}

#[test]
fn webhooks_want_no_key_and_everything_else_does() {
    let server = server()
        .config(github_source("") + &offline_worker("w") + &rule("*", PROMPT, ""))
        .env("MECHA_API_KEY", "k")
        .key("k")
        .start();
    let mut outsider = server.api();
    outsider.key = None;
    let event = outsider
        .deliver("d-1", &pull_request("opened", 1))
        .expect(202)
        .json();
    let id = event["id"].as_str().unwrap();
    for target in [
        "/events",
        "/refusals",
        &format!("/event/{id}"),
        &format!("/event/{id}/why"),
    ] {
        outsider.get(target).expect_error(401, "unauthorized");
        server.get(target).expect(200);
    }
    for target in [
        format!("/event/{id}/replay"),
        format!("/event/{id}/approve"),
        "/rules/test".to_owned(),
    ] {
        outsider
            .ask(Request::post(&target).body("{}"))
            .expect_error(401, "unauthorized");
    }
    // A browser's request from elsewhere is refused, but a webhook's origin is free.
    let request = delivery("pull_request", "d-2", &pull_request("opened", 2));
    outsider
        .ask(request.header("origin", "https://elsewhere.example"))
        .expect(202);
}

#[test]
fn events_wait_in_the_queue_like_tasks_and_no_more_than_it_takes() {
    let config = github_source("") + &offline_worker("w") + &rule("pull_request.*", PROMPT, "");
    let server = Server::with(format!("[limits]\nqueue = 3\n{config}"));
    for number in 0..3 {
        let id = server.receive(&format!("d-{number}"), &pull_request("opened", number));
        server.event_in(&id, "matched");
    }
    let refused = server.deliver("d-9", &pull_request("opened", 9));
    refused.expect_error(429, "queue_full");
    // What is known is answered all the same.
    server
        .deliver("d-0", &pull_request("opened", 0))
        .expect(200);
    let tasks = server.ids("/tasks?state=pending");
    server.delete(&format!("/task/{}", tasks[0])).expect(200);
    server.receive("d-9", &pull_request("opened", 9));
}

#[test]
fn a_server_that_drains_takes_no_deliveries() {
    let config = github_source("")
        + &command_worker("w", &["sleep", "60"], "")
        + &rule("pull_request.opened", PROMPT, "");
    let server = Server::with(format!("drain = \"20s\"\n{config}"));
    let id = server.receive("d-1", &pull_request("opened", 1));
    server.event_in(&id, "dispatched");
    let mut connection = server.connect();
    connection.ask(&Request::get("/health")).expect(200);
    server.signal(rustix::process::Signal::TERM);
    server.logs("draining");
    connection
        .ask(&delivery("pull_request", "d-2", &pull_request("opened", 2)))
        .expect_error(503, "draining");
}

#[test]
fn slack_is_answered_its_challenge() {
    let config = "[[source]]\nname = \"slack\"\nkind = \"slack\"\nsecret = \"s3cret\"\n";
    let server = Server::with(config);
    let body = r#"{"token":"t","challenge":"3eZbrw1aBm2rZgRNFdxV","type":"url_verification"}"#;
    let now = std::process::Command::new("date")
        .arg("+%s")
        .output()
        .unwrap();
    let now = String::from_utf8(now.stdout).unwrap().trim().to_owned();
    let signature = hex_hmac("s3cret", format!("v0:{now}:{body}").as_bytes());
    let signed = |timestamp: &str| {
        Request::post("/webhook/slack")
            .header("x-slack-request-timestamp", timestamp)
            .header("x-slack-signature", &format!("v0={signature}"))
            .body(body)
    };
    let answer = server.ask(signed(&now)).expect(200).json();
    assert_eq!(answer, json!({"challenge": "3eZbrw1aBm2rZgRNFdxV"}));
    assert_eq!(server.get("/events").expect(200).json(), json!([]));
    server
        .ask(signed("1531420618"))
        .expect_error(401, "bad_signature");
    let refused = server.get("/refusals").expect(200).json();
    assert!(
        ["stale_timestamp", "wrong_signature"].contains(&refused[0]["reason"].as_str().unwrap()),
        "{refused}"
    );
}

#[test]
fn large_payloads_stay_within_the_memory_limit() {
    let config = format!(
        "[limits]\nmemory = \"16MiB\"\nwebhook_body = \"8MiB\"\n{}",
        github_source("")
    );
    let server = Server::with(config);
    let payload = json!({"ref": "refs/heads/main", "filler": "x".repeat(7 << 20)});
    let clients: Vec<_> = (0..12)
        .map(|number| {
            let api = server.api();
            let request = delivery("push", &format!("d-{number}"), &payload);
            std::thread::spawn(move || api.ask(request).status)
        })
        .collect();
    let mut peak = 0;
    wait_until("all deliveries are answered", || {
        peak = peak.max(server.resident_kib());
        clients.iter().all(std::thread::JoinHandle::is_finished)
    });
    let mut accepted = 0;
    for client in clients {
        match client.join().unwrap() {
            202 => accepted += 1,
            503 => {}
            status => panic!("{status}"),
        }
    }
    assert!(accepted >= 2, "{accepted}");
    assert!(peak < 160 << 10, "{peak} KiB");
    // Those that were shed come again.
    for number in 0..12 {
        let request = delivery("push", &format!("d-{number}"), &payload);
        let status = server.ask(request).status;
        assert!(matches!(status, 200 | 202), "{status}");
    }
    let events: Vec<Value> = serde_json::from_value(server.get("/events").json()).unwrap();
    assert_eq!(events.len(), 12);
}

#[test]
fn deliveries_survive_a_kill_and_are_matched_after_it() {
    let server = reviewer();
    let id = server.receive("d-1", &pull_request("opened", 1));
    let push = server.ask(push("d-2")).expect(202).json();
    let server = server.kill().start();
    server.event_in(&id, "completed");
    let skipped = server.event_in(push["id"].as_str().unwrap(), "skipped");
    assert!(
        skipped["reason"].as_str().unwrap().contains("push"),
        "{skipped}"
    );
    server
        .deliver("d-1", &pull_request("opened", 1))
        .expect(200);
}
