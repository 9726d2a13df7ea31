//! What the rules decide about a new event in front of its commit.
//!
//! The event and the task that is made of it are one commit then and not two, and a worker that waits has it at once.
//! It is done on the thread that commits, which everybody waits for: so it ends where it takes longer than a moment, and
//! whoever takes events from the queue behind their commits decides about the others.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::command::Decision;
use crate::clock::{monotonic, thread_time};
use crate::event::Event;

/// Decides about events.
pub trait Judge: fmt::Debug + Send + Sync {
    /// What is to become of `event`, which is not stored yet, with a prompt of `room` bytes at most. `None` where that takes
    /// a longer one, more than the event, or a wait for anything: then it is decided when the event is stored.
    fn judge(&self, event: &Event, room: usize) -> Option<Decision>;
}

/// The place of who decides, empty until somebody takes it.
pub(super) type Seat = Arc<OnceLock<Arc<dyn Judge>>>;

/// BOUND: time of the processor for the decisions of a group. One that is begun comes to its end.
const GROUP_TIME: Duration = Duration::from_millis(4);

/// A decision that takes more of the processor is slow. Behind two of them all are left to others for a while.
const DECISION_TIME: Duration = Duration::from_millis(1);

/// For so long.
const REST: Duration = Duration::from_secs(10);

/// Decisions behind a slow one, after which it counts no more. A virtual machine takes the time for which its host keeps it
/// from a core for that of the thread, so that any decision may seem slow now and then.
const FORGOTTEN_AFTER: u32 = 256;

/// A decision of which less time has passed is taken for one that had the processor for all of it.
const CERTAIN_TIME: Duration = Duration::from_micros(100);

/// Decisions of a group for which the thread's clock is asked once: that is a system call, which takes a tenth as long as one
/// of them. It is asked again behind one that is not certain.
const MARKED_TOGETHER: u32 = 4;

/// Has events decided about while that takes a moment.
#[derive(Debug)]
pub(super) struct Judging {
    pub(super) seat: Seat,
    /// Until when nothing is decided here.
    rests_until: Option<Instant>,
    /// Decisions that are still to come until the last slow one counts no more.
    wary: u32,
    prompts_bytes_max: usize,
    /// BOUND: bytes that the prompts of this group may still have. An event with more attributes is left to others.
    bytes_left: usize,
    time_left: Duration,
    stopwatch: Stopwatch,
}

impl Judging {
    /// Nobody decides yet. The prompts of one group may have `prompts_bytes_max` bytes together.
    pub(super) fn new(prompts_bytes_max: usize) -> Self {
        Self {
            seat: Seat::default(),
            rests_until: None,
            wary: 0,
            prompts_bytes_max,
            bytes_left: prompts_bytes_max,
            time_left: GROUP_TIME,
            stopwatch: Stopwatch::default(),
        }
    }

    /// What is to become of `event`, whose attributes have so many bytes, if that can be decided here.
    pub(super) fn ask(&mut self, event: &Event, attributes_bytes: usize) -> Option<Decision> {
        if attributes_bytes > self.bytes_left || self.time_left.is_zero() || self.rests() {
            return None;
        }
        let judge = self.seat.get()?;
        let begun = self.stopwatch.begin();
        let decision = judge.judge(event, self.bytes_left);
        let took = self.stopwatch.took(begun);
        self.time_left = self.time_left.saturating_sub(took);
        self.note(took);
        let decision = decision?;
        self.bytes_left = self.bytes_left.checked_sub(decision.prompt_bytes())?;
        Some(decision)
    }

    /// A decision has taken so much of the processor.
    fn note(&mut self, took: Duration) {
        let was_wary = self.wary > 0;
        self.wary = self.wary.saturating_sub(1);
        if took > DECISION_TIME {
            self.wary = FORGOTTEN_AFTER;
            if was_wary {
                self.rests_until = monotonic().checked_add(REST);
            }
        }
    }

    fn rests(&mut self) -> bool {
        self.rests_until = self.rests_until.filter(|until| monotonic() < *until);
        self.rests_until.is_some()
    }

    /// The group is complete; the next one begins.
    pub(super) fn next_group(&mut self) {
        self.bytes_left = self.prompts_bytes_max;
        self.time_left = GROUP_TIME;
        self.stopwatch.serves = 0;
    }
}

/// Measures how long decisions have the processor. What passes is more where others keep the thread from its core, which
/// makes no decision slow.
#[derive(Debug, Default)]
struct Stopwatch {
    /// What the thread's clock said in front of this decision, or not many before it.
    mark: Duration,
    /// Decisions for which that still serves.
    serves: u32,
}

