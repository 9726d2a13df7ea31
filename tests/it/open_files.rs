//! Contract section 3: a server that has no file left for a connection, and peers that close one
//! direction of theirs.

use std::time::Duration;

use rustix::process::Resource;
use serde_json::json;

use crate::crowds::{leaks_nothing, open_files, serves_others};
use crate::harness::{
    Connection, Request, Server, offline_worker, server, stays, wait_for, wait_until,
};

/// Fails unless the server does next to nothing for two seconds.
#[track_caller]
fn does_not_spin(server: &Server) {
    let before = server.processor_ticks();
    let mut used = 0;
    stays("the server waits", Duration::from_secs(2), || {
        used = server.processor_ticks() - before;
        // A hundred ticks are a second.
        used < 40
    });
}

/// A connection that has sent a request and may have to wait for its answer.
fn waiting(server: &Server) -> Connection {
    let mut connection = server.connect();
    connection.send(Request::get("/health").bytes(&server.addr.to_string()));
    connection
}

/// Whether an answer or the end is there.
fn is_answered(connection: &mut Connection) -> bool {
    !connection.is_silent_for(Duration::from_millis(1))
}

/// Asks for what needs no file, and for what needs the disk.
#[track_caller]
fn is_served(connection: &mut Connection) {
    let task = json!({"prompt": "p", "worker": "w"});
    connection.ask(&Request::get("/health")).expect(200);
    connection
        .ask(&Request::post("/task").json(&task))
        .expect(202);
}

#[test]
fn a_server_with_few_files_serves_a_crowd_bit_by_bit() {
    let mut server = server()
        .config(offline_worker("w"))
        .prelude("ulimit -n 64")
        .start();
    server.logs("64 files may be open");
    let mut crowd: Vec<_> = (0..200).map(|_| waiting(&server)).collect();
    wait_until("some are answered", || {
        crowd[..16].iter_mut().all(is_answered)
    });
    assert!(!is_answered(&mut crowd[199]), "64 files are for all");
    does_not_spin(&server);
    crowd[0].receive().expect(200);
    is_served(&mut crowd[0]);
    crowd.remove(0);
    // The kernel hands them out in the order in which they came.
    for mut connection in crowd {
        connection.receive().expect(200);
        is_served(&mut connection);
    }
    serves_others(&server);
    assert!(server.is_running());
}

#[test]
fn a_server_without_a_file_for_another_connection_waits_for_one() {
    let mut server = Server::with(offline_worker("w"));
    if !server.shows_open_files() {
        return;
    }
    server.logs("worker w offline");
    let mut held = Vec::new();
    // What was open for a moment may leave a lower number free behind them.
    let next = wait_for(
        "the connections have all the numbers up to the next",
        || {
            held.clear();
            let first = server.next_file();
            held.extend((0..8).map(|_| waiting(&server)));
            for connection in &mut held {
                connection.receive().expect(200);
            }
            let next = server.next_file();
            (next >= first + 8).then_some(next)
        },
    );
    // From here on a new file can only have a number that one of these gives back.
    server.allow(Resource::Nofile, next);
    let mut crowd: Vec<_> = (0..20).map(|_| waiting(&server)).collect();
    server.logs("no connection can be accepted");
    does_not_spin(&server);
    assert!(!is_answered(&mut crowd[19]), "there was a file");
    for connection in &mut held {
        is_served(connection);
    }
    drop(held);
    for mut connection in crowd {
        connection.receive().expect(200);
        is_served(&mut connection);
    }
    serves_others(&server);
    assert!(server.is_running());
    let refused = |line: &&str| line.contains("no connection can be accepted");
    let lines = server.log().lines().filter(refused).count();
    assert!(lines < 50, "it was logged {lines} times");
}

#[test]
fn who_closes_its_own_direction_is_answered_and_leaves_nothing_behind() {
    let server = Server::with(offline_worker("w"));
    serves_others(&server);
    let files = open_files(&server);
    let host = server.addr.to_string();
    let task = json!({"prompt": "p", "worker": "w"});
    let post = Request::post("/task").json(&task).bytes(&host);
    let get = Request::get("/health").bytes(&host);
    let cut_body = &post[..post.len() - 1];
    let cut_head = &get[..get.len() - 2];
    // What comes before the end, and the statuses of the answers.
    let cases: [(&[u8], &[u16]); 6] = [
        (&get, &[200]),
        (&post, &[202]),
        (&[&get[..], &post[..]].concat(), &[200, 202]),
        (b"", &[]),
        (cut_head, &[400]),
        (cut_body, &[400]),
    ];
    let crowd: Vec<_> = (0..120)
        .map(|number| {
            let (bytes, statuses) = cases[number % cases.len()];
            let mut connection = server.connect();
            connection.send(bytes);
            connection.finish();
            (connection, statuses)
        })
        .collect();
    serves_others(&server);
    // They are still there, so it is the server that closes.
    leaks_nothing(&server, files);
    for (mut connection, statuses) in crowd {
        for status in statuses {
            connection.receive().expect(*status);
        }
        assert!(connection.ends());
    }
}
