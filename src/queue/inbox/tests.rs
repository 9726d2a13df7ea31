//! Who waits for the end of the writer.

use std::thread;

use super::*;
use crate::budget::Budget;
use crate::event::{Attributes, Delivery};
use crate::queue::command::NewEvent;
use crate::store::Payload;

/// Whether `wait_for_end` returns after `event`; a writer that is not told of never ends.
fn wait_is_over_after(event: impl FnOnce(&Inbox)) -> bool {
    let inbox = Arc::new(Inbox::default());
    let (over, is_over) = std::sync::mpsc::sync_channel(1);
    let waiting = Arc::clone(&inbox);
    let waiter = thread::spawn(move || {
        waiting.wait_for_end();
        over.send(()).unwrap();
    });
    assert!(is_over.recv_timeout(Duration::from_millis(50)).is_err());
    event(&inbox);
    let is_over = is_over.recv_timeout(Duration::from_secs(20)).is_ok();
    if is_over {
        waiter.join().unwrap();
    }
    is_over
}

#[test]
fn closing_waits_for_the_writer() {
    assert!(wait_is_over_after(Inbox::writer_ended));
}

#[test]
fn closing_does_not_wait_for_a_commit_that_never_returns() {
    // This is all that the watchdog can do; the writer is still in its commit.
    assert!(wait_is_over_after(|inbox| inbox.fail(|| {})));
}

/// A waker of a task of its own.
fn waker() -> Waker {
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    Arc::new(Nobody).into()
}

fn request() -> Request {
    let worker = "w".parse().unwrap();
    Request::new(Command::ForgetWorker(worker), Reply::Nobody)
}

#[test]
fn who_asks_alone_gets_his_request_back_until_somebody_else_asks() {
    let inbox = Inbox::new(1 << 20);
    let (one, other) = (waker(), waker());
    let is_alone = |asker| {
        let left = inbox.send_or_give_back(request(), asker).unwrap();
        // Carried out by the writer, which comes back.
        inbox.next_group(Some(Duration::ZERO)).unwrap();
        inbox.next_group(Some(Duration::ZERO)).unwrap();
        left.is_some()
    };
    let first = (0..100).position(|_| is_alone(&one));
    assert_eq!(first, Some(ALONE as usize));
    assert!(is_alone(&one));
    assert!(!is_alone(&other) && !is_alone(&one));
    assert!((0..100).any(|_| is_alone(&one)));
    let given_back = inbox.send_or_give_back(request(), &one).unwrap();
    inbox.send_given_back(given_back.unwrap()).unwrap();
    inbox.next_group(None).unwrap();
    inbox.next_group(Some(Duration::ZERO)).unwrap();
    assert!(is_alone(&one));
    // What nobody waits for is somebody's, too.
    inbox.send(request()).unwrap();
    assert!(!is_alone(&one));
}

#[test]
fn nobody_is_served_before_what_waits() {
    let inbox = Inbox::new(1 << 20);
    let one = waker();
    let is_left = || inbox.send_or_give_back(request(), &one).unwrap().is_some();
    assert!((0..100).all(|_| !is_left()));
    // Before the writer has come back what it took is not done.
    inbox.next_group(None).unwrap();
    assert!(!is_left());
    inbox.next_group(None).unwrap();
    assert!(inbox.next_group(Some(Duration::ZERO)).unwrap().is_empty());
    assert!(is_left());
    inbox.close();
    let refused = inbox.send_or_give_back(request(), &one).map(drop);
    assert_eq!(refused, Err(Error::StoreFailed));
}

#[test]
fn what_is_done_elsewhere_is_not_overslept() {
    let inbox = Inbox::new(1 << 20);
    let soon = Some(Duration::from_millis(20));
    // Said while the writer is about to wait.
    inbox.resume_within(soon);
    assert!(inbox.next_group(None).unwrap().is_empty());
    // Said while it waits: for ever, or too long.
    for patience in [None, Some(Duration::from_secs(3_600))] {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| inbox.next_group(patience).unwrap().is_empty());
            while patience.is_some() && inbox.lock().resumes_at.is_none() {
                thread::yield_now();
            }
            inbox.resume_within(soon);
            assert!(waiting.join().unwrap());
        });
    }
}

