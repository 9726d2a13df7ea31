//! Random deliveries with repeats, and crashes in between: each distinct delivery starts exactly
//! one task, whatever the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mecha::budget::Budget;
use mecha::clock::Clock;
use mecha::drain::Drain;
use mecha::event::{Attribute, Attributes, Delivery, EventId, State};
use mecha::queue::{Claim, Decision, EventFilter, Filter, Queue, Receipt, Settings};
use mecha::store::Store;
use mecha::task::TaskId;
use mecha::worker::WorkerName;
use smol::channel::{Receiver, bounded};
use smol::future::FutureExt;

use crate::harness::wait_until;

const SEEDS: u64 = 10;
const STEPS: usize = 60;
const SOURCES: [&str; 2] = ["github", "gitlab"];

/// A delivery by its source and its id.
type Key = (usize, u32);

struct Run {
    random: fastrand::Rng,
    dir: tempfile::TempDir,
    queue: Queue,
    /// Which event each delivery made.
    events: BTreeMap<Key, EventId>,
}

fn open(dir: &Path) -> Queue {
    let settings = Settings {
        queue: 1_000_000,
        retention: Duration::from_secs(86_400),
        disk_reserve: 0,
    };
    let store = Store::open(dir).unwrap();
    Queue::open(store, Clock::system(), settings, Drain::new()).unwrap()
}

fn worker() -> WorkerName {
    "w".parse().unwrap()
}

impl Run {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            random: fastrand::Rng::with_seed(seed),
            queue: open(dir.path()),
            dir,
            events: BTreeMap::new(),
        }
    }

    /// The queue ends, whatever is under way, and begins anew.
    fn reopen(&mut self) {
        self.queue.close();
        // Its threads let go of the store when the last handle is gone.
        let placeholder = tempfile::tempdir().unwrap();
        self.queue = open(placeholder.path());
        let path = self.dir.path().to_owned();
        wait_until("the store is free", || Store::open(&path).is_ok());
        self.queue = open(&path);
    }

    fn delivery(&mut self) -> (Key, Delivery) {
        let key = (self.random.usize(0..2), self.random.u32(0..30));
        let mut attributes = Attributes::new();
        attributes.insert("number".into(), Attribute::Integer(i64::from(key.1)));
        let delivery = Delivery {
            source: SOURCES[key.0].to_owned(),
            event_type: "push".to_owned(),
            delivery_id: key.1.to_string(),
            actor: None,
            subject: None,
            attributes,
            payload: format!(
                "{{\"number\": {}, \"filler\": \"{}\"}}",
                key.1,
                "x".repeat(if self.random.u8(0..8) == 0 {
                    300_000
                } else {
                    100
                },)
            ),
        };
        (key, delivery)
    }

    async fn receive(&mut self) {
        let (key, delivery) = self.delivery();
        let permit = Budget::new(1 << 30).empty();
        match self.queue.receive(delivery, permit).await.unwrap() {
            Receipt::Received(event) => {
                let known = self.events.insert(key, event.id);
                assert_eq!(
                    known, None,
                    "a delivery that did not fail was received twice"
                );
                assert_eq!(
                    event.attributes["number"],
                    Attribute::Integer(i64::from(key.1))
                );
            }
            Receipt::Duplicate { event, .. } => assert_eq!(self.events.get(&key), Some(&event)),
        }
    }

    /// Settles some of what waits, as the matcher does; now and then the same again, as a matcher
    /// that was cut short would.
    async fn settle(&mut self) {
        let waiting = self
            .queue
            .list_events(EventFilter {
                state: Some(State::Received),
                limit: 1,
                ..EventFilter::default()
            })
            .await
            .unwrap();
        if waiting.events.is_empty() {
            return;
        }
        let events = self
            .queue
            .received(1 + self.random.usize(0..4))
            .await
            .unwrap();
        let decisions: Vec<_> = events
            .into_iter()
            .map(|event| {
                let event = event.unwrap();
                let decision = Decision::Start {
                    worker: worker(),
                    prompt: format!("{} {}", event.source, event.delivery_id),
                };
                (event.id, decision)
            })
            .collect();
        if self.random.bool() {
            self.queue.settle(decisions.clone()).await.unwrap();
        }
        self.queue.settle(decisions).await.unwrap();
    }

    async fn work(&mut self) {
        let pending = self.queue.pending(&worker());
        if pending == 0 {
            return;
        }
        let claims: Vec<Claim> = self.queue.claim(&worker(), 3).await.unwrap();
        for claim in claims {
            if self.random.bool() {
                let nothing = Budget::new(0).empty();
                claim.complete("{}".to_owned(), nothing).await.unwrap();
            }
        }
    }

    async fn all_tasks(&self) -> Vec<TaskId> {
        let page = self
            .queue
            .list(Filter {
                limit: 1_000,
                ..Filter::default()
            })
            .await
            .unwrap();
        page.tasks.into_iter().map(|(id, _)| id).collect()
    }
}

