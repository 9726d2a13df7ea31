//! Contract section 6: rules, what they explain, replay, approval, and lists of events.

use serde_json::{Value, json};

use crate::harness::{
    Request, Server, command_worker, delivery, github_source, hex_hmac, offline_worker,
    pull_request, rule, stays, wait_for,
};

const PROMPT: &str = "Review #{{ number }}";

fn rules(rules: &[String]) -> String {
    github_source("") + &offline_worker("w") + &rules.concat()
}

fn post(target: &str) -> Request {
    Request::post(target)
}

#[test]
fn an_event_without_a_rule_is_skipped_with_a_reason() {
    let server = Server::with(rules(&[rule("pull_request.opened", PROMPT, "")]));
    let id = server.receive("d-1", &pull_request("closed", 1));
    let event = server.event_in(&id, "skipped");
    assert!(
        event["reason"]
            .as_str()
            .unwrap()
            .contains("pull_request.closed"),
        "{event}"
    );
    assert!(event.get("task_id").is_none());
    let ignoring = github_source("ignore_actors = [\"*[bot]\", \"mo?a\"]")
        + &offline_worker("w")
        + &rule("*", PROMPT, "");
    server.reload(ignoring);
    server.logs("reload: done");
    let id = server.receive("d-2", &pull_request("opened", 2));
    let event = server.event_in(&id, "skipped");
    assert!(
        event["reason"].as_str().unwrap().contains("mona"),
        "{event}"
    );
}

#[test]
fn the_first_rule_that_matches_wins() {
    let config = github_source("")
        + &offline_worker("first")
        + &rule(
            "pull_request.opened",
            PROMPT,
            "filter = { base_branch = \"dev\" }",
        )
        + &rule("pull_request.opened", PROMPT, "when = \"number > 100\"")
        + &offline_worker("second")
        + &rule(
            "pull_request.*",
            PROMPT,
            "filter = { labels = [\"bug\", \"x\"] }",
        )
        + &rule("*", PROMPT, "");
    let server = Server::with(config);
    for (number, worker) in [(1, "second"), (101, "first")] {
        let id = server.receive(&format!("d-{number}"), &pull_request("opened", number));
        let event = server.event_in(&id, "matched");
        assert_eq!(event["worker_name"], worker);
        let task = server.task(event["task_id"].as_str().unwrap());
        assert_eq!(task["prompt"], format!("Review #{number}"));
    }
}

#[test]
fn a_prompt_that_names_something_absent_fails_its_event() {
    let server = Server::with(rules(&[rule("push", "Look at #{{ number }}", "")]));
    let request = delivery("push", "d-1", &json!({"ref": "refs/heads/main"}));
    let id = server.ask(request).expect(202).json()["id"].clone();
    let event = server.event_in(id.as_str().unwrap(), "failed");
    assert!(
        event["reason"].as_str().unwrap().contains("number"),
        "{event}"
    );
    assert_eq!(event["worker_name"], "w");
    assert!(event.get("task_id").is_none());
}

#[test]
fn why_tells_which_check_decided() {
    let server = Server::with(rules(&[
        rule("pull_request.closed", PROMPT, ""),
        rule(
            "pull_request.*",
            PROMPT,
            "filter = { base_branch = \"dev\" }",
        ),
        rule("pull_request.*", PROMPT, "when = \"nothing_like_it > 1\""),
        rule("pull_request.*", PROMPT, "filter = { number = 7 }"),
    ]));
    let id = server.receive("d-1", &pull_request("opened", 7));
    server.event_in(&id, "matched");
    let why = server.get(&format!("/event/{id}/why")).expect(200).json();
    assert_eq!(why["event"], id.as_str());
    assert_eq!(why["prompt"], "Review #7");
    let rules = why["rules"].as_array().unwrap();
    let decided: Vec<(u64, bool, &str)> = rules
        .iter()
        .map(|rule| {
            let checks = rule["checks"].as_array().unwrap();
            let last = checks.iter().find(|check| check["passed"] == false);
            (
                rule["rule"].as_u64().unwrap(),
                rule["matched"].as_bool().unwrap(),
                last.map_or("", |check| check["check"].as_str().unwrap()),
            )
        })
        .collect();
    assert_eq!(
        decided,
        [
            (0, false, "on"),
            (1, false, "filter.base_branch"),
            (2, false, "when"),
            (3, true, ""),
        ]
    );
    let filter = &rules[1]["checks"][1];
    assert_eq!(
        (&filter["wanted"], &filter["found"]),
        (&json!("dev"), &json!("main"))
    );
    let when = rules[2]["checks"].as_array().unwrap().last().unwrap();
    assert!(
        when["found"].to_string().contains("nothing_like_it"),
        "{when}"
    );

    // The same without storing anything.
    let body = json!({
        "source": "github",
        "type": "pull_request.opened",
        "payload": pull_request("opened", 7),
    });
    let tested = server.post("/rules/test", &body).expect(200).json();
    assert_eq!(tested["rules"], why["rules"]);
    assert_eq!(tested["prompt"], why["prompt"]);
    assert!(tested.get("event").is_none());
    assert_eq!(server.ids("/events").len(), 1);
    assert_eq!(server.ids("/tasks").len(), 1);
}

