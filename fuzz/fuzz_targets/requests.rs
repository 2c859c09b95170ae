//! libFuzzer's door to `paddock_fuzz::requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::requests::run(data));
