//! The writer's thread over a store that fails: it latches, refuses everything, and what it told
//! anybody is true after the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::Duration;

use smol::future::FutureExt;
use tempfile::TempDir;

use super::WAYS;
use crate::budget::{Budget, Permit};
use crate::clock::{Clock, Timestamp};
use crate::drain::{Cause, Drain};
use crate::event::{Attributes, Delivery, EventId};
use crate::queue::{Decision, Error, PutBack, Queue, Receipt, RetryPolicy, Settings, Submitted};
use crate::relief::Relief;
use crate::store::Store;
use crate::store::faults::Operation;
use crate::task::{NewTask, State, TaskId};
use crate::worker::WorkerName;

const SETTINGS: Settings = Settings {
    queue: 100,
    retention: Duration::from_secs(86_400),
    disk_reserve: 0,
};

const AT_ONCE: RetryPolicy = RetryPolicy {
    max_attempts: 3,
    backoff: Duration::ZERO,
};

/// What somebody was told.
#[derive(Debug, Default)]
struct Told {
    tasks: BTreeSet<TaskId>,
    ended: BTreeMap<TaskId, State>,
    attempts: BTreeSet<(TaskId, u32)>,
    events: BTreeSet<EventId>,
}

fn worker() -> WorkerName {
    "w".parse().unwrap()
}

fn queue(store: &Store, drain: &Drain) -> Queue {
    let clock = Clock::by_hand(Timestamp::from_millis(1_774_872_000_000));
    Queue::open(store.clone(), clock, SETTINGS, drain.clone()).unwrap()
}

fn delivery(number: u32) -> Delivery {
    Delivery {
        source: "s".to_owned(),
        event_type: "t".to_owned(),
        delivery_id: number.to_string(),
        actor: None,
        subject: None,
        attributes: Attributes::new(),
        payload: "{}".to_owned(),
    }
}

/// A permit for nothing.
fn nothing() -> Permit {
    Budget::new(0).empty()
}

/// Stores a task.
async fn submit(queue: &Queue, number: usize) -> Result<TaskId, Error> {
    let new = NewTask {
        worker: worker(),
        prompt: format!("prompt {number}"),
        context: None,
        idempotency: None,
    };
    let (Submitted::Stored(task), _) = queue.submit(new, nothing()).await? else {
        panic!("no key, no repetition");
    };
    Ok(task.id)
}

impl Told {
    /// Uses the queue until it fails, and notes what it says.
    async fn use_queue(&mut self, queue: &Queue) -> Result<(), Error> {
        for number in 0..3 {
            let id = submit(queue, number).await?;
            assert!(self.tasks.insert(id));
        }
        let mut claims = queue.claim(&worker(), 3).await?.into_iter();
        let mut next = || {
            let claim = claims.next().unwrap();
            let attempt = (claim.task(), claim.attempt());
            assert!(self.attempts.insert(attempt), "{attempt:?} again");
            claim
        };
        let (mut first, second, third) = (next(), next(), next());
        let id = first.task();
        first.load().await?;
        first.complete("{\"n\":1}".to_owned(), nothing()).await?;
        self.ended.insert(id, State::Completed);
        second.fail("no".to_owned(), Some(AT_ONCE)).await?;
        let reason = "the test wants it".to_owned();
        third.put_back(PutBack::BrokenOff { reason }).await?;
        let claims = queue.claim(&worker(), 1).await?;
        for claim in claims {
            let attempt = (claim.task(), claim.attempt());
            assert!(self.attempts.insert(attempt), "{attempt:?} again");
            let id = claim.task();
            claim.fail("never".to_owned(), None).await?;
            self.ended.insert(id, State::Failed);
            // From here on it may be pending again, whatever the answer.
            self.ended.remove(&id);
            queue.retry(id).await?;
            queue.cancel(id).await?;
            self.ended.insert(id, State::Failed);
        }
        for number in 0..2 {
            let receipt = queue.receive(delivery(number), nothing()).await?;
            let Receipt::Received(event) = receipt else {
                panic!("delivered for the first time");
            };
            self.events.insert(event.id);
        }
        let waiting = queue.received(10).await?;
        let decisions = waiting.into_iter().flatten().map(|event| {
            let start = Decision::Start {
                worker: worker(),
                prompt: "p".to_owned(),
            };
            (event.id, start)
        });
        queue.settle(decisions.collect()).await
    }

    /// Holds a queue that was opened again to what was told.
    async fn check(&self, queue: &Queue) {
        for id in &self.tasks {
            let task = queue.find(*id).await.unwrap();
            let task = task.unwrap_or_else(|| panic!("acknowledged and lost: {id}"));
            if let Some(state) = self.ended.get(id) {
                assert_eq!(task.state, *state, "{id}");
            }
        }
        for id in &self.events {
            assert!(queue.find_event(*id).await.unwrap().is_some(), "{id}");
        }
        let pending = queue.pending(&worker());
        let mut seen = BTreeSet::new();
        while (seen.len() as u64) < pending {
            for claim in queue.claim(&worker(), 10).await.unwrap() {
                let attempt = (claim.task(), claim.attempt());
                assert!(!self.attempts.contains(&attempt), "{attempt:?} again");
                assert!(
                    !self.ended.contains_key(&attempt.0),
                    "{attempt:?} had ended"
                );
                assert!(seen.insert(attempt), "{attempt:?} twice");
                claim.complete("{}".to_owned(), nothing()).await.unwrap();
            }
        }
    }
}

