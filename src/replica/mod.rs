//! The pure composition of zab, request, session and tree: inputs in, effects out.
//!
//! Nothing here reads a clock, a file or a socket. The server room feeds it and carries out its effects; a simulator can do the same.

mod apply;
mod core;
mod effects;
mod input;
mod restore;
mod shared;

pub use core::{Replica, ReplicaSettings};
pub use effects::{Effects, View};
pub use input::{Input, Now, Request};
pub use restore::Restored;
pub use shared::Shared;
