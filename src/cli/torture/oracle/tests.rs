//! An oracle that is told of a server which does not keep its promises.

use super::*;

/// An id, the higher the later.
fn id(number: u32) -> Id {
    format!("{number:016}").parse().unwrap()
}

/// An oracle with so many tasks and events, all of them acknowledged: the tasks by the ids 0, 1, ...,
/// the events by 1000, 1001, ...
fn oracle(tasks: u32, events: u32) -> Oracle {
    let mut oracle = Oracle::new(Content::new(1));
    for number in 0..tasks {
        assert_eq!(oracle.submit(), Some(number));
        oracle.acknowledge(Subject::Task(number), id(number));
    }
    for number in 0..events {
        assert_eq!(oracle.deliver(), Some(number));
        oracle.acknowledge(Subject::Event(number), id(1_000 + number));
    }
    oracle
}

/// The task of a subject as a right server shows it.
fn task(oracle: &Oracle, subject: Subject, state: &str, attempts: u64) -> TaskView {
    let (task, event) = match subject {
        Subject::Task(number) => (id(number), None),
        Subject::Event(number) => (id(2_000 + number), Some(id(1_000 + number))),
    };
    TaskView {
        id: task,
        prompt: oracle.content.prompt(subject),
        state: state.to_owned(),
        attempts,
        event_id: event,
        result: (state == "completed").then(|| Content::result(subject)),
        error: (state == "failed").then(|| "cancelled".to_owned()),
    }
}

fn event(number: u32) -> EventView {
    EventView {
        id: id(1_000 + number),
        delivery_id: number.to_string(),
        state: "completed".to_owned(),
        task_id: Some(id(2_000 + number)),
    }
}

fn attempt(oracle: &mut Oracle, subject: Subject, number: u64) {
    let task = task(oracle, subject, "dispatched", number);
    oracle.attempt(&task.prompt, task.id, number);
}

/// What was found of each kind.
fn found(oracle: &Oracle) -> Vec<(Fault, u64)> {
    oracle.faults.counts().filter(|(_, n)| *n > 0).collect()
}

/// A subject whose task the worker does.
const DONE: Subject = Subject::Task(0);

#[test]
fn a_server_that_keeps_its_promises_has_no_faults() {
    let mut oracle = oracle(2, 1);
    let subjects = [DONE, Subject::Task(1), Subject::Event(0)];
    for walk in 0..3 {
        oracle.begin_walk();
        for subject in subjects {
            if walk == 0 {
                attempt(&mut oracle, subject, 1);
                attempt(&mut oracle, subject, 2);
            }
            let task = task(&oracle, subject, "completed", 2);
            oracle.watch(&task);
            oracle.walk_task(&task);
        }
        oracle.walk_event(&event(0));
        assert_eq!(oracle.end_walk(true), 3);
    }
    assert_eq!(oracle.faults.texts(), [""; 0]);
    assert_eq!(oracle.acknowledged, (2, 1));
}

#[test]
fn what_was_acknowledged_and_is_not_listed_is_lost() {
    let mut oracle = oracle(2, 1);
    oracle.begin_walk();
    let kept = task(&oracle, DONE, "pending", 0);
    oracle.walk_task(&kept);
    oracle.end_walk(false);
    assert_eq!(found(&oracle), [(Fault::Lost, 2)]);
    assert!(oracle.faults.texts()[0].contains("submission 1"));
}

#[test]
fn what_is_in_doubt_may_be_there_once_or_not_at_all() {
    let mut oracle = oracle(0, 0);
    for subject in [Subject::Task(0), Subject::Task(1), Subject::Task(2)] {
        oracle.submit();
        oracle.doubt(subject);
    }
    oracle.deliver();
    oracle.doubt(Subject::Event(0));
    // Number 1 has no key, so that it cannot be asked for again.
    let repeatable = [Subject::Task(0), Subject::Task(2), Subject::Event(0)];
    assert_eq!(oracle.repeatable(), repeatable);
    oracle.begin_walk();
    let stored = task(&oracle, Subject::Task(1), "pending", 0);
    oracle.walk_task(&stored);
    oracle.end_walk(false);
    assert!(oracle.faults.is_empty());
    let mut second = task(&oracle, Subject::Task(1), "pending", 0);
    second.id = id(7);
    oracle.walk_task(&second);
    assert_eq!(found(&oracle), [(Fault::Doubled, 1)]);
}

#[test]
fn a_prompt_that_is_not_what_was_sent_is_a_change() {
    let mut oracle = oracle(1, 0);
    let mut changed = task(&oracle, DONE, "pending", 0);
    changed.prompt.push('x');
    oracle.begin_walk();
    oracle.walk_task(&changed);
    oracle.attempt(&changed.prompt, changed.id, 1);
    assert_eq!(found(&oracle), [(Fault::Changed, 2)]);
}

#[test]
fn a_result_that_is_not_the_workers_is_a_change() {
    let mut oracle = oracle(1, 0);
    attempt(&mut oracle, DONE, 1);
    let mut changed = task(&oracle, DONE, "completed", 1);
    changed.result = Some("{}".to_owned());
    oracle.begin_walk();
    oracle.walk_task(&changed);
    assert_eq!(found(&oracle), [(Fault::Changed, 1)]);
}

