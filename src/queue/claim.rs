//! A claimed task: one attempt, from the grant to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_listener::Event;

use super::command::{Attempt, Command, PutBack, RetryPolicy};
use super::{Error, Queue};
use crate::budget::Permit;
use crate::store::keys::Text;
use crate::task::TaskId;

/// Tells an attempt that its task was cancelled.
#[derive(Debug, Default)]
pub struct Cancellation {
    is_cancelled: AtomicBool,
    event: Event,
}

impl Cancellation {
    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        self.event.notify(usize::MAX);
    }

    async fn cancelled(&self) {
        loop {
            let listener = self.event.listen();
            if self.is_cancelled.load(Ordering::SeqCst) {
                return;
            }
            listener.await;
        }
    }
}

/// A task given to a demand. It is stored as dispatched.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The attempt.
    pub attempt: Attempt,
    /// Bytes of prompt and context.
    pub bytes: u64,
    /// Where a cancellation shows.
    pub cancellation: Arc<Cancellation>,
}

/// What an attempt needs.
#[derive(Debug)]
pub struct Work {
    /// The prompt.
    pub prompt: String,
    /// The context, a JSON object as it was submitted.
    pub context: Option<String>,
}

impl Work {
    /// Bytes of both.
    pub fn bytes(&self) -> usize {
        let context = self.context.as_ref().map_or(0, String::len);
        self.prompt.len().saturating_add(context)
    }
}

/// A claimed task: one attempt. Dropped without an end, it is put back.
#[derive(Debug)]
pub struct Claim {
    queue: Queue,
    granted: Granted,
    is_started: bool,
    is_finished: bool,
}

impl Claim {
    pub(super) fn new(queue: Queue, granted: Granted) -> Self {
        Self {
            queue,
            granted,
            is_started: false,
            is_finished: false,
        }
    }

    /// The task.
    pub fn task(&self) -> TaskId {
        self.granted.attempt.task
    }

    /// The attempt's number, 1 for the first.
    pub fn attempt(&self) -> u32 {
        self.granted.attempt.number
    }

    /// Bytes of prompt and context, to be taken from the budget before [`Claim::load`].
    pub fn bytes(&self) -> u64 {
        self.granted.bytes
    }

    /// Reads prompt and context. From here on the attempt counts as started.
    pub async fn load(&mut self) -> Result<Work, Error> {
        self.is_started = true;
        let id = self.task();
        self.queue
            .read(move |snapshot| {
                let Some(record) = snapshot.task(id)? else {
                    return Ok(Err(Error::UnknownTask(id)));
                };
                Ok(match snapshot.text(id, Text::Prompt, &record)? {
                    Some(prompt) => Ok(Work {
                        prompt,
                        context: snapshot.text(id, Text::Context, &record)?,
                    }),
                    None => Err(Error::UnknownTask(id)),
                })
            })
            .await?
    }

    /// Resolves when the task is cancelled: break off and drop the claim.
    pub async fn cancelled(&self) {
        self.granted.cancellation.cancelled().await;
    }

    /// The worker gave its result, a JSON object as text, for which `permit` stands until it is
    /// stored. When it returns, the result survives power loss.
    pub async fn complete(mut self, result: String, permit: Permit) -> Result<(), Error> {
        self.is_finished = true;
        let attempt = self.granted.attempt;
        let command = Command::Complete { attempt, result };
        let asked = self.queue.inner.desk.ask(command, Some(Arc::new(permit)));
        asked.await.map(drop)
    }

    /// The attempt failed. With a policy another one may follow, without one the task fails.
    pub async fn fail(mut self, error: String, policy: Option<RetryPolicy>) -> Result<(), Error> {
        self.is_finished = true;
        let attempt = self.granted.attempt;
        self.queue
            .finish(Command::Fail {
                attempt,
                error,
                policy,
            })
            .await
    }

    /// The attempt did not run to its end through no fault of the task.
    pub async fn put_back(mut self, how: PutBack) -> Result<(), Error> {
        self.is_finished = true;
        let attempt = self.granted.attempt;
        self.queue.finish(Command::PutBack { attempt, how }).await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_finished {
            let how = if self.is_started {
                PutBack::BrokenOff {
                    reason: "the server gave it up".to_owned(),
                }
            } else {
                PutBack::NotStarted
            };
            self.queue.finish_unheard(Command::PutBack {
                attempt: self.granted.attempt,
                how,
            });
        }
    }
}
