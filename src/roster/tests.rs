//! Rotation, and what is told of who comes and goes.

use super::*;
use crate::feed::Look;
use crate::worker::Target;

fn worker(name: &str, concurrency: u32) -> Worker {
    Worker {
        name: name.parse().unwrap(),
        target: Target::Command {
            argv: vec!["true".to_owned()],
            env: vec![],
            cwd: None,
        },
        timeout: Duration::from_secs(1),
        concurrency,
        rate: None,
        max_attempts: 1,
        backoff: Duration::from_secs(1),
    }
}

fn observe(roster: &Roster, name: &str, found: Availability) {
    let entry = roster.find(&name.parse().unwrap()).unwrap();
    entry.observe(found, None, Timestamp::from_millis(1));
}

#[test]
fn rotation_passes_over_the_offline_and_keeps_the_busy() {
    let roster = Roster::new();
    for name in ["a", "b", "c"] {
        roster.put(worker(name, 1), Origin::File).unwrap();
    }
    observe(&roster, "a", Availability::Online);
    observe(&roster, "b", Availability::Offline);
    observe(&roster, "c", Availability::Busy);
    let picked: Vec<_> = (0..4)
        .map(|_| smol::block_on(roster.pick()).unwrap().to_string())
        .collect();
    assert_eq!(picked, ["a", "c", "a", "c"]);
}

#[test]
fn nobody_is_picked_when_all_are_offline() {
    let roster = Roster::new();
    assert_eq!(smol::block_on(roster.pick()), None);
    roster.put(worker("a", 1), Origin::File).unwrap();
    observe(&roster, "a", Availability::Offline);
    assert_eq!(smol::block_on(roster.pick()), None);
}

#[test]
fn an_online_worker_without_a_free_slot_is_busy() {
    let roster = Roster::new();
    roster.put(worker("a", 2), Origin::File).unwrap();
    observe(&roster, "a", Availability::Online);
    let entry = roster.find(&"a".parse().unwrap()).unwrap();
    entry.attempt_started();
    assert_eq!(entry.availability(), Availability::Online);
    entry.attempt_started();
    assert_eq!(entry.availability(), Availability::Busy);
    entry.attempt_ended();
    assert_eq!(entry.availability(), Availability::Online);
}

#[test]
fn who_left_is_told_of_in_front_of_who_came_under_the_same_name() {
    // A wrong order takes two threads that meet at the moment for it.
    for _ in 0..10 {
        remove_and_put_at_once();
    }
}

fn remove_and_put_at_once() {
    const REMOVALS: usize = 2_000;
    let feed = Feed::default();
    let roster = Roster::told_of_in(feed.clone());
    let name: WorkerName = "a".parse().unwrap();
    let mut reader = feed.follow(None).unwrap();
    let is_done = AtomicBool::new(false);
    let removed: Vec<_> = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::SeqCst) {
                    if roster.put(worker("a", 1), Origin::File) == Ok(false) {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let removals = std::iter::repeat_with(|| {
            std::thread::yield_now();
            roster.remove(&name)
        })
        .flatten();
        let removed = removals.take(REMOVALS).collect();
        is_done.store(true, Ordering::SeqCst);
        removed
    });
    let Look::Found(batch) = reader.look(usize::MAX) else {
        panic!("nothing is lost");
    };
    let mut before = 0;
    for (entry, (left, _)) in removed.iter().zip(&batch.changes) {
        let came = entry.last_change();
        assert!(
            before < came && came < *left,
            "one left as {before}, the next came as {came} and left as {left}"
        );
        before = *left;
    }
    assert_eq!(batch.changes.len(), REMOVALS);
}

#[test]
fn a_replaced_worker_keeps_its_running_attempts() {
    let roster = Roster::new();
    assert_eq!(roster.put(worker("a", 1), Origin::Api), Ok(true));
    let entry = roster.find(&"a".parse().unwrap()).unwrap();
    entry.attempt_started();
    assert_eq!(roster.put(worker("a", 5), Origin::Api), Ok(false));
    assert_eq!((entry.running(), entry.worker().concurrency), (1, 5));
    roster.remove(entry.name());
    assert!(entry.is_removed());
}
