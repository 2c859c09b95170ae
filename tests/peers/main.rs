//! The links between servers over real sockets: several of them in one process, an inbox that keeps what it is told, and peers that do not
//! keep to the rules.

mod election;
mod harness;
mod hostile;
mod observers;
mod quorum;
mod snapshots;