#[test]
fn a_bad_rule_test_is_refused_with_what_is_wrong() {
    let server = Server::with(rules(&[]));
    for (body, status, code) in [
        (
            json!({"source": "github", "type": "push"}),
            400,
            "bad_field",
        ),
        (json!({"source": "github", "payload": {}}), 400, "bad_field"),
        (json!({"type": "push", "payload": {}}), 400, "bad_field"),
        (
            json!({"source": "github", "type": "push", "payload": []}),
            400,
            "bad_field",
        ),
        (
            json!({"source": "gitlab", "type": "push", "payload": {}}),
            404,
            "unknown_source",
        ),
    ] {
        server.post("/rules/test", &body).expect_error(status, code);
    }
    server
        .ask(post("/rules/test").body("{"))
        .expect_error(400, "invalid_json");
}

#[test]
fn rules_see_the_payload_itself() {
    let server = Server::with(rules(&[rule(
        "push",
        "{% for commit in payload.commits %}{{ commit.id }} {% endfor %}",
        "when = \"payload.commits | length > 1\"",
    )]));
    let payload = json!({"ref": "refs/heads/main", "commits": [{"id": "a"}, {"id": "b"}]});
    let id = server
        .ask(delivery("push", "d-1", &payload))
        .expect(202)
        .json()["id"]
        .clone();
    let event = server.event_in(id.as_str().unwrap(), "matched");
    let task = server.task(event["task_id"].as_str().unwrap());
    assert_eq!(task["prompt"], "a b ");
}

#[test]
fn text_from_outside_cannot_leave_its_fence() {
    let server = Server::with(rules(&[rule("*", "Look:\n{{ body | fence }}\nDone.", "")]));
    let mut payload = pull_request("opened", 1);
    let mut seen = Vec::new();
    for number in 0..2 {
        payload["number"] = json!(number);
        let id = server.receive(&format!("d-{number}"), &payload);
        let event = server.event_in(&id, "matched");
        let task = server.task(event["task_id"].as_str().unwrap());
        let prompt = task["prompt"].as_str().unwrap().to_owned();
        let (before, behind) = prompt.split_once("It makes things better.").unwrap();
        let opening = before.lines().last().unwrap().to_owned();
        let closing = behind
            .lines()
            .find(|line| !line.is_empty())
            .unwrap()
            .to_owned();
        assert!(opening.len() > 24 && closing.len() > 24, "{prompt}");
        seen.push((opening, closing));
    }
    assert_ne!(seen[0], seen[1], "each rendering has a mark of its own");
}

#[test]
fn an_event_waits_for_its_approval() {
    let server = Server::with(
        github_source("") + &command_worker("w", &["cat"], "") + &rule("*", PROMPT, "auto = false"),
    );
    let id = server.receive("d-1", &pull_request("opened", 1));
    let event = server.event_in(&id, "matched");
    assert!(
        event.get("task_id").is_none() && event["worker_name"] == "w",
        "{event}"
    );
    stays(
        "no task starts",
        std::time::Duration::from_millis(200),
        || server.ids("/tasks").is_empty(),
    );
    server
        .ask(post(&format!("/event/{id}/replay")))
        .expect_error(409, "not_ended");
    let server = server.kill().start();
    let approved = server
        .ask(post(&format!("/event/{id}/approve")))
        .expect(202)
        .json();
    let task = approved["task_id"].as_str().unwrap().to_owned();
    assert!(approved.get("reason").is_none(), "{approved}");
    let event = server.event_in(&id, "completed");
    assert_eq!(event["task_id"], task.as_str());
    assert_eq!(server.task(&task)["prompt"], "Review #1");
    server
        .ask(post(&format!("/event/{id}/approve")))
        .expect_error(409, "not_waiting");
    assert_eq!(server.ids("/tasks").len(), 1);
}

