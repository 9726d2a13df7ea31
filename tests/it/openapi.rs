//! Contract section 7: `GET /openapi.json`. `tests/schemathesis` holds all answers to it.

use serde_json::{Value, json};

use crate::harness::{
    Request, command_worker, github_source, pull_request, rule, server, unused_address,
};

/// Fails the test unless `shown` has the fields that the document's schema `name` wants, and none
/// that it does not know.
#[track_caller]
fn hold_to(document: &Value, name: &str, shown: &Value) {
    let schema = &document["components"]["schemas"][name];
    assert_eq!(schema["additionalProperties"], false, "{name}");
    for field in schema["required"].as_array().unwrap() {
        assert!(
            shown.get(field.as_str().unwrap()).is_some(),
            "{field}: {shown}"
        );
    }
    for field in shown.as_object().unwrap().keys() {
        assert!(
            schema["properties"].get(field).is_some(),
            "{field}: {shown}"
        );
    }
}

#[test]
fn the_document_is_for_those_who_have_a_key() {
    let server = server().arg("--api-key=key").key("key").start();
    let answer = server.get("/openapi.json").expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let stranger = server.connect().ask(&Request::get("/openapi.json"));
    stranger.expect_error(401, "unauthorized");
    server
        .ask(Request::new("HEAD", "/openapi.json"))
        .expect(200);
    server
        .ask(Request::post("/openapi.json").body("{}"))
        .expect_error(405, "method_not_allowed");
}

#[test]
fn answers_have_the_fields_of_the_document() {
    let config = [
        command_worker("upper", &["tr", "a-z", "A-Z"], ""),
        rule("pull_request.*", "Review {{ title }}", ""),
        github_source(""),
    ];
    let server = server().config(config.concat()).start();
    let document = server.get("/openapi.json").expect(200).json();

    let task = json!({"prompt": "p", "worker": "upper", "context": {"a": 1}});
    let task = server.post("/task", &task).expect(202).json();
    hold_to(&document, "Task", &task);
    let ended = server.task_in(task["id"].as_str().unwrap(), "completed");
    hold_to(&document, "Task", &ended);

    let settings = json!({"endpoint": format!("http://{}", unused_address()), "concurrency": 2.0});
    let worker = server.put("/worker/other", &settings).expect(201).json();
    hold_to(&document, "Worker", &worker);
    assert_eq!(worker["concurrency"], 2);
    hold_to(&document, "Worker", &server.worker("upper"));

    let received = server.deliver("1", &pull_request("opened", 7)).expect(202);
    hold_to(&document, "Event", &received.json());
    let id = received.json()["id"].as_str().unwrap().to_owned();
    let event = server.event_in(&id, "completed");
    hold_to(&document, "EventWithPayload", &event);
    hold_to(&document, "Attributes", &event["attrs"]);
    let again = server.deliver("1", &pull_request("opened", 7)).expect(200);
    hold_to(&document, "Duplicate", &again.json());
    let why = server.get(&format!("/event/{id}/why")).expect(200).json();
    hold_to(&document, "Explanation", &why);
    hold_to(&document, "RuleReport", &why["rules"][0]);
    hold_to(&document, "Check", &why["rules"][0]["checks"][0]);

    let forged = Request::post("/webhook/github").body("{}");
    let refused = server.ask(forged).expect(401).json();
    hold_to(&document, "Error", &refused);
    let refusals = server.get("/refusals").expect(200).json();
    hold_to(&document, "Refusal", &refusals[0]);
    hold_to(
        &document,
        "Backup",
        &server.get("/backup").expect(200).json(),
    );
}