#[test]
fn the_writer_is_not_woken_for_what_it_waits_for_already() {
    let inbox = Inbox::new(1 << 20);
    let due = monotonic() + Duration::from_secs(3_600);
    let resumes_at = |early: u64| {
        let left = due.saturating_duration_since(monotonic());
        let patience = left.saturating_sub(Duration::from_micros(early));
        inbox.resume_within(Some(patience));
        inbox.lock().resumes_at
    };
    let first = resumes_at(0);
    assert!((0..1_000).all(|early| resumes_at(early) == first));
    assert!(resumes_at(3_000) < first);
}

/// A delivery that took long to read.
fn large() -> Request {
    let delivery = Delivery {
        source: "s".to_owned(),
        event_type: "t".to_owned(),
        delivery_id: "1".to_owned(),
        actor: None,
        subject: None,
        attributes: Attributes::new(),
        payload: String::new(),
    };
    let new = NewEvent {
        delivery,
        payload: Payload::default(),
        attributes_json: "x".repeat(gathering::LARGE),
        permit: Budget::new(0).empty(),
    };
    Request::new(Command::Receive(Arc::new(new)), Reply::Nobody)
}

/// An inbox that waits for so long, behind a commit of many large deliveries, at whose end as many others had come and were
/// taken.
fn busy(patience: Duration) -> Inbox {
    let inbox = Inbox {
        patience,
        ..Inbox::new(1 << 20)
    };
    put(&inbox, 20, large);
    assert_eq!(inbox.next_group(None).unwrap().len(), 20);
    put(&inbox, 20, large);
    assert_eq!(inbox.next_group(None).unwrap().len(), 20);
    inbox
}

fn put(inbox: &Inbox, count: usize, request: impl Fn() -> Request) {
    for _ in 0..count {
        inbox.send(request()).unwrap();
    }
}

/// The group that the writer takes where it waits for others, when `act` has been done meanwhile.
fn group_after(inbox: &Inbox, act: impl FnOnce(usize)) -> Option<usize> {
    put(inbox, 1, large);
    thread::scope(|scope| {
        let writer = scope.spawn(|| inbox.next_group(None));
        let mut wanted = 0;
        while wanted == 0 {
            thread::yield_now();
            wanted = inbox.lock().wanted;
        }
        let begun = monotonic();
        act(wanted);
        let group = writer.join().unwrap();
        assert!(monotonic().saturating_duration_since(begun) < LONG / 2);
        group.map(|group| group.len())
    })
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn large_deliveries_gather_where_many_come() {
    let inbox = busy(LONG);
    let wanted = inbox.lock().gathering.wanted();
    assert!(wanted > CROWD, "{wanted}");
    let taken = group_after(&inbox, |wanted| put(&inbox, wanted - 1, large));
    assert_eq!(taken, Some(wanted));
}

#[test]
fn nothing_waits_for_others_at_the_end() {
    let inbox = busy(LONG);
    assert_eq!(group_after(&inbox, |_| inbox.close()), Some(1));
    let inbox = busy(LONG);
    assert_eq!(group_after(&inbox, |_| inbox.fail(|| {})), None);
}

#[test]
fn who_is_waited_for_in_vain_is_waited_for_no_more() {
    let inbox = busy(Duration::from_millis(1));
    let wanted = inbox.lock().gathering.wanted();
    put(&inbox, 1, large);
    assert_eq!(inbox.next_group(None).unwrap().len(), 1);
    assert!(inbox.lock().gathering.wanted() < wanted);
}

#[test]
fn what_would_be_in_vain_is_not_waited_for() {
    let takes = |inbox: &Inbox, count: usize| {
        let begun = monotonic();
        assert_eq!(inbox.next_group(None).unwrap().len(), count);
        assert!(monotonic().saturating_duration_since(begun) < LONG / 2);
    };
    // Behind a group of few, and of others.
    for (count, request) in [(CROWD - 1, large as fn() -> Request), (20, request)] {
        let inbox = busy(LONG);
        inbox.lock().last_large = 0;
        put(&inbox, count, request);
        takes(&inbox, count);
        put(&inbox, 1, large);
        takes(&inbox, 1);
    }
    // Behind a group that left something behind.
    let inbox = Inbox {
        patience: LONG,
        ..Inbox::new(20 * gathering::LARGE)
    };
    put(&inbox, 41, large);
    takes(&inbox, 20);
    takes(&inbox, 20);
    takes(&inbox, 1);
}
