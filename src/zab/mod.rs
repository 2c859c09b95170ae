//! The ordering core: it puts opaque txns into one order and says when each is committed. Pure: inputs in, outputs out.
//!
//! Today it runs the broadcast phase of an established leader. A standalone server is such a leader with a quorum of one:
//! its own "persisted" is the only ack there is, and the path is the one that an ensemble uses.
//!
//! Calling order: [`Zab::propose`] for each txn, in zxid order; the outputs are carried out; when the log has made txns durable,
//! [`Zab::persisted`]; what comes out is applied in that order.

mod broadcast;
mod output;
mod quorum;

pub use broadcast::Zab;
pub use output::Output;
pub use quorum::QuorumVerifier;
