//! What a core finds when it is opened.

use super::*;
use crate::budget::Budget;
use crate::event::{Attributes, Delivery, EventId};
use crate::queue::command::{Attempt, Decision, NewEvent, RetryPolicy};
use crate::queue::events::task_of;
use crate::queue::judging::Judge;
use crate::store::record::Stage;
use crate::store::{EventListing, Payload};
use crate::task::{Idempotency, NewTask};

const SETTINGS: Settings = Settings {
    queue: 100,
    retention: Duration::from_secs(86_400),
    disk_reserve: 0,
};

/// A moment in 2026.
const TODAY: Timestamp = Timestamp::from_millis(1_774_872_000_000);

const TEN_YEARS: Duration = Duration::from_secs(3_650 * 86_400);

fn open(store: &Store) -> Core {
    open_at(store, &Clock::by_hand(TODAY))
}

fn open_at(store: &Store, clock: &Clock) -> Core {
    let random = fastrand::Rng::with_seed(1);
    Core::open(store.clone(), clock.clone(), SETTINGS, random).unwrap()
}

fn submit(key: Option<&str>) -> Command {
    Command::Submit(Arc::new(NewTask {
        worker: "w".parse().unwrap(),
        prompt: "p".to_owned(),
        context: None,
        idempotency: key.map(|key| Idempotency {
            key: key.to_owned(),
            body_hash: [1; 32],
        }),
    }))
}

fn demand(ticket: u64, count: u32) -> Command {
    Command::Demand {
        worker: "w".parse().unwrap(),
        ticket,
        count,
    }
}

/// Submits a task and completes it.
fn completed(core: &mut Core) -> TaskId {
    let attempt = group(core, [submit(None), demand(1, 1)])[0];
    let result = "{}".to_owned();
    group(core, [Command::Complete { attempt, result }]);
    attempt.task
}

fn is_kept(core: &mut Core, id: TaskId) -> bool {
    group(core, []);
    core.store.snapshot().task(id).unwrap().is_some()
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
    // The first one runs on, so that the second one is not below the lane's mark.
    let begun = group(&mut core, [submit(None), submit(None), demand(2, 2)]);
    let policy = RetryPolicy {
        max_attempts: 9,
        backoff: Duration::ZERO,
    };
    let fail = Command::Fail {
        attempt: begun[1],
        error: "e".to_owned(),
        policy: Some(policy),
    };
    let repeated = group(&mut core, [fail, demand(1, 1)]);
    assert_eq!((repeated[0].task, repeated[0].number), (begun[1].task, 2));
    drop(core);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(open(&store).left_dispatched().unwrap(), 2);
}

/// A board without a clock of its own starts in 1970, and is told the time a little later.
#[test]
fn what_ended_in_1970_is_kept_when_the_clock_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::by_hand(Timestamp::from_millis(5_000));
    let mut core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    let id = completed(&mut core);
    clock.set(TODAY);
    assert!(is_kept(&mut core, id));
    let later = completed(&mut core);
    clock.pass(SETTINGS.retention.saturating_sub(Duration::from_secs(1)));
    assert!(is_kept(&mut core, id));
    clock.pass(Duration::from_secs(1));
    assert!(!is_kept(&mut core, id) && !is_kept(&mut core, later));
}

#[test]
fn what_ended_in_a_wrong_future_is_not_kept_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::by_hand(TODAY.after(TEN_YEARS));
    let mut core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    let id = completed(&mut core);
    clock.set(TODAY);
    clock.pass(SETTINGS.retention.saturating_sub(Duration::from_secs(1)));
    assert!(is_kept(&mut core, id));
    clock.pass(Duration::from_secs(1));
    assert!(!is_kept(&mut core, id));
}

