//! A simulated file system for the storage's trait: it knows what was written and what was synced, and fails when it is told to.
//!
//! Every change is an [`Op`] in a journal. A [`Disk`] takes ops one by one and keeps, per file and per directory entry, what is durable
//! and what is not; from it the images come that a power cut could leave. Operations on a [`SimFileSystem`] see the whole truth, as
//! programs do whose kernel is alive; faults come from its [`Faults`], time passes only in its own clock.

mod disk;
mod faults;
mod sim;

pub use disk::{Disk, Enumerated, Image, images};
pub use faults::{Fault, Faults, Kind};
pub use sim::SimFileSystem;
