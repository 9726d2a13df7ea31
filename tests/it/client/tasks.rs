//! `mecha task`, `tasks`, `cancel` and `retry`.

use std::fs::File;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{EndpointWorker, Outcome, Program, Server, command_worker, offline_worker};

fn parsed(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"))
}

/// The same with this text as standard input.
fn with_input(server: &Server, mut command: Command, input: &[u8]) -> Outcome {
    let path = server.home().join("input");
    std::fs::write(&path, input).unwrap();
    command.stdin(File::open(path).unwrap());
    Program::start(command).ended()
}

#[test]
fn a_task_is_submitted_and_its_id_printed() {
    let server = Server::with(offline_worker("w") + &offline_worker("v"));
    let outcome = server
        .run(&["task", "--worker", "v", "Say \"hi\""])
        .expect(0);
    assert!(outcome.stderr.is_empty(), "{outcome:#?}");
    let task = server.task(outcome.stdout.trim());
    assert_eq!(
        (&task["prompt"], &task["worker_name"]),
        (&json!("Say \"hi\""), &json!("v"))
    );
    let context = "{ \"ticket\": 7 }";
    let args = [
        "task",
        "--json",
        "--worker=w",
        "--context",
        context,
        "--",
        "-x --json",
    ];
    let shown = parsed(&server.run(&args).expect(0));
    assert_eq!(shown["prompt"], "-x --json");
    assert_eq!(shown["context"], json!({"ticket": 7}));
    assert_eq!(server.ids("/tasks").len(), 2);
}

#[test]
fn the_same_key_submits_a_task_once() {
    let server = Server::with(offline_worker("w"));
    let args = ["task", "--idempotency-key", "k-1", "--worker=w", "p"];
    let first = server.run(&args).expect(0);
    assert_eq!(server.run(&args).expect(0).stdout, first.stdout);
    assert_eq!(server.ids("/tasks").len(), 1);
    let other = ["task", "--idempotency-key", "k-1", "--worker=w", "q"];
    let refused = server.run(&other).expect(1);
    assert!(refused.stderr.contains("409"), "{refused:#?}");
    // A new one each time, if none is given.
    for _ in 0..2 {
        server.run(&["task", "--worker=w", "p"]).expect(0);
    }
    assert_eq!(server.ids("/tasks").len(), 3);
}

#[test]
fn a_prompt_is_read_from_standard_input_and_bounded() {
    let server = Server::with(offline_worker("w"));
    let task = || server.client(&["task", "--worker=w", "-"]);
    let outcome = with_input(&server, task(), "zwei\nZeilen: ä\n".as_bytes()).expect(0);
    assert_eq!(
        server.task(outcome.stdout.trim())["prompt"],
        "zwei\nZeilen: ä\n"
    );
    for (input, word) in [(&b""[..], "empty"), (b"\xff", "UTF-8")] {
        let outcome = with_input(&server, task(), input).expect(1);
        assert!(outcome.stderr.contains(word), "{outcome:#?}");
    }
    // What fits the command and not the server is refused by the server.
    for megabytes in [8, 40] {
        let large = with_input(&server, task(), &vec![b'x'; megabytes << 20]).expect(1);
        assert!(large.stderr.contains("413"), "{large:#?}");
    }
    let mut endless = task();
    endless.stdin(File::open("/dev/zero").unwrap());
    let endless = Program::start(endless).ended().expect(1);
    assert!(endless.stderr.contains("104857600"), "{endless:#?}");
}

#[test]
fn what_the_server_refuses_is_1_with_its_reason() {
    let server = Server::with(offline_worker("w"));
    for (args, word) in [
        (&["task", "--worker", "nobody", "p"][..], "nobody"),
        (&["task", "p"], "503"),
        (&["cancel", "0000000000000000"], "0000000000000000"),
        (&["cancel", "../workers"], "404"),
        (&["retry", "0000000000000000"], "404"),
    ] {
        let outcome = server.run(args).expect(1);
        assert!(outcome.stdout.is_empty(), "{args:?}: {outcome:#?}");
        assert!(outcome.stderr.contains(word), "{args:?}: {outcome:#?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {outcome:#?}");
    }
}

