#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mecha::api::properties::api_body(input));
