//! A wall clock that is set by years while the server runs, and between two runs: nothing that was
//! acknowledged is lost by it, and nothing waits for longer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mecha::clock::Clock;
use serde_json::json;

use crate::harness::{
    EndpointWorker, Launch, Request, SECRET, Server, Stopped, hex_hmac, now, server, wait_for,
};

/// Debian's libfaketime: it tells a process another time, as a file says.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A server whose wall clock is moved by a file; `None` where the library is not installed.
fn server_with_clock(config: &str) -> Option<(Launch, PathBuf)> {
    if !Path::new(LIBRARY).exists() {
        let line = "\nSKIPPED in clock_jumps: libfaketime is not installed\n";
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
        return None;
    }
    let launch = server().config(config);
    let file = launch.home().join("clock");
    set(&file, 0);
    let path = file.display().to_string();
    let launch = launch
        .env("LD_PRELOAD", LIBRARY)
        .env("FAKETIME_TIMESTAMP_FILE", &path)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1");
    Some((launch, file))
}

/// Sets the server's clock so many years off the true time.
fn set(file: &Path, years: i64) {
    // A name that is moved into its place is never read half.
    let new = file.with_extension("new");
    fs::write(&new, format!("{:+}d", years * 365)).unwrap();
    fs::rename(new, file).unwrap();
}

/// The year in which the server says a new task was created.
fn year(server: &Server) -> String {
    let body = json!({"prompt": "p", "worker": "idle"});
    let task = server.post("/task", &body).expect(202).json();
    task["created_at"].as_str().unwrap()[..4].to_owned()
}

fn slack(server: &Server, body: &str) -> u16 {
    let at = Clock::system().now().as_millis() / 1_000;
    let signed = format!("v0:{at}:{body}");
    let signature = format!("v0={}", hex_hmac(SECRET, signed.as_bytes()));
    let request = Request::post("/webhook/slack")
        .header("content-type", "application/json")
        .header("x-slack-request-timestamp", &at.to_string())
        .header("x-slack-signature", &signature)
        .body(body);
    server.ask(request).status
}

#[test]
fn a_clock_that_jumps_by_years_loses_and_delays_nothing() {
    let worker = EndpointWorker::obliging();
    let config = format!(
        "[limits]\nretention = \"60s\"\n{}{}\n[[source]]\nname = \"slack\"\nkind = \"slack\"\n\
         secret = \"{SECRET}\"\n",
        worker.config("w", "rate = \"20/s\""),
        crate::harness::offline_worker("idle"),
    );
    let Some((launch, clock)) = server_with_clock(&config) else {
        return;
    };
    let mut server = launch.start();
    server.worker_in("w", "online");
    let begun = now();
    let this_year = year(&server);
    let mut done = Vec::new();
    let mut accepted = 0;
    for (number, years) in [0, 10, -40, 30, -56, 0, 7, 0].into_iter().enumerate() {
        set(&clock, years);
        wait_for("the server's clock is set", || {
            (year(&server) == this_year).eq(&(years == 0)).then_some(())
        });
        // It works as ever: attempts, the rate, a wait that is answered when the task has ended.
        for _ in 0..4 {
            let id = server.submit("w", "p");
            let task = server
                .get(&format!("/task/{id}?wait=20s"))
                .expect(200)
                .json();
            assert_eq!(task["state"], "completed", "{task}");
            done.push(id);
        }
        let idle = server.submit("idle", "p");
        let asked = now();
        server.get(&format!("/task/{idle}?wait=200ms")).expect(200);
        assert!(asked.elapsed() >= Duration::from_millis(150));
        // A signature is as old as the clock says.
        let status = slack(
            &server,
            &format!(
                "{{\"type\":\"event_callback\",\"event_id\":\"E{number}\",\"event\":{{\"type\":\"message\"}}}}"
            ),
        );
        assert_eq!(status, if years == 0 { 202 } else { 401 }, "{years}");
        accepted += usize::from(status == 202);
        if number % 3 == 2 {
            let stopped: Stopped = if number % 2 == 0 {
                server.kill()
            } else {
                server.stop()
            };
            server = stopped.start();
            server.worker_in("w", "online");
        }
    }
    // A retention of a minute is not over, so everything is there, in the order of its ids.
    assert!(
        begun.elapsed() < Duration::from_secs(50),
        "the machine is too slow"
    );
    assert!(done.is_sorted(), "ids rise: {done:?}");
    for id in &done {
        assert_eq!(server.task(id)["state"], "completed");
    }
    let events = server.get("/events").expect(200).json();
    assert_eq!(events.as_array().unwrap().len(), accepted);
}
