//! What may go wrong while a backup is made: there is a whole one or none.

use std::fmt::Write as _;
use std::path::Path;

use rustix::process::Signal;

use crate::backup::back_up;
use crate::harness::{
    Api, Gate, Program, Relay, Server, offline_worker, unused_address, wait_until,
};

/// Entries of `home` that a backup to `copy` left there.
fn left_behind(home: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(home).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("copy"))
        .collect()
}

fn at(addr: std::net::SocketAddr) -> Api {
    Api { addr, key: None }
}

/// A server with `count` prompts of 2 MiB that compression makes no smaller.
fn full_server(count: usize) -> Server {
    let server = Server::with(offline_worker("w"));
    let mut state = 1_u64;
    for _ in 0..count {
        let mut prompt = String::with_capacity(2 << 20);
        while prompt.len() < 2 << 20 {
            // Marsaglia's xorshift64.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            write!(prompt, "{state:x}").unwrap();
        }
        server.submit("w", &prompt);
    }
    server
}

#[test]
fn a_connection_that_breaks_leaves_no_backup() {
    let server = full_server(4);
    let home = server.home();
    let whole = server.get("/backup").expect(200).body.len();
    let open = Gate::closed();
    open.open();
    for bytes in [0, 10, 150, 200, 100_000, whole / 2, whole, whole + 300] {
        let relay = Relay::cutting(server.addr, bytes, &open);
        let outcome = back_up(home, &at(relay.addr()), &home.join("copy")).expect(1);
        assert_eq!(outcome.stderr.lines().count(), 1, "{bytes}: {outcome:?}");
        assert!(left_behind(home).is_empty(), "{bytes}");
    }
    back_up(home, &server, &home.join("copy")).expect(0);
    assert_eq!(left_behind(home), ["copy"]);
}

#[test]
fn a_server_that_is_killed_and_a_client_that_is_interrupted_leave_no_backup() {
    for kills_server in [true, false] {
        let server = full_server(4);
        let home = tempfile::tempdir().unwrap();
        let gate = Gate::closed();
        let relay = Relay::cutting(server.addr, 2_000_000, &gate);
        let mut command = Program::command(home.path());
        command.args(["backup", "--addr", &relay.addr().to_string(), "copy"]);
        let client = Program::start(command);
        wait_until("the backup is half done", || relay.passed() == 2_000_000);
        wait_until("it is being written", || {
            !left_behind(home.path()).is_empty()
        });
        assert!(!home.path().join("copy").exists());
        if kills_server {
            drop(server.kill());
            gate.open();
        } else {
            client.signal(Signal::INT);
        }
        let outcome = client.ended().expect(1);
        assert!(left_behind(home.path()).is_empty(), "{outcome:?}");
        gate.open();
    }
}

#[test]
fn what_is_no_whole_backup_is_refused() {
    let server = full_server(1);
    let home = server.home();
    let whole = server.get("/backup").expect(200).text();
    let answer = |body: &str| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Relay::answering([head.as_bytes(), body.as_bytes()].concat())
    };
    let swapped = |a: &str, b: &str| {
        assert!(whole.contains(a), "{a}");
        whole.replacen(a, b, 1)
    };
    for (what, body) in [
        ("something else", "{\"status\":\"ok\"}\n".to_owned()),
        ("nothing", String::new()),
        ("a cut one", whole[..whole.len() - 20].to_owned()),
        ("a changed row", swapped("\"texts\",\"", "\"texts\",\"AAAA")),
        ("an unknown keyspace", swapped("\"tasks\"", "\"tasksX\"")),
        ("a wrong count", swapped("\"count\":", "\"count\":1")),
        (
            "a newer version",
            swapped("\"mecha_backup\":1", "\"mecha_backup\":2"),
        ),
        (
            "no rows",
            "{\"mecha_backup\":1,\"schema\":2,\"rows\":[\n],\"count\":0,\"checksum\":\"0\"}\n"
                .to_owned(),
        ),
    ] {
        let relay = answer(&body);
        let outcome = back_up(home, &at(relay.addr()), &home.join("copy")).expect(1);
        assert_eq!(outcome.stderr.lines().count(), 1, "{what}: {outcome:?}");
        assert!(left_behind(home).is_empty(), "{what}");
    }
    back_up(home, &at(answer(&whole).addr()), &home.join("copy")).expect(0);
}

#[test]
fn a_disk_that_takes_no_more_ends_it_with_3() {
    // A file may have 64 MiB, as its journal has; a table of these prompts has more. Behind the
    // trap a write beyond the limit is an error and no signal.
    let server = full_server(34);
    let home = server.home();
    for blocks in [0, 2 * 64 * 1_024] {
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}");
        let mut command = Program::command_behind(home, &limit);
        command.args(["backup", "--addr", &server.addr.to_string(), "copy"]);
        let outcome = Program::start(command).ended().expect(3);
        assert!(
            outcome.stderr.contains("File too large"),
            "{blocks}: {outcome:?}"
        );
        assert!(!outcome.stderr.contains("damaged"), "{blocks}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{blocks}: {outcome:?}");
        assert!(left_behind(home).is_empty(), "{blocks}");
    }
    // The server did not mind.
    back_up(home, &server, &home.join("copy")).expect(0);
}

#[test]
fn what_exists_is_left_as_it_is() {
    let server = Server::with(offline_worker("w"));
    let home = server.home();
    std::fs::create_dir(home.join("copy")).unwrap();
    std::fs::write(home.join("copy/mine"), "mine").unwrap();
    std::fs::write(home.join("file"), "mine").unwrap();
    for (dir, part) in [
        ("copy", "exists and is left as it is"),
        ("file", "exists and is left as it is"),
        ("absent/copy", "cannot be made"),
        ("..", "is no name for a new directory"),
    ] {
        let outcome = back_up(home, &server, Path::new(dir)).expect(1);
        assert!(outcome.stderr.contains(part), "{outcome:?}");
    }
    let mine = std::fs::read_to_string(home.join("copy/mine")).unwrap();
    assert_eq!(mine, "mine");
    let outcome = back_up(home, &at(unused_address()), &home.join("new")).expect(1);
    assert!(outcome.stderr.contains("http://"), "{outcome:?}");
    assert!(!home.join("new").exists());
    // An empty one is taken.
    std::fs::create_dir(home.join("empty")).unwrap();
    back_up(home, &server, &home.join("empty")).expect(0);
    assert!(home.join("empty/store").is_dir());
}
