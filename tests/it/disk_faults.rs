//! Contract section 8: what happens to the disk under a running server. Whatever it is, nothing
//! acknowledged is lost, and the server says so and ends with 3 where it cannot go on.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Resource;
use serde_json::json;

use crate::harness::{
    Connection, Request, Response, Server, Stopped, now, offline_worker, server, wait_until,
};

/// What is stated of the time from a failure to the end of the process.
const END: Duration = Duration::from_secs(10);

/// What tests need who use no mount: room for what they write, whatever the machine has.
fn config() -> String {
    format!("[limits]\ndisk_reserve = \"0B\"\n{}", offline_worker("w"))
}

/// A text that does not shrink when it is compressed.
fn text(bytes: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(bytes)
        .collect()
}

fn submit(server: &Server, prompt: &str) -> Option<Response> {
    let mut connection = Connection::try_open(server.addr).ok()?;
    let body = json!({"prompt": prompt, "worker": "w"});
    let request = Request::post("/task").json(&body);
    let is_sent = connection.try_send(request.bytes(&server.addr.to_string()));
    is_sent
        .then(|| connection.try_next(false).ok().flatten())
        .flatten()
}

/// Submits until one is refused with 503 or the server is gone, and gives what was acknowledged.
fn submit_until_failed(server: &Server, prompt: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for _ in 0..2_000 {
        match submit(server, prompt) {
            Some(answer) if answer.status == 202 => {
                acknowledged.push(answer.json()["id"].as_str().unwrap().to_owned());
            }
            Some(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text());
                return acknowledged;
            }
            None => return acknowledged,
        }
    }
    panic!("it never fails");
}

/// The server ends by itself, in time, with 3, and without a panic.
fn ends_with_3(server: Server) -> Stopped {
    let begun = now();
    let stopped = server.ended();
    assert!(begun.elapsed() < END, "{:?}", begun.elapsed());
    assert_eq!(stopped.outcome.code, Some(3), "{:#?}", stopped.outcome);
    assert!(
        !stopped.outcome.stderr.contains("panicked"),
        "{:#?}",
        stopped.outcome
    );
    stopped
}

fn all_are_kept(server: &Server, acknowledged: &[String]) {
    let mut connection = server.connect();
    for id in acknowledged {
        let answer = connection.ask(&Request::get(&format!("/task/{id}")));
        assert_eq!(answer.status, 200, "acknowledged and lost: {id}");
    }
}

/// The directories in which the engine makes its tables.
fn tables(data: &Path) -> Vec<PathBuf> {
    let keyspaces = fs::read_dir(data.join("store/keyspaces")).unwrap();
    keyspaces
        .map(|entry| entry.unwrap().path().join("tables"))
        .collect()
}

#[test]
fn a_background_worker_that_dies_ends_the_server_though_nothing_is_asked() {
    let server = server().config(config()).start();
    // What is in the way of the next table: the engine cannot make its file.
    let mut aside = Vec::new();
    for (number, path) in tables(&server.data()).into_iter().enumerate() {
        let kept = server.data().join(format!("aside-{number}"));
        fs::rename(&path, &kept).unwrap();
        fs::write(&path, "").unwrap();
        aside.push((path, kept));
    }
    // The memtable is full with it; from here on nobody asks for anything.
    let acknowledged = [server.submit("w", &text(5 << 20))];
    let stopped = ends_with_3(server);
    let log = &stopped.outcome.stderr;
    assert!(log.contains("background work failed"), "{log}");
    for (path, kept) in aside {
        fs::remove_file(&path).unwrap();
        fs::rename(kept, path).unwrap();
    }
    let server = stopped.start();
    all_are_kept(&server, &acknowledged);
    server.submit("w", "p");
}

#[test]
fn a_store_that_gets_no_file_any_more_loses_nothing() {
    let server = server().config(config()).start();
    let mut connection = server.connect();
    assert_eq!(connection.ask(&Request::get("/health")).status, 200);
    let open = u64::try_from(server.open_files()).unwrap();
    server.allow(Resource::Nofile, open);
    let body = json!({"prompt": text(5 << 20), "worker": "w"});
    let answer = connection.ask(&Request::post("/task").json(&body));
    assert_eq!(answer.status, 202);
    let acknowledged = [answer.json()["id"].as_str().unwrap().to_owned()];
    // The table that the full memtable is written to cannot be made.
    let server = ends_with_3(server).start();
    all_are_kept(&server, &acknowledged);
}

#[test]
fn health_and_metrics_say_failed_when_the_store_has_failed() {
    let server = server()
        .config(format!("drain = \"20s\"\n{}", config()))
        .prelude("trap '' XFSZ")
        .start();
    // What is under way when it fails is still answered.
    let mut health = server.connect();
    health.send(format!("GET /health HTTP/1.1\r\nHost: {}\r\n", server.addr));
    let [mut metrics, mut stats] = ["metrics", "stats"].map(|path| {
        let mut connection = server.connect();
        let begin = format!("GET /{path} HTTP/1.1\r\nHost: {}\r\n", server.addr);
        connection.send(begin);
        connection
    });
    server.allow(Resource::Fsize, 0);
    submit_until_failed(&server, "p");
    health.send("\r\n");
    let answer = health.receive();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.text(), "{\"status\":\"failed\"}");
    metrics.send("\r\n");
    let text = metrics.receive().expect(200).text();
    assert!(
        text.contains("\nmecha_health{state=\"failed\"} 1\n"),
        "{text}"
    );
    stats.send("\r\n");
    stats.receive().expect_error(503, "store_failed");
    ends_with_3(server);
}

