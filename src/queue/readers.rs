//! A few threads that read rows, so that a slow disk does not hold up connections.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use log::error;
use smol::channel::{Receiver, Sender, bounded};

use crate::store::{self, Snapshot, Store};

/// Threads that read.
const READERS: usize = 2;

/// BOUND: readings that wait for a thread; more wait before they are queued.
const READINGS_MAX: usize = 256;

type Reading = Box<dyn FnOnce(&Snapshot) + Send>;

/// The threads' handle; they end when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    readings: Sender<Reading>,
    store: Store,
}

impl Readers {
    pub(super) fn start(store: &Store) -> std::io::Result<Self> {
        let (readings, inbox): (Sender<Reading>, Receiver<Reading>) = bounded(READINGS_MAX);
        for number in 0..READERS {
            let store = store.clone();
            let inbox = inbox.clone();
            thread::Builder::new()
                .name(format!("reader-{number}"))
                .spawn(move || {
                    while let Ok(reading) = inbox.recv_blocking() {
                        guarded(|| reading(&store.snapshot()));
                    }
                })?;
        }
        Ok(Self {
            readings,
            store: store.clone(),
        })
    }

    /// Reads with `reading`; `None` when it panicked or the threads are gone.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        reading: impl FnOnce(&Snapshot) -> Result<T, store::Error> + Send + 'static,
    ) -> Option<Result<T, store::Error>> {
        let (sender, receiver) = bounded(1);
        let reading: Reading = Box::new(move |snapshot| {
            // A receiver that is gone does not want to know.
            let _ = sender.try_send(reading(snapshot));
        });
        self.readings.send(reading).await.ok()?;
        receiver.recv().await.ok()
    }

    /// Reads with `reading` on the thread that asks, which it blocks; `None` when it panicked.
    pub(super) fn read_here<T>(
        &self,
        reading: impl FnOnce(&Snapshot) -> Result<T, store::Error>,
    ) -> Option<Result<T, store::Error>> {
        guarded(|| reading(&self.store.snapshot()))
    }
}

/// A damaged row must cost one reading, not the thread.
fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    let read = catch_unwind(AssertUnwindSafe(read)).ok();
    if read.is_none() {
        error!("a reading of the store panicked");
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_panics_costs_no_thread() {
        let dir = tempfile::tempdir().unwrap();
        let readers = Readers::start(&Store::open(dir.path()).unwrap()).unwrap();
        for _ in 0..=READERS {
            let read = readers.read(|_| -> Result<(), store::Error> { panic!("damaged") });
            assert!(smol::block_on(read).is_none());
            let read = readers.read_here(|_| -> Result<(), store::Error> { panic!("damaged") });
            assert!(read.is_none());
        }
        let read = smol::block_on(readers.read(|_| Ok(7)));
        assert!(matches!(read, Some(Ok(7))));
        assert!(matches!(readers.read_here(|_| Ok(8)), Some(Ok(8))));
    }
}
