//! The rim: it starts the threads, feeds the replica, carries out its effects and shuts down. It decides nothing.

mod client_port;
mod clock;
mod command;
mod config_files;
mod current_members;
mod ensemble;
mod execute;
mod incoming;
mod journal;
mod learner_snapshot;
mod limits;
mod log_thread;
mod member;
mod node;
pub mod persistence;
mod purge;
mod restore;
mod settings;
mod snapshot_due;
mod snapshots;
mod start;
mod timers;
mod wake;
mod words;

pub use restore::Target;
pub use start::{StartError, run};
