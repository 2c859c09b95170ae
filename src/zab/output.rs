//! What the ordering core asks of the world.

use bytes::Bytes;

use crate::ids::Zxid;

/// One effect. Outputs are carried out in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Append a txn to the log. When it is durable, and not before, the core is told by `persisted`.
    Append {
        /// The txn's zxid, larger than that of every append before.
        zxid: Zxid,
        /// The opaque txn.
        payload: Bytes,
    },
    /// A txn is committed: apply it. Every txn is delivered once, in zxid order, without gaps.
    Deliver {
        /// The txn's zxid.
        zxid: Zxid,
        /// The opaque txn.
        payload: Bytes,
    },
}
