//! `mecha task --wait`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{
    Answer, EndpointWorker, Gate, Program, Server, command_worker, server, unused_address,
    wait_until,
};

#[test]
fn the_result_and_nothing_else_is_printed() {
    for (result, printed) in [
        (r#"{"output":"two\nlines\n"}"#, "two\nlines\n"),
        (r#"{"output":"no break"}"#, "no break\n"),
        (r#"{"output":"a\r\n\u001b[1mb"}"#, "a\r\n\u{1b}[1mb\n"),
        (
            r#"{"output":7,"status":"ok"}"#,
            "{\"output\":7,\"status\":\"ok\"}\n",
        ),
        (r#"{"comment":"fine"}"#, "{\"comment\":\"fine\"}\n"),
        ("{}", "{}\n"),
    ] {
        let worker = EndpointWorker::start(move |_| Answer::result(result));
        let server = Server::with(worker.config("w", ""));
        server.worker_in("w", "online");
        let outcome = server.run(&["task", "--wait", "p"]).expect(0);
        assert_eq!((&*outcome.stdout, &*outcome.stderr), (printed, ""));
    }
}

#[test]
fn a_task_that_failed_is_1_with_its_error() {
    let config = command_worker(
        "w",
        &["sh", "-c", "echo why >&2; exit 3"],
        "max_attempts = 1",
    );
    let server = Server::with(config);
    let outcome = server.run(&["task", "--wait", "--worker=w", "p"]).expect(1);
    assert!(outcome.stdout.is_empty(), "{outcome:#?}");
    assert!(outcome.stderr.contains("failed: ") && outcome.stderr.contains("why"));
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:#?}");
    let outcome = server
        .run(&["task", "--wait", "--json", "--worker=w", "p"])
        .expect(1);
    let task: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(task["state"], "failed");
}

#[test]
fn the_task_is_json_when_that_is_asked_for() {
    let server = Server::with(command_worker("w", &["cat"], ""));
    let args = ["task", "--wait", "--json", "--worker=w", "p"];
    let outcome = server.run(&args).expect(0);
    let task: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(task["result"], r#"{"output":"p"}"#);
    assert_eq!(task, server.task(task["id"].as_str().unwrap()));
}

#[test]
fn a_restart_of_the_server_is_waited_for() {
    // The server comes back at the address that the client knows.
    let addr = format!("{}:21212", unused_address().ip());
    let gate = Gate::closed();
    let worker = EndpointWorker::gated(&gate);
    let config = format!("drain = \"100ms\"\n{}", worker.config("w", ""));
    let server = server().addr(&addr).config(config).start();
    let mut waiting = Program::start(server.client(&["task", "--wait", "--worker=w", "p"]));
    worker.attempts_when(1);
    let server = server.kill().start();
    worker.attempts_when(2);
    let server = server.stop().start();
    worker.attempts_when(3);
    assert!(waiting.is_running());
    gate.open();
    let outcome = waiting.ended().expect(0);
    assert_eq!((&*outcome.stdout, &*outcome.stderr), ("{}\n", ""));
    assert_eq!(server.ids("/tasks").len(), 1);
}

#[test]
fn a_task_that_is_cancelled_meanwhile_has_failed() {
    let worker = EndpointWorker::hanging();
    let server = Server::with(worker.config("w", ""));
    let waiting = Program::start(server.client(&["task", "--wait", "--worker=w", "p"]));
    let id = worker.attempts_when(1)[0].id.clone();
    server.run(&["cancel", &id]).expect(0);
    let outcome = waiting.ended().expect(1);
    assert!(
        outcome
            .stderr
            .contains(&format!("task {id} failed: cancelled"))
    );
}

/// The command line run on a terminal of 60 columns; what is shown on it is in [`SHOWN`], too,
/// as soon as it is shown.
fn on_a_terminal(server: &Server, line: &str) -> Command {
    let script = server.home().join("line.sh");
    let program = env!("CARGO_BIN_EXE_mecha");
    let text = format!("#!/bin/sh\nstty cols 60 rows 20\nexec {program} {line}\n");
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("script");
    command
        .args(["-qefc", "./line.sh", SHOWN])
        .current_dir(server.home())
        .env("MECHA_ADDR", server.addr.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The file that has all that is shown on a terminal.
const SHOWN: &str = "shown";

/// Whether there is a program that makes terminals; says so where there is none.
fn there_are_terminals() -> bool {
    let is_there = Command::new("script").arg("--version").output().is_ok();
    if !is_there {
        use std::io::Write as _;
        let _ = std::io::stderr().write_all(b"skipped: script(1) is not installed\n");
    }
    is_there
}

#[test]
fn on_a_terminal_a_quiet_line_says_that_it_waits() {
    if !there_are_terminals() {
        return;
    }
    let gate = Gate::closed();
    let gated = gate.clone();
    let worker = EndpointWorker::start(move |_| {
        gated.pass();
        Answer::result(r#"{"output":"evil\u001b[2Jdone"}"#)
    });
    let server = Server::with(worker.config("w", ""));
    let waiting = Program::start(on_a_terminal(&server, "task --wait --worker=w p"));
    let id = worker.attempts_when(1)[0].id.clone();
    let line = format!("\rtask {id}");
    wait_until("the line is shown", || {
        let shown = std::fs::read_to_string(server.home().join(SHOWN));
        shown.is_ok_and(|shown| shown.contains(&line))
    });
    gate.open();
    let outcome = waiting.ended().expect(0);
    let (_, shown) = outcome.stdout.rsplit_once("\r\u{1b}[K").unwrap();
    assert_eq!(shown.trim_end(), "evil\\u{1b}[2Jdone", "{outcome:#?}");
}

#[test]
fn a_table_fits_its_terminal() {
    if !there_are_terminals() {
        return;
    }
    let config = command_worker("a-worker-of-a-long-name", &["false"], "max_attempts = 1");
    let server = Server::with(config);
    let id = server.submit("a-worker-of-a-long-name", &"prompt ".repeat(50));
    server.task_in(&id, "failed");
    let outcome = Program::start(on_a_terminal(&server, "tasks"))
        .ended()
        .expect(0);
    let lines: Vec<&str> = outcome.stdout.lines().map(str::trim_end).collect();
    assert_eq!(lines.len(), 2, "{outcome:#?}");
    assert!(
        lines[1].starts_with(&id) && lines[1].ends_with('…'),
        "{outcome:#?}"
    );
    assert!(
        lines.iter().all(|line| line.chars().count() <= 60),
        "{outcome:#?}"
    );
}
