//! Changes of several steps that must not stop halfway.

use smol::{Executor, channel};

use super::error::ApiError;

/// Makes a change to its end, whether or not its client waits for the outcome: the future of an
/// answer is dropped when the connection breaks.
pub(super) async fn carry_out<T: Send + 'static>(
    executor: &Executor<'static>,
    change: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let (sender, receiver) = channel::bounded(1);
    let carried_out = async move {
        // Nobody receives it when the client is gone.
        let _ = sender.try_send(change.await);
    };
    executor.spawn(carried_out).detach();
    // The sender is gone without an outcome when the change panicked.
    let outcome = receiver.recv().await;
    outcome.unwrap_or_else(|_| Err(ApiError::internal()))
}

#[cfg(test)]
mod tests {
    use smol::future::{poll_once, yield_now};

    use super::*;

    #[test]
    fn a_change_is_carried_out_though_its_client_is_gone() {
        let executor = Executor::new();
        let (done, is_done) = channel::bounded(1);
        let change = async move {
            yield_now().await;
            done.try_send(()).map_err(|_| ApiError::internal())
        };
        let mut client = Box::pin(carry_out(&executor, change));
        smol::block_on(executor.run(async {
            assert!(poll_once(&mut client).await.is_none());
            drop(client);
            is_done.recv().await.unwrap();
        }));
    }

    #[test]
    fn a_change_that_panics_is_an_internal_error() {
        let executor = Executor::new();
        let change = async { panic!("a fault of the server") };
        let outcome: Result<(), _> = smol::block_on(executor.run(carry_out(&executor, change)));
        assert_eq!(outcome.unwrap_err().status, 500);
    }
}
