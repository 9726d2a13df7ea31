//! `mecha workers`, `mecha worker add` and `mecha worker remove`.

use serde_json::Value;

use crate::harness::{EndpointWorker, Program, Server, offline_worker, server};

#[test]
fn workers_are_listed_as_a_table_or_as_json() {
    let empty = server().start();
    assert_eq!(empty.run(&["workers"]).expect(0).stdout, "no workers\n");
    let worker = EndpointWorker::obliging();
    let server = Server::with(worker.config("w", "concurrency = 3") + &offline_worker("v"));
    server.worker_in("w", "online");
    server.submit("v", "p");
    let table = server.run(&["workers"]).expect(0).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("WORKER  KIND"), "{table}");
    assert!(
        lines[1].starts_with("v ") && lines[1].contains("offline"),
        "{table}"
    );
    assert!(
        lines[2].starts_with("w ") && lines[2].contains("0 of 3"),
        "{table}"
    );
    assert!(lines[2].contains(&worker.endpoint()), "{table}");
    let shown = server.run(&["workers", "--json"]).expect(0).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["pending"], 1);
}

#[test]
fn a_worker_is_added_replaced_and_removed() {
    let worker = EndpointWorker::obliging();
    let server = Server::with(offline_worker("of-the-file"));
    let endpoint = worker.endpoint();
    let add = ["worker", "add", "mine", "--endpoint", &endpoint];
    let outcome = server.run(&add).expect(0);
    assert!(
        outcome.stdout.starts_with("worker mine: registered"),
        "{outcome:#?}"
    );
    server.worker_in("mine", "online");
    let token = server.home().join("token");
    std::fs::write(&token, "hunter2\n").unwrap();
    let token = format!("file:{}", token.display());
    let settings = [
        "--token",
        &token,
        "--timeout=5m",
        "--concurrency=2",
        "--rate=10/s",
        "--max-attempts",
        "7",
        "--backoff",
        "1s",
    ];
    let outcome = server.run(&[&add[..], &settings].concat()).expect(0);
    assert!(
        outcome.stdout.starts_with("worker mine: replaced"),
        "{outcome:#?}"
    );
    assert_eq!(server.worker("mine")["concurrency"], 2);
    let outcome = server
        .run(&["task", "--wait", "--worker=mine", "p"])
        .expect(0);
    assert_eq!(outcome.stdout, "done\n");
    let attempt = &worker.attempts()[0];
    assert_eq!(attempt.head.header("authorization"), Some("Bearer hunter2"));
    // It is there after a restart, and goes when it is told to.
    let server = server.stop().start();
    let outcome = server.run(&["worker", "remove", "mine"]).expect(0);
    assert_eq!(outcome.stdout, "worker mine: removed\n");
    assert_eq!(server.worker("mine"), Value::Null);
    for (args, status) in [
        (&["worker", "remove", "mine"][..], "404"),
        (&["worker", "remove", "of-the-file"], "409"),
        (
            &["worker", "add", "of-the-file", "--endpoint", "http://a:1"],
            "409",
        ),
    ] {
        let outcome = server.run(args).expect(1);
        assert!(outcome.stderr.contains(status), "{args:?}: {outcome:#?}");
    }
    let outcome = server.run(&[&add[..], &["--json"]].concat()).expect(0);
    let shown: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(shown["name"], "mine");
    server.worker_in("mine", "online");
}

#[test]
fn a_worker_with_tasks_is_not_removed() {
    let server = server().start();
    let endpoint = format!("http://{}", crate::harness::unused_address());
    server
        .run(&["worker", "add", "w", "--endpoint", &endpoint])
        .expect(0);
    let id = server.submit("w", "p");
    let refused = server.run(&["worker", "remove", "w"]).expect(1);
    assert!(refused.stderr.contains("409"), "{refused:#?}");
    server.run(&["cancel", &id]).expect(0);
    server.run(&["worker", "remove", "w"]).expect(0);
}

#[test]
fn no_secret_of_a_worker_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let args = [
        "worker",
        "add",
        "w",
        "--endpoint",
        "http://user:s3cr3t@a:1",
        "--token",
        "s3cr3t token",
    ];
    let outcome = Program::run(home.path(), &args).expect(2);
    assert!(!outcome.printed().contains("s3cr3t"), "{outcome:#?}");
}
