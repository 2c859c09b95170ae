//! libFuzzer's door to `paddock_fuzz::peers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::peers::run(data));
