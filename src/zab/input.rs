//! What can happen to the ordering core.
//!
//! Two sorts of connections exist. The election port: one connection per pair of servers, kept by the rim, which reports whether a peer can
//! be reached and every notification. The quorum port: on a leader, a [`LinkId`] per connected learner, named by the rim; on a learner, one
//! link to the leader, named by the core in `Output::ConnectLeader`. What comes from a link that is no longer known is ignored.

use bytes::Bytes;

use super::notification::Notification;
use super::packet::{Packet, Rider};
use crate::ids::{Epoch, ServerId, Zxid};

/// A connection on the quorum port. A number is used once in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A `sync` that waits for its confirmation; the number is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncId(pub u64);

/// A part of the history as the disk has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistorySlice {
    /// Whether the log holds a record of exactly the zxid that was asked for. Only then what follows continues it.
    pub begins_exactly: bool,
    /// The txns behind that zxid, in the order of the log; as many as the driver likes, at least one if there is one.
    pub txns: Vec<(Zxid, Bytes)>,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed: `Zab::wake_ms` has come. More often does no harm.
    Tick,

    // The election port.
    /// A notification came.
    Notification {
        /// Who sent it: the sid of the connection's handshake.
        from: ServerId,
        /// The vote.
        notification: Notification,
    },
    /// There is a connection to this peer's election port.
    PeerReachable(ServerId),
    /// The connection to this peer broke, or an attempt to connect was refused.
    PeerUnreachable(ServerId),

    // The quorum port of a leader, or the observer master port of a follower.
    /// A learner connected.
    LearnerConnected(LinkId),
    /// A learner sent a packet.
    LearnerPacket(LinkId, Packet),
    /// A learner's connection is gone, or its queue overflowed.
    LearnerDisconnected(LinkId),
    /// A session's traffic for a learner. Ignored when the learner is gone.
    ToLearner(LinkId, Rider),

    // The link to the leader.
    /// The connection that `Output::ConnectLeader` asked for stands.
    LeaderConnected(LinkId),
    /// The leader sent a packet. After SNAP the rim takes the bytes of the snapshot off the stream and tells the end of them.
    LeaderPacket(LinkId, Packet),
    /// The snapshot behind SNAP is complete, in a temporary file.
    SnapshotReceived(LinkId),
    /// The connection broke or could not be made.
    LeaderDisconnected(LinkId),
    /// A session's traffic for the leader. Ignored when there is none.
    ToLeader(Rider),

    // Storage: answers to outputs of the same name, in their order.
    /// The log is durable up to here.
    Persisted(Zxid),
    /// The promise is durable.
    AcceptedEpochStored(Epoch),
    /// The adopted epoch is durable.
    CurrentEpochStored(Epoch),
    /// Everything above this zxid is gone, durably; the applied state holds nothing above it.
    Truncated(Zxid),
    /// The log does not hold this zxid, nor does a snapshot end in it: nothing was changed.
    TruncationRefused(Zxid),
    /// The received snapshot is durable, is the applied state, and the log is empty.
    SnapshotInstalled(Zxid),
    /// The received snapshot cannot be loaded: nothing was changed.
    InstallationRefused(Zxid),
    /// A part of the log for a learner; `None` when the log does not reach back that far, is damaged, or too long to be worth reading.
    HistoryRead(LinkId, Option<HistorySlice>),
    /// The state at this zxid is frozen, to be streamed to the learner.
    SnapshotTaken(LinkId, Zxid),
    /// All bytes of the snapshot were given to the learner's link.
    SnapshotSent(LinkId),

    // The server itself.
    /// A `sync` arrived: is this still the leader, and what has to be applied before the answer?
    Sync {
        /// Its name.
        sync: SyncId,
        /// The learner that forwarded it; `None` for an own client's.
        from: Option<LinkId>,
    },
    /// The server is stopping: give up the role at once, so that the others need not wait for a timeout.
    Shutdown,
}