#[test]
fn tasks_are_listed_as_a_table_or_as_json() {
    let server =
        Server::with(offline_worker("w") + &command_worker("v", &["false"], "max_attempts = 1"));
    assert_eq!(server.run(&["tasks"]).expect(0).stdout, "no tasks\n");
    assert_eq!(server.run(&["tasks", "--json"]).expect(0).stdout, "[]\n");
    let failed = server.submit("v", "fails");
    server.task_in(&failed, "failed");
    let pending = server.submit("w", &format!("a long prompt\n{}", "x".repeat(300)));
    let table = server.run(&["tasks"]).expect(0).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    for title in ["TASK", "STATE", "WORKER", "ERROR", "PROMPT"] {
        assert!(lines[0].contains(title), "{table}");
    }
    assert!(lines[1].starts_with(&pending) && lines[1].contains("a long prompt\\nxx"));
    assert!(lines[1].ends_with('…') && lines[1].chars().count() < 160);
    assert!(lines[2].starts_with(&failed) && lines[2].contains(" failed "));
    let table = server
        .run(&["tasks", "--worker", "w", "--state=pending"])
        .expect(0)
        .stdout;
    assert!(table.contains(&pending) && !table.contains(&failed) && !table.contains("ERROR"));
    let shown = parsed(&server.run(&["tasks", "--json"]).expect(0));
    assert_eq!(shown, server.get("/tasks").expect(200).json());
}

#[test]
fn pages_are_followed_up_to_the_limit() {
    let server = Server::with(offline_worker("w"));
    // Each page ends before its body passes 8 MiB, so there are several.
    let prompt = "x".repeat(3 << 20);
    let mut ids: Vec<String> = (0..5).map(|_| server.submit("w", &prompt)).collect();
    ids.reverse();
    let page = server.get("/tasks").expect(200);
    assert!(page.header("link").is_some());
    let listed = |args: &[&str]| -> Vec<String> {
        let tasks = parsed(&server.run(args).expect(0));
        let tasks = tasks.as_array().unwrap().iter();
        tasks
            .map(|task| task["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(listed(&["tasks", "--json"]), ids);
    assert_eq!(listed(&["tasks", "--json", "--limit", "4"]), ids[..4]);
    let table = server.run(&["tasks", "--limit=4"]).expect(0).stdout;
    let found: Vec<&str> = table.lines().skip(1).map(|line| &line[..16]).collect();
    assert_eq!(found, ids[..4]);
}

#[test]
fn a_task_is_cancelled_and_retried() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    let outcome = server.run(&["cancel", &id]).expect(0);
    assert_eq!(
        outcome.stdout,
        format!("task {id}: failed, worker w: cancelled\n")
    );
    let again = server.run(&["cancel", &id]).expect(1);
    assert!(again.stderr.contains("409"), "{again:#?}");
    let outcome = server.run(&["retry", &id]).expect(0);
    assert!(outcome.stdout.contains("pending"), "{outcome:#?}");
    server.run(&["retry", &id]).expect(1);
    let shown = parsed(&server.run(&["cancel", "--json", &id]).expect(0));
    assert_eq!(shown, server.task(&id));
    let shown = parsed(&server.run(&["retry", "--json", &id]).expect(0));
    assert_eq!(shown["state"], "pending");
}

#[test]
fn texts_of_others_give_no_orders_to_a_terminal() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", "") + &offline_worker("v"));
    let evil = "evil\u{1b}[2J\u{7}\u{9b}31m\u{202e}\r\n\u{2028}";
    let id = server.submit("w", evil);
    server.task_in(&id, "completed");
    let failed = server.submit("v", evil);
    let error = server.run(&["cancel", evil]).expect(1);
    for outcome in [
        server.run(&["tasks"]).expect(0),
        server.run(&["tasks", "--json"]).expect(0),
        server.run(&["cancel", "--json", &failed]).expect(0),
        server
            .run(&["task", "--json", "--worker=v", evil])
            .expect(0),
        server.run(&["task", "--worker", evil, "p"]).expect(1),
        error,
    ] {
        let printed = outcome.printed();
        let order = printed
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{2028}'..='\u{202e}'));
        assert_eq!(order, None, "{printed:?}");
    }
    let shown = parsed(&server.run(&["tasks", "--json"]).expect(0));
    assert_eq!(shown[2]["prompt"], evil);
}
