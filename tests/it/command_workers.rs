//! Contract section 5: command workers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Server, command_worker, is_running, now, server, wait_for, wait_until};

/// A server whose worker `w` runs this shell script.
fn script(script: &str, settings: &str) -> Server {
    Server::with(command_worker("w", &["sh", "-c", script], settings))
}

/// The result of a task with this prompt.
#[track_caller]
fn result(server: &Server, prompt: &str) -> Value {
    let id = server.submit("w", prompt);
    let task = server.task_in(&id, "completed");
    serde_json::from_str(task["result"].as_str().unwrap()).unwrap()
}

/// The process id that a script wrote.
#[track_caller]
fn pid(server: &Server, file: &str) -> u32 {
    let path = server.home().join(file);
    wait_for(&format!("the command wrote {file}"), || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    })
}

#[test]
fn the_prompt_comes_on_standard_input_and_text_becomes_output() {
    let server = Server::with(command_worker("w", &["cat"], ""));
    for prompt in [
        "hello",
        "ü 🦀",
        "line 1\nline 2",
        "[1, 2]",
        "\"text\"",
        "{\"half\": ",
    ] {
        assert_eq!(
            result(&server, prompt),
            json!({"output": prompt}),
            "{prompt}"
        );
    }
}

#[test]
fn a_json_object_is_the_result_as_it_came() {
    let server = Server::with(command_worker("w", &["cat"], ""));
    let text = "{ \"output\" : \"x\", \"labels\": [\"a\"], \"n\": 1.0e3 }";
    let id = server.submit("w", text);
    let task = server.task_in(&id, "completed");
    assert_eq!(task["result"].as_str().unwrap().trim(), text);
    assert_eq!(task["attempts"], 1);
}

#[test]
fn no_output_is_an_empty_output() {
    let server = Server::with(command_worker("w", &["true"], ""));
    assert_eq!(result(&server, "p"), json!({"output": ""}));
}

#[test]
fn no_shell_reads_the_arguments() {
    let odd = "$HOME `id` ; echo x | cat > y * \"quoted\" \\ ~";
    let server = Server::with(command_worker("w", &["printf", "%s", odd], ""));
    assert_eq!(result(&server, "$(id)"), json!({"output": odd}));
    assert!(!server.home().join("y").exists());
}

