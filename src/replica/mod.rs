//! The pure composition of zab, request, session and tree: inputs in, effects out.
//!
//! Nothing here reads a clock, a file or a socket. The server room feeds it and carries out its effects; a simulator can do the same.

mod apply;
mod configuration;
mod core;
mod effects;
mod for_learners;
mod input;
mod leading;
mod learning;
mod local_sessions;
mod read_only;
mod reconfig;
mod relay;
mod restore;
mod riders;
mod role;
mod shared;
mod syncs;

#[cfg(test)]
mod defect_tests;
#[cfg(test)]
mod ensemble_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod local_session_tests;
#[cfg(test)]
mod observer_master_tests;
#[cfg(test)]
mod pump;

pub use configuration::{READER, configuration};
pub use core::{Replica, ReplicaSettings};
pub use effects::{Effects, View};
pub use input::{Input, Now, Request};
pub use local_sessions::LocalSessions;
pub use restore::Restored;
pub use shared::Shared;
