//! Paddock: a coordination server that ZooKeeper's clients, tools and clusters use without noticing.

pub mod ids;
