//! A small host: with `limits.memory = "16MiB"` the whole process stays under 32 MiB, whatever it is given to do,
//! and what it acknowledged is done once and is right.
//!
//! The kernel keeps the peak (`VmHWM`), so nothing between two looks is missed. Where the machine lets the test make
//! a control group, the kernel also ends a server that has more than that and what is beside it.
//!
//! A release build is held to 32 MiB. A test build has a larger executable and keeps more on its stacks; it
//! is held to [`ALLOWED_DEBUG`]. `MECHA_TEST_EXECUTABLE` names a release build to be tested.

mod load;

use std::fs;

use load::{Acknowledged, mirrored};

use crate::harness::{
    Answer, ControlGroup, EndpointWorker, Program, Server, command_worker, github_source, rule,
    server,
};

const MIB: u64 = 1 << 20;

/// Resident bytes of a release build at most.
const ALLOWED: u64 = 32 * MIB;

/// The same of a test build.
const ALLOWED_DEBUG: u64 = 48 * MIB;

/// What a control group counts beside: files that are written, buffers of sockets, programs of workers.
const BESIDE: u64 = 32 * MIB;

/// Bytes of a field of the server's `/proc/PID/status`.
fn memory(server: &Server, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap() << 10
}

#[test]
fn a_small_hosts_server_stays_small_and_is_right() {
    let is_release = Program::is_release();
    let allowed = if is_release { ALLOWED } else { ALLOWED_DEBUG };
    let worker = EndpointWorker::start(|attempt| Answer::result(&mirrored(&attempt.prompt)));
    let print = format!(
        "cat >/dev/null; head -c {} /dev/zero | tr '\\0' x",
        load::RESULT
    );
    let config = format!(
        "[limits]\nmemory = \"16MiB\"\ndisk_reserve = \"1MiB\"\n{}{}{}{}{}",
        github_source(""),
        worker.config("mirror", "concurrency = 16"),
        rule("push", "event {{ payload.number }}", ""),
        command_worker("count", &["wc", "-c"], "concurrency = 2"),
        command_worker("print", &["sh", "-c", &print], "concurrency = 2"),
    );
    let mut launch = server().config(config);
    let group = ControlGroup::with_memory(allowed + BESIDE);
    match &group {
        Some(group) => launch = launch.prelude(&group.join()),
        None => println!("no control group can be had here: the peak alone is looked at"),
    }
    let server = launch.start();
    for worker in ["mirror", "count", "print"] {
        server.worker_in(worker, "online");
    }
    let idle = memory(&server, "VmHWM:");
    let api = server.api();
    let seen = Acknowledged::default();
    load::all_at_once(&api, &seen);
    let loaded = memory(&server, "VmHWM:");
    seen.check(&api);
    let peak = memory(&server, "VmHWM:");
    println!(
        "peak {} KiB: {} KiB at the start, {} KiB under load; {} times 503, {} readings",
        peak >> 10,
        idle >> 10,
        loaded >> 10,
        seen.shed.into_inner(),
        seen.read.into_inner()
    );
    assert!(peak <= allowed, "{} KiB resident", peak >> 10);
    server.stop();
}
