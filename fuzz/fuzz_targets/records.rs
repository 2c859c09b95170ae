//! libFuzzer's door to `paddock_fuzz::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paddock_fuzz::records::run(data));
