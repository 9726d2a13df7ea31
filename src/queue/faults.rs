//! The queue over a store that fails: whatever fails, and whenever, what was acknowledged is kept.

#[path = "../../tests/it/model/driver.rs"]
mod driver;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};

use self::driver::{Driver, Trouble};
use crate::store::Store;
use crate::store::faults::{Failure, Faults, Operation};

/// Every way in which something can fail, and whether its changes are on disk all the same.
const WAYS: [(Operation, Failure, bool); 8] = [
    (Operation::Commit, Failure::Before, false),
    (Operation::Commit, Failure::After, true),
    (Operation::Commit, Failure::Panic, false),
    (Operation::Read, Failure::Before, false),
    (Operation::Read, Failure::Panic, false),
    // What is committed before it stays.
    (Operation::Rotate, Failure::Before, true),
    (Operation::Rotate, Failure::After, true),
    (Operation::Rotate, Failure::Panic, true),
];

/// One fault in a run: the `number`-th operation of its kind fails, whichever group it falls in.
struct Once {
    way: (Operation, Failure, bool),
    number: u64,
    armed: Option<Faults>,
    was_met: bool,
}

impl Trouble for Once {
    fn begin(&mut self, store: &Store) -> bool {
        if !self.was_met {
            let (operation, failure, _) = self.way;
            store.faults.arm(operation, failure, self.number);
            self.armed = Some(store.faults.clone());
        }
        !self.was_met
    }

    fn end(&mut self) -> Option<bool> {
        // What the model reads to compare does not count.
        if let Some(left) = self.armed.take()?.disarm() {
            self.number = left;
            None
        } else {
            self.was_met = true;
            Some(self.way.2)
        }
    }
}

/// A fault in every group that gets as far as it.
struct Again<C> {
    choose: C,
    once: Once,
}

impl<C: FnMut(u32) -> u32> Trouble for Again<C> {
    fn begin(&mut self, store: &Store) -> bool {
        let way = WAYS[(self.choose)(8) as usize];
        let most = if way.0 == Operation::Read { 40 } else { 2 };
        self.once = Once::new(way, 1 + u64::from((self.choose)(most)));
        self.once.begin(store)
    }

    fn end(&mut self) -> Option<bool> {
        let ended = self.once.end();
        MET.fetch_add(u64::from(ended.is_some()), Ordering::Relaxed);
        ended
    }
}

impl Once {
    fn new(way: (Operation, Failure, bool), number: u64) -> Self {
        Self {
            way,
            number,
            armed: None,
            was_met: false,
        }
    }
}

/// Faults that were met in [`Again`], for the figure that is printed.
static MET: AtomicU64 = AtomicU64::new(0);

fn number_in(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap())
}

/// The n-th operation fails, n counting up until a run gets to its end without meeting the fault.
#[test]
fn the_queue_is_what_the_model_is_wherever_the_store_fails() {
    let seeds = number_in("MECHA_FAULT_SEEDS", 1);
    let mut met = 0;
    for seed in 0..seeds {
        for way in WAYS {
            // Reads are many and alike: a step that changes meets all of them in several seeds.
            let is_read = way.0 == Operation::Read;
            let mut number = 1;
            loop {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut once = Once::new(way, number);
                Driver::new(move |below| random.u32(0..below)).run(12, &mut once);
                if !once.was_met {
                    break;
                }
                met += 1;
                number += if is_read { 1 + (number + seed) % 13 } else { 1 };
            }
        }
    }
    println!("{met} faults, one in a run");
    assert!(met > 50, "{met}");
}

#[test]
fn the_queue_is_what_the_model_is_though_the_store_fails_again_and_again() {
    for seed in 0..number_in("MECHA_FAULT_SEEDS", 1) * 20 {
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut chance = random.fork();
        let mut again = Again {
            choose: move |below| chance.u32(0..below),
            once: Once::new(WAYS[0], 1),
        };
        Driver::new(move |below| random.u32(0..below)).run(30, &mut again);
    }
    let met = MET.load(Ordering::Relaxed);
    println!("{met} faults, one after the other");
    assert!(met > 50, "{met}");
}
