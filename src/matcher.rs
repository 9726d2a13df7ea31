//! Takes events from the queue, asks the rules about each, and tells the queue what they decided.
//!
//! The queue asks about a new event itself, in front of its commit. What cannot be decided there in a moment is
//! matched by one thread, behind the answers to the senders. What was received and is not matched
//! yet is in the store, so that a start goes on where the last run ended. The API asks here, too,
//! when somebody wants to know what the rules say, so that there is one way in which they are
//! asked.
//!
//! BOUND: new events are handed over in memory while they have 1 MiB of attributes at most; others are read until
//! theirs pass 1 MiB, and their decisions are carried out
//! before the prompts pass that; a payload is read only where a rule names it, one at a time, its
//! bytes taken from the budget. Beyond that there is one prompt in the making, as large as a
//! `POST /task` body may be, and what the queue has made in front of a commit.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use async_io::Timer;
use data_encoding::HEXLOWER;
use log::{error, warn};
use smol::future::FutureExt;

use crate::budget::{Budget, Permit};
use crate::drain::Drain;
use crate::event::{Event, EventId};
use crate::queue::{self, Decision, Judge, Queue};
use crate::rules::{Explanation, Facts, Rulebook, Verdict};
use crate::source::Source;

/// Events that are read at once.
const EVENTS_MAX: usize = 64;

/// Bytes of prompts whose decisions are carried out together.
const PROMPT_BYTES_MAX: usize = 1 << 20;

/// Random bytes of a mark, and how many marks are made of what the system is asked for at once.
const MARK_BYTES: usize = 12;
const MARKS_AT_ONCE: usize = 20;

/// How long a payload waits in line for memory.
const PATIENCE: Duration = Duration::from_millis(250);

/// Pause after rows could not be read, or memory was not to be had.
const PAUSE: Duration = Duration::from_secs(1);

/// Where deliveries come from, and what is to become of them.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The sources, by name.
    pub sources: BTreeMap<String, Arc<Source>>,
    /// The rules, in the order of the file.
    pub rules: Rulebook,
    /// Bytes of a rendered prompt at most.
    pub prompt_bytes_max: usize,
}

/// Asks the rules; clones share it.
#[derive(Clone, Debug)]
pub struct Matcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: Queue,
    budget: Budget,
    present: Arc<Present>,
}

/// Today's sources and rules.
#[derive(Debug)]
struct Present(RwLock<Arc<Setup>>);

impl Present {
    fn setup(&self) -> Arc<Setup> {
        let setup = self.0.read();
        Arc::clone(&setup.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Judge for Present {
    fn judge(&self, event: &Event, room: usize) -> Option<Decision> {
        let setup = self.setup();
        if setup.wants_payload(event) {
            return None;
        }
        // A failure may be one of the room, and is logged, which may take long: the matcher's own thread finds it again.
        let decision = setup.decide_within(event, None, room);
        Some(decision).filter(|decision| !matches!(decision, Decision::Fail { .. }))
    }
}

impl Setup {
    /// Whether the rules must see an event's payload to decide.
    pub fn wants_payload(&self, event: &Event) -> bool {
        self.rules.wants_payload(&event.source, &event.event_type)
    }

    /// What the rules decide about an event. Its payload is needed where
    /// [`Setup::wants_payload`] says so.
    pub fn decide(&self, event: &Event, payload: Option<Arc<String>>) -> Decision {
        self.decide_within(event, payload, self.prompt_bytes_max)
    }

    /// The same, where a prompt of more than `room` bytes is as one that cannot be made.
    fn decide_within(&self, event: &Event, payload: Option<Arc<String>>, room: usize) -> Decision {
        // Whatever a rule does with a payload, the next event must be matched.
        let judging = AssertUnwindSafe(|| self.judge(event, payload, room));
        catch_unwind(judging).unwrap_or_else(|_| Decision::Fail {
            worker: None,
            reason: "the rules failed on this event; the server's log says more".to_owned(),
        })
    }

    /// What the rules see of an event, check by check.
    pub fn explain(&self, event: &Event, payload: Option<Arc<String>>) -> Explanation {
        let mark = mark();
        self.rules.explain(&self.facts(event, payload, &mark))
    }

    fn judge(&self, event: &Event, payload: Option<Arc<String>>, room: usize) -> Decision {
        let mark = mark();
        let facts = self.facts(event, payload, &mark);
        match self.rules.judge_within(&facts, room) {
            Verdict::Matched {
                worker,
                auto: true,
                prompt,
            } => Decision::Start { worker, prompt },
            Verdict::Matched {
                worker,
                auto: false,
                prompt,
            } => Decision::Hold { worker, prompt },
            Verdict::Failed { worker, reason } => Decision::Fail {
                worker: Some(worker),
                reason,
            },
            Verdict::Skipped { reason } => Decision::Skip { reason },
        }
    }

    fn facts<'a>(
        &'a self,
        event: &'a Event,
        payload: Option<Arc<String>>,
        mark: &'a str,
    ) -> Facts<'a> {
        let source = self.sources.get(&event.source);
        Facts {
            source: &event.source,
            event_type: &event.event_type,
            actor: event.actor.as_deref(),
            subject: event.subject.as_deref(),
            attributes: &event.attributes,
            ignore_actors: source.map_or(&[], |source| source.ignore_actors()),
            payload,
            mark,
            prompt_bytes_max: self.prompt_bytes_max,
        }
    }
}

impl Matcher {
    /// A matcher of the events of `queue`.
    pub fn new(queue: Queue, budget: Budget, setup: Setup) -> Self {
        let present = Arc::new(Present(RwLock::new(Arc::new(setup))));
        queue.judge_with(Arc::clone(&present) as Arc<dyn Judge>);
        Self {
            inner: Arc::new(Inner {
                queue,
                budget,
                present,
            }),
        }
    }