/// A start with a clock that is wrong uses up a tenth of the retention, and only the first.
#[test]
fn what_has_ended_is_kept_through_starts_with_a_wrong_clock() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::by_hand(TODAY);
    let mut core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    let id = completed(&mut core);
    for wrong in [TODAY.after(TEN_YEARS), Timestamp::from_millis(0)].repeat(20) {
        drop(core);
        clock.set(wrong);
        core = open_at(&Store::open(dir.path()).unwrap(), &clock);
        assert!(is_kept(&mut core, id));
        clock.set(TODAY);
        assert!(is_kept(&mut core, id));
        // What the store knows of the time goes to disk with something that happens.
        clock.pass(Duration::from_secs(1));
        completed(&mut core);
    }
    clock.pass(SETTINGS.retention);
    assert!(!is_kept(&mut core, id));
}

#[test]
fn a_day_without_the_server_counts_as_the_clock_says() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::by_hand(TODAY);
    let mut core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    let id = completed(&mut core);
    let tenth = SETTINGS.retention / 10;
    for _ in 0..9 {
        drop(core);
        clock.pass(tenth);
        core = open_at(&Store::open(dir.path()).unwrap(), &clock);
        assert!(is_kept(&mut core, id));
        let store = core.store.clone();
        let mut batch = store.batch();
        core.put_time(&mut batch);
        batch.commit().unwrap();
    }
    drop(core);
    clock.pass(tenth);
    core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    assert!(!is_kept(&mut core, id));
}

/// An idle store writes its time now and then, as long as something waits for its time to be over.
#[test]
fn an_idle_store_knows_after_a_crash_how_long_it_ran() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::by_hand(TODAY);
    let mut core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    let id = completed(&mut core);
    let mut waited = Duration::ZERO;
    while waited < SETTINGS.retention.saturating_sub(Duration::from_secs(60)) {
        let pause = core.idle_for().unwrap();
        assert!(pause > Duration::ZERO && pause <= SETTINGS.retention / 10);
        clock.pass(pause);
        waited += pause;
        assert!(is_kept(&mut core, id) || waited >= SETTINGS.retention);
    }
    // The clock is of no use after the crash.
    drop(core);
    clock.set(Timestamp::from_millis(0));
    core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    clock.pass(SETTINGS.retention / 5);
    assert!(!is_kept(&mut core, id));
}

/// Where the clock is set to, one after the other.
const JUMPS: [Timestamp; 6] = [
    Timestamp::from_millis(2_090_232_000_000),
    Timestamp::from_millis(0),
    TODAY,
    Timestamp::from_millis(1_774_785_600_000),
    Timestamp::from_millis(253_402_300_799_999),
    TODAY,
];

fn fail(attempt: Attempt) -> Command {
    Command::Fail {
        attempt,
        error: "e".to_owned(),
        policy: Some(RetryPolicy {
            max_attempts: 100,
            backoff: Duration::from_secs(30),
        }),
    }
}

#[test]
fn a_delay_is_as_long_as_it_is_whatever_the_clock_does() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::by_hand(TODAY);
    let mut core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    let mut attempt = group(&mut core, [submit(None), demand(1, 1)])[0];
    let mut pause = Duration::from_secs(30);
    for jump in JUMPS {
        assert!(group(&mut core, [fail(attempt), demand(2, 1)]).is_empty());
        clock.set(jump);
        clock.pass(pause.saturating_sub(Duration::from_secs(1)));
        assert!(group(&mut core, []).is_empty(), "too early at {jump}");
        clock.pass(pause / 4 + Duration::from_secs(2));
        attempt = group(&mut core, [])[0];
        pause *= 2;
    }
    assert_eq!(attempt.number, 7);
}

#[test]
fn a_delay_is_over_in_time_whatever_the_clock_says_after_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::by_hand(TODAY);
    let mut core = open_at(&Store::open(dir.path()).unwrap(), &clock);
    let mut attempt = group(&mut core, [submit(None), demand(1, 1)])[0];
    let mut pause = Duration::from_secs(30);
    for jump in JUMPS {
        group(&mut core, [fail(attempt)]);
        drop(core);
        clock.set(jump);
        core = open_at(&Store::open(dir.path()).unwrap(), &clock);
        clock.pass(pause + pause / 4 + Duration::from_secs(2));
        attempt = group(&mut core, [demand(2, 1)])[0];
        pause *= 2;
    }
    assert_eq!(attempt.number, 7);
}

