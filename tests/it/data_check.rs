//! `mecha check --data`: a data directory is read and verified, and nothing of it is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::fixtures::copy;
use crate::harness::{
    Outcome, Program, Server, command_worker, github_source, offline_worker, pull_request, rule,
};

fn check(home: &Path, data: &Path) -> Outcome {
    let data = data.display().to_string();
    Program::run(home, &["check", "--data", &data])
}

/// Every file and directory, with what it holds and when it was changed.
fn contents(directory: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let changed = fs::metadata(&directory).unwrap().modified().unwrap();
        found.insert(directory.clone(), (changed, Vec::new()));
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let changed = fs::metadata(&path).unwrap().modified().unwrap();
                found.insert(path.clone(), (changed, fs::read(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn a_sound_directory_is_summed_up_and_left_as_it_is() {
    let config = [
        offline_worker("w"),
        command_worker("echo", &["cat"], ""),
        rule("pull_request.opened", "Review #{{ number }}", ""),
        github_source(""),
    ]
    .concat();
    let server = Server::with(config);
    for _ in 0..3 {
        server.submit("w", "p");
    }
    let id = server.submit("echo", "p");
    server.task_in(&id, "completed");
    let event = server.receive("1", &pull_request("opened", 1));
    server.event_in(&event, "completed");
    // A server that runs has it, and is not disturbed.
    let outcome = check(server.home(), &server.data()).expect(3);
    assert!(outcome.stderr.contains("in use"), "{outcome:#?}");
    let stopped = server.kill();
    let before = contents(&stopped.data());
    let home = tempfile::tempdir().unwrap();
    let outcome = check(home.path(), &stopped.data()).expect(0);
    for part in [
        "3 pending (0 of them running), 2 completed, 0 failed",
        "0 received, 0 matched, 1 completed, 0 failed, 0 skipped",
        "goes well",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome:#?}");
    }
    assert!(contents(&stopped.data()) == before, "it changed something");
    // What it needed for itself, in the directory for temporary files, is gone.
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    assert_eq!(stopped.start().ids("/tasks").len(), 5);
}

#[test]
fn a_torn_tail_is_told_of_and_left_to_the_start() {
    let server = Server::with(offline_worker("w"));
    let ids: Vec<String> = (0..4).map(|_| server.submit("w", "p")).collect();
    let stopped = server.kill();
    let journal = stopped.data().join("store/0.jnl");
    let bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let mut torn = bytes.clone();
    torn[end - 20..=end].fill(0);
    fs::write(&journal, &torn).unwrap();
    let home = tempfile::tempdir().unwrap();
    let outcome = check(home.path(), &stopped.data()).expect(0);
    assert!(outcome.stdout.contains("it cuts a batch"), "{outcome:#?}");
    assert!(fs::read(&journal).unwrap() == torn, "it cut something");
    let server = stopped.start();
    for id in &ids[..3] {
        assert_eq!(server.task(id)["state"], "pending");
    }
}

#[test]
fn damage_is_told_with_its_file_and_what_to_do() {
    let server = Server::with(offline_worker("w"));
    for _ in 0..4 {
        server.submit("w", "a prompt that is damaged");
    }
    let stopped = server.kill();
    let home = tempfile::tempdir().unwrap();
    for name in ["store/0.jnl", "store/keyspaces/0/current", "store/version"] {
        let path = stopped.data().join(name);
        let bytes = fs::read(&path).unwrap();
        let mut damaged = bytes.clone();
        if name.ends_with("jnl") {
            damaged[40] ^= 1;
        } else {
            damaged.truncate(1);
        }
        fs::write(&path, &damaged).unwrap();
        let before = contents(&stopped.data());
        let outcome = check(home.path(), &stopped.data()).expect(3);
        for part in ["problem: ", name, "damaged", "restore the last backup"] {
            assert!(outcome.stderr.contains(part), "{part}: {outcome:#?}");
        }
        assert!(!outcome.stderr.contains("panicked"), "{outcome:#?}");
        assert!(contents(&stopped.data()) == before, "it changed something");
        fs::write(&path, bytes).unwrap();
    }
    check(home.path(), &stopped.data()).expect(0);
}

#[test]
fn every_damaged_table_and_list_is_told() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data-v4");
    copy(&fixture, &data);
    let keyspaces = data.join("store/keyspaces");
    let damaged = ["0/tables/6", "1/v0", "2/v0"];
    for file in damaged {
        let path = keyspaces.join(file);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&path, bytes).unwrap();
    }
    let outcome = check(home.path(), &data).expect(3);
    for file in damaged {
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains(file), "{file}: {outcome:#?}");
    }
}

#[test]
fn a_configuration_and_a_data_directory_are_checked_together() {
    let server = Server::with(offline_worker("w"));
    server.submit("w", "p");
    let stopped = server.kill();
    let data = stopped.data().display().to_string();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("good.toml"), offline_worker("w")).unwrap();
    fs::write(home.path().join("bad.toml"), "nonsense = 1\n").unwrap();
    let run = |config: &str, data: &str| {
        Program::run(home.path(), &["check", "--config", config, "--data", data])
    };
    let outcome = run("good.toml", &data).expect(0);
    for part in ["good.toml is valid", "1 pending"] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome:#?}");
    }
    let outcome = run("bad.toml", &data).expect(2);
    assert!(outcome.stderr.contains("nonsense"), "{outcome:#?}");
    // One that the server will make is no mistake of a configuration, but nothing to be read.
    let outcome = run("good.toml", "absent").expect(0);
    assert!(outcome.stdout.contains("not there yet"), "{outcome:#?}");
    let outcome = check(home.path(), &home.path().join("absent")).expect(3);
    assert!(outcome.stderr.contains("absent"), "{outcome:#?}");
    // Without the option no data directory is looked at, whatever the environment says.
    let absent = [("MECHA_DATA", "absent")];
    Program::run_with(home.path(), &["check", "--config", "good.toml"], &absent).expect(0);
    fs::write(stopped.data().join("store/version"), "x").unwrap();
    run("good.toml", &data).expect(3);
}
