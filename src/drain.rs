//! The order to stop: given once, seen by everything that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use event_listener::Event;

/// Why the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked for it: SIGTERM or SIGINT.
    Asked,
    /// The store failed, and nothing can be promised any more.
    StoreFailed,
}

/// Tells whether the server stops; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// 0 while the server runs, else 1 + the cause.
    cause: AtomicU8,
    begun: Event,
}

impl Drain {
    /// A server that runs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the order. A failed store outranks a wish; otherwise the first order counts.
    pub fn begin(&self, cause: Cause) {
        let code = match cause {
            Cause::Asked => 1,
            Cause::StoreFailed => 2,
        };
        self.shared.cause.fetch_max(code, Ordering::SeqCst);
        self.shared.begun.notify(usize::MAX);
    }

    /// Why the server stops, or `None` while it runs.
    pub fn cause(&self) -> Option<Cause> {
        match self.shared.cause.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Cause::Asked),
            _ => Some(Cause::StoreFailed),
        }
    }

    /// Waits until the order is given.
    pub async fn begun(&self) {
        loop {
            let listener = self.shared.begun.listen();
            if self.cause().is_some() {
                return;
            }
            listener.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_store_outranks_a_wish() {
        let drain = Drain::new();
        assert_eq!(drain.cause(), None);
        drain.begin(Cause::Asked);
        assert_eq!(drain.cause(), Some(Cause::Asked));
        drain.begin(Cause::StoreFailed);
        drain.begin(Cause::Asked);
        assert_eq!(drain.cause(), Some(Cause::StoreFailed));
        smol::block_on(drain.begun());
    }
}
