//! libFuzzer's door to `paddock_fuzz::replica`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::replica::run(data));
