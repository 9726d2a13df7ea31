//! What a core finds when it is opened.

use super::*;
use crate::queue::command::{Attempt, RetryPolicy};
use crate::task::NewTask;

const SETTINGS: Settings = Settings {
    queue: 100,
    retention: Duration::from_secs(86_400),
    disk_reserve: 0,
};

fn open(store: &Store) -> Core {
    let clock = Clock::by_hand(Timestamp::from_millis(1_774_872_000_000));
    Core::open(store.clone(), clock, SETTINGS, fastrand::Rng::with_seed(1)).unwrap()
}

/// Carries out a group and returns the attempts that were granted.
fn group(core: &mut Core, commands: impl IntoIterator<Item = Command>) -> Vec<Attempt> {
    let store = core.store.clone();
    let mut batch = store.batch();
    for command in commands {
        core.apply(command, &mut batch).unwrap().unwrap();
    }
    core.settle(&mut batch).unwrap();
    batch.commit().unwrap();
    let grants = core.take_effects().grants.into_iter();
    grants
        .flat_map(|(_, granted)| granted)
        .map(|granted| granted.attempt)
        .collect()
}

#[test]
fn a_repeated_attempt_that_was_left_running_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut core = open(&store);
    let worker: WorkerName = "w".parse().unwrap();
    let submit = || {
        Command::Submit(Arc::new(NewTask {
            worker: worker.clone(),
            prompt: "p".to_owned(),
            context: None,
            idempotency: None,
        }))
    };
    let demand = |count| Command::Demand {
        worker: worker.clone(),
        ticket: u64::from(count),
        count,
    };
    // The first one runs on, so that the second one is not below the lane's mark.
    let begun = group(&mut core, [submit(), submit(), demand(2)]);
    let policy = RetryPolicy {
        max_attempts: 9,
        backoff: Duration::ZERO,
    };
    let fail = Command::Fail {
        attempt: begun[1],
        error: "e".to_owned(),
        policy: Some(policy),
    };
    let repeated = group(&mut core, [fail, demand(1)]);
    assert_eq!((repeated[0].task, repeated[0].number), (begun[1].task, 2));
    drop(core);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(open(&store).left_dispatched().unwrap(), 2);
}
