//! Data directories that earlier versions wrote are still read.

use std::path::Path;

use mecha::clock::Clock;
use mecha::drain::Drain;
use mecha::queue::{Error, Filter, Queue, Settings};
use mecha::store::Store;
use mecha::task::{Idempotency, State};
use std::time::Duration;

const BODY: &[u8] = br#"{"prompt":"wait","worker":"idle","context":{"k": "v"}}"#;

#[test]
fn a_data_directory_of_version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data-v1"),
        dir.path(),
    );
    let store = Store::open(dir.path()).unwrap();
    // Its tasks ended long ago, and are not to be deleted yet.
    let retention = Duration::from_secs(1_000 * 365 * 86_400);
    let settings = Settings {
        queue: 100,
        retention,
        disk_reserve: 0,
    };
    let queue = Queue::open(store, Clock::system(), settings, Drain::new()).unwrap();
    smol::block_on(async {
        let page = queue
            .list(Filter {
                limit: 10,
                ..Filter::default()
            })
            .await
            .unwrap();
        let ids = page.tasks.iter().map(|(id, _)| *id).collect();
        let tasks = queue.load(ids).await.unwrap();
        let seen: Vec<_> = tasks
            .iter()
            .map(|task| {
                (
                    task.worker.as_str(),
                    task.prompt.as_str(),
                    task.state,
                    task.attempts,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("fixture", "hang", State::Pending, 1),
                ("idle", "wait", State::Pending, 0),
                ("fixture", "bad", State::Failed, 1),
                ("fixture", "ok 1", State::Completed, 1),
            ]
        );
        assert_eq!(tasks[1].context.as_deref(), Some(r#"{"k": "v"}"#));
        assert_eq!(tasks[2].context.as_deref(), Some(r#"{"k":[1,2]}"#));
        assert!(tasks[2].error.as_ref().unwrap().contains("answered 400"));
        assert_eq!(tasks[3].result.as_deref(), Some(r#"{"output": "done"}"#));
        assert_eq!(tasks[3].created_at.to_string(), "2026-11-24T07:36:31.817Z");

        let key = "fixture-key".to_owned();
        let same = Idempotency {
            key: key.clone(),
            body_hash: sha256(BODY),
        };
        assert_eq!(queue.replay(&same).await, Ok(Some(tasks[1].id)));
        let other = Idempotency {
            key,
            body_hash: sha256(b"other"),
        };
        let task = tasks[1].id;
        assert_eq!(
            queue.replay(&other).await,
            Err(Error::IdempotencyMismatch { task })
        );

        let workers = queue.saved_workers().await.unwrap();
        let names: Vec<_> = workers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["fixture", "idle"]);
        assert_eq!(queue.pending(&"fixture".parse().unwrap()), 1);
    });
    queue.close();
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // It keeps an empty folder in the repository.
        if entry.file_name() == ".keep" {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
