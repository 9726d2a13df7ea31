//! Contract section 1: the commands that ask a running server.

mod broken;
mod events;
mod tasks;
mod waiting;
mod workers;

use crate::harness::{Program, offline_worker, server, unused_address};

/// Commands that ask a server, each with what it needs.
const COMMANDS: &[&[&str]] = &[
    &["task", "p"],
    &["task", "--wait", "p"],
    &["tasks"],
    &["tasks", "--json"],
    &["cancel", "0000000000000000"],
    &["retry", "0000000000000000"],
    &["events"],
    &["why", "0000000000000000"],
    &["replay", "0000000000000000"],
    &["approve", "0000000000000000"],
    &["workers"],
    &["worker", "add", "w", "--endpoint", "http://127.0.0.1:9"],
    &["worker", "remove", "w"],
];

#[test]
fn where_no_server_is_the_error_says_so_and_what_would_help() {
    let home = tempfile::tempdir().unwrap();
    let addr = unused_address().to_string();
    for args in COMMANDS {
        let outcome = Program::run_with(home.path(), args, &[("MECHA_ADDR", &addr)]).expect(1);
        assert!(outcome.stdout.is_empty(), "{args:?}: {outcome:#?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {outcome:#?}");
        for word in [&*addr, "refused", "mecha serve", "--addr", "MECHA_ADDR"] {
            assert!(outcome.stderr.contains(word), "{args:?}: {outcome:#?}");
        }
    }
}

#[test]
fn a_key_is_wanted_and_comes_from_flag_variable_or_file() {
    let server = server()
        .arg("--api-key=sesame")
        .key("sesame")
        .config(offline_worker("w"))
        .start();
    for args in COMMANDS {
        let outcome = server.run(args).expect(1);
        assert!(outcome.stdout.is_empty(), "{args:?}: {outcome:#?}");
        for word in ["401", "--api-key", "MECHA_API_KEY"] {
            assert!(outcome.stderr.contains(word), "{args:?}: {outcome:#?}");
        }
    }
    let file = server.home().join("key");
    std::fs::write(&file, "sesame\n").unwrap();
    let file = format!("file:{}", file.display());
    for (flag, variable) in [
        (Some("sesame"), None),
        (None, Some("sesame")),
        (Some(&*file), None),
        (None, Some(&*file)),
        (Some("env:OTHER"), Some("wrong")),
    ] {
        let mut command = server.client(&["workers"]);
        command.env("OTHER", "sesame");
        command.args(flag.map(|key| format!("--api-key={key}")));
        command.envs(variable.map(|key| ("MECHA_API_KEY", key)));
        let outcome = Program::start(command).ended().expect(0);
        assert!(outcome.stdout.contains("offline"), "{outcome:#?}");
    }
    let outcome = server.run(&["workers", "--api-key", "sesame"]).expect(0);
    assert!(
        outcome.stderr.contains("list of processes") && !outcome.stderr.contains("sesame"),
        "{outcome:#?}"
    );
    let outcome = server.run(&["workers", "--api-key", &file]).expect(0);
    assert!(outcome.stderr.is_empty(), "{outcome:#?}");
    for key in ["env:ABSENT", "file:/absent", "file:relative", ""] {
        server.run(&["tasks", "--api-key", key]).expect(2);
    }
}

#[test]
fn wrong_command_lines_are_2_in_one_line() {
    let home = tempfile::tempdir().unwrap();
    for (args, word) in [
        (&["task"][..], "no prompt"),
        (&["task", ""], "no prompt"),
        (&["task", "Say", "hello"], "quotation marks"),
        (&["task", "-x"], "-x"),
        (&["task", "--context", "[]", "p"], "JSON object"),
        (&["task", "--context", "{", "p"], "JSON object"),
        (&["task", "--idempotency-key", "a b", "p"], "visible ASCII"),
        (&["task", "--addr", "nowhere", "p"], "nowhere"),
        (&["tasks", "--limit", "0"], "1 to 100000"),
        (&["tasks", "--limit", "many"], "1 to 100000"),
        (
            &["tasks", "--state", "odd"],
            "--state \"odd\": write pending, dispatched, completed or failed",
        ),
        (&["events", "--state=odd"], "completed, failed or skipped"),
        (
            &["serve", "--log", "odd"],
            "--log \"odd\": write text or json",
        ),
        (&["tasks", "x"], "\"x\""),
        (&["cancel"], "mecha tasks"),
        (&["why"], "mecha events"),
        (&["worker"], "'mecha worker add' or 'mecha worker remove'"),
        (&["worker", "ad"], "did you mean 'mecha worker add'"),
        (&["worker", "add", "w"], "--endpoint is missing"),
        (&["worker", "add", "--endpoint", "http://a:1"], "its name"),
        (
            &["worker", "add", "a b", "--endpoint", "http://a:1"],
            "\"a b\"",
        ),
        (&["worker", "add", "w", "--endpoint", "ftp://a"], "endpoint"),
        (
            &[
                "worker",
                "add",
                "w",
                "--endpoint",
                "http://a:1",
                "--timeout",
                "1",
            ],
            "timeout",
        ),
        (
            &[
                "worker",
                "add",
                "w",
                "--endpoint",
                "http://a:1",
                "--concurrency",
                "x",
            ],
            "--concurrency",
        ),
        (
            &[
                "worker",
                "add",
                "w",
                "--endpoint",
                "http://a:1",
                "--token",
                "env:ABSENT",
            ],
            "ABSENT",
        ),
        (&["completions"], "bash, zsh or fish"),
        (&["completions", "tcsh"], "bash, zsh or fish"),
        (&["man", "x"], "\"x\""),
    ] {
        let outcome = Program::run(home.path(), args).expect(2);
        assert!(outcome.stdout.is_empty(), "{args:?}: {outcome:#?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {outcome:#?}");
        assert!(outcome.stderr.contains(word), "{args:?}: {outcome:#?}");
    }
}
