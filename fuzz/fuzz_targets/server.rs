//! libFuzzer's door to `paddock_fuzz::server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::server::run(data));
