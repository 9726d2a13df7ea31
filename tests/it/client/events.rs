//! `mecha events`, `why`, `replay` and `approve`.

use serde_json::Value;

use crate::harness::{Outcome, Server, github_source, offline_worker, pull_request, rule};

fn parsed(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"))
}

fn held() -> Server {
    let rule = rule(
        "pull_request.opened",
        "Review #{{ number }}",
        "auto = false\nfilter = { base_branch = \"main\" }",
    );
    Server::with(github_source("") + &offline_worker("w") + &rule)
}

#[test]
fn why_shows_each_check_and_the_prompt() {
    let server = held();
    let id = server.receive("d-1", &pull_request("opened", 7));
    server.event_in(&id, "matched");
    let text = server.run(&["why", &id]).expect(0).stdout;
    for part in [
        "rule 0 of worker w matches",
        "yes     filter.base_branch  main",
        "prompt:\nReview #7\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let closed = server.receive("d-2", &pull_request("closed", 7));
    server.event_in(&closed, "skipped");
    let text = server.run(&["why", &closed]).expect(0).stdout;
    assert!(text.contains("rule 0 of worker w does not match"), "{text}");
    assert!(text.contains("no      on "), "{text}");
    let shown = parsed(&server.run(&["why", "--json", &id]).expect(0));
    assert_eq!(
        shown,
        server.get(&format!("/event/{id}/why")).expect(200).json()
    );
}

#[test]
fn events_are_approved_and_replayed() {
    let server = held();
    let id = server.receive("d-1", &pull_request("opened", 7));
    server.event_in(&id, "matched");
    let not_ended = server.run(&["replay", &id]).expect(1);
    assert!(not_ended.stderr.contains("409"), "{not_ended:#?}");
    let outcome = server.run(&["approve", &id]).expect(0);
    let task = server.event(&id)["task_id"].as_str().unwrap().to_owned();
    let line = format!("event {id}: matched, worker w, task {task}\n");
    assert_eq!(outcome.stdout, line);
    server.run(&["approve", &id]).expect(1);
    server.run(&["cancel", &task]).expect(0);
    server.event_in(&id, "failed");
    let outcome = server.run(&["replay", &id]).expect(0);
    assert!(outcome.stdout.contains("matched"), "{outcome:#?}");
    let shown = parsed(&server.run(&["approve", "--json", &id]).expect(0));
    assert_ne!(shown["task_id"], *task);
    for command in ["why", "replay", "approve"] {
        let outcome = server.run(&[command, "0000000000000000"]).expect(1);
        assert!(outcome.stderr.contains("404"), "{outcome:#?}");
    }
}

#[test]
fn events_are_listed_over_pages() {
    let server = held();
    assert_eq!(server.run(&["events"]).expect(0).stdout, "no events\n");
    let mut ids = Vec::new();
    for number in 0..3 {
        let id = server.receive(&format!("d-{number}"), &pull_request("closed", number));
        server.event_in(&id, "skipped");
        ids.insert(0, id);
    }
    let shown = parsed(&server.run(&["events", "--json", "--limit=2"]).expect(0));
    assert_eq!(shown.as_array().unwrap().len(), 2);
    let table = server
        .run(&["events", "--type=pull_request.closed", "--source", "github"])
        .expect(0)
        .stdout;
    let found: Vec<&str> = table.lines().skip(1).map(|line| &line[..16]).collect();
    assert_eq!(found, ids);
    assert!(
        table.contains("octo/hello") && table.contains("no rule"),
        "{table}"
    );
    assert_eq!(
        server.run(&["events", "--state=failed"]).expect(0).stdout,
        "no events\n"
    );
}
