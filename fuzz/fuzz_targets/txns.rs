//! libFuzzer's door to `paddock_fuzz::txns`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::txns::run(data));
