//! libFuzzer's door to `paddock_fuzz::texts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::texts::run(data));
