//! Issue 2 and contract section 8: a store that fails, and resources that run out.

use rustix::process::Resource;
use serde_json::json;

use crate::harness::{
    Connection, EndpointWorker, Request, command_worker, offline_worker, server, wait_until,
};

#[test]
fn a_failed_store_acknowledges_nothing_more_and_ends_with_3() {
    // Behind the trap a write beyond the limit is an error and no signal.
    let server = server()
        .config(offline_worker("w"))
        .prelude("trap '' XFSZ")
        .start();
    let ids: Vec<String> = (0..10).map(|_| server.submit("w", "p")).collect();
    server.allow(Resource::Fsize, 0);
    let mut connection = server.connect();
    let body = json!({"prompt": "p", "worker": "w"});
    let request = Request::post("/task").json(&body);
    connection.send(request.bytes(&server.addr.to_string()));
    let answer = connection.receive();
    assert_eq!(answer.status, 503, "{}", answer.text());
    let stopped = server.ended();
    assert_eq!(stopped.outcome.code, Some(3), "{:#?}", stopped.outcome);
    assert!(
        !stopped.outcome.stderr.contains("panicked"),
        "{:#?}",
        stopped.outcome
    );
    let server = stopped.start();
    let kept = server.ids("/tasks");
    for id in &ids {
        assert!(kept.contains(id), "acknowledged and lost: {id}");
    }
    assert!(kept.len() <= ids.len() + 1, "{kept:?}");
    server.submit("w", "p");
}

#[test]
fn a_server_out_of_file_descriptors_serves_again_when_there_are_some() {
    let worker = EndpointWorker::obliging();
    let mut server = server().config(worker.config("w", "")).start();
    if !server.shows_open_files() {
        return;
    }
    server.worker_in("w", "online");
    let most = u64::try_from(server.open_files()).unwrap() + 8;
    server.allow(Resource::Nofile, most);
    let connections: Vec<_> = (0..40)
        .filter_map(|_| Connection::try_open(server.addr).ok())
        .collect();
    wait_until("none is left", || server.open_files() as u64 >= most);
    assert!(server.is_running());
    drop(connections);
    let id = server.submit("w", "p");
    server.task_in(&id, "completed");
}

#[test]
fn nothing_is_left_open_behind_connections_and_attempts() {
    let worker = EndpointWorker::obliging();
    let config = [
        worker.config("endpoint", "concurrency = 4"),
        command_worker("command", &["cat"], "concurrency = 2"),
    ]
    .concat();
    let server = server().config(config).start();
    if !server.shows_open_files() {
        return;
    }
    let round = || {
        let ids: Vec<String> = (0..20)
            .map(|number| server.submit(["endpoint", "command"][number % 2], "p"))
            .collect();
        for id in &ids {
            server.task_in(id, "completed");
        }
        let mut broken = server.connect();
        broken.send("GET /health HTTP/1.1\r\nHos");
    };
    round();
    let settled = |most: usize| {
        wait_until("files are closed", || server.open_files() <= most);
    };
    let before = server.open_files() + 4;
    for _ in 0..5 {
        round();
    }
    settled(before);
}

#[test]
fn pending_prompts_cost_no_memory() {
    let server = server().config(offline_worker("w")).start();
    let prompt = "0123456789abcdef".repeat(128 * 1024);
    let before = server.resident_kib();
    for _ in 0..32 {
        server.submit("w", &prompt);
    }
    let grown = server.resident_kib().saturating_sub(before) / 1024;
    assert!(grown < 48, "{grown} MiB more for 64 MiB of prompts");
}