    /// Uses other sources and rules from now on.
    pub fn configure(&self, setup: Setup) {
        let setup = Arc::new(setup);
        let present = self.inner.present.0.write();
        let mut present = present.unwrap_or_else(PoisonError::into_inner);
        let former = std::mem::replace(&mut *present, setup);
        // Who commits does not wait until that is gone.
        drop(present);
        drop(former);
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<Arc<Source>> {
        self.setup().sources.get(name).cloned()
    }

    /// Today's sources and rules. One judgement is made with one of them, whatever is configured
    /// meanwhile.
    pub fn setup(&self) -> Arc<Setup> {
        self.inner.present.setup()
    }

    /// Starts the thread. It ends with the order to stop, and what is not matched by then is
    /// matched after the next start.
    pub fn start(&self, drain: Drain) -> io::Result<thread::JoinHandle<()>> {
        let matcher = self.clone();
        thread::Builder::new()
            .name("matcher".to_owned())
            .spawn(move || {
                let stopped = async {
                    drain.begun().await;
                };
                // The executor's threads wait for sockets and timers; this one is woken by them.
                smol::future::block_on(stopped.or(matcher.run()));
            })
    }

    async fn run(&self) {
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(queue::Error::StoreFailed) => return,
                Err(failure) => {
                    error!("events wait to be matched: {failure}");
                    Timer::after(PAUSE).await;
                }
            }
        }
    }

    /// Waits for events and settles them.
    async fn step(&self) -> Result<(), queue::Error> {
        let events = self.inner.queue.received(EVENTS_MAX).await?;
        let setup = self.setup();
        let mut decisions = Vec::with_capacity(events.len());
        let mut prompt_bytes = 0;
        for event in events {
            let (id, decision) = match event {
                Ok(event) => (event.id, self.decide_stored(&setup, &event).await?),
                Err(id) => (id, unreadable()),
            };
            if let Decision::Fail { reason, .. } = &decision {
                warn!("event {id} failed: {reason}");
            }
            prompt_bytes += decision.prompt_bytes();
            decisions.push((id, decision));
            if prompt_bytes > PROMPT_BYTES_MAX {
                prompt_bytes = 0;
                self.inner
                    .queue
                    .settle(std::mem::take(&mut decisions))
                    .await?;
            }
        }
        self.inner.queue.settle(decisions).await
    }

    async fn decide_stored(&self, setup: &Setup, event: &Event) -> Result<Decision, queue::Error> {
        if !setup.wants_payload(event) {
            return Ok(setup.decide(event, None));
        }
        match self.load_payload(event.id).await {
            Ok(Some((payload, _permit))) => Ok(setup.decide(event, Some(payload))),
            Ok(None) => Ok(setup.decide(event, None)),
            Err(queue::Error::Unreadable) => Ok(unreadable()),
            Err(failure) => Err(failure),
        }
    }

    /// Reads a payload when there is memory for it, however long that takes.
    async fn load_payload(
        &self,
        id: EventId,
    ) -> Result<Option<(Arc<String>, Permit)>, queue::Error> {
        let Some((_, bytes)) = self.inner.queue.event_size(id).await? else {
            return Ok(None);
        };
        let budget = &self.inner.budget;
        // What is larger than the budget is read when nothing else is in memory.
        let needed = bytes.min(budget.size());
        let permit = loop {
            // Whoever waits lets nobody pass, so the wait is short, and then others have their turn.
            match budget.acquire_within(needed, PATIENCE).await {
                Some(permit) => break permit,
                None => Timer::after(PAUSE).await,
            };
        };
        let text = self.inner.queue.payload(id).await?;
        Ok(text.map(|text| (Arc::new(text), permit)))
    }
}

/// What becomes of an event whose rows are damaged; the log says which.
fn unreadable() -> Decision {
    Decision::Fail {
        worker: None,
        reason: "what is stored of it cannot be read; the server's log says more".to_owned(),
    }
}

/// What the markers around text from outside carry. It must not be guessed by who writes that
/// text, so it comes from the system's source of random bytes, each of which is used once.
fn mark() -> String {
    thread_local! {
        static UNUSED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    UNUSED.with_borrow_mut(|unused| {
        if unused.len() < MARK_BYTES {
            unused.resize(MARKS_AT_ONCE * MARK_BYTES, 0);
            if let Err(failure) = getrandom::fill(unused) {
                error!("the system gives no random bytes: {failure}; a weaker source serves");
                fastrand::fill(unused);
            }
        }
        let rest = unused.len().saturating_sub(MARK_BYTES);
        let mark = HEXLOWER.encode(unused.get(rest..).unwrap_or_default());
        unused.truncate(rest);
        mark
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_mark_comes_twice() {
        let marks: BTreeSet<String> = (0..3 * MARKS_AT_ONCE).map(|_| mark()).collect();
        assert_eq!(marks.len(), 3 * MARKS_AT_ONCE);
        assert!(marks.iter().all(|mark| mark.len() == 2 * MARK_BYTES));
    }
}
