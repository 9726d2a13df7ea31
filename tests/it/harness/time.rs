//! Waiting for conditions: the only place of the tests that reads time or sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition that is bound to come may take on a slow and busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(4);

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own and only reader of time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until `condition` holds; fails the test when it does not within [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `look` finds something; fails the test when it does not within [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(PAUSE);
    }
}

/// Looks again and again for `span`, and fails the test as soon as `condition` does not hold.
/// For what must not happen, where nothing visible follows that could be waited for.
#[track_caller]
pub(crate) fn stays(what: &str, span: Duration, mut condition: impl FnMut() -> bool) {
    let end = now() + span;
    while now() < end {
        assert!(condition(), "it did not stay so: {what}");
        thread::sleep(PAUSE);
    }
}
