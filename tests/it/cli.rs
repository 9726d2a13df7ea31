//! Contract section 1: commands, flags, variables, exit codes.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;

use crate::harness::{EndpointWorker, Program, offline_worker, server, wait_until};

/// The commands of this release.
const COMMANDS: &[&str] = &[
    "serve",
    "demo",
    "init",
    "check",
    "health",
    "backup",
    "torture",
    "task",
    "tasks",
    "cancel",
    "retry",
    "events",
    "why",
    "replay",
    "approve",
    "webhook",
    "workers",
    "worker",
    "completions",
    "man",
];

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn help_goes_to_standard_output() {
    let home = home();
    let help = Program::run(home.path(), &["--help"]).expect(0);
    assert!(help.stderr.is_empty(), "{help:#?}");
    for command in COMMANDS {
        assert!(help.stdout.contains(command), "{command}: {}", help.stdout);
        let own = Program::run(home.path(), &[command, "--help"]).expect(0);
        assert!(own.stderr.is_empty(), "{own:#?}");
        assert!(own.stdout.contains(command), "{}", own.stdout);
        assert_ne!(own.stdout, help.stdout);
    }
    let short = Program::run(home.path(), &["-h"]);
    assert!(matches!(short.code, Some(0 | 2)));
    assert_eq!(
        fs::read_dir(home.path()).unwrap().count(),
        0,
        "help leaves nothing behind"
    );
}

