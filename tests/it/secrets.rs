//! What must stay the server's own: its secrets, its memory, its files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Answer, EndpointWorker, Program, Request, Server, command_worker, github_source, server,
    wait_for,
};

/// What the worker `w`, a command, wrote.
#[track_caller]
fn output(server: &Server) -> String {
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "completed");
    let result: Value = serde_json::from_str(task["result"].as_str().unwrap()).unwrap();
    result["output"].as_str().unwrap_or_default().to_owned()
}

fn shell(script: &str) -> String {
    command_worker("w", &["sh", "-c", script], "max_attempts = 1")
}

/// The command runs as the server's user, who is not root, whoever runs the tests. That such a user
/// sees these files of other processes of his is tried first.
#[cfg(target_os = "linux")]
#[test]
fn a_command_cannot_read_the_server_s_memory_or_environment() {
    let script = "sleep 60 & other=$!
        see() { (exec < \"/proc/$1/$2\") 2>/dev/null && echo \"$2 open\" || echo \"$2 closed\"; }
        for file in environ maps mem; do see $other $file; done
        ls /proc/$other/fd > /dev/null 2>&1 && echo fd open
        kill $other
        for file in environ maps mem; do see $PPID $file; done
        ls /proc/$PPID/fd > /dev/null 2>&1 || echo fd closed
        id -u";
    let server = server().unprivileged().config(shell(script)).start();
    let written = output(&server);
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(
        lines[..8],
        [
            "environ open",
            "maps open",
            "mem open",
            "fd open",
            "environ closed",
            "maps closed",
            "mem closed",
            "fd closed",
        ],
        "{written}"
    );
    assert_ne!(lines[8], "0", "a user without special rights");
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_crashes_leaves_no_core() {
    use std::os::unix::process::ExitStatusExt as _;

    let home = tempfile::tempdir().unwrap();
    let other = std::process::Command::new("sh")
        .args(["-c", "ulimit -c unlimited; kill -ABRT $$"])
        .current_dir(home.path())
        .status()
        .unwrap();
    if !other.core_dumped() {
        let _ = std::io::stderr().write_all(b"skipped: nothing leaves a core here\n");
        return;
    }
    let server = server().prelude("ulimit -c unlimited").start();
    server.signal(Signal::ABORT);
    let outcome = server.ended().outcome;
    assert_eq!(outcome.code, None);
    assert!(!outcome.dumped_core);
}

#[test]
fn a_command_starts_without_blocked_or_ignored_signals() {
    let server = Server::with(shell("cat /proc/self/status"));
    let status = output(&server);
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let mask = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        // Those from 32 on are the C library's own.
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap() & 0x7fff_ffff
    };
    assert_eq!(mask(&status, "SigBlk:"), 0, "{status}");
    // What whoever started the tests ignores is ignored below, as by `nohup`; SIGPIPE, which the
    // tests and the server ignore, is not, and nothing that the server handles is.
    let of = |signal: Signal| 1_u64 << (signal.as_raw() - 1);
    assert_ne!(mask(&own, "SigIgn:") & of(Signal::PIPE), 0);
    let handled = [Signal::HUP, Signal::INT, Signal::TERM, Signal::CHILD];
    let not_ignored = handled
        .into_iter()
        .map(of)
        .fold(of(Signal::PIPE), |a, b| a | b);
    assert_eq!(
        mask(&status, "SigIgn:"),
        mask(&own, "SigIgn:") & !not_ignored,
        "{status}"
    );
}

#[test]
fn no_variable_that_holds_a_secret_reaches_a_command() {
    let config = [
        "api_key = \"env:OF_THE_API\"\n".to_owned(),
        crate::harness::endpoint_worker("e", "http://127.0.0.1:9", "token = \"env:OF_A_WORKER\""),
        command_worker(
            "other",
            &["true"],
            "env = { AGENT_KEY = \"env:OF_AN_AGENT\" }",
        ),
        github_source("").replace(
            "secret = ",
            "ignore_actors = []\nsecret = [\"env:OF_A_SOURCE\", \"env:OF_AN_OLD_SOURCE\"] #",
        ),
        shell("env"),
    ]
    .concat();
    let later = format!(
        "{config}[[source]]\nname = \"late\"\nkind = \"github\"\nsecret = \"env:OF_A_LATE_SOURCE\"\n"
    );
    let names = [
        "OF_THE_API",
        "OF_A_WORKER",
        "OF_AN_AGENT",
        "OF_A_SOURCE",
        "OF_AN_OLD_SOURCE",
        "OF_A_LATE_SOURCE",
    ];
    let launch = names.iter().fold(server().config(config), |launch, name| {
        launch.env(name, "hunter")
    });
    let server = launch.env("PLAIN", "plain").key("hunter").start();
    let written = output(&server);
    assert!(written.contains("PLAIN=plain"), "{written}");
    assert!(written.contains("OF_A_LATE_SOURCE=hunter"), "{written}");
    for name in &names[..5] {
        assert!(!written.contains(name), "{name}: {written}");
    }
    server.reload(later);
    server.logs("reload: done");
    let written = output(&server);
    assert!(!written.contains("hunter"), "{written}");
}

#[test]
fn no_secret_is_in_the_list_of_processes() {
    let server = server()
        .config(
            [
                "api_key = [\"hunter-1\", \"env:KEY_VARIABLE\"]\n",
                &command_worker(
                    "w",
                    &["sh", "-c", "echo $$ > pid; sleep 60"],
                    "env = { AGENT_KEY = \"hunter-3\" }",
                ),
                &github_source("").replace("It's a Secret to Everybody", "hunter-4"),
            ]
            .concat(),
        )
        .env("KEY_VARIABLE", "hunter-2")
        .key("hunter-2")
        .start();
    server.submit("w", "hunter-5");
    let pid = wait_for("the command runs", || {
        let text = fs::read_to_string(server.home().join("pid")).ok()?;
        text.strip_suffix('\n').map(str::to_owned)
    });
    for pid in [server.pid().to_string(), pid] {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!line.is_empty() && !line.contains("hunter"), "{line}");
    }
}

#[test]
fn no_answer_shows_a_secret() {
    let worker = EndpointWorker::start(|attempt| {
        let sent = attempt.head.header("authorization").unwrap_or_default();
        match attempt.prompt.as_str() {
            "string" => Answer::result(&format!("\"{sent}\"")),
            "text" => Answer::result(&format!("you sent {sent}")),
            "header" => Answer::Raw(format!("HTTP/1.1 200 OK\r\n{sent}\r\n\r\n{{}}").into_bytes()),
            status => Answer::status(status.parse().unwrap(), sent),
        }
    });
    let config = [
        "api_key = \"hunter-1\"\n".to_owned(),
        worker.config("w", "token = \"hunter-2\"\nmax_attempts = 1"),
        command_worker("c", &["sh", "-c", "exit 1"], "env = { KEY = \"hunter-3\" }"),
        github_source("").replace("It's a Secret to Everybody", "hunter-4"),
    ]
    .concat();
    let server = server().config(config).key("hunter-1").start();
    server.worker_in("w", "online");
    let settings = json!({"endpoint": worker.endpoint(), "token": "hunter-5"});
    let put = server.put("/worker/mine", &settings).expect(201).text();
    assert!(!put.contains("hunter"), "{put}");
    for (name, prompt) in ["string", "text", "header", "400", "302", "500"]
        .iter()
        .flat_map(|prompt| [("w", prompt), ("mine", prompt)])
    {
        if name == "mine" && *prompt == "500" {
            continue;
        }
        let id = server.submit(name, prompt);
        server.task_in(&id, "failed");
    }
    server
        .ask(Request::post("/webhook/github").body("{}"))
        .expect(401);
    for target in [
        "/tasks",
        "/workers",
        "/events",
        "/refusals",
        "/tasks?state=hunter",
    ] {
        let text = server.get(target).text();
        let text = text.replace("cannot be \\\"hunter\\\"", "");
        assert!(!text.contains("hunter"), "{target}: {text}");
    }
}

/// Whoever may register a worker chooses where prompts go; he must not get another's token by it.
#[test]
fn a_token_goes_to_its_own_endpoint_alone() {
    let (first, second) = (EndpointWorker::obliging(), EndpointWorker::obliging());
    let server = server().start();
    let with_token = json!({"endpoint": first.endpoint(), "token": "hunter"});
    server.put("/worker/w", &with_token).expect(201);
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
    let sent = &first.attempts()[0];
    assert_eq!(sent.head.header("authorization"), Some("Bearer hunter"));
    let elsewhere = json!({"endpoint": second.endpoint()});
    server.put("/worker/w", &elsewhere).expect(200);
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
    for head in second.attempts().into_iter().map(|attempt| attempt.head) {
        assert_eq!(head.header("authorization"), None);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let target = EndpointWorker::obliging();
    let location = format!("{}/task", target.endpoint());
    let worker = EndpointWorker::start(move |attempt| {
        let status = attempt.prompt.parse().unwrap();
        Answer::status(status, "{}").header("location", &location)
    });
    let server = Server::with(worker.config("w", "token = \"hunter\"\nmax_attempts = 1"));
    for status in ["301", "302", "303", "307", "308", "300"] {
        let id = server.submit("w", status);
        let error = server.task_in(&id, "failed")["error"].clone();
        assert!(error.as_str().unwrap().contains(status), "{error}");
    }
    assert!(target.attempts().is_empty());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn files_are_for_their_owner_whatever_the_umask_is() {
    for umask in ["umask 000", "umask 077"] {
        let server = server().prelude(umask).start();
        assert_eq!(mode(&server.data()), 0o700, "{umask}");
        assert_eq!(mode(&server.data().join("store")), 0o700, "{umask}");
        assert!(!server.log().contains("chmod"), "{}", server.log());
        let home = tempfile::tempdir().unwrap();
        let mut command = Program::command_behind(home.path(), umask);
        command.arg("init");
        Program::start(command).ended().expect(0);
        assert_eq!(mode(&home.path().join("mecha.toml")), 0o600, "{umask}");
    }
}

#[test]
fn a_data_directory_that_is_open_to_others_is_told() {
    for (of_data, of_store, is_told) in [
        (0o755, Some(0o755), true),
        (0o770, Some(0o2770), true),
        (0o700, Some(0o777), false),
        (0o755, Some(0o700), false),
        // What the server makes itself is closed.
        (0o777, None, false),
    ] {
        let launch = server();
        let set = |path: &Path, mode: u32| {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&launch.data(), of_data);
        if let Some(of_store) = of_store {
            set(&launch.data().join("store"), of_store);
        }
        let server = launch.start();
        let log = server.log();
        assert_eq!(log.contains("chmod 700"), is_told, "{of_data:o}: {log}");
        assert_eq!(mode(&server.data()), of_data, "it stays as it is");
    }
}

#[test]
fn a_readable_file_with_a_secret_is_told() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("mecha.toml");
    fs::write(&path, "api_key = \"hunter2\"\n").unwrap();
    for (mode, is_told) in [(0o644, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let outcome = Program::run(home.path(), &["check", "--config", "mecha.toml"]).expect(0);
        let printed = outcome.printed();
        assert_eq!(printed.contains("chmod 600"), is_told, "{mode:o} {printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
