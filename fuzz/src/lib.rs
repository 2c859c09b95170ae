//! Fuzz targets: plain functions over bytes. Whatever the bytes are, they return; a broken promise is a panic.
//!
//! `cargo fuzz` runs them under libFuzzer (`make fuzz`), `tests/fuzz_smoke.rs` over the corpus and mutations of it in every gate.
#![forbid(unsafe_code)]

pub mod check;
pub mod choices;
pub mod config;
pub mod corpus;
pub mod log;
pub mod memory_fs;
pub mod peers;
pub mod records;
pub mod replica;
pub mod requests;
pub mod restore;
pub mod server;
pub mod snapshot;
pub mod stream;
pub mod texts;
pub mod txns;

/// A target: its name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 11] = [
    ("records", records::run),
    ("requests", requests::run),
    ("txns", txns::run),
    ("log", log::run),
    ("snapshot", snapshot::run),
    ("stream", stream::run),
    ("config", config::run),
    ("texts", texts::run),
    ("peers", peers::run),
    ("replica", replica::run),
    ("server", server::run),
];
