//! Issue 2, part 9: the log tells an operator what happened and no secret.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Answer, EndpointWorker, Request, command_worker, endpoint_worker, server, unused_address,
};

#[test]
fn no_secret_is_logged_in_either_format() {
    for format in ["text", "json"] {
        let worker = EndpointWorker::start(|_| {
            Answer::status(401, "{\"error\": \"hunter-token is wrong\"}")
        });
        let failing = command_worker(
            "command",
            &["sh", "-c", "exit 1"],
            "env = { KEY = \"hunter-env\" }\nmax_attempts = 1",
        );
        let config = [
            "api_key = [\"hunter-literal\", \"env:KEY_VARIABLE\"]\n".to_owned(),
            worker.config("w", "token = \"hunter-secret-token\""),
            endpoint_worker(
                "offline",
                &format!("http://{}", unused_address()),
                "token = \"env:TOKEN_VARIABLE\"",
            ),
            failing,
        ]
        .concat();
        let server = server()
            .config(&config)
            .log(format)
            .env("KEY_VARIABLE", "hunter-variable")
            .env("TOKEN_VARIABLE", "hunter-other-token")
            .key("hunter-literal")
            .start();
        for wrong in ["hunter-wrong", "hunter-litera"] {
            let mut connection = server.connect();
            connection
                .ask(&Request::get("/tasks").header("x-api-key", wrong))
                .expect(401);
            connection
                .ask(&Request::get("/tasks").header("authorization", &format!("Bearer {wrong}")))
                .expect(401);
        }
        let settings = json!({"endpoint": worker.endpoint(), "token": "hunter-registered"});
        server.put("/worker/registered", &settings).expect(201);
        server
            .put(
                "/worker/bad",
                &json!({"endpoint": "http://a:hunter-user@b", "token": "hunter-t"}),
            )
            .expect(400);
        for name in ["w", "command", "registered"] {
            let id = server.submit(name, "p");
            server.task_in(&id, "failed");
        }
        server.reload(format!("{config}\ntoken = \"hunter-misplaced\""));
        server.logs("mecha.toml");
        let stopped = server.stop();
        let log = stopped.outcome.stderr;
        assert!(
            !log.replace("hunter-token is wrong", "").contains("hunter"),
            "{log}"
        );
        assert!(stopped.outcome.stdout.is_empty());
    }
}

#[test]
fn json_lines_are_objects_and_text_lines_are_lines() {
    for format in ["text", "json"] {
        let worker = EndpointWorker::start(|_| {
            Answer::status(400, "first\nERROR forged\r\n\u{1b}[31mred\0")
        });
        let server = server().config(worker.config("w", "")).log(format).start();
        let id = server.submit("w", "prompt\nINFO forged");
        server.task_in(&id, "failed");
        server.get("/tasks?state=%0aERROR%20forged").expect(400);
        server.raw("GET /x HTTP/1.1\r\nHost: a\r\nERROR forged\r\n\r\n");
        server.get("/nothing%0aERROR%20forged%1b[31m");
        server.post(
            "/task",
            &json!({"prompt": "p", "worker": "w\nERROR forged"}),
        );
        let log = server.stop().outcome.stderr;
        assert!(log.lines().count() > 2, "{log}");
        for line in log.lines() {
            assert!(!line.trim_start().starts_with("ERROR forged"), "{log}");
            assert!(!line.trim_start().starts_with("INFO forged"), "{log}");
            assert!(!line.contains('\u{1b}') && !line.contains('\0'), "{line:?}");
            if format == "json" {
                let value: Value = match serde_json::from_str(line) {
                    Ok(value) => value,
                    Err(error) => panic!("{error}: {line}"),
                };
                assert!(value.is_object(), "{line}");
            }
        }
    }
}

#[test]
fn a_failure_is_a_line_of_the_log_like_any_other() {
    let worker = EndpointWorker::hanging();
    let server = server().config(worker.config("w", "")).start();
    let taken = crate::harness::server().addr(&server.addr.to_string());
    let refused = taken.refused().expect(1);
    server.submit("w", "p");
    worker.attempts_when(1);
    server.signal(Signal::TERM);
    server.logs("draining");
    server.signal(Signal::TERM);
    let cut_short = server.ended().outcome.expect(1);
    for outcome in [refused, cut_short] {
        for line in outcome.stderr.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
        }
        let last = outcome.stderr.lines().last().unwrap();
        assert!(last.contains("\"level\":\"error\""), "{last}");
    }
}

#[test]
fn the_log_names_the_bound_port_and_no_port_0() {
    let server = server().log("text").start();
    let log = server.log();
    assert!(log.contains(&server.addr.to_string()), "{log}");
    assert!(!log.contains("127.0.0.1:0"), "{log}");
}

#[test]
fn the_start_says_what_the_server_has() {
    let server = server().log("text").start();
    let log = server.log();
    assert!(log.contains(&format!("http://{}", server.addr)), "{log}");
    assert!(log.contains(&server.data().display().to_string()), "{log}");
    assert!(
        log.to_lowercase().contains("no worker"),
        "how it stands: {log}"
    );
    assert!(
        log.contains("[[worker]]") || log.contains("/worker/") || log.contains("mecha init"),
        "how to add one: {log}"
    );
    assert!(
        !log.contains('\u{1b}'),
        "no colours where nobody looks: {log:?}"
    );
}

#[test]
fn failed_attempts_and_workers_that_go_are_logged() {
    let mut worker = EndpointWorker::start(|_| Answer::status(418, "{\"error\": \"teapot\"}"));
    let server = server().config(worker.config("kettle", "")).start();
    server.worker_in("kettle", "online");
    server.logs("online");
    let id = server.submit("kettle", "p");
    server.task_in(&id, "failed");
    server.logs(&id);
    server.logs("418");
    worker.stop();
    server.submit("kettle", "p");
    server.worker_in("kettle", "offline");
    server.logs("offline");
}

#[test]
fn refusals_are_logged_at_a_bounded_rate() {
    let server = server().arg("--api-key=sesame").start();
    let mut connection = server.connect();
    for _ in 0..2_000 {
        connection.ask(&Request::get("/tasks")).expect(401);
    }
    let lines = server.log().lines().count();
    assert!(lines < 500, "{lines} lines for 2,000 refusals");
}

#[test]
fn recovered_tasks_are_counted() {
    let worker = EndpointWorker::hanging();
    let server = server()
        .config(worker.config("w", "concurrency = 2"))
        .start();
    for _ in 0..5 {
        server.submit("w", "p");
    }
    worker.attempts_when(2);
    let server = server.kill().start();
    let log = server.log();
    let told = log
        .lines()
        .any(|line| line.to_lowercase().contains("recover") || line.contains("pending"));
    assert!(told, "{log}");
}
