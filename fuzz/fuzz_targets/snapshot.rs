//! libFuzzer's door to `paddock_fuzz::snapshot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::snapshot::run(data));