#[test]
fn a_data_directory_that_is_taken_away_ends_the_server() {
    for is_replaced in [false, true] {
        let server = server().config(config()).start();
        let kept = server.submit("w", "p");
        let aside = server.home().join("aside");
        fs::rename(server.data(), &aside).unwrap();
        if is_replaced {
            fs::create_dir(server.data()).unwrap();
            fs::write(server.data().join("lock"), "").unwrap();
        }
        // What is acknowledged until it is noticed went to the files that were taken away.
        let mut acknowledged = submit_until_failed(&server, "p");
        acknowledged.push(kept);
        let stopped = ends_with_3(server);
        let _ = fs::remove_dir_all(stopped.data());
        fs::rename(&aside, stopped.data()).unwrap();
        all_are_kept(&stopped.start(), &acknowledged);
    }
}

/// Says on the terminal, past what keeps the output of tests that pass, that one was skipped.
fn skipped(why: &str) {
    let line = format!("\nSKIPPED in disk_faults: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A small file system of its own, if one can be mounted here.
struct Mount(PathBuf);

impl Mount {
    /// One in memory.
    fn of_memory(at: PathBuf, bytes: u64) -> Option<Self> {
        let size = format!("size={bytes},mode=0700");
        Self::of(at, &["-t", "tmpfs", "-o", &size, "mecha-test"])
    }

    /// One in a file, as on a disk.
    fn of_disk(at: PathBuf, image: &Path, bytes: u64) -> Option<Self> {
        fs::File::create(image).unwrap().set_len(bytes).unwrap();
        let is_made = Command::new("mkfs.ext4").arg("-q").arg(image).status();
        if !is_made.is_ok_and(|status| status.success()) {
            skipped("a file system cannot be made here");
            return None;
        }
        let image = image.to_str().unwrap();
        Self::of(at, &["-o", "loop,errors=remount-ro", image])
    }

    fn of(at: PathBuf, what: &[&str]) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let status = Command::new("mount").args(what).arg(&at).status();
        if !status.is_ok_and(|status| status.success()) {
            skipped("a file system cannot be mounted here");
            return None;
        }
        Some(Self(at))
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0)
            .status();
        assert!(status.unwrap().success(), "{options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_left_by_making_room() {
    let launch = server().config(config());
    let Some(mount) = Mount::of_memory(launch.data(), 24 << 20) else {
        return;
    };
    let server = launch.start();
    let acknowledged = submit_until_failed(&server, &text(100_000));
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    let stopped = ends_with_3(server);
    // A start on the full disk says so, and makes nothing worse.
    let refused = stopped.refused();
    assert!(
        refused.code == Some(3) && !refused.stderr.contains("panicked"),
        "{refused:#?}"
    );
    mount.remount("size=256m");
    let server = stopped.start();
    all_are_kept(&server, &acknowledged);
    server.submit("w", "p");
    drop(server);
}

#[test]
fn a_disk_that_becomes_full_reaches_the_reserve_first() {
    let launch = server().config(format!(
        "[limits]\ndisk_reserve = \"16MiB\"\n{}",
        offline_worker("w")
    ));
    let Some(mount) = Mount::of_memory(launch.data(), 48 << 20) else {
        return;
    };
    let server = launch.start();
    let prompt = text(50_000);
    let mut acknowledged = Vec::new();
    wait_until("new work gets 507", || {
        let answer = submit(&server, &prompt).unwrap();
        if answer.status == 202 {
            acknowledged.push(answer.json()["id"].as_str().unwrap().to_owned());
        }
        answer.status == 507
    });
    // Deletions and completions go on: a pending task can be cancelled.
    server
        .delete(&format!("/task/{}", acknowledged[0]))
        .expect(200);
    mount.remount("size=256m");
    wait_until("there is room again", || {
        submit(&server, "p").unwrap().status == 202
    });
    all_are_kept(&server, &acknowledged);
    drop(server);
}

#[test]
fn a_disk_that_turns_read_only_loses_nothing() {
    let launch = server().config(config());
    let image = launch.home().join("image");
    let Some(mount) = Mount::of_disk(launch.data(), &image, 64 << 20) else {
        return;
    };
    let server = launch.start();
    let mut acknowledged: Vec<String> = (0..5).map(|_| server.submit("w", "p")).collect();
    // As after an error of the device: whoever writes is refused from now on.
    mount.remount("abort");
    acknowledged.extend(submit_until_failed(&server, "p"));
    let stopped = ends_with_3(server);
    let refused = stopped.refused().expect(3);
    let says_so = refused.stderr.contains("Read-only file system");
    assert!(
        says_so && !refused.stderr.contains("panicked"),
        "{refused:#?}"
    );
    // The disk is mounted anew, as after a restart of the machine.
    let data = stopped.data();
    drop(mount);
    let image = image.to_str().unwrap();
    let mount = Mount::of(data, &["-o", "loop", image]).unwrap();
    let server = stopped.start();
    all_are_kept(&server, &acknowledged);
    server.submit("w", "p");
    drop(server);
    drop(mount);
}
