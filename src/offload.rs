//! Work on large texts: off the threads that serve connections, and the largest one at a time.
//!
//! While one text is made of another (JSON decoded, a payload compressed, an answer rendered) both are in
//! memory, and the budget counts one of them. So of texts over 1 MiB one is worked on at a
//! time, whoever asks, and what the budget does not count stays that of one text.
//!
//! LIVENESS: what is done in that place is a function that ends by itself: it waits neither for memory
//! nor for the queue nor for another place. So whoever waits for the place may hold memory of the
//! budget: who has the place needs none. Smaller texts never wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use smol::lock::Semaphore;

use crate::footprint::Footprint;

/// Work on so few bytes is done at once, where it is asked for: it takes less than a millisecond.
pub const INLINE_BYTES_MAX: usize = 128 << 10;

/// BOUND: work on so many bytes is done beside others, one on each thread for what takes long; on
/// more, alone. Less on a small host.
static SHARED_BYTES_MAX: AtomicUsize = AtomicUsize::new(Footprint::ROOMY.alone_beyond);

/// The place for the largest texts.
static PLACE: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(1)));

/// Has work on more than `bytes` bytes done alone from now on.
pub fn alone_beyond(bytes: usize) {
    SHARED_BYTES_MAX.store(bytes, Ordering::Relaxed);
}

/// Does `work` on texts of `bytes` bytes. A caller who is gone meanwhile leaves it to come to its end
/// and keep its place until then.
pub async fn run<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= INLINE_BYTES_MAX {
        return work();
    }
    if bytes <= SHARED_BYTES_MAX.load(Ordering::Relaxed) {
        return smol::unblock(work).await;
    }
    let place = PLACE.acquire_arc().await;
    let work = move || {
        let done = work();
        drop(place);
        done
    };
    smol::unblock(work).await
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::sync::mpsc;
    use std::time::Duration;

    use smol::Timer;
    use smol::future::{FutureExt, poll_once, zip};

    use super::*;

    const SHARED: usize = 1 << 20;
    const LARGE: usize = SHARED + 1;

    #[test]
    fn large_texts_come_one_by_one_and_small_ones_pass_them() {
        smol::block_on(async {
            let (enter, entered) = mpsc::sync_channel::<()>(1);
            let (leave, left) = mpsc::sync_channel::<()>(1);
            let at_once = Arc::new(AtomicUsize::new(0));
            let count = |at_once: &AtomicUsize| at_once.fetch_add(1, Ordering::SeqCst);
            let seen = Arc::clone(&at_once);
            let mut first = Box::pin(run(LARGE, move || {
                let before = count(&seen);
                enter.send(()).unwrap();
                left.recv().unwrap();
                seen.fetch_sub(1, Ordering::SeqCst);
                before
            }));
            // Another test may have the place for a moment.
            while entered.try_recv().is_err() {
                assert!(poll_once(&mut first).await.is_none());
                Timer::after(Duration::from_millis(1)).await;
            }
            let seen = Arc::clone(&at_once);
            let mut second = Box::pin(run(LARGE, move || count(&seen)));
            assert!(poll_once(&mut second).await.is_none());
            assert_eq!(run(INLINE_BYTES_MAX, || 7).await, 7);
            assert_eq!(run(SHARED, || 8).await, 8);
            assert_eq!(at_once.load(Ordering::SeqCst), 1, "the second waits");
            // One that gives up lets the others pass.
            let mut third = Box::pin(run(LARGE, || 9));
            assert!(poll_once(&mut third).await.is_none());
            drop(third);
            leave.send(()).unwrap();
            assert_eq!(zip(first, second).await, (0, 0));
        });
    }

    #[test]
    fn work_that_panics_leaves_its_place() {
        smol::block_on(async {
            for _ in 0..2 {
                // The panic hook would print a line for it.
                let panics = || std::panic::resume_unwind(Box::new("a fault of the server"));
                let work = run::<()>(LARGE, panics);
                assert!(AssertUnwindSafe(work).catch_unwind().await.is_err());
            }
            assert_eq!(run(LARGE, || 1).await, 1);
        });
    }
}
