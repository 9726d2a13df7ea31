use std::mem::size_of;

use smol::future::poll_once;

use super::*;
use crate::id::Id;

/// A change that carries a number of its own.
fn change(attempts: u32) -> Change {
    Change::Task(TaskChange {
        id: TaskId(Id::FIRST),
        worker: "w".into(),
        state: task::State::Pending,
        attempts,
        created_at: Timestamp::from_millis(1),
        dispatched_at: None,
        completed_at: None,
        event: None,
    })
}

fn attempts(batch: &Batch) -> Vec<u32> {
    let numbers = batch.changes.iter().map(|(_, change)| match change {
        Change::Task(task) => task.attempts,
        other => panic!("{other:?}"),
    });
    numbers.collect()
}

/// What a reader finds at once, and what it has lost.
fn read(reader: &mut Reader, most: usize) -> Result<Vec<u32>, Loss> {
    match reader.look(most) {
        Look::Lost(loss) => Err(loss),
        Look::Found(batch) => {
            reader.go_past(batch.to);
            Ok(attempts(&batch))
        }
    }
}

#[test]
fn a_change_has_the_bytes_that_are_promised() {
    assert!(size_of::<(u64, Change)>() <= 104);
    assert!(size_of::<(u64, Change)>() * CHANGES_MAX <= 832 << 10);
}

fn left(name: &str, endpoint_bytes: usize) -> Change {
    Change::WorkerLeft(Arc::new(WorkerLeft {
        name: name.parse().unwrap(),
        endpoint: Some("x".repeat(endpoint_bytes).into()),
        concurrency: 1,
    }))
}

/// Bytes that those among the kept changes take that are of workers that left, and how many there are.
fn kept(feed: &Feed) -> (usize, usize) {
    let ring = feed.lock();
    let batch = ring.behind(ring.newest().saturating_sub(1), 1).unwrap();
    assert_eq!(batch.changes.len(), 1, "the newest is always kept");
    let oldest = (0..=ring.newest()).find_map(|at| ring.behind(at, usize::MAX));
    let changes = oldest.unwrap().changes;
    let bytes = changes.iter().map(|(_, change)| match change {
        Change::WorkerLeft(worker) => worker.bytes(),
        _ => 0,
    });
    (bytes.sum(), changes.len())
}

#[test]
fn workers_that_left_take_so_many_bytes_at_most() {
    let feed = Feed::default();
    let mut reader = feed.follow(None).unwrap();
    let name = "n".repeat(64);
    // A thousand of the usual kind fit, and so do tasks beside them.
    feed.publish((0..1_000).map(|_| left(&name, 100)));
    feed.publish((0..1_000).map(change));
    assert_eq!(kept(&feed).1, 2_000);
    assert!(matches!(reader.look(1), Look::Found(_)));
    for _ in 0..3 {
        feed.publish((0..1_000).map(|_| left(&name, 1_024)));
        let (bytes, count) = kept(&feed);
        assert!(bytes <= LEFT_BYTES_MAX, "{bytes}");
        assert!(
            bytes > LEFT_BYTES_MAX - 2_048 && count > 200,
            "{bytes} {count}"
        );
    }
    assert_eq!(read(&mut reader, 1), Err(Loss::Overrun));
    // What tasks push out is room again.
    feed.publish((0..u32::try_from(CHANGES_MAX).unwrap()).map(change));
    assert_eq!(kept(&feed), (0, CHANGES_MAX));
    feed.publish((0..200).map(|_| left(&name, 1_024)));
    assert_eq!(kept(&feed).1, CHANGES_MAX);
}

#[test]
fn a_reader_gets_what_comes_behind_its_position_in_order_and_once() {
    let feed = Feed::default();
    feed.publish([change(1)]);
    let mut reader = feed.follow(None).unwrap();
    assert_eq!(read(&mut reader, 10), Ok(vec![]));
    feed.publish((2..8).map(change));
    assert_eq!(read(&mut reader, 4), Ok(vec![2, 3, 4, 5]));
    let came = reader.position();
    assert_eq!(read(&mut reader, 4), Ok(vec![6, 7]));
    assert_eq!(read(&mut reader, 4), Ok(vec![]));
    drop(reader);
    // Who comes back with a position has what is behind it, as often as he likes.
    for _ in 0..2 {
        let mut again = feed.follow(Some(came)).unwrap();
        assert_eq!(read(&mut again, 10), Ok(vec![6, 7]));
    }
}

