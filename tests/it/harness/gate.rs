//! A gate that holds threads back until it is opened.

use std::sync::{Arc, Condvar, Mutex};

use super::time::PATIENCE;

/// Closed at first; clones share it. Nobody is held longer than [`PATIENCE`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// A closed gate.
    pub(crate) fn closed() -> Self {
        Self::default()
    }

    /// Lets everybody pass, now and later.
    pub(crate) fn open(&self) {
        let (is_open, changed) = &*self.shared;
        *is_open.lock().unwrap() = true;
        changed.notify_all();
    }

    /// Waits until the gate is open.
    pub(crate) fn pass(&self) {
        let (is_open, changed) = &*self.shared;
        let guard = is_open.lock().unwrap();
        let _ = changed
            .wait_timeout_while(guard, PATIENCE, |is_open| !*is_open)
            .unwrap();
    }
}
