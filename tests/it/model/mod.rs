//! The queue against a model: random commands, crashes and clock jumps, whatever the seed.

mod driver;

use driver::Driver;

/// Seeds tried where `MECHA_MODEL_SEEDS` says nothing.
const SEEDS: u64 = 200;

/// Groups of commands for each seed.
const GROUPS: u32 = 60;

#[test]
fn the_queue_does_what_the_model_does() {
    let seeds = std::env::var("MECHA_MODEL_SEEDS").ok();
    let seeds = seeds.map_or(SEEDS, |text| {
        text.parse().expect("MECHA_MODEL_SEEDS is a number")
    });
    let first = std::env::var("MECHA_MODEL_SEED").ok();
    let first = first.map_or(0, |text| {
        text.parse().expect("MECHA_MODEL_SEED is a number")
    });
    for seed in first..first + seeds {
        println!("seed {seed}: MECHA_MODEL_SEED={seed} MECHA_MODEL_SEEDS=1 runs it alone");
        let mut random = fastrand::Rng::with_seed(seed);
        Driver::new(move |below| random.u32(0..below)).run(GROUPS, &mut ());
    }
}