#[test]
fn each_distinct_delivery_starts_exactly_one_task() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            match run.random.u8(0..16) {
                0 => run.reopen(),
                1..=8 => smol::block_on(run.receive()),
                9..=12 => smol::block_on(run.settle()),
                _ => smol::block_on(run.work()),
            }
        }
        run.reopen();
        smol::block_on(async {
            for _ in 0..run.events.len() {
                run.settle().await;
            }
            let tasks: BTreeSet<TaskId> = run.all_tasks().await.into_iter().collect();
            assert_eq!(tasks.len(), run.events.len(), "a task for each delivery");
            let mut of_events = BTreeSet::new();
            for ((source, number), id) in &run.events {
                let event = run.queue.find_event(*id).await.unwrap().unwrap();
                let task = event.task.unwrap();
                assert!(of_events.insert(task), "{id} shares its task");
                let task = run.queue.find(task).await.unwrap().unwrap();
                assert_eq!(task.event, Some(*id));
                assert_eq!(task.prompt, format!("{} {number}", SOURCES[*source]));
                let payload = run.queue.payload(*id).await.unwrap().unwrap();
                assert!(payload.starts_with(&format!("{{\"number\": {number},")));
            }
            assert_eq!(of_events, tasks);
        });
        run.queue.close();
    }
}

/// Threads that deliver at once, and the deliveries of each.
const SENDERS: u32 = 4;
const DELIVERIES: u32 = 150;

/// Delivers, each delivery a second time later, when it may have failed; how often an event began
/// to wait.
fn send(queue: &Queue, sender: u32) -> usize {
    let budget = Budget::new(1 << 30);
    let deliver = |number: u32| {
        let delivery = Delivery {
            source: SOURCES[0].to_owned(),
            event_type: "push".to_owned(),
            delivery_id: format!("{sender}-{number}"),
            actor: None,
            subject: None,
            attributes: Attributes::new(),
            payload: "{}".to_owned(),
        };
        let received = smol::block_on(queue.receive(delivery, budget.empty()));
        matches!(received.unwrap(), Receipt::Received(_))
    };
    (0..DELIVERIES + 3)
        .flat_map(|number| {
            [
                (number < DELIVERIES).then_some(number),
                number.checked_sub(3),
            ]
        })
        .flatten()
        .filter(|number| deliver(*number))
        .count()
}

/// Settles what waits until it is told to stop. Every third event fails at first.
fn settle_all(queue: &Queue, stop: &Receiver<()>, settled: &AtomicUsize) {
    let mut seen = BTreeSet::new();
    loop {
        let waiting = async { queue.received(7).await.ok() };
        let stopped = async {
            let _ = stop.recv().await;
            None
        };
        let Some(events) = smol::block_on(waiting.or(stopped)) else {
            return;
        };
        let mut decisions = Vec::new();
        for event in events {
            let id = event.unwrap().id;
            let reason = "so it is".to_owned();
            let fails = seen.insert(id) && seen.len().is_multiple_of(3);
            let decision = if fails {
                Decision::Fail {
                    worker: None,
                    reason,
                }
            } else {
                Decision::Skip { reason }
            };
            decisions.push((id, decision));
        }
        let count = decisions.len();
        smol::block_on(queue.settle(decisions)).unwrap();
        settled.fetch_add(count, Ordering::SeqCst);
    }
}

#[test]
fn no_event_waits_while_the_matcher_sleeps() {
    for round in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let queue = open(dir.path());
        let settled = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = bounded(1);
        let matcher = {
            let (queue, settled) = (queue.clone(), Arc::clone(&settled));
            thread::spawn(move || settle_all(&queue, &stopped, &settled))
        };
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let queue = queue.clone();
                thread::spawn(move || send(&queue, sender))
            })
            .collect();
        let sent: usize = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum();
        assert!(
            sent > (SENDERS * DELIVERIES) as usize,
            "none was sent again"
        );
        // Nothing comes any more that could wake the matcher once more.
        wait_until(&format!("round {round}: all are settled"), || {
            settled.load(Ordering::SeqCst) >= sent
        });
        drop(stop);
        matcher.join().unwrap();
        assert_eq!(settled.load(Ordering::SeqCst), sent);
        queue.close();
    }
}
