#![no_main]

#[path = "../../tests/it/model/driver.rs"]
mod driver;

/// Groups of commands in one run.
const GROUPS_MAX: u32 = 40;

// The input decides what comes next; when it is used up, the first choice is taken.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut bytes = input.iter().copied();
    let choose = move |below: u32| {
        let first = u32::from(bytes.next().unwrap_or(0));
        let more = if below > 256 {
            u32::from(bytes.next().unwrap_or(0)) << 8
        } else {
            0
        };
        (first | more) % below
    };
    let groups = u32::try_from(input.len() / 8)
        .unwrap_or(u32::MAX)
        .min(GROUPS_MAX);
    driver::Driver::new(choose).run(groups, &mut ());
});