#[test]
fn a_replay_goes_through_todays_rules() {
    let server = Server::with(rules(&[]));
    let id = server.receive("d-1", &pull_request("opened", 1));
    server.event_in(&id, "skipped");
    server.reload(rules(&[rule("*", PROMPT, "")]));
    server.logs("reload: done");
    let replay = format!("/event/{id}/replay");
    let replayed = server.ask(post(&replay)).expect(202).json();
    assert_eq!(replayed["state"], "matched");
    let first = replayed["task_id"].as_str().unwrap().to_owned();
    server.ask(post(&replay)).expect_error(409, "not_ended");
    server.delete(&format!("/task/{first}")).expect(200);
    let failed = server.event_in(&id, "failed");
    assert_eq!(failed["reason"], "cancelled");
    let replayed = server.ask(post(&replay)).expect(202).json();
    assert_ne!(replayed["task_id"], first.as_str());
    assert!(replayed.get("reason").is_none());
    // A task that was retried is the old one's, and not the event's.
    server
        .ask(post(&format!("/task/{first}/retry")))
        .expect(202);
    server.delete(&format!("/task/{first}")).expect(200);
    assert_eq!(server.event(&id)["state"], "matched");
}

#[test]
fn an_event_follows_its_task() {
    let server = Server::with(
        github_source("")
            + &command_worker(
                "w",
                &["sh", "-c", "test -e go || sleep 60"],
                "max_attempts = 1",
            )
            + &rule("*", PROMPT, ""),
    );
    let id = server.receive("d-1", &pull_request("opened", 1));
    let event = server.event_in(&id, "dispatched");
    let task = event["task_id"].as_str().unwrap().to_owned();
    assert_eq!(event["updated_at"], server.task(&task)["dispatched_at"]);
    assert_eq!(server.ids("/events?state=dispatched"), [&*id]);
    assert_eq!(server.ids("/events?state=matched"), [""; 0]);
    server.delete(&format!("/task/{task}")).expect(200);
    server.event_in(&id, "failed");
    std::fs::write(server.home().join("go"), "").unwrap();
    server.ask(post(&format!("/task/{task}/retry"))).expect(202);
    server.event_in(&id, "completed");
}

#[test]
fn events_are_listed_by_the_page_and_by_filters() {
    let server = Server::with(rules(&[rule("pull_request.opened", PROMPT, "")]));
    let mut ids = Vec::new();
    for number in 0..6 {
        let action = if number % 2 == 0 { "opened" } else { "closed" };
        ids.push(server.receive(&format!("d-{number}"), &pull_request(action, number)));
    }
    ids.reverse();
    let settled = || {
        let events = server.get("/events").expect(200).json();
        let mut events = events.as_array().unwrap().clone().into_iter();
        events
            .all(|event| event["state"] != "received")
            .then_some(())
    };
    wait_for("all events are matched", settled);
    assert_eq!(server.ids("/events"), ids);
    let opened: Vec<String> = ids.iter().skip(1).step_by(2).cloned().collect();
    for (target, expected) in [
        ("/events?state=matched", &opened),
        ("/events?type=pull_request.opened", &opened),
        ("/events?source=github&state=matched", &opened),
        ("/events?source=gitlab", &Vec::new()),
        ("/events?state=completed", &Vec::new()),
    ] {
        assert_eq!(server.ids(target), *expected, "{target}");
    }
    let mut seen: Vec<String> = Vec::new();
    let mut target = "/events?limit=1&state=skipped&type=pull_request.closed".to_owned();
    loop {
        let page = server.get(&target).expect(200);
        let events: Vec<Value> = serde_json::from_value(page.json()).unwrap();
        seen.extend(
            events
                .iter()
                .map(|event| event["id"].as_str().unwrap().to_owned()),
        );
        let Some(link) = page.header("link") else {
            break;
        };
        target = link[1..link.find('>').unwrap()].to_owned();
    }
    let closed: Vec<String> = ids.iter().step_by(2).cloned().collect();
    assert_eq!(seen, closed);
    let first = server.get("/events?limit=1").expect(200).json();
    assert!(first[0].get("payload").is_none());
    for target in [
        "/events?state=pending",
        "/events?limit=0",
        "/events?before=x",
    ] {
        server.get(target).expect_error(400, "bad_parameter");
    }
}

#[test]
fn what_is_no_event_is_unknown() {
    let server = Server::with(rules(&[]));
    for id in ["0000000000000000", "x", "0k3v9z2c8m1d0qxA"] {
        for request in [
            Request::get(&format!("/event/{id}")),
            Request::get(&format!("/event/{id}/why")),
            post(&format!("/event/{id}/replay")),
            post(&format!("/event/{id}/approve")),
        ] {
            server.ask(request).expect_error(404, "unknown_event");
        }
    }
}