#[test]
fn the_environment_tells_task_attempt_and_context() {
    let text = "printf '%s|%s|%s' \"$MECHA_TASK_ID\" \"$MECHA_ATTEMPT\" \"$MECHA_CONTEXT\"";
    let server = script(text, "");
    let context = json!({"pr": 7, "text": "ü \" \n"});
    let body = json!({"prompt": "p", "worker": "w", "context": context});
    let id = server.post("/task", &body).expect(202).json()["id"].clone();
    let id = id.as_str().unwrap();
    let task = server.task_in(id, "completed");
    let result: Value = serde_json::from_str(task["result"].as_str().unwrap()).unwrap();
    let output = result["output"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = output.splitn(3, '|').collect();
    assert_eq!(parts[0], id);
    assert_eq!(parts[1], "1");
    let given: Value = serde_json::from_str(parts[2]).unwrap();
    assert_eq!(given, context);
}

#[test]
fn the_environment_is_the_server_s_without_its_secrets() {
    let config = format!(
        "api_key = [\"env:KEY_VARIABLE\", \"literal\"]\n{}{}",
        crate::harness::endpoint_worker(
            "other",
            "http://127.0.0.1:9",
            "token = \"env:TOKEN_VARIABLE\""
        ),
        command_worker(
            "w",
            &["env"],
            "env = { AGENT_KEY = \"env:AGENT_VARIABLE\", PLAIN = \"plain\", TOKEN_VARIABLE = \"given\" }"
        )
    );
    let server = server()
        .config(config)
        .env("KEY_VARIABLE", "secret-1")
        .env("TOKEN_VARIABLE", "secret-2")
        .env("AGENT_VARIABLE", "secret-3")
        .env("MECHA_API_KEY", "secret-4")
        .env("ORDINARY", "ordinary")
        .key("secret-4")
        .start();
    let output = result(&server, "p")["output"].as_str().unwrap().to_owned();
    let has = |line: &str| output.lines().any(|other| other == line);
    assert!(has("ORDINARY=ordinary"), "{output}");
    assert!(has("PLAIN=plain"), "{output}");
    assert!(has("AGENT_KEY=secret-3"), "{output}");
    assert!(has("TOKEN_VARIABLE=given"), "{output}");
    for secret in [
        "secret-1",
        "secret-2",
        "secret-4",
        "KEY_VARIABLE=",
        "AGENT_VARIABLE=",
        "MECHA_API_KEY=",
        "MECHA_STARTED_AGAIN=",
    ] {
        assert!(!output.contains(secret), "{secret}: {output}");
    }
}

#[test]
fn the_setting_of_the_server_s_allocator_is_its_own_unless_an_operator_gave_it() {
    let launch = || server().config(command_worker("w", &["env"], ""));
    let output = |server: &Server| result(server, "p")["output"].as_str().unwrap().to_owned();
    let own = output(&launch().start());
    assert!(own.contains("MECHA_TASK_ID="), "{own}");
    assert!(!own.contains("MIMALLOC_"), "{own}");
    let given = output(&launch().env("MIMALLOC_PURGE_DELAY", "50").start());
    assert!(given.contains("MIMALLOC_PURGE_DELAY=50"), "{given}");
}

#[test]
fn a_command_runs_in_its_directory() {
    let launch = server();
    let directory = launch.home().join("work");
    std::fs::create_dir(&directory).unwrap();
    let settings = format!("cwd = \"{}\"", directory.display());
    let server = launch
        .config(command_worker("w", &["sh", "-c", "pwd > here"], &settings))
        .start();
    result(&server, "p");
    let here = std::fs::read_to_string(directory.join("here")).unwrap();
    assert_eq!(
        std::fs::canonicalize(here.trim()).unwrap(),
        std::fs::canonicalize(&directory).unwrap()
    );
}

#[test]
fn another_exit_fails_the_attempt_with_the_end_of_standard_error() {
    let text = "echo out; head -c 20000 /dev/zero | tr '\\0' a >&2; echo THE-END >&2; exit 3";
    let server = script(text, "max_attempts = 2\nbackoff = \"10ms\"");
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "failed");
    assert_eq!(task["attempts"], 2);
    let error = task["error"].as_str().unwrap();
    assert!(error.contains("THE-END"), "{error}");
    let kept = error.matches('a').count();
    assert!((4_000..4_300).contains(&kept), "{kept} of 4 KiB");
    assert!(task.get("result").is_none());
}

#[test]
fn an_attempt_that_exits_0_at_last_completes_the_task() {
    let server = script("test $MECHA_ATTEMPT = 3 && echo '{}'", "backoff = \"10ms\"");
    let id = server.submit("w", "p");
    assert_eq!(server.task_in(&id, "completed")["attempts"], 3);
}

#[test]
fn a_signal_fails_the_attempt() {
    let server = script("kill -9 $$", "max_attempts = 1");
    let id = server.submit("w", "p");
    let error = server.task_in(&id, "failed")["error"].clone();
    assert!(
        error.as_str().unwrap().contains('9')
            || error.as_str().unwrap().to_lowercase().contains("kill"),
        "{error}"
    );
}

#[test]
fn a_program_that_does_not_exist_is_told() {
    let server = Server::with(command_worker(
        "w",
        &["/nonexistent/agent"],
        "max_attempts = 1",
    ));
    let id = server.submit("w", "p");
    let told = wait_for("somebody says what is wrong", || {
        let task = server.task(&id);
        let worker = server.worker("w");
        let text = format!("{} {}", task["error"], worker["last_error"]);
        text.contains("nonexistent").then_some((task, worker))
    });
    assert!(
        told.0["state"] == "failed" || told.1["state"] == "offline",
        "{told:?}"
    );
    server.get("/health").expect(200);
}

#[test]
fn at_the_timeout_the_whole_process_group_is_ended() {
    let text = "trap '' TERM; sleep 60 & echo $! > child; echo $$ > parent; wait; sleep 60";
    let server = script(text, "timeout = \"500ms\"\nmax_attempts = 1");
    let id = server.submit("w", "p");
    let (child, parent) = (pid(&server, "child"), pid(&server, "parent"));
    let task = server.task_in(&id, "failed");
    assert!(task["error"].as_str().unwrap().contains("500ms"), "{task}");
    wait_until("the group is gone", || {
        !is_running(child) && !is_running(parent)
    });
}

#[test]
fn a_command_has_a_process_group_of_its_own() {
    let server = script("cat /proc/$$/stat; echo; echo $$", "");
    let output = result(&server, "p")["output"].as_str().unwrap().to_owned();
    let own: Vec<&str> = output.split_whitespace().collect();
    let (pid, group) = (own[own.len() - 1], own[4]);
    assert_eq!(pid, group, "{output}");
}

