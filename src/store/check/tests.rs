//! Rows that disagree, one after the other.

use fjall::Readable;

use super::*;
use crate::budget::{Budget, Permit};
use crate::clock::Clock;
use crate::drain::Drain;
use crate::event::{Attributes, Delivery};
use crate::queue::{Queue, Settings};
use crate::store::batch::Batch;
use crate::store::record::StageCounts;
use crate::store::{Space, keys};
use crate::task::{Idempotency, NewTask};
use std::time::Duration;

/// A permit for nothing.
fn nothing() -> Permit {
    Budget::new(0).empty()
}

/// A data directory with a task in each state and two events.
fn filled(dir: &Path) {
    let store = Store::open(dir).unwrap();
    let settings = Settings {
        queue: 100,
        retention: Duration::from_secs(86_400),
        disk_reserve: 0,
    };
    let queue = Queue::open(store, Clock::system(), settings, Drain::new()).unwrap();
    let claim = smol::block_on(async {
        for number in 0..4 {
            let new = NewTask {
                worker: "w".parse().unwrap(),
                // The first is kept in pieces, as the first result is.
                prompt: format!("prompt {number}").repeat(if number == 0 { 40_000 } else { 1 }),
                context: Some("{}".to_owned()),
                idempotency: Some(Idempotency {
                    key: number.to_string(),
                    body_hash: [1; 32],
                }),
            };
            queue.submit(new, nothing()).await.unwrap();
        }
        let mut claims = queue
            .claim(&"w".parse().unwrap(), 3)
            .await
            .unwrap()
            .into_iter();
        let mut next = || claims.next().unwrap();
        let (first, second, third) = (next(), next(), next());
        let result = format!("{{\"output\": \"{}\"}}", "x".repeat(200_000));
        first.complete(result, nothing()).await.unwrap();
        second.fail("no".to_owned(), None).await.unwrap();
        for number in 0..2 {
            let delivery = Delivery {
                source: "s".to_owned(),
                event_type: "t".to_owned(),
                delivery_id: number.to_string(),
                actor: None,
                subject: None,
                attributes: Attributes::new(),
                payload: "{}".to_owned(),
            };
            queue.receive(delivery, nothing()).await.unwrap();
        }
        third
    });
    queue.close();
    // Its attempt was under way when the server ended.
    drop(claim);
}

#[test]
fn a_sound_directory_has_no_problem_and_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let listed = |path: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (std::fs::metadata(&path).unwrap().modified().unwrap(), path))
            .collect();
        names.sort();
        names
    };
    let before = (listed(dir.path()), listed(&dir.path().join("store")));
    let report = check(dir.path()).unwrap();
    assert_eq!(report.problems, Problems::default());
    assert_eq!(
        before,
        (listed(dir.path()), listed(&dir.path().join("store")))
    );
    let tasks = Tasks {
        pending: 2,
        running: 1,
        completed: 1,
        failed: 1,
    };
    assert_eq!((report.tasks, report.events.received), (tasks, 2));
    assert_eq!(
        (report.schema, report.runs),
        (Some(crate::store::SCHEMA_VERSION), 1)
    );
}

#[test]
fn every_row_that_is_missing_is_a_problem() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path());
    let store = Store::open(whole.path()).unwrap();
    let mut all: Vec<(Space, Vec<u8>)> = Vec::new();
    for space in [
        Space::Tasks,
        Space::Texts,
        Space::Index,
        Space::Meta,
        Space::Events,
    ] {
        for row in store.snapshot().rows.iter(store.space(space)) {
            all.push((space, row.key().unwrap().to_vec()));
        }
    }
    assert!(all.len() > 30, "{}", all.len());
    for (space, key) in all {
        let value = store.get(space, &key).unwrap().unwrap();
        let change = |change: &dyn Fn(&mut Batch<'_>)| {
            let mut batch = store.batch();
            change(&mut batch);
            batch.commit().unwrap();
            let mut report = Report::default();
            let audit = Audit::new(&store, &mut report);
            let _ = audit.and_then(Audit::run);
            report.problems
        };
        let problems = change(&|batch| batch.remove(space, key.clone()));
        // A server without its time begins a new one; a run number is counted from the start.
        let may_be_missing =
            space == Space::Meta && [keys::CLOCK, keys::RUN, keys::DELETED_ID].contains(&&key[..]);
        assert!(
            may_be_missing || !problems.is_empty(),
            "{space:?} {} is not missed",
            key.escape_ascii()
        );
        let problems = change(&|batch| batch.write(space, key.clone(), &value));
        assert_eq!(problems, Problems::default(), "put back");
        // A row that nothing belongs to.
        if space != Space::Meta {
            let mut other = key.clone();
            *other.last_mut().unwrap() ^= 1;
            if store.get(space, &other).unwrap().is_none() {
                let problems = change(&|batch| batch.write(space, other.clone(), &value));
                assert!(!problems.is_empty(), "{space:?} {}", other.escape_ascii());
                change(&|batch| batch.remove(space, other.clone()));
            }
        }
    }
}

#[test]
fn events_that_are_counted_wrongly_are_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let store = Store::open(dir.path()).unwrap();
    let mut counts = store.batch().event_counts().unwrap();
    let right = counts.stages.unwrap();
    for (stages, is_right) in [
        (Some(right), true),
        // A former version did not count them.
        (None, true),
        (
            Some(StageCounts {
                skipped: right.skipped + 1,
                ..right
            }),
            false,
        ),
    ] {
        counts.stages = stages;
        let mut batch = store.batch();
        batch.put_event_counts(&counts);
        batch.commit().unwrap();
        let mut report = Report::default();
        let audit = Audit::new(&store, &mut report).unwrap();
        audit.run().unwrap();
        assert_eq!(report.problems.is_empty(), is_right, "{stages:?}");
    }
}