#[test]
fn ended_events_are_deleted_with_their_time() {
    let config = rules(&[rule("pull_request.opened", PROMPT, "auto = false")]);
    let server = Server::with(format!("[limits]\nretention = \"1s\"\n{config}"));
    let skipped = server.receive("d-1", &pull_request("closed", 1));
    let held = server.receive("d-2", &pull_request("opened", 2));
    wait_for("the event is deleted", || {
        (server.get(&format!("/event/{skipped}")).status == 404).then_some(())
    });
    // Its delivery is forgotten with it.
    server.receive("d-1", &pull_request("closed", 1));
    // Nobody's approval is no end: it waits as long as it takes.
    let last = server.receive("d-3", &pull_request("closed", 3));
    wait_for("a later event is deleted", || {
        (server.get(&format!("/event/{last}")).status == 404).then_some(())
    });
    server
        .ask(post(&format!("/event/{held}/approve")))
        .expect(202);
}

#[test]
fn what_an_approval_starts_is_shown_whatever_the_rules_say_by_now() {
    let held = |prompt: &str| rules(&[rule("*", prompt, "auto = false")]);
    let server = Server::with(held("Review #{{ number }}"));
    let id = server.receive("d-1", &pull_request("opened", 1));
    server.event_in(&id, "matched");
    server.reload(held("Merge #{{ number }}"));
    server.logs("reload: done");
    let why = server.get(&format!("/event/{id}/why")).expect(200).json();
    assert_eq!(why["prompt"], "Review #1");
    let approved = server.ask(post(&format!("/event/{id}/approve")));
    let task = approved.expect(202).json()["task_id"].clone();
    assert_eq!(server.task(task.as_str().unwrap())["prompt"], "Review #1");
}

#[test]
fn events_that_wait_for_an_approval_count_as_waiting() {
    let config = rules(&[rule("*", PROMPT, "auto = false")]);
    let server = Server::with(format!("[limits]\nqueue = 2\n{config}"));
    let held: Vec<String> = (1..=2)
        .map(|number| server.receive(&format!("d-{number}"), &pull_request("opened", number)))
        .collect();
    for id in &held {
        server.event_in(id, "matched");
    }
    let server = server.kill().start();
    let third = || server.deliver("d-3", &pull_request("opened", 3));
    third().expect_error(429, "queue_full");
    // An approval makes the queue no longer, so that it is the way out.
    let task = server
        .ask(post(&format!("/event/{}/approve", held[0])))
        .expect(202)
        .json()["task_id"]
        .clone();
    third().expect_error(429, "queue_full");
    server
        .delete(&format!("/task/{}", task.as_str().unwrap()))
        .expect(200);
    third().expect(202);
}

#[test]
fn a_link_leads_to_more_events_that_are_wanted() {
    let server = Server::with(github_source(""));
    for (number, event) in [(1, "issues"), (2, "push"), (3, "push"), (4, "issues")] {
        let id = format!("d-{number}");
        server.ask(delivery(event, &id, &json!({}))).expect(202);
    }
    let page = server.get("/events?type=push&limit=2").expect(200);
    assert_eq!(page.json().as_array().unwrap().len(), 2);
    assert_eq!(page.header("link"), None);
    let page = server.get("/events?type=push&limit=1").expect(200);
    let link = page.header("link").unwrap().to_owned();
    let next = &link[1..link.find('>').unwrap()];
    let page = server.get(next).expect(200);
    assert_eq!(page.json().as_array().unwrap().len(), 1);
    assert_eq!(page.header("link"), None);
}

#[test]
fn a_failed_delivery_that_comes_again_is_what_came_first() {
    let config = "[[source]]\nname = \"builds\"\nkind = \"hmac\"\nsecret = \"s3cret\"\n\
         header = \"X-Signature\"\ntype_field = \"type\"\nid_field = \"id\"\n"
        .to_owned()
        + &offline_worker("w")
        + &rule("*", "{{ payload.missing }}", "").replace("github", "builds");
    let server = Server::with(config);
    let deliver = |body: &str| {
        let tag = hex_hmac("s3cret", body.as_bytes());
        let request = Request::post("/webhook/builds").header("x-signature", &tag);
        server.ask(request.body(body)).expect(202).json()
    };
    let first = deliver(r#"{"id": "1", "type": "a"}"#);
    let id = first["id"].as_str().unwrap();
    server.event_in(id, "failed");
    let again = deliver(r#"{"id": "1", "type": "b", "missing": 1}"#);
    assert_eq!((&again["id"], &again["type"]), (&first["id"], &json!("a")));
    assert_eq!(
        server.event_in(id, "failed")["payload"],
        json!({"id": "1", "type": "a"})
    );
}
