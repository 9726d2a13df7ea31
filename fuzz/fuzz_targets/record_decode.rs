#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mecha::store::properties::record_decode(input));