#[test]
fn the_help_of_serve_names_every_flag_variable_and_default() {
    let home = home();
    let help = Program::run(home.path(), &["serve", "--help"])
        .expect(0)
        .stdout;
    for word in [
        "--addr",
        "MECHA_ADDR",
        "127.0.0.1:21212",
        "--api-key",
        "MECHA_API_KEY",
        "--config",
        "MECHA_CONFIG",
        "--data",
        "MECHA_DATA",
        ".mecha/data",
        "--log",
        "MECHA_LOG",
        "--allow-anonymous",
        "MECHA_ALLOW_ANONYMOUS",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn the_version_is_the_package_s() {
    let home = home();
    let version = Program::run(home.path(), &["--version"]).expect(0);
    assert_eq!(
        version.stdout.trim(),
        format!("mecha {}", env!("CARGO_PKG_VERSION"))
    );
    assert!(version.stderr.is_empty());
}

#[test]
fn a_wrong_command_line_is_2_in_one_line() {
    let home = home();
    fs::write(home.path().join("mecha.toml"), "").unwrap();
    for (args, word) in [
        (vec!["fly"], "fly"),
        (vec!["--fly"], "--fly"),
        (vec!["serve", "--fly"], "--fly"),
        (vec!["serve", "fly"], "fly"),
        (vec!["serve", "--addr"], "--addr"),
        (vec!["serve", "--addr", "nowhere"], "nowhere"),
        (vec!["serve", "--addr", "127.0.0.1"], "127.0.0.1"),
        (vec!["serve", "--addr", "127.0.0.1:99999"], "99999"),
        (vec!["serve", "--addr", "127.0.0.1:-1"], "-1"),
        (vec!["serve", "--addr=127.0.0.1:0", "--log", "xml"], "xml"),
        (
            vec!["serve", "--addr=127.0.0.1:0", "--api-key", ""],
            "api-key",
        ),
        (
            vec!["serve", "--addr=127.0.0.1:0", "--config", "absent.toml"],
            "absent.toml",
        ),
        (vec!["check", "--config", "absent.toml"], "absent.toml"),
        (vec!["check", "--fly"], "--fly"),
        (vec!["check", "fly"], "fly"),
        (vec!["health", "--addr", "nowhere"], "nowhere"),
        (vec!["health", "--fly"], "--fly"),
        (vec!["init", "a", "fly"], "fly"),
        (vec!["init", "--fly"], "--fly"),
        (vec!["demo", "--fly"], "--fly"),
    ] {
        let outcome = Program::run(home.path(), &args).expect(2);
        assert!(outcome.stdout.is_empty(), "{args:?}: {outcome:#?}");
        assert_eq!(
            outcome.stderr.trim_end().lines().count(),
            1,
            "{args:?}: {outcome:#?}"
        );
        assert!(outcome.stderr.contains(word), "{args:?}: {outcome:#?}");
        assert!(
            !outcome.stderr.contains("panicked"),
            "{args:?}: {outcome:#?}"
        );
    }
    let log = Program::run(
        home.path(),
        &["serve", "--addr=127.0.0.1:0", "--log", "xml"],
    );
    assert!(
        log.stderr.contains("text") && log.stderr.contains("json"),
        "{log:#?}"
    );
    let none = Program::run(home.path(), &[]);
    assert!(
        matches!(none.code, Some(0 | 2)) && none.printed().contains("serve"),
        "{none:#?}"
    );
}

#[test]
fn bad_variables_are_2_too() {
    let home = home();
    for (name, value) in [
        ("MECHA_ADDR", "nowhere"),
        ("MECHA_LOG", "xml"),
        ("MECHA_CONFIG", "absent.toml"),
        ("MECHA_ALLOW_ANONYMOUS", "perhaps"),
    ] {
        let mut env = vec![(name, value)];
        if name != "MECHA_ADDR" {
            env.push(("MECHA_ADDR", "0.0.0.0:0"));
        }
        let outcome = Program::run_with(home.path(), &["serve"], &env).expect(2);
        assert!(
            outcome.stderr.contains(name)
                || outcome.stderr.contains(value)
                || name.ends_with("ANONYMOUS"),
            "{name}: {outcome:#?}"
        );
    }
}

#[test]
fn an_address_in_use_is_1() {
    let home = home();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let outcome = Program::run(home.path(), &["serve", "--addr", &addr, "--data=d"]).expect(1);
    assert!(outcome.stderr.contains(&addr), "{outcome:#?}");
}

#[test]
fn without_a_key_only_loopback_may_be_bound() {
    for addr in ["0.0.0.0:0", "[::]:0"] {
        let outcome = server().addr(addr).refused().expect(2);
        assert!(outcome.stderr.contains("--allow-anonymous"), "{outcome:#?}");
        assert!(outcome.stderr.contains("key"), "{outcome:#?}");
    }
    server()
        .addr("0.0.0.0:0")
        .env("MECHA_ALLOW_ANONYMOUS", "0")
        .refused()
        .expect(2);
    for launch in [
        server().arg("--allow-anonymous"),
        server().env("MECHA_ALLOW_ANONYMOUS", "1"),
        server().arg("--api-key=sesame").key("sesame"),
        server().config("api_key = \"sesame\"").key("sesame"),
    ] {
        launch.addr("0.0.0.0:0").start().get("/tasks").expect(200);
    }
}

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let home = home();
    let path = |name: &str| home.path().join(name).display().to_string();
    let config = format!("addr = \"127.0.0.1:0\"\ndata = \"{}\"\n", path("by-file"));
    fs::write(home.path().join("mecha.toml"), config).unwrap();
    let variable = path("by-variable");
    let flag = path("by-flag");
    for (args, env, directory) in [
        (
            vec!["serve"],
            vec![("MECHA_CONFIG", "mecha.toml")],
            "by-file",
        ),
        (
            vec!["serve", "--config=mecha.toml"],
            vec![("MECHA_DATA", variable.as_str())],
            "by-variable",
        ),
        (
            vec!["serve", "--config", "mecha.toml", "--data", flag.as_str()],
            vec![
                ("MECHA_DATA", variable.as_str()),
                ("MECHA_CONFIG", "absent.toml"),
            ],
            "by-flag",
        ),
    ] {
        let mut command = Program::command(home.path());
        command.args(&args).envs(env);
        let program = Program::start(command);
        let directory = home.path().join(directory);
        wait_until("the data directory is there", || directory.is_dir());
        wait_until("it listens", || program.stderr().contains("listening on"));
        program.signal(Signal::TERM);
        program.ended().expect(0);
        fs::remove_dir_all(directory).unwrap();
        let others = fs::read_dir(home.path()).unwrap().count();
        assert_eq!(others, 1, "{args:?}: only the configuration is left");
    }
}

#[test]
fn the_format_of_the_log_is_chosen_by_flag_and_variable() {
    let home = home();
    for (args, env, is_json) in [
        (vec!["serve", "--data=d"], vec![], false),
        (vec!["serve", "--data=d", "--log=json"], vec![], true),
        (vec!["serve", "--data=d"], vec![("MECHA_LOG", "json")], true),
        (
            vec!["serve", "--data=d", "--log=text"],
            vec![("MECHA_LOG", "json")],
            false,
        ),
    ] {
        let mut command = Program::command(home.path());
        command
            .args(&args)
            .env("MECHA_ADDR", "127.0.0.1:0")
            .envs(env);
        let program = Program::start(command);
        wait_until("it listens", || program.stderr().contains("listening on"));
        program.signal(Signal::TERM);
        let outcome = program.ended().expect(0);
        let first = outcome.stderr.lines().next().unwrap();
        assert_eq!(first.starts_with('{'), is_json, "{args:?}: {first}");
    }
}

#[test]
fn init_writes_a_file_that_check_accepts_and_overwrites_none() {
    let home = home();
    Program::run(home.path(), &["init"]).expect(0);
    let path = home.path().join("mecha.toml");
    let text = fs::read_to_string(&path).unwrap();
    for word in [
        "[[worker]]",
        "endpoint",
        "command",
        "api_key",
        "[limits]",
        "drain",
        "#",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    Program::run(home.path(), &["check", "--config", "mecha.toml"]).expect(0);
    fs::write(&path, "mine").unwrap();
    let refused = Program::run(home.path(), &["init"]);
    assert!(matches!(refused.code, Some(1 | 2)), "{refused:#?}");
    assert!(refused.stderr.contains("mecha.toml"), "{refused:#?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    Program::run(home.path(), &["init", "other.toml"]).expect(0);
    assert_eq!(
        fs::read_to_string(home.path().join("other.toml")).unwrap(),
        text
    );
    let lost = Program::run(home.path(), &["init", "absent/mecha.toml"]);
    assert!(matches!(lost.code, Some(1 | 2)), "{lost:#?}");
}

#[test]
fn a_server_runs_with_the_file_of_init() {
    let home = home();
    Program::run(home.path(), &["init"]).expect(0);
    let text = fs::read_to_string(home.path().join("mecha.toml")).unwrap();
    server().config(text).start().get("/workers").expect(200);
}

#[test]
fn check_accepts_a_good_file() {
    let home = home();
    let path = home.path().join("good.toml");
    fs::write(&path, format!("drain = \"1m\"\n{}", offline_worker("w"))).unwrap();
    Program::run(home.path(), &["check", "--config", "good.toml"]).expect(0);
    Program::run_with(home.path(), &["check"], &[("MECHA_CONFIG", "good.toml")]).expect(0);
}

#[test]
fn health_is_0_when_the_server_answers_and_else_1() {
    let server = server().arg("--api-key=sesame").start();
    let addr = server.addr.to_string();
    let home = home();
    Program::run(home.path(), &["health", "--addr", &addr]).expect(0);
    Program::run_with(home.path(), &["health"], &[("MECHA_ADDR", &addr)]).expect(0);
    server.stop();
    let outcome = Program::run(home.path(), &["health", "--addr", &addr]).expect(1);
    assert!(outcome.stderr.contains(&addr), "{outcome:#?}");
}

#[test]
fn health_is_1_where_something_else_answers_or_nothing_does() {
    let home = home();
    let failing = EndpointWorker::obliging();
    failing.health(503);
    let addr = failing.endpoint()["http://".len()..].to_owned();
    Program::run(home.path(), &["health", "--addr", &addr]).expect(1);
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    Program::run(home.path(), &["health", "--addr", &addr]).expect(1);
}

#[test]
fn demo_shows_the_whole_job_and_leaves_nothing_behind() {
    let home = home();
    let outcome = Program::run(home.path(), &["demo", "--exit"]).expect(0);
    let text = outcome.printed();
    assert!(text.contains("completed"), "{text}");
    assert!(text.contains("/task"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(
        fs::read_dir(home.path()).unwrap().count(),
        0,
        "the data directory is removed"
    );
    // Without --exit it goes on serving at the address it prints.
    let mut command = Program::command(home.path());
    command.arg("demo");
    let program = Program::start(command);
    wait_until("the task completed and the address is shown", || {
        let text = format!("{}{}", program.stdout(), program.stderr());
        text.contains("completed") && text.contains("http://127.0.0.1:")
    });
    let text = format!("{}{}", program.stdout(), program.stderr());
    let (_, rest) = text.rsplit_once("http://127.0.0.1:").unwrap();
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Program::run(
        home.path(),
        &["health", "--addr", &format!("127.0.0.1:{port}")],
    )
    .expect(0);
    program.signal(Signal::INT);
    program.ended().expect(0);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
