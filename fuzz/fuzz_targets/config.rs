//! libFuzzer's door to `paddock_fuzz::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::config::run(data));
