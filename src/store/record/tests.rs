//! Rows of every version, byte by byte.

use super::*;
use crate::store::{AttemptsRecord, EndedAttempt, Ending};

fn record() -> TaskRecord {
    TaskRecord {
        lane: 7,
        phase: Phase::Running,
        attempts: 2,
        numbered: 3,
        failures: 1,
        broken_off: 0,
        run: 9,
        created_ms: 1_774_872_000_000,
        dispatched_ms: Some(1_774_872_000_500),
        ended_ms: None,
        due_ms: None,
        prompt_bytes: 300,
        context_bytes: None,
        result_bytes: None,
        error_bytes: Some(12),
        key_hash: Some([7; 16]),
        event: None,
        ended_steady_ms: None,
        attempts_bytes: None,
    }
}

/// The row above as version 1 wrote it, the version aside.
fn body_of_version_1() -> Vec<u8> {
    let mut pinned = vec![7, 1, 2, 3, 1, 0, 9];
    pinned.extend([0x80, 0xec, 0xf5, 0xf4, 0xd3, 0x33]);
    pinned.extend([1, 0xf4, 0xef, 0xf5, 0xf4, 0xd3, 0x33]);
    pinned.extend([0, 0, 0xac, 2, 0, 0, 1, 12, 1]);
    pinned.extend([7; 16]);
    pinned
}

#[test]
fn rows_of_version_1_and_2_are_read() {
    let first = [vec![1], body_of_version_1()].concat();
    assert_eq!(decode::<TaskRecord>(&first, "row").unwrap(), record());
    let second = [vec![2], body_of_version_1(), vec![1], vec![b'e'; 16]].concat();
    let of_an_event = TaskRecord {
        event: Some([b'e'; 16]),
        ..record()
    };
    assert_eq!(decode::<TaskRecord>(&second, "row").unwrap(), of_an_event);
}

#[test]
fn rows_of_version_3_are_read() {
    let third = [vec![3], body_of_version_1(), vec![0, 1, 5]].concat();
    let ended = TaskRecord {
        ended_steady_ms: Some(5),
        ..record()
    };
    assert_eq!(decode::<TaskRecord>(&third, "row").unwrap(), ended);
}

#[test]
fn rows_of_version_4_are_pinned() {
    let of_an_event = TaskRecord {
        event: Some([b'e'; 16]),
        ended_steady_ms: Some(5),
        attempts_bytes: Some(6),
        ..record()
    };
    for (row, end) in [
        (record(), vec![0, 0, 0]),
        (
            of_an_event,
            [vec![1], vec![b'e'; 16], vec![1, 5, 1, 6]].concat(),
        ),
    ] {
        let pinned = [vec![4], body_of_version_1(), end].concat();
        assert_eq!(encode(&row), pinned);
        assert_eq!(decode::<TaskRecord>(&pinned, "row").unwrap(), row);
    }
    let clock = ClockRecord {
        steady_ms: 1,
        wall_ms: 300,
    };
    assert_eq!(encode(&clock), [1, 1, 0xac, 2]);
}

#[test]
fn rows_of_ended_attempts_are_pinned() {
    let attempts = AttemptsRecord {
        ended: vec![
            EndedAttempt {
                number: 1,
                started_ms: Some(2),
                ended_ms: Some(3),
                ending: Ending::Failed,
                error: Some("e".to_owned()),
            },
            EndedAttempt {
                number: 2,
                started_ms: Some(4),
                ended_ms: None,
                ending: Ending::BrokenOff,
                error: None,
            },
        ],
    };
    let pinned = [1, 2, 1, 1, 2, 1, 3, 0, 1, 1, b'e', 2, 1, 4, 0, 2, 0];
    assert_eq!(encode(&attempts), pinned);
    assert_eq!(decode::<AttemptsRecord>(&pinned, "row").unwrap(), attempts);
}

#[test]
fn rows_of_events_are_pinned() {
    let event = EventRecord {
        source: "gh".to_owned(),
        event_type: "push".to_owned(),
        delivery_id: "d".to_owned(),
        actor: Some("a".to_owned()),
        subject: None,
        stage: Stage::Skipped,
        worker: None,
        task: Some([b't'; 16]),
        reason: Some("r".to_owned()),
        created_ms: 1,
        updated_ms: 2,
        attributes_bytes: 3,
        payload_bytes: 4,
        prompt_bytes: Some(5),
        updated_steady_ms: Some(6),
    };
    let mut pinned = vec![2, 2, b'g', b'h', 4];
    pinned.extend(b"push");
    pinned.extend([1, b'd', 1, 1, b'a', 0, 5, 0, 1]);
    pinned.extend([b't'; 16]);
    pinned.extend([1, 1, b'r', 1, 2, 3, 4, 1, 5]);
    let of_version_1 = [&[1], &pinned[1..]].concat();
    pinned.extend([1, 6]);
    assert_eq!(encode(&event), pinned);
    assert_eq!(decode::<EventRecord>(&pinned, "row").unwrap(), event);
    let event = EventRecord {
        updated_steady_ms: None,
        ..event
    };
    assert_eq!(decode::<EventRecord>(&of_version_1, "row").unwrap(), event);
    let counts = EventCounts {
        received: 3,
        low: [b'0'; 16],
        stages: Some(StageCounts {
            open: 4,
            completed: 5,
            failed: 6,
            skipped: 7,
        }),
    };
    let pinned = [vec![2, 3], vec![b'0'; 16], vec![1, 4, 5, 6, 7]].concat();
    assert_eq!(encode(&counts), pinned);
    assert_eq!(decode::<EventCounts>(&pinned, "row").unwrap(), counts);
    let of_version_1 = [vec![1, 3], vec![b'0'; 16]].concat();
    let counts = EventCounts {
        stages: None,
        ..counts
    };
    assert_eq!(decode::<EventCounts>(&of_version_1, "row").unwrap(), counts);
}

#[test]
fn an_attempt_of_an_earlier_run_is_over() {
    assert_eq!(record().state(9), State::Dispatched);
    assert_eq!(record().state(10), State::Pending);
}

#[test]
fn damaged_rows_are_errors() {
    let whole = encode(&record());
    for cut in 0..whole.len() {
        assert!(decode::<TaskRecord>(&whole[..cut], "row").is_err(), "{cut}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(decode::<TaskRecord>(&longer, "row").is_err());
    let mut newer = whole;
    newer[0] = 200;
    assert!(decode::<TaskRecord>(&newer, "row").is_err());
}