#[test]
fn nothing_of_the_server_is_open_in_a_command() {
    let server = script("ls -l /proc/$$/fd", "");
    let output = result(&server, "p")["output"].as_str().unwrap().to_owned();
    // What the tests themselves were given may be there; sockets, polls and files may not.
    for own in [
        "socket:",
        "eventpoll",
        "eventfd",
        "timerfd",
        "pidfd",
        "/data/",
    ] {
        assert!(!output.contains(own), "{own}: {output}");
    }
}

#[test]
fn a_command_that_does_not_read_its_prompt_completes() {
    let server = Server::with(command_worker("w", &["true"], ""));
    assert_eq!(
        result(&server, &"x".repeat(1024 * 1024)),
        json!({"output": ""})
    );
}

#[test]
fn output_and_prompt_larger_than_a_pipe_flow_both_ways() {
    let server = script(
        "head -c 1000000 /dev/zero | tr '\\0' a; head -c 300000 /dev/zero >&2; cat",
        "timeout = \"20s\"",
    );
    let output = result(&server, &"b".repeat(1_000_000))["output"].clone();
    let output = output.as_str().unwrap();
    assert_eq!(output.matches('a').count(), 1_000_000);
    assert_eq!(output.matches('b').count(), 1_000_000);
}

#[test]
fn endless_output_costs_its_attempt_alone() {
    let server = script("yes", "timeout = \"20s\"\nmax_attempts = 1");
    let begun = now();
    let id = server.submit("w", "p");
    let task = server.task_in(&id, "failed");
    assert!(
        begun.elapsed() < Duration::from_secs(19),
        "it is cut by its size"
    );
    assert!(task["error"].is_string());
    let noisy = Server::with(command_worker(
        "w",
        &["sh", "-c", "yes >&2"],
        "timeout = \"700ms\"\nmax_attempts = 1",
    ));
    let id = noisy.submit("w", "p");
    assert!(
        noisy.task_in(&id, "failed")["error"]
            .as_str()
            .unwrap()
            .len()
            < 10_000
    );
}

#[test]
fn output_that_is_no_text_does_no_harm() {
    let server = script("printf '\\377\\376x'", "max_attempts = 1");
    let id = server.submit("w", "p");
    wait_until("the task has ended", || {
        let state = server.task(&id)["state"].clone();
        state == "completed" || state == "failed"
    });
    let failing = script("printf '\\377\\376x' >&2; exit 1", "max_attempts = 1");
    let id = failing.submit("w", "p");
    assert!(
        failing.task_in(&id, "failed")["error"]
            .as_str()
            .unwrap()
            .contains('x')
    );
}

#[test]
fn a_child_left_behind_does_not_hold_up_the_task() {
    let server = script(
        "sleep 60 & echo $! > child; echo '{}'",
        "timeout = \"3s\"\nmax_attempts = 1",
    );
    let begun = now();
    let id = server.submit("w", "p");
    wait_until("the task has ended", || {
        let state = server.task(&id)["state"].clone();
        state == "completed" || state == "failed"
    });
    assert!(begun.elapsed() < Duration::from_secs(10));
    let child = pid(&server, "child");
    wait_until("the group is gone", || !is_running(child));
}

#[test]
fn commands_run_at_once_as_far_as_there_are_slots() {
    let text = "echo x >> started; until test -e go; do sleep 0.05; done; echo '{}'";
    let server = script(text, "concurrency = 3");
    let ids: Vec<String> = (0..5).map(|_| server.submit("w", "p")).collect();
    let started = || {
        std::fs::read_to_string(server.home().join("started"))
            .map_or(0, |text| text.lines().count())
    };
    wait_until("three run", || started() == 3);
    server.worker_in("w", "busy");
    crate::harness::stays(
        "a fourth does not start",
        Duration::from_millis(200),
        || started() == 3,
    );
    std::fs::write(server.home().join("go"), "").unwrap();
    for id in ids {
        server.task_in(&id, "completed");
    }
}

#[test]
fn ended_commands_leave_no_zombies() {
    let server = Server::with(command_worker("w", &["true"], ""));
    for _ in 0..5 {
        result(&server, "p");
    }
    let tasks = format!("/proc/{}/task", server.pid());
    wait_until("all children are reaped", || {
        let threads = std::fs::read_dir(&tasks).unwrap().flatten();
        threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .all(|children| children.trim().is_empty())
    });
}