#[test]
fn a_key_is_known_whatever_the_clock_does() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::by_hand(TODAY);
    let store = Store::open(dir.path()).unwrap();
    let mut core = open_at(&store, &clock);
    let mut ids = Vec::new();
    for jump in [
        TODAY,
        TODAY.after(TEN_YEARS),
        Timestamp::from_millis(0),
        TODAY,
    ] {
        clock.set(jump);
        let mut batch = store.batch();
        let answer = core
            .apply(submit(Some("key")), &mut batch)
            .unwrap()
            .unwrap();
        let fresh = core.apply(submit(None), &mut batch).unwrap().unwrap();
        core.settle(&mut batch).unwrap();
        batch.commit().unwrap();
        match answer {
            Outcome::Stored((id, _)) if ids.is_empty() => ids.push(id),
            Outcome::Replayed(id) => assert_eq!(id, ids[0]),
            other => panic!("{other:?}"),
        }
        let Outcome::Stored((id, _)) = fresh else {
            panic!("{fresh:?}");
        };
        assert!(id > *ids.last().unwrap(), "ids rise");
        ids.push(id);
    }
}

#[test]
fn an_event_below_the_mark_is_found_again_at_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut core = open(&store);
    group(&mut core, [receive("first"), receive("second")]);
    let events = store.snapshot().received(Id::FIRST, 2).unwrap();
    let decision = Decision::Skip {
        reason: "no rule".to_owned(),
    };
    let event = events[1];
    group(&mut core, [Command::Settle { event, decision }]);
    assert!(core.backlog_low() > events[0].0, "the mark is above it");
    drop(core);
    let core = open(&store);
    assert_eq!(core.received(), 1);
    assert!(core.backlog_low() <= events[0].0);
}

/// Decides by the delivery's first letter; those with an l take more than the event.
#[derive(Debug)]
struct Rules;

impl Judge for Rules {
    fn judge(&self, event: &Event, _room: usize) -> Option<Decision> {
        match event.delivery_id.as_bytes().first() {
            Some(b'l') => None,
            Some(b'h') => Some(Decision::Hold {
                worker: "w".parse().unwrap(),
                prompt: "p".to_owned(),
            }),
            Some(b's') => Some(Decision::Skip {
                reason: "no rule".to_owned(),
            }),
            _ => Some(start()),
        }
    }
}

fn open_with_rules(store: &Store) -> Core {
    let core = open(store);
    assert!(core.judging.seat.set(Arc::new(Rules)).is_ok());
    core
}

fn start() -> Decision {
    Decision::Start {
        worker: "w".parse().unwrap(),
        prompt: "p".to_owned(),
    }
}

/// Compares what is counted of events with their rows.
fn assert_counted(core: &Core) {
    let batch = core.store.batch();
    let rows = |stage| batch.staged_events(stage).unwrap();
    let mut stages = core.backlog.stages();
    for stage in [Stage::Open, Stage::Completed, Stage::Failed, Stage::Skipped] {
        assert_eq!(stages.of(stage).copied(), Some(rows(stage)), "{stage:?}");
    }
    assert_eq!(core.backlog.held(), rows(Stage::Held));
    assert_eq!(core.received(), rows(Stage::Received));
}

