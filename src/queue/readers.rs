//! A few threads that read rows, so that a slow disk does not hold up connections.

use std::thread;

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
                        reading(&store.snapshot());
                    }
                })?;
        }
        Ok(Self { readings })
    }

    /// Reads with `reading`; `None` when the threads are gone.
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
}
