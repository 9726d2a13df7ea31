//! Data directories that earlier versions wrote are still read.

use std::path::Path;
use std::time::Duration;

use mecha::clock::{Clock, Timestamp};
use mecha::drain::Drain;
use mecha::event::{self, Attribute};
use mecha::queue::{Error, EventCounts, EventFilter, Filter, Queue, Settings};
use mecha::store::Store;
use mecha::store::check::{Problems, check};
use mecha::task::{Idempotency, Outcome, State, Task};
use tempfile::TempDir;

const BODY: &[u8] = br#"{"prompt":"wait","worker":"idle","context":{"k": "v"}}"#;

/// What the fixtures hold is older than any other retention would keep.
const A_MILLENNIUM: Duration = Duration::from_secs(1_000 * 365 * 86_400);
const A_DAY: Duration = Duration::from_secs(86_400);

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
        let tasks = tasks(&queue).await;
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

#[test]
fn a_data_directory_of_version_2_is_read() {
    let (_dir, queue) = opened(2, A_MILLENNIUM, Clock::system());
    smol::block_on(async {
        let page = queue
            .list_events(EventFilter {
                limit: 10,
                ..EventFilter::default()
            })
            .await
            .unwrap();
        let ids: Vec<_> = page.events.iter().map(|(id, _)| *id).collect();
        let events = queue.load_events(ids).await.unwrap();
        let seen: Vec<_> = events
            .iter()
            .map(|event| {
                (
                    event.event_type.as_str(),
                    event.state,
                    event.worker.as_ref().map_or("", |worker| worker.as_str()),
                    event.task.is_some(),
                    event.reason.is_some(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("push", event::State::Skipped, "", false, true),
                (
                    "release.published",
                    event::State::Failed,
                    "echo",
                    false,
                    true
                ),
                (
                    "pull_request.closed",
                    event::State::Matched,
                    "absent",
                    true,
                    false
                ),
                (
                    "pull_request.labeled",
                    event::State::Matched,
                    "echo",
                    false,
                    true
                ),
                (
                    "pull_request.opened",
                    event::State::Completed,
                    "echo",
                    true,
                    false
                ),
            ]
        );
        let opened = &events[4];
        assert_eq!(
            opened.attributes.get("number"),
            Some(&Attribute::Integer(1))
        );
        assert_eq!(opened.actor.as_deref(), Some("mona"));
        let payload = queue.payload(opened.id).await.unwrap().unwrap();
        assert!(payload.len() > 300_000 && payload.ends_with("x1y2\"}"));
        let task = queue.find(opened.task.unwrap()).await.unwrap().unwrap();
        assert_eq!(task.event, Some(opened.id));
        // No version before 5 has counted them.
        let counted = EventCounts {
            matched: 2,
            completed: 1,
            failed: 1,
            skipped: 1,
            ..EventCounts::default()
        };
        assert_eq!(queue.overview().await.events, counted);
        assert_eq!(task.prompt, "Review #1: Change 1");

        queue.approve_event(events[3].id).await.unwrap();
        let approved = queue.find_event(events[3].id).await.unwrap().unwrap();
        let task = queue.find(approved.task.unwrap()).await.unwrap().unwrap();
        assert_eq!(task.prompt, "Look at #2");
        assert_eq!(queue.pending(&"absent".parse().unwrap()), 1);
    });
    queue.close();
}

/// In version 3 rows know since when they are kept by the store's own time.
#[test]
fn a_data_directory_of_version_3_is_read() {
    let settings = settings(A_DAY);
    // Nothing of it is deleted, though a clock that is ahead by centuries says that it is old.
    let clock = Clock::by_hand(Timestamp::from_millis(20_000_000_000_000));
    let (_dir, queue) = opened(3, A_DAY, clock.clone());
    smol::block_on(async {
        // A group is carried out, and with it what is too old is deleted.
        queue.configure(settings).await.unwrap();
        let tasks = tasks(&queue).await;
        let seen: Vec<_> = tasks
            .iter()
            .map(|task| (task.prompt.as_str(), task.state, task.attempts))
            .collect();
        assert_eq!(
            seen,
            [
                ("Review #1", State::Completed, 1),
                ("wait", State::Pending, 0),
                ("hang", State::Pending, 1),
                ("bad", State::Failed, 1),
                ("ok 1", State::Completed, 1),
            ]
        );
        let filter = EventFilter {
            limit: 10,
            ..EventFilter::default()
        };
        assert_eq!(
            queue
                .list_events(filter.clone())
                .await
                .unwrap()
                .events
                .len(),
            4
        );
        clock.pass(settings.retention);
        queue.configure(settings).await.unwrap();
        let page = queue.list_events(filter).await.unwrap();
        // The one that waits to be approved has not ended.
        assert_eq!(page.events.len(), 1);
        assert_eq!(
            queue.find(tasks[1].id).await.unwrap().unwrap().state,
            State::Pending
        );
        assert_eq!(queue.find(tasks[4].id).await.unwrap(), None);
    });
    queue.close();
}

/// In version 4 long texts are in pieces.
#[test]
fn a_data_directory_of_version_4_is_read() {
    let (_dir, queue) = opened(4, A_MILLENNIUM, Clock::system());
    smol::block_on(async {
        let tasks = tasks(&queue).await;
        let seen: Vec<_> = tasks
            .iter()
            .map(|task| (task.state, task.prompt.len()))
            .collect();
        assert_eq!(seen, [(State::Pending, 5), (State::Completed, 262_150)]);
        let long = &tasks[1];
        let words: Vec<_> = long.prompt.split_terminator(' ').collect();
        let is_word = |(number, word): (usize, &&str)| **word == format!("wörd{number}");
        // The last one was cut.
        assert!(words[..words.len() - 1].iter().enumerate().all(is_word));
        let result = format!(r#"{{"output": "{}"}}"#, "r".repeat(140_000));
        assert_eq!(long.result.as_ref(), Some(&result));
        let filter = EventFilter {
            limit: 10,
            ..EventFilter::default()
        };
        let page = queue.list_events(filter).await.unwrap();
        let (event, _) = page.events[0];
        let held = format!("Look: {}", "f".repeat(140_000));
        assert_eq!(queue.held_prompt(event).await, Ok(Some(held.clone())));
        queue.approve_event(event).await.unwrap();
        let approved = queue.find_event(event).await.unwrap().unwrap();
        let task = queue.find(approved.task.unwrap()).await.unwrap().unwrap();
        assert_eq!(task.prompt, held);
        assert_eq!(queue.held_prompt(event).await, Ok(None));
    });
    queue.close();
}

/// In version 5 events are counted by state.
#[test]
fn a_data_directory_of_version_5_is_read() {
    // The counts as they are stored agree with the events.
    let dir = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data-v5");
    copy(&fixture, dir.path());
    let report = check(dir.path()).unwrap();
    assert_eq!(report.problems, Problems::default());
    let (_dir, queue) = opened(5, A_MILLENNIUM, Clock::system());
    let counted = EventCounts {
        matched: 2,
        completed: 2,
        failed: 1,
        skipped: 1,
        ..EventCounts::default()
    };
    smol::block_on(async {
        let overview = queue.overview().await;
        assert_eq!(overview.events, counted);
        let oldest = overview.oldest_pending_at.unwrap();
        assert_eq!(oldest.to_string(), "2026-11-28T06:07:01.172Z");
    });
    queue.close();
}

/// In version 6 tasks have their ended attempts. Of those of an earlier version nothing is known but what
/// their records say.
#[test]
fn a_data_directory_of_version_6_is_read() {
    let (_dir, queue) = opened(6, A_MILLENNIUM, Clock::system());
    let (_older_dir, older) = opened(3, A_MILLENNIUM, Clock::system());
    smol::block_on(async {
        let broken_off = (1, Some(Outcome::BrokenOff), false);
        assert_eq!(
            attempts(&queue).await,
            [
                ("left".to_owned(), vec![broken_off]),
                (
                    "cancelled".to_owned(),
                    vec![(1, Some(Outcome::Cancelled), false)]
                ),
                ("bad".to_owned(), vec![(1, Some(Outcome::Failed), true)]),
                (
                    "twice".to_owned(),
                    vec![
                        (1, Some(Outcome::Failed), true),
                        (2, Some(Outcome::Failed), true),
                        (3, Some(Outcome::Completed), false),
                    ]
                ),
                (
                    "once".to_owned(),
                    vec![(1, Some(Outcome::Completed), false)]
                ),
            ]
        );
        assert_eq!(
            attempts(&older).await,
            [
                (
                    "Review #1".to_owned(),
                    vec![(1, Some(Outcome::Completed), false)]
                ),
                ("wait".to_owned(), vec![]),
                ("hang".to_owned(), vec![broken_off]),
                ("bad".to_owned(), vec![]),
                (
                    "ok 1".to_owned(),
                    vec![(1, Some(Outcome::Completed), false)]
                ),
            ]
        );
    });
    queue.close();
    older.close();
}

/// The prompt of each task, newest first, and its attempts: number, outcome, whether there is an error.
async fn attempts(queue: &Queue) -> Vec<(String, Vec<(u32, Option<Outcome>, bool)>)> {
    let mut found = Vec::new();
    for task in tasks(queue).await {
        let attempts = queue.attempts(task.id).await.unwrap().unwrap();
        let shown = attempts
            .iter()
            .map(|attempt| (attempt.number, attempt.outcome, attempt.error.is_some()));
        found.push((task.prompt, shown.collect()));
    }
    found
}

/// A queue over a copy of the fixture of that version, and where the copy is.
fn opened(version: u32, retention: Duration, clock: Clock) -> (TempDir, Queue) {
    let dir = tempfile::tempdir().unwrap();
    let fixture = format!("tests/fixtures/data-v{version}");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture),
        dir.path(),
    );
    let store = Store::open(dir.path()).unwrap();
    let queue = Queue::open(store, clock, settings(retention), Drain::new()).unwrap();
    (dir, queue)
}

fn settings(retention: Duration) -> Settings {
    Settings {
        queue: 100,
        retention,
        disk_reserve: 0,
    }
}

/// The last ten tasks, newest first.
async fn tasks(queue: &Queue) -> Vec<Task> {
    let filter = Filter {
        limit: 10,
        ..Filter::default()
    };
    let page = queue.list(filter).await.unwrap();
    let ids = page.tasks.iter().map(|(id, _)| *id).collect();
    queue.load(ids).await.unwrap()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

pub(crate) fn copy(from: &Path, to: &Path) {
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