#[test]
fn what_is_decided_at_once_and_what_is_decided_later_are_counted_alike() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut core = open_with_rules(&store);
    let mut ticket = 0;
    for number in 0..40 {
        let letters = ["l", "h", "s", "x"];
        let of_letter = |letter: &str| receive(&format!("{letter}{number}"));
        let received = letters.map(of_letter);
        let mut commands: Vec<_> = received.into_iter().filter(|_| random.bool()).collect();
        random.shuffle(&mut commands);
        for event in store.snapshot().received(Id::FIRST, 3).unwrap() {
            let decision = start();
            commands.push(Command::Settle { event, decision });
        }
        if random.bool() {
            ticket += 1;
            commands.push(demand(ticket, 2));
        }
        let granted = group(&mut core, commands);
        assert_counted(&core);
        let newest = newest_event(&store);
        if stage_of(&store, newest).0 == Stage::Held {
            group(&mut core, [Command::Approve(newest)]);
            assert_eq!(stage_of(&store, newest), (Stage::Open, true));
        }
        let completed = granted.into_iter().map(|attempt| Command::Complete {
            attempt,
            result: "{}".to_owned(),
        });
        group(&mut core, completed);
        assert_counted(&core);
        if number % 10 == 9 {
            drop(core);
            core = open_with_rules(&store);
            assert_counted(&core);
        }
    }
    let batch = store.batch();
    for stage in [Stage::Open, Stage::Completed, Stage::Skipped, Stage::Held] {
        assert!(batch.staged_events(stage).unwrap() > 0, "{stage:?}");
    }
}

/// The stage of an event, and whether it has a task.
fn stage_of(store: &Store, id: EventId) -> (Stage, bool) {
    let record = store.snapshot().event(id).unwrap().unwrap();
    (record.stage, record.task.is_some())
}

fn newest_event(store: &Store) -> EventId {
    let listing = EventListing {
        state: None,
        source: None,
        event_type: None,
        before: Id::LAST,
        limit: 1,
        running: Vec::new(),
    };
    store.snapshot().list_events(&listing).unwrap().events[0].0
}

#[test]
fn what_is_decided_at_once_is_one_commit_with_its_event() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut core = open_with_rules(&store);
    let granted = group(&mut core, [demand(1, 1), receive("x")]);
    assert_eq!(core.received(), 0);
    let event = newest_event(&store);
    assert_eq!(stage_of(&store, event), (Stage::Open, true));
    let record = store.snapshot().event(event).unwrap().unwrap();
    assert_eq!(task_of(&record), Some(granted[0].task), "a worker has it");
    assert_eq!(store.snapshot().received(Id::FIRST, 1).unwrap(), []);
    let result = "{}".to_owned();
    let attempt = granted[0];
    group(&mut core, [Command::Complete { attempt, result }]);
    assert_eq!(stage_of(&store, event), (Stage::Completed, true));
    assert_counted(&core);
}

#[test]
fn an_event_does_not_overtake_one_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut core = open_with_rules(&store);
    group(&mut core, [receive("later"), receive("x behind it")]);
    let waiting = store.snapshot().received(Id::FIRST, 3).unwrap();
    assert_eq!((core.received(), waiting.len()), (2, 2));
    let settle = |event| Command::Settle {
        event,
        decision: start(),
    };
    group(&mut core, [settle(waiting[0]), receive("x behind both")]);
    assert_eq!(core.received(), 2);
    let waiting = store.snapshot().received(Id::FIRST, 3).unwrap();
    let settles: Vec<_> = waiting.into_iter().map(settle).collect();
    group(&mut core, settles);
    group(&mut core, [receive("x alone")]);
    assert_eq!(core.received(), 0);
    assert_eq!(stage_of(&store, newest_event(&store)), (Stage::Open, true));
}

fn receive(id: &str) -> Command {
    Command::Receive(Arc::new(NewEvent {
        delivery: Delivery {
            source: "s".to_owned(),
            event_type: "t".to_owned(),
            delivery_id: id.to_owned(),
            actor: None,
            subject: None,
            attributes: Attributes::new(),
            payload: String::new(),
        },
        payload: Payload::encode("{}"),
        attributes_json: "{}".to_owned(),
        permit: Budget::new(1 << 10).try_acquire(1).unwrap(),
    }))
}