/// Waits until the order to stop is given, which a test must not do for ever.
fn wait_for_the_order(drain: &Drain) -> Option<Cause> {
    smol::block_on(drain.begun().or(async {
        smol::Timer::after(Duration::from_secs(20)).await;
    }));
    drain.cause()
}

/// One run with the `number`-th operation failing. Says whether it was met.
fn run(dir: &Path, way: usize, number: u64) -> bool {
    let (operation, failure, _) = WAYS[way];
    let mut told = Told::default();
    let store = Store::open(dir).unwrap();
    let drain = Drain::new();
    let queue_before = queue(&store, &drain);
    store.faults.arm(operation, failure, number);
    let used = smol::block_on(told.use_queue(&queue_before));
    let was_met = store.faults.disarm().is_none();
    match used {
        // A fault behind the last answer hurts nobody who was told.
        Ok(()) => {}
        Err(Error::StoreFailed) => {
            assert!(was_met);
            assert_eq!(wait_for_the_order(&drain), Some(Cause::StoreFailed));
            // It has latched: nothing gets through any more.
            let late = smol::block_on(async {
                assert_eq!(
                    queue_before.received(1).await.err(),
                    Some(Error::StoreFailed)
                );
                let claim = queue_before.claim(&worker(), 1).await.map(drop);
                assert_eq!(claim, Err(Error::StoreFailed));
                Told::default().use_queue(&queue_before).await
            });
            assert_eq!(late, Err(Error::StoreFailed));
        }
        // One who only reads is told so, and the writer goes on.
        Err(Error::Unreadable) => assert!(was_met && operation == Operation::Read),
        Err(other) => panic!("{way} {number}: {other}"),
    }
    queue_before.close();
    drop(queue_before);
    drop(store);
    let store = Store::open(dir).unwrap();
    let queue_after = queue(&store, &Drain::new());
    smol::block_on(told.check(&queue_after));
    queue_after.close();
    was_met
}

/// A directory in memory, where there is one.
fn memory_dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    dir.unwrap()
}

#[test]
fn what_the_writer_told_is_true_wherever_the_store_fails() {
    let count = |way| {
        for number in 1.. {
            if !run(memory_dir().path(), way, number) {
                return number - 1;
            }
        }
        0
    };
    let met: u64 = thread::scope(|scope| {
        let ways: Vec<_> = (0..WAYS.len())
            .map(|way| scope.spawn(move || count(way)))
            .collect();
        ways.into_iter().map(|way| way.join().unwrap()).sum()
    });
    println!("{met} faults under the writer");
    assert!(met > 100, "{met}");
}

/// One run of somebody who asks alone, with the `number`-th operation failing. Says whether it was met, and how often a
/// command was carried out where it was asked for.
fn run_alone(dir: &Path, way: usize, number: u64) -> (bool, u64) {
    const TASKS: usize = 60;
    let (operation, failure, _) = WAYS[way];
    let store = Store::open(dir).unwrap();
    let drain = Drain::new();
    let queue_before = queue(&store, &drain);
    let relief = Relief::default();
    queue_before.relieve_with(relief.clone());
    let mut stored = Vec::new();
    store.faults.arm(operation, failure, number);
    let used: Result<(), Error> = smol::block_on(async {
        while stored.len() < TASKS {
            stored.push(submit(&queue_before, stored.len()).await?);
        }
        Ok(())
    });
    let was_met = store.faults.disarm().is_none();
    if let Err(failure) = used {
        assert_eq!(failure, Error::StoreFailed);
        assert!(was_met);
        assert_eq!(wait_for_the_order(&drain), Some(Cause::StoreFailed));
        let late = smol::block_on(submit(&queue_before, 0));
        assert_eq!(late, Err(Error::StoreFailed));
    }
    queue_before.close();
    drop(queue_before);
    drop(store);
    let store = Store::open(dir).unwrap();
    let queue_after = queue(&store, &Drain::new());
    for id in stored {
        assert!(
            smol::block_on(queue_after.find(id)).unwrap().is_some(),
            "{id}"
        );
    }
    queue_after.close();
    (was_met, relief.times())
}

#[test]
fn what_who_asks_alone_was_told_is_true_wherever_the_store_fails() {
    let (mut met, mut here) = (0, 0);
    for way in 0..WAYS.len() {
        for number in 1.. {
            let dir = memory_dir();
            let (was_met, times) = run_alone(dir.path(), way, number);
            here += times;
            if !was_met {
                break;
            }
            met += 1;
        }
    }
    println!("{met} faults, {here} commands carried out where they were asked for");
    assert!(met > 100 && here > 1_000, "{met} {here}");
}
