//! Paddock: a coordination server that ZooKeeper's clients, tools and clusters use without noticing.

pub mod admin;
pub mod bench;
pub mod client;
pub mod config;
pub mod ids;
pub mod migrate;
pub mod net;
pub mod proto;
pub mod replica;
pub mod request;
pub mod server;
pub mod session;
pub mod storage;
pub mod tree;
pub mod zab;
