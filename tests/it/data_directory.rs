//! Contract sections 1 and 8: the data directory, its lock, and damage to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::harness::{Program, Server, offline_worker, server};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Every file below `directory`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}

/// The file that holds `text`, and where.
fn find(directory: &Path, text: &str) -> Option<(PathBuf, usize)> {
    files(directory).into_iter().find_map(|path| {
        let bytes = fs::read(&path).ok()?;
        let mut windows = written(&bytes).windows(text.len());
        let position = windows.position(|window| window == text.as_bytes())?;
        Some((path, position))
    })
}

/// `bytes` without the zeros at their end: journals are laid out long before they are full.
fn written(bytes: &[u8]) -> &[u8] {
    let zeros = vec![0; 64 * 1024];
    let mut rest = bytes;
    while let Some((front, back)) = rest.split_last_chunk::<{ 64 * 1024 }>() {
        if back != zeros.as_slice() {
            break;
        }
        rest = front;
    }
    rest
}

#[test]
fn it_is_created_for_its_owner_alone() {
    let server = server().start();
    assert_eq!(mode(&server.data()), 0o700);
}

#[test]
fn its_parents_are_created() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Program::command(home.path());
    command.args(["serve", "--addr=127.0.0.1:0"]);
    let program = Program::start(command);
    let data = home.path().join(".mecha/data");
    crate::harness::wait_until("the default data directory is there", || data.is_dir());
    assert_eq!(mode(&data), 0o700);
    drop(program);
}

#[test]
fn a_second_server_on_it_ends_with_3() {
    let server = Server::with(offline_worker("w"));
    let id = server.submit("w", "p");
    let data = server.data();
    let outcome = Program::run(
        server.home(),
        &[
            "serve",
            "--addr=127.0.0.1:0",
            "--data",
            &data.display().to_string(),
        ],
    )
    .expect(3);
    assert!(
        outcome.stderr.contains(&data.display().to_string()),
        "{outcome:#?}"
    );
    assert_eq!(server.task(&id)["state"], "pending");
    server.submit("w", "p");
    // With the first one gone, it is free.
    server.kill().start();
}

#[test]
fn what_cannot_be_a_directory_ends_with_3() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    for data in ["file", "file/data"] {
        let outcome = Program::run(
            home.path(),
            &["serve", "--addr=127.0.0.1:0", "--data", data],
        );
        let outcome = outcome.expect(3);
        assert!(outcome.stderr.contains("file"), "{outcome:#?}");
    }
}

#[test]
fn damage_before_acknowledged_records_ends_with_3_and_advice() {
    let server = Server::with(offline_worker("w"));
    for number in 0..20 {
        server.submit(
            "w",
            &format!("marked prompt {number:04} of a damaged store"),
        );
    }
    let stopped = server.kill();
    let Some((path, position)) = find(&stopped.data(), "marked prompt 0003") else {
        panic!("prompts are stored as they are");
    };
    let mut bytes = fs::read(&path).unwrap();
    bytes[position + 3] ^= 0x55;
    fs::write(&path, &bytes).unwrap();
    let outcome = stopped.refused().expect(3);
    let text = outcome.stderr.to_lowercase();
    assert!(
        text.contains("damage") || text.contains("corrupt"),
        "{outcome:#?}"
    );
    assert!(
        ["restore", "backup", "move", "copy"]
            .iter()
            .any(|word| text.contains(word)),
        "it says what to do: {outcome:#?}"
    );
    assert!(!text.contains("panicked"), "{outcome:#?}");
    // Refusing has not made it worse: mended, all is there.
    bytes[position + 3] ^= 0x55;
    fs::write(&path, &bytes).unwrap();
    let server = stopped.start();
    assert_eq!(server.ids("/tasks").len(), 20);
}

#[test]
fn a_store_of_garbage_ends_with_3() {
    let server = Server::with(offline_worker("w"));
    for _ in 0..5 {
        server.submit("w", "p");
    }
    let stopped = server.stop();
    for path in files(&stopped.data()) {
        let length = fs::metadata(&path).unwrap().len();
        let length = usize::try_from(length).unwrap().min(1 << 20);
        fs::write(&path, vec![0xa5; length]).unwrap();
    }
    let outcome = stopped.refused().expect(3);
    assert!(!outcome.stderr.contains("panicked"), "{outcome:#?}");
}

#[test]
fn a_torn_tail_is_cut_and_logged() {
    let server = Server::with(offline_worker("w"));
    let ids: Vec<String> = (0..10)
        .map(|number| server.submit("w", &format!("marked prompt {number:04} of a torn store")))
        .collect();
    let stopped = server.kill();
    let Some((path, position)) = find(&stopped.data(), "marked prompt 0009") else {
        panic!("prompts are stored as they are");
    };
    // As if power had gone in the middle of the last record: the rest was never written.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    let cut = u64::try_from(position).unwrap() + 10;
    file.set_len(cut).unwrap();
    file.set_len(length).unwrap();
    drop(file);
    let server = stopped.start();
    let log = server.log().to_lowercase();
    assert!(
        ["torn", "cut", "tail", "truncat"]
            .iter()
            .any(|word| log.contains(word)),
        "{log}"
    );
    for id in &ids[..9] {
        assert_eq!(server.task(id)["state"], "pending");
    }
    let next = server.submit("w", "p");
    assert!(next > ids[8]);
}

#[test]
fn a_store_that_was_only_half_made_is_made_anew() {
    for marker in [None, Some(&b""[..]), Some(b"FJ")] {
        let launch = server();
        let store = launch.data().join("store");
        fs::create_dir_all(store.join("keyspaces")).unwrap();
        fs::write(store.join("lock"), "").unwrap();
        fs::write(store.join("0.jnl"), vec![0; 1 << 20]).unwrap();
        if let Some(marker) = marker {
            fs::write(store.join("version"), marker).unwrap();
        }
        let server = launch.config(offline_worker("w")).start();
        let id = server.submit("w", "p");
        let server = server.kill().start();
        assert_eq!(server.task(&id)["state"], "pending");
    }
}

#[test]
fn a_store_that_lacks_a_file_ends_with_3() {
    for lost in ["version", "0.jnl"] {
        let server = Server::with(offline_worker("w"));
        let id = server.submit("w", "p");
        let stopped = server.kill();
        let path = stopped.data().join("store").join(lost);
        let aside = stopped.data().join("aside");
        fs::rename(&path, &aside).unwrap();
        let outcome = stopped.refused().expect(3);
        assert!(outcome.stderr.contains("damaged"), "{lost}: {outcome:#?}");
        // Refusing has not made it worse: mended, all is there.
        fs::rename(&aside, &path).unwrap();
        assert_eq!(stopped.start().task(&id)["state"], "pending");
    }
}

#[test]
fn files_of_it_are_not_for_others() {
    let server = Server::with(offline_worker("w"));
    server.submit("w", "p");
    for path in files(&server.data()) {
        // The directory's own mode protects what is inside; nothing may be writable for others.
        assert_eq!(mode(&path) & 0o002, 0, "{}", path.display());
    }
}
