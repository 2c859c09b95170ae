//! The pure data tree: znodes, ACLs, quotas, digest and watches. No async, no clock, no file, no socket.

pub mod acl;
pub mod apply;
pub mod data_tree;
pub mod digest;
pub mod path;
mod path_arena;
pub mod quota;
mod slab;
pub mod snapshot_walk;
pub mod stat;
pub mod store;
pub mod watch;