#[test]
fn a_completed_task_must_not_run_again_whoever_tells_of_it_first() {
    // The end is seen, then the worker is called.
    let mut first = oracle(1, 0);
    attempt(&mut first, DONE, 1);
    let completed = task(&first, DONE, "completed", 1);
    first.watch(&completed);
    attempt(&mut first, DONE, 2);
    assert_eq!(found(&first), [(Fault::RanAgain, 1)]);
    // The worker is called, then the end is seen.
    let mut second = oracle(1, 0);
    attempt(&mut second, DONE, 1);
    attempt(&mut second, DONE, 2);
    second.watch(&completed);
    assert_eq!(found(&second), [(Fault::RanAgain, 1)]);
    // The task is shown as pending again.
    let mut third = oracle(1, 0);
    attempt(&mut third, DONE, 1);
    third.watch(&completed);
    third.begin_walk();
    let pending = task(&third, DONE, "pending", 1);
    third.walk_task(&pending);
    assert_eq!(found(&third), [(Fault::RanAgain, 1)]);
}

#[test]
fn an_attempt_that_reports_late_is_no_fault_and_one_that_comes_twice_is() {
    let mut oracle = oracle(1, 0);
    attempt(&mut oracle, DONE, 2);
    let completed = task(&oracle, DONE, "completed", 2);
    oracle.watch(&completed);
    // Its worker's thread was slower than the restart and the next attempt.
    attempt(&mut oracle, DONE, 1);
    assert!(oracle.faults.is_empty());
    attempt(&mut oracle, DONE, 2);
    assert_eq!(found(&oracle), [(Fault::AttemptTwice, 1)]);
}

#[test]
fn a_key_and_a_delivery_have_one_id() {
    let mut oracle = oracle(1, 1);
    oracle.acknowledge(DONE, id(0));
    oracle.acknowledge(Subject::Event(0), id(1_000));
    assert!(oracle.faults.is_empty());
    oracle.acknowledge(DONE, id(5));
    oracle.acknowledge(Subject::Event(0), id(6));
    assert_eq!(found(&oracle), [(Fault::Doubled, 2)]);
}

#[test]
fn an_event_has_one_task_and_keeps_it() {
    let mut twice = oracle(0, 1);
    twice.begin_walk();
    let first = task(&twice, Subject::Event(0), "pending", 0);
    let mut second = task(&twice, Subject::Event(0), "pending", 0);
    second.id = id(3_000);
    twice.walk_task(&first);
    twice.walk_task(&second);
    assert_eq!(found(&twice), [(Fault::Doubled, 1)]);
    let mut lost = oracle(0, 1);
    lost.begin_walk();
    lost.walk_task(&first);
    let without = EventView {
        task_id: None,
        ..event(0)
    };
    lost.walk_event(&without);
    assert_eq!(found(&lost), [(Fault::Doubled, 1)]);
    // Once nothing waits any more, each must have its task.
    let mut none = oracle(0, 1);
    none.begin_walk();
    none.walk_event(&without);
    none.end_walk(true);
    assert_eq!(found(&none), [(Fault::Lost, 1)]);
}

#[test]
fn what_was_refused_is_not_stored() {
    let mut oracle = oracle(0, 0);
    oracle.submit();
    oracle.refuse(DONE);
    oracle.begin_walk();
    let stored = task(&oracle, DONE, "pending", 0);
    oracle.walk_task(&stored);
    assert_eq!(found(&oracle), [(Fault::Doubled, 1)]);
}

#[test]
fn a_cancelled_task_stays_so_until_it_is_retried() {
    let mut oracle = oracle(1, 0);
    attempt(&mut oracle, DONE, 1);
    assert_eq!(oracle.change(0), Some((id(0), Change::None)));
    assert_eq!(oracle.change(0), None, "one change at a time");
    oracle.changed(0, Change::Cancelled, Some(1));
    oracle.begin_walk();
    let cancelled = task(&oracle, DONE, "failed", 1);
    oracle.walk_task(&cancelled);
    assert!(oracle.faults.is_empty(), "{:?}", oracle.faults);
    // Retried, it may run and must end.
    assert_eq!(oracle.change(0), Some((id(0), Change::Cancelled)));
    oracle.changed(0, Change::None, None);
    attempt(&mut oracle, DONE, 2);
    oracle.begin_walk();
    let completed = task(&oracle, DONE, "completed", 2);
    oracle.walk_task(&completed);
    assert!(oracle.faults.is_empty(), "{:?}", oracle.faults);
}

#[test]
fn a_cancelled_task_must_neither_run_nor_be_something_else() {
    let mut oracle = oracle(1, 0);
    oracle.change(0);
    oracle.changed(0, Change::Cancelled, Some(0));
    attempt(&mut oracle, DONE, 1);
    oracle.begin_walk();
    let pending = task(&oracle, DONE, "pending", 1);
    oracle.walk_task(&pending);
    assert_eq!(found(&oracle), [(Fault::RanAgain, 2)]);
}

#[test]
fn a_task_that_failed_for_no_reason_is_a_change_and_one_that_never_ends_is_lost() {
    let mut failed = oracle(1, 0);
    failed.begin_walk();
    let task_failed = task(&failed, DONE, "failed", 1);
    failed.walk_task(&task_failed);
    failed.end_walk(true);
    assert_eq!(found(&failed), [(Fault::Changed, 1)]);
    let mut waits = oracle(1, 0);
    waits.begin_walk();
    let pending = task(&waits, DONE, "pending", 1);
    waits.walk_task(&pending);
    waits.end_walk(true);
    assert_eq!(found(&waits), [(Fault::Lost, 1)]);
}

#[test]
fn an_epoch_has_an_end() {
    let mut oracle = oracle(TASKS_MAX, 0);
    assert!(oracle.is_full());
    assert_eq!(oracle.submit(), None);
    oracle.begin_anew(Content::new(2));
    assert!(!oracle.is_full());
    assert_eq!(oracle.submit(), Some(0));
}
