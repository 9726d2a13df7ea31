//! Pieces, with workers that change while they are made.

use std::collections::BTreeMap;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::queue::Settings;
use crate::roster::Origin;
use crate::store::Store;
use crate::worker::{Availability, Target, Worker, WorkerName};

/// A reader of a server without one.
fn following(dir: &std::path::Path) -> Following {
    let settings = Settings {
        queue: 100,
        retention: Duration::from_secs(3_600),
        disk_reserve: 0,
    };
    let store = Store::open(dir).unwrap();
    let queue = Queue::open(store, Clock::system(), settings, Drain::new()).unwrap();
    Following {
        reader: queue.feed().follow(None).unwrap(),
        roster: Roster::told_of_in(queue.feed().clone()),
        queue,
        drain: Drain::new(),
        is_new: false,
        pause_until: None,
    }
}

fn put(roster: &Roster, name: &str) -> Arc<Entry> {
    let name: WorkerName = name.parse().unwrap();
    let worker = Worker {
        name: name.clone(),
        target: Target::Command {
            argv: vec!["true".to_owned()],
            env: vec![],
            cwd: None,
        },
        timeout: Duration::from_secs(1),
        concurrency: 1,
        rate: None,
        max_attempts: 1,
        backoff: Duration::from_secs(1),
    };
    roster.put(worker, Origin::Api).unwrap();
    roster.find(&name).unwrap()
}

/// The data of the messages of a piece, and the numbers of their ids.
fn messages(piece: &[u8]) -> Vec<(u64, serde_json::Value)> {
    let text = std::str::from_utf8(piece).unwrap();
    let message = |message: &str| {
        let field = |name: &str| {
            let mut lines = message.lines();
            lines.find_map(|line| line.strip_prefix(name)).unwrap()
        };
        let number = field("id: ").split_once('-').unwrap().1;
        (
            number.parse().unwrap(),
            serde_json::from_str(field("data: ")).unwrap(),
        )
    };
    text.split_terminator("\n\n").map(message).collect()
}

fn piece(following: &mut Following) -> Vec<u8> {
    smol::block_on(following.piece()).unwrap()
}

/// What a reader knows of `running` of each worker once it has everything.
fn running(following: &mut Following, first: &[u8]) -> BTreeMap<String, u64> {
    let mut known = BTreeMap::new();
    let mut found = messages(first);
    let mut last = 0;
    while !found.is_empty() {
        assert!(found.len() <= MESSAGES_MAX, "{}", found.len());
        for (number, worker) in found {
            assert!(number >= last, "{number} after {last}");
            last = number;
            let name = worker["name"].as_str().unwrap().to_owned();
            known.insert(name, worker["running"].as_u64().unwrap());
        }
        found = messages(&piece(following));
    }
    known
}

#[test]
fn of_many_workers_those_are_looked_at_that_come_into_the_piece() {
    let dir = tempfile::tempdir().unwrap();
    let mut following = following(dir.path());
    for number in (0..3 * MESSAGES_MAX).rev() {
        put(&following.roster, &format!("w{number}"));
    }
    let Look::Found(batch) = following.reader.look(MESSAGES_MAX) else {
        panic!("nothing is lost");
    };
    let changed = following.changed_workers(batch.to, batch.is_last);
    let numbers: Vec<_> = changed.iter().map(|(number, _)| *number).collect();
    let lowest: Vec<_> = (1..).take(MESSAGES_MAX + 1).collect();
    assert_eq!(numbers, lowest);
    let first = piece(&mut following);
    assert_eq!(running(&mut following, &first).len(), 3 * MESSAGES_MAX);
}

#[test]
fn a_worker_that_does_not_come_into_the_piece_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut following = following(dir.path());
    let roster = following.roster.clone();
    let others: Vec<_> = (0..2 * MESSAGES_MAX)
        .map(|number| put(&roster, &format!("a{number}")))
        .collect();
    let last = put(&roster, "z");
    let first = piece(&mut following);
    running(&mut following, &first);
    // Its number is the newest when the reader looks; those of the others, which are in front of it
    // by name, are above by the time that their messages are made.
    last.attempt_started();
    let Look::Found(batch) = following.reader.look(MESSAGES_MAX) else {
        panic!("nothing is lost");
    };
    assert_eq!(batch.to, last.last_change());
    for other in others.iter().rev() {
        other.attempt_started();
    }
    let first = smol::block_on(following.tell(batch)).unwrap();
    let known = running(&mut following, &first);
    assert_eq!(known.len(), others.len() + 1, "{known:?}");
    assert!(known.values().all(|running| *running == 1), "{known:?}");
}

#[test]
fn a_piece_ends_with_the_message_that_fills_it() {
    const LENGTH: usize = 8 << 10;
    let dir = tempfile::tempdir().unwrap();
    let mut following = following(dir.path());
    let entries: Vec<_> = (0..20)
        .map(|number| put(&following.roster, &format!("w{number}")))
        .collect();
    for entry in &entries {
        let error = Some("x".repeat(LENGTH));
        entry.observe(Availability::Offline, error, Timestamp::from_millis(1));
    }
    let mut names = Vec::new();
    let mut pieces = 0;
    loop {
        let piece = piece(&mut following);
        if piece.is_empty() {
            break;
        }
        pieces += 1;
        assert!(piece.len() < PIECE_BYTES + 2 * LENGTH, "{}", piece.len());
        let found = messages(&piece);
        names.extend(found.iter().map(|(_, worker)| worker["name"].to_string()));
    }
    assert_eq!(pieces, 3, "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), entries.len());
}
