//! What the rules decide about a new event in front of its commit.
//!
//! The event and the task that is made of it are one commit then and not two, and a worker that waits has it at once.
//! It is done on the thread that commits, which everybody waits for: so only what takes a moment is decided here, and
//! all else by whoever takes events from the queue behind their commits.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::command::Decision;
use crate::clock::thread_time;
use crate::event::Event;

/// Decides about events.
pub trait Judge: fmt::Debug + Send + Sync {
    /// What is to become of `event`, which is not stored yet. `None` where that takes more than the event, or waits for
    /// anything: then it is decided when the event is stored.
    fn judge(&self, event: &Event) -> Option<Decision>;
}

/// Who decides, as soon as somebody does.
pub(super) type Seat = Arc<OnceLock<Arc<dyn Judge>>>;

/// Time of the processor that a decision may take.
const QUICK: Duration = Duration::from_millis(1);

/// So many events are left to others where a decision took longer.
const REST: u32 = 1_000;

/// Has events decided about while that takes a moment.
#[derive(Debug)]
pub(super) struct Judging {
    pub(super) seat: Seat,
    /// Events that are still left to others.
    resting: u32,
    group_bytes_max: usize,
    /// BOUND: bytes of prompts that this group may still make, and of the attributes that one is made of.
    bytes_left: usize,
}

impl Judging {
    /// Nobody decides yet. The prompts of one group may have `group_bytes_max` bytes.
    pub(super) fn new(group_bytes_max: usize) -> Self {
        Self {
            seat: Seat::default(),
            resting: 0,
            group_bytes_max,
            bytes_left: group_bytes_max,
        }
    }

    /// What is to become of `event`, whose attributes have so many bytes, if that can be decided here.
    pub(super) fn decide(&mut self, event: &Event, attributes_bytes: usize) -> Option<Decision> {
        let judge = self.seat.get()?;
        if self.resting > 0 {
            self.resting -= 1;
            return None;
        }
        if attributes_bytes > self.bytes_left {
            return None;
        }
        // Not the time that passed: a thread that others keep from its core is not slow.
        let begun = thread_time();
        let decision = judge.judge(event);
        if thread_time().saturating_sub(begun) > QUICK {
            self.resting = REST;
        }
        let decision = decision?;
        self.bytes_left = self.bytes_left.checked_sub(decision.prompt_bytes())?;
        Some(decision)
    }

    /// The group is complete; the next one begins.
    pub(super) fn next_group(&mut self) {
        self.bytes_left = self.group_bytes_max;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::clock::Timestamp;
    use crate::event::{Attributes, Delivery, EventId};
    use crate::id::Id;

    #[derive(Debug, Default)]
    struct Rules {
        prompt_bytes: usize,
        is_slow: AtomicBool,
    }

    impl Judge for Rules {
        fn judge(&self, _event: &Event) -> Option<Decision> {
            let until = thread_time() + QUICK;
            while self.is_slow.load(Ordering::Relaxed) && thread_time() <= until {
                std::hint::spin_loop();
            }
            Some(Decision::Hold {
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
    fn a_slow_decision_leaves_the_next_ones_to_others() {
        let rules = Arc::new(Rules::default());
        let mut judging = judging(&rules);
        rules.is_slow.store(true, Ordering::Relaxed);
        assert!(judging.decide(&event(), 0).is_some(), "it is made already");
        rules.is_slow.store(false, Ordering::Relaxed);
        for _ in 0..REST {
            assert!(judging.decide(&event(), 0).is_none());
        }
        assert!(judging.decide(&event(), 0).is_some());
    }

    #[test]
    fn a_group_makes_so_much_of_prompts() {
        let rules = Arc::new(Rules {
            prompt_bytes: 40,
            ..Rules::default()
        });
        let mut judging = judging(&rules);
        assert!(judging.decide(&event(), 101).is_none());
        for is_decided in [true, true, false] {
            assert_eq!(judging.decide(&event(), 20).is_some(), is_decided);
        }
        judging.next_group();
        assert!(judging.decide(&event(), 100).is_some());
    }
}