impl Stopwatch {
    fn begin(&mut self) -> Instant {
        if self.serves == 0 {
            self.serves = MARKED_TOGETHER;
            self.mark = thread_time();
        }
        self.serves -= 1;
        monotonic()
    }

    /// The processor's time since `begun`, and what lies between the mark and it at most besides.
    fn took(&self, begun: Instant) -> Duration {
        let passed = monotonic().saturating_duration_since(begun);
        if passed < CERTAIN_TIME {
            return passed;
        }
        passed.min(thread_time().saturating_sub(self.mark))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::clock::Timestamp;
    use crate::event::{Attributes, Delivery, EventId};
    use crate::id::Id;

    #[derive(Debug, Default)]
    struct Rules {
        prompt_bytes: usize,
        micros: AtomicU64,
    }

    impl Judge for Rules {
        fn judge(&self, _event: &Event, room: usize) -> Option<Decision> {
            let until = thread_time() + Duration::from_micros(self.micros.load(Ordering::Relaxed));
            while thread_time() < until {
                std::hint::spin_loop();
            }
            (self.prompt_bytes <= room).then(|| Decision::Hold {
                worker: "w".parse().unwrap(),
                prompt: "x".repeat(self.prompt_bytes),
            })
        }
    }

    fn event() -> Event {
        let delivery = Delivery {
            source: "s".to_owned(),
            event_type: "t".to_owned(),
            delivery_id: "1".to_owned(),
            actor: None,
            subject: None,
            attributes: Attributes::new(),
            payload: String::new(),
        };
        Event::received(EventId(Id::FIRST), delivery, Timestamp::from_millis(0))
    }

    fn judging(rules: &Arc<Rules>) -> Judging {
        let judging = Judging::new(100);
        let judge = Arc::clone(rules) as Arc<dyn Judge>;
        judging.seat.set(judge).unwrap();
        judging
    }

    #[test]
    fn slow_decisions_leave_the_next_ones_to_others() {
        let rules = Arc::new(Rules::default());
        let mut judging = judging(&rules);
        rules.micros.store(1_100, Ordering::Relaxed);
        for _ in 0..2 {
            assert!(judging.ask(&event(), 0).is_some(), "it is made already");
            judging.next_group();
        }
        rules.micros.store(0, Ordering::Relaxed);
        assert!(judging.ask(&event(), 0).is_none());
        judging.rests_until = Some(monotonic());
        assert!(judging.ask(&event(), 0).is_some());
    }

    #[test]
    fn time_of_others_is_not_taken_for_that_of_a_decision() {
        let mut stopwatch = Stopwatch::default();
        for _ in 0..2 * MARKED_TOGETHER {
            let begun = stopwatch.begin();
            std::thread::sleep(3 * DECISION_TIME);
            let took = stopwatch.took(begun);
            assert!(took < 2 * DECISION_TIME, "{took:?}");
        }
    }

    #[test]
    fn a_slow_decision_is_forgotten() {
        let mut judging = judging(&Arc::default());
        let slow = DECISION_TIME + Duration::from_nanos(1);
        for _ in 0..3 {
            judging.note(slow);
            for _ in 0..FORGOTTEN_AFTER {
                judging.note(DECISION_TIME);
            }
        }
        assert!(!judging.rests());
        judging.note(slow);
        for _ in 1..FORGOTTEN_AFTER {
            judging.note(DECISION_TIME);
        }
        judging.note(slow);
        assert!(judging.rests());
    }

    #[test]
    fn a_group_has_so_much_time() {
        let rules = Arc::new(Rules::default());
        let mut judging = judging(&rules);
        rules.micros.store(500, Ordering::Relaxed);
        let decided = std::iter::from_fn(|| {
            // A thread that is disturbed may take longer than it should.
            judging.rests_until = None;
            judging.ask(&event(), 0)
        });
        let count = decided.take(100).count();
        assert!((1..=8).contains(&count), "{count}");
        judging.next_group();
        judging.rests_until = None;
        assert!(judging.ask(&event(), 0).is_some());
    }

    #[test]
    fn a_group_makes_so_much_of_prompts() {
        let rules = Arc::new(Rules {
            prompt_bytes: 40,
            ..Rules::default()
        });
        let mut judging = judging(&rules);
        assert!(judging.ask(&event(), 101).is_none());
        for is_decided in [true, true, false] {
            assert_eq!(judging.ask(&event(), 20).is_some(), is_decided);
        }
        judging.next_group();
        assert!(judging.ask(&event(), 100).is_some());
    }
}
