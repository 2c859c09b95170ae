//! libFuzzer's door to `paddock_fuzz::stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::stream::run(data));
