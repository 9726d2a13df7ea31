//! SIGINT and SIGTERM end a bench like an error: directories are removed and children ended.

use std::io;

use async_signal::{Signal, Signals};
use smol::LocalExecutor;
use smol::channel::bounded;
use smol::future::FutureExt;
use smol::stream::StreamExt;

/// Runs `bench` to its end or to the first signal.
pub(crate) fn run(
    bench: impl AsyncFnOnce(&LocalExecutor<'static>) -> io::Result<()>,
) -> io::Result<()> {
    let executor = LocalExecutor::new();
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let (sender, receiver) = bounded::<()>(1);
    // A task of its own, so that signals are looked at when one comes and not at every turn.
    let watch = executor.spawn(async move {
        signals.next().await;
        drop(sender);
    });
    let interrupted = async {
        // It ends with an error, when the sender is dropped.
        let _ = receiver.recv().await;
        Err(io::Error::other("interrupted"))
    };
    let ended = smol::block_on(executor.run(bench(&executor).or(interrupted)));
    drop(watch);
    ended
}
