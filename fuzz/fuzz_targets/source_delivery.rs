#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mecha::source::properties::source_delivery(input));
