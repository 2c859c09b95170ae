//! Sockets of clients: listeners and connections. Bytes become whole requests, and replies become bytes. It decides nothing about znodes.
//! Beside them, in `peers`, those between the servers of an ensemble.

mod connection;
mod connection_throttle;
mod context;
mod handshake;
mod holdings;
#[cfg(test)]
mod limit_tests;
mod link;
mod listener;
mod namespaces;
mod output;
pub mod peers;
mod stats;
mod table;
mod turn;

pub use connection::Connection;
pub use connection_throttle::{DropSettings, ThrottleSettings};
pub use context::{Context, Inbox, NetSettings};
pub use listener::{Listener, listen};
pub use namespaces::{Direction, Namespaces};
pub use stats::{Done, ServerStats};
pub use table::ConnectionTable;
