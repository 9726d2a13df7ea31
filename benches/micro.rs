//! The time that single steps take: reading a request, verifying and reading a webhook, judging it
//! by rules, writing a record, changing a task's state.
//!
//! `cargo bench --bench micro` measures all, `cargo bench --bench micro -- NAME` those with this in
//! their names. criterion keeps the figures in `target/criterion` and compares with the last
//! run's. Steps of the queue sync a commit each, so theirs is mostly the disk's time;
//! `cargo bench --bench instructions` counts what does not depend on the machine's mood.

#[path = "support/directory.rs"]
mod directory;
#[path = "support/operations.rs"]
mod operations;
#[path = "support/payload.rs"]
mod payload;
#[path = "support/queue.rs"]
mod queue;

use std::time::Duration;

use criterion::Criterion;

/// How long a step is warmed up and measured.
const WARM_UP_TIME: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(3);

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(WARM_UP_TIME)
        .measurement_time(TIME)
        .configure_from_args();
    for operation in operations::ALL {
        // Made when it is its turn, which those that were not asked for do not have.
        let mut step = None;
        criterion.bench_function(operation.name, |bencher| {
            let step = step.get_or_insert_with(|| match (operation.ready)() {
                Ok(step) => step,
                Err(error) => panic!("{}: {error}", operation.name),
            });
            bencher.iter(step);
        });
    }
    criterion.final_summary();
}
