//! `mecha torture`: a server is killed under load, what it promised is checked, and what it broke is
//! named.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Api, Connection, Outcome, Program, Request, wait_for, wait_until};

/// A directory that stays where a test fails, so that what the server wrote can be looked at.
struct Home(TempDir);

impl Drop for Home {
    #[expect(clippy::print_stderr, reason = "shown with the test that fails")]
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("kept for a look: {}", self.0.path().display());
        }
    }
}

/// A torture of the directory `data` in a home of its own.
struct Torture {
    home: Home,
    program: Program,
}

impl Torture {
    fn start(args: &[&str]) -> Self {
        let home = Home(tempfile::tempdir().unwrap());
        let mut command = Program::command(home.0.path());
        command.args(["torture", "--data", "data"]).args(args);
        let program = Program::start(command);
        Self { home, program }
    }

    fn dir(&self) -> PathBuf {
        self.home.0.path().join("data")
    }

    /// The server as it runs now, with the key that the torturer gave it.
    fn server(&self) -> Option<Api> {
        let config = fs::read_to_string(self.dir().join("mecha.toml")).ok()?;
        let (_, rest) = config.split_once("api_key = \"")?;
        let (key, _) = rest.split_once('"')?;
        let log = fs::read_to_string(self.dir().join("serve.log")).ok()?;
        let (_, rest) = log.split_once("listening on http://")?;
        let (addr, _) = rest.split_once('\n')?;
        Some(Api {
            addr: addr.parse().ok()?,
            key: Some(key.to_owned()),
        })
    }
}

#[test]
fn the_home_of_a_torture_stays_where_a_test_fails_alone() {
    let home = || Home(tempfile::tempdir().unwrap());
    let passing = home();
    let gone = passing.0.path().to_owned();
    drop(passing);
    assert!(is_gone(&gone));
    let failing = home();
    let kept = failing.0.path().to_owned();
    let failed = thread::spawn(move || {
        let _failing = failing;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(failed.join().is_err());
    assert!(kept.is_dir());
    fs::remove_dir(&kept).unwrap();
}

fn is_gone(dir: &Path) -> bool {
    !dir.exists()
}

#[test]
fn torture_kills_a_server_and_finds_that_all_held() {
    let torture = Torture::start(&["--seconds", "3", "--seed", "7"]);
    let dir = torture.dir();
    let outcome = torture.program.ended().expect(0);
    assert!(outcome.stdout.contains(", seed 7\n"), "{outcome:#?}");
    assert!(outcome.stdout.contains("all there\n"), "{outcome:#?}");
    assert!(
        outcome.stdout.ends_with("All of it held.\n"),
        "{outcome:#?}"
    );
    assert_eq!(outcome.stderr, "");
    assert!(is_gone(&dir), "it leaves nothing behind");
}

#[test]
fn torture_reports_for_programs_and_keeps_the_data_where_it_is_told_to() {
    let torture = Torture::start(&["--seconds", "1", "--json", "--keep"]);
    let dir = torture.dir();
    let Torture { home, program } = torture;
    let outcome = program.ended().expect(0);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["held"], true);
    for name in ["kills", "acknowledged_tasks", "checked", "posts_per_second"] {
        assert!(report[name].as_u64().unwrap() > 0, "{name}: {report}");
    }
    assert_eq!(report["lost"], 0);
    assert!(dir.join("data").is_dir());
    drop(home);
}

#[test]
fn torture_touches_nothing_that_was_there() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("data");
    fs::create_dir(&file).unwrap();
    fs::write(file.join("mine"), "mine").unwrap();
    for (args, what) in [
        (&["torture", "--data", "data"][..], "not empty"),
        (&["torture"], "--data is missing"),
        (&["torture", "--data", "new", "--seconds", "0"], "--seconds"),
        (&["torture", "--data", "new", "--seed", "x"], "--seed"),
        (
            &["torture", "--data", "no/such/parent"],
            "cannot be created",
        ),
    ] {
        let outcome = Program::run(home.path(), args).expect(2);
        assert!(outcome.stderr.contains(what), "{outcome:#?}");
    }
    assert_eq!(fs::read_to_string(file.join("mine")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&file).unwrap().count(), 1);
}

#[test]
fn torture_names_what_was_changed_behind_its_back_and_keeps_the_data() {
    let mut torture = Torture::start(&["--seconds", "60"]);
    let dir = torture.dir();
    // Somebody else cancels tasks that the torturer wants to see completed. It may notice the
    // first one.
    let mut cancelled = 0;
    wait_until("some tasks are cancelled", || {
        cancelled += torture.server().map_or(0, |server| cancel_some(&server));
        cancelled >= 5 || !torture.program.is_running()
    });
    let Torture { home, program } = torture;
    let outcome: Outcome = program.ended().expect(1);
    assert!(
        outcome.stdout.contains("! task ") && outcome.stdout.contains("cancelled"),
        "{outcome:#?}"
    );
    assert!(
        outcome.stdout.contains("Not all of it held."),
        "{outcome:#?}"
    );
    assert!(dir.join("data").is_dir() && dir.join("serve.log").is_file());
    drop(home);
}

/// Cancels some of the last tasks; gives how many it did. The server may be killed at any time.
fn cancel_some(server: &Api) -> usize {
    let host = server.addr.to_string();
    let ask = |request: Request| {
        let mut connection = Connection::try_open(server.addr).ok()?;
        let key = server.key.as_deref().unwrap_or_default();
        let request = request.header("authorization", &format!("Bearer {key}"));
        let is_sent = connection.try_send(request.bytes(&host));
        is_sent.then(|| connection.try_next(false).ok().flatten())?
    };
    let list = ask(Request::get("/tasks?state=pending&limit=20"));
    let Some(list) = list.filter(|list| list.status == 200) else {
        return 0;
    };
    let ids = list.json();
    let ids = ids.as_array().unwrap().iter();
    ids.filter_map(|task| task["id"].as_str())
        .filter_map(|id| ask(Request::new("DELETE", &format!("/task/{id}"))))
        .filter(|answer| answer.status == 200)
        .count()
}

#[test]
fn torture_stops_its_server_and_reports_on_ctrl_c() {
    let torture = Torture::start(&["--seconds", "600"]);
    let server = wait_for("there is a kill", || {
        let has_killed = torture.program.stdout().contains("all there");
        has_killed.then(|| torture.server()).flatten()
    });
    torture.program.signal(Signal::INT);
    let Torture { home, program } = torture;
    let outcome = program.ended().expect(0);
    assert!(
        outcome.stdout.contains("It was interrupted"),
        "{outcome:#?}"
    );
    assert!(Connection::try_open(server.addr).is_err(), "it still runs");
    drop(home);
}
