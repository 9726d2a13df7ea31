#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mecha::http::properties::http_head(input));
