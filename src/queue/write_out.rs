//! When the writer waits for the engine to write out what it holds in memory.
//!
//! On a small host it has large texts written out before it tells anybody of them: until then the permits of those
//! who wait stand for the engine's copies, too.
//!
//! LIVENESS: it waits for the engine's own thread alone, which needs nothing of ours: neither memory of
//! the budget nor the writer. When that thread has died, the wait ends with the failure.

use std::thread;
use std::time::Duration;

use super::core::Core;
use crate::store::{self, Store};

/// A pause between two looks at whether the engine has come so far.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks at it between two looks for its failure.
const LOOKS: u32 = 128;

/// How often the engine is asked to let go of what it has written out. It does not while somebody reads rows
/// of that time, who reads for a moment as a rule.
const REQUESTS: u32 = 8;

/// Waits until the engine has come so far that `is_so_far` says so.
pub(super) fn wait_for_engine(
    store: &Store,
    mut is_so_far: impl FnMut() -> bool,
) -> Result<(), store::Error> {
    let mut looks = 0_u32;
    while !is_so_far() {
        thread::sleep(PAUSE);
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(LOOKS) {
            store.check_engine()?;
        }
    }
    Ok(())
}

/// Whether the texts in memory are to be written out before anything else is done.
pub(super) fn is_wanted(store: &Store) -> bool {
    store.footprint().is_small && (store.has_many_texts() || store.has_waiting_texts())
}

/// Has the texts in memory written out, and the memory given back.
pub(super) fn write_out(core: &mut Core, store: &Store) -> Result<(), store::Error> {
    store.rotate()?;
    wait_for_engine(store, || !store.has_waiting_texts())?;
    for _ in 0..REQUESTS {
        if !store.has_spent_texts() {
            break;
        }
        let mut batch = store.batch();
        core.put_time(&mut batch);
        batch.commit()?;
        store.drop_spent()?;
        wait_for_engine(store, || !store.has_background_work())?;
    }
    Ok(())
}
