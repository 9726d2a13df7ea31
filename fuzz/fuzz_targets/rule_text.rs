#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mecha::rules::properties::rule_text(input));
