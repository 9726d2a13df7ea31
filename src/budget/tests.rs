use smol::future::poll_once;

use super::*;

#[test]
fn permits_never_exceed_the_budget_and_come_back() {
    let budget = Budget::new(10);
    let first = budget.try_acquire(6).unwrap();
    assert!(budget.try_acquire(5).is_none());
    let second = budget.try_acquire(4).unwrap();
    assert_eq!(budget.free(), 0);
    drop((first, second));
    assert_eq!(budget.free(), 10);
}

#[test]
fn a_text_counts_with_its_copy_and_never_more_than_there_is() {
    for (budget, bytes, counted) in [
        (Budget::new(10), 4, 4),
        (Budget::with_copies(80), 4, 8),
        (Budget::with_copies(80), 17, 34),
        (Budget::with_copies(80), 18, 35),
        (Budget::with_copies(80), 80, 35),
        (Budget::with_copies(80), 81, 81),
    ] {
        assert_eq!(budget.counted(bytes), counted);
        let permit = budget.try_acquire(counted);
        assert_eq!(permit.is_some(), bytes <= budget.size());
        if let Some(mut permit) = permit {
            assert!(permit.covered() >= bytes);
            let rest = budget.size() - permit.bytes();
            assert!(smol::block_on(permit.grow_within(rest, Duration::ZERO)));
            assert_eq!(permit.covered(), budget.size());
        }
    }
}

#[test]
fn a_text_as_large_as_all_leaves_others_something() {
    let budget = Budget::with_copies(80);
    let small = budget.try_acquire(5).unwrap();
    assert!(budget.try_acquire(80).is_some());
    drop(small);
}

#[test]
fn who_sends_stands_behind_and_what_was_made_in_front() {
    smol::block_on(async {
        let budget = Budget::new(10);
        let patience = Duration::from_secs(20);
        let mut sent = budget.try_acquire(4).unwrap();
        let held = budget.try_acquire(5).unwrap();
        let mut made = budget.empty();
        let mut newcomer = Box::pin(budget.acquire(5));
        let mut more = Box::pin(sent.grow_last_within(1, patience));
        let mut kept = Box::pin(made.grow_first_within(2, patience));
        assert!(poll_once(&mut newcomer).await.is_none());
        assert!(poll_once(&mut more).await.is_none());
        assert!(poll_once(&mut kept).await.is_none());
        drop(held);
        assert!(poll_once(&mut more).await.is_none());
        assert_eq!(poll_once(&mut kept).await, Some(true));
        assert!(poll_once(&mut newcomer).await.is_none());
        drop(kept);
        drop(made);
        let newcomer = poll_once(&mut newcomer).await.flatten();
        assert!(newcomer.is_some());
        assert_eq!(poll_once(&mut more).await, Some(true));
    });
}

#[test]
fn nobody_waits_for_what_can_never_come() {
    let budget = Budget::new(10);
    let mut permit = budget.try_acquire(4).unwrap();
    let patience = Duration::from_secs(600);
    assert!(!smol::block_on(permit.grow_within(7, patience)));
    assert_eq!(permit.growth(7), 6);
    assert!(smol::block_on(permit.grow_within(6, patience)));
}

#[test]
fn waiters_are_served_in_order() {
    smol::block_on(async {
        let budget = Budget::new(10);
        let held = budget.try_acquire(8).unwrap();
        let mut large = Box::pin(budget.acquire(9));
        let mut small = Box::pin(budget.acquire(1));
        assert!(poll_once(&mut large).await.is_none());
        assert!(
            poll_once(&mut small).await.is_none(),
            "it would overtake the large one"
        );
        drop(held);
        assert!(poll_once(&mut small).await.is_none());
        let large = poll_once(&mut large).await.flatten().unwrap();
        assert_eq!(large.bytes(), 9);
        assert!(poll_once(&mut small).await.flatten().is_some());
    });
}

#[test]
fn who_holds_bytes_and_needs_more_comes_first() {
    smol::block_on(async {
        let budget = Budget::new(10);
        let patience = Duration::from_secs(20);
        let mut first = budget.try_acquire(4).unwrap();
        let mut second = budget.try_acquire(4).unwrap();
        let mut newcomer = Box::pin(budget.acquire(3));
        assert!(poll_once(&mut newcomer).await.is_none());
        assert!(second.grow_within(1, patience).await);
        let mut more = Box::pin(first.grow_within(2, patience));
        assert!(poll_once(&mut more).await.is_none());
        second.shrink_to(4);
        assert_eq!(poll_once(&mut more).await, Some(true));
        drop(more);
        assert!(poll_once(&mut newcomer).await.is_none());
        drop(first);
        assert!(poll_once(&mut newcomer).await.flatten().is_some());
    });
}

#[test]
fn a_waiter_that_gives_up_lets_the_next_one_pass() {
    smol::block_on(async {
        let budget = Budget::new(10);
        let held = budget.try_acquire(5).unwrap();
        assert!(
            budget
                .acquire_within(9, Duration::from_millis(1))
                .await
                .is_none()
        );
        assert!(budget.try_acquire(5).is_some());
        drop(held);
        assert_eq!(budget.free(), 10);
    });
}

#[test]
fn more_than_the_whole_budget_is_refused_at_once() {
    assert!(smol::block_on(Budget::new(10).acquire(11)).is_none());
}

#[test]
fn a_permit_grows_and_shrinks() {
    smol::block_on(async {
        let budget = Budget::new(10);
        let mut permit = budget.empty();
        assert!(permit.grow_within(7, Duration::ZERO).await);
        assert!(!permit.grow_within(4, Duration::ZERO).await);
        let part = permit.split(3);
        assert_eq!((permit.bytes(), part.bytes(), budget.free()), (4, 3, 3));
        drop(part);
        permit.shrink_to(2);
        assert_eq!((permit.bytes(), budget.free()), (2, 8));
        drop(permit);
        assert_eq!(budget.free(), 10);
    });
}
