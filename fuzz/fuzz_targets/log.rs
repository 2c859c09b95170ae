//! libFuzzer's door to `paddock_fuzz::log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::log::run(data));
