#![no_main]

use std::cell::Cell;

#[path = "../../tests/it/model/driver.rs"]
#[allow(dead_code, reason = "what the tests alone use")]
mod driver;

/// Groups of commands in one run.
const GROUPS_MAX: u32 = 60;

// The input decides what comes next. Where it is used up within a group, the first choice is
// taken; then the run ends.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let rest = Cell::new(input);
    let next = || {
        let Some((first, more)) = rest.get().split_first() else {
            return 0;
        };
        rest.set(more);
        u32::from(*first)
    };
    let choose = |below: u32| {
        let more = if below > 256 { next() << 8 } else { 0 };
        (more | next()) % below
    };
    let mut groups = 0..GROUPS_MAX;
    let goes_on = || !rest.get().is_empty() && groups.next().is_some();
    driver::Driver::new(choose).run_while(goes_on, &mut ());
});
