//! The pure composition of zab, request, session and tree: inputs in, effects out.
//!
//! Nothing here reads a clock, a file or a socket. The server room feeds it and carries out its effects; a simulator can do the same.

mod apply;
mod effects;
mod input;
mod replica;
mod restore;
mod shared;

pub use effects::{Effects, View};
pub use input::{Input, Now, Request};
pub use replica::{Replica, ReplicaSettings};
pub use restore::Restored;
pub use shared::Shared;