#[test]
fn what_is_not_gone_past_is_found_again() {
    let feed = Feed::default();
    let mut reader = feed.follow(None).unwrap();
    feed.publish([change(1), change(2)]);
    let Look::Found(batch) = reader.look(10) else {
        panic!("nothing is lost");
    };
    let first = batch.changes[0].0;
    reader.go_past(first);
    assert_eq!(read(&mut reader, 10), Ok(vec![2]));
}

#[test]
fn a_ring_that_wraps_loses_the_oldest_and_says_so() {
    let feed = Feed::default();
    let mut slow = feed.follow(None).unwrap();
    let mut behind = feed.follow(None).unwrap();
    let max = u32::try_from(CHANGES_MAX).unwrap();
    feed.publish((1..=max).map(change));
    // All of them are there, so nothing is lost yet.
    assert_eq!(read(&mut slow, 1), Ok(vec![1]));
    feed.publish([change(max + 1)]);
    // The first one has gone: the one has had it, the other has not.
    assert_eq!(read(&mut slow, 1), Ok(vec![2]));
    assert_eq!(read(&mut behind, 1), Err(Loss::Overrun));
    // It goes on from the newest.
    assert_eq!(read(&mut behind, 10), Ok(vec![]));
    feed.publish([change(max + 2)]);
    assert_eq!(read(&mut behind, 10), Ok(vec![max + 2]));
    let all = read(&mut slow, usize::MAX);
    assert_eq!(all, Ok((3..=max + 2).collect()));
    for round in 0..3 {
        feed.publish((0..max + round).map(change));
        let expected = match round {
            0 => Ok(()),
            _ => Err(Loss::Overrun),
        };
        assert_eq!(read(&mut slow, usize::MAX).map(drop), expected, "{round}");
    }
}

#[test]
fn a_position_of_another_run_is_known_as_such() {
    let (former, feed) = (Feed::default(), Feed::default());
    former.publish([change(1)]);
    let position = former.follow(None).unwrap().position();
    feed.publish([change(1), change(2)]);
    let mut reader = feed.follow(Some(position)).unwrap();
    assert_eq!(read(&mut reader, 10), Err(Loss::Restarted));
    assert_eq!(read(&mut reader, 10), Ok(vec![]));
    // So is one that this run has not given out.
    let never = reader.position_of(7);
    let mut reader = feed.follow(Some(never)).unwrap();
    assert_eq!(read(&mut reader, 10), Err(Loss::Restarted));
}

#[test]
fn a_position_is_read_as_it_is_written_and_in_no_other_way() {
    for (epoch, number) in [
        (0, 0),
        (1, u64::MAX),
        (Position::EPOCH_MAX, 7),
        (0xab_cdef, 10),
    ] {
        let position = Position { epoch, number };
        assert_eq!(position.to_string().parse(), Ok(position));
    }
    for text in [
        "",
        "-",
        "1-1",
        "0123456789ab",
        "0123456789ab-",
        "0123456789ab--1",
        "0123456789ab-01",
        "0123456789ab-+1",
        "+123456789ab-1",
        "0123456789AB-1",
        "0123456789abc-1",
        "0123456789ab-18446744073709551616",
        "0123456789ab-1 ",
        "0123456789ab-1\u{e4}",
    ] {
        assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text:?}");
    }
}

#[test]
fn a_worker_s_change_has_a_number_and_takes_no_room() {
    let feed = Feed::default();
    let stamp = AtomicU64::new(0);
    let mut reader = feed.follow(None).unwrap();
    feed.publish([change(1)]);
    for _ in 0..2 * CHANGES_MAX {
        feed.stamp(&stamp);
    }
    let Look::Found(batch) = reader.look(10) else {
        panic!("nothing is lost");
    };
    assert_eq!(attempts(&batch), [1]);
    assert!(batch.has_workers && batch.is_last);
    assert_eq!(batch.to, stamp.load(Ordering::SeqCst));
    reader.go_past(batch.to);
    let Look::Found(batch) = reader.look(10) else {
        panic!("nothing is lost");
    };
    assert!(!batch.has_workers && batch.changes.is_empty());
}

#[test]
fn readers_are_woken_and_counted() {
    let feed = Feed::default();
    let mut readers: Vec<_> = (0..READERS_MAX)
        .map(|_| feed.follow(None).unwrap())
        .collect();
    assert!(feed.follow(None).is_none());
    readers.pop();
    let reader = feed.follow(None).unwrap();
    smol::block_on(async {
        let mut listener = reader.listen();
        feed.publish([]);
        assert!(poll_once(&mut listener).await.is_none());
        feed.publish([change(1)]);
        assert!(poll_once(&mut listener).await.is_some());
        let mut listener = reader.listen();
        feed.stamp(&AtomicU64::new(0));
        assert!(poll_once(&mut listener).await.is_some());
    });
}
