//! Who waits for the end of the writer.

use std::thread;

use super::*;

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
