//! What the ordering core asks of the world: the whole vocabulary.
//!
//! Outputs are carried out in the order in which they come. Every one may be carried out at once: a packet that must not leave before a
//! write is durable is not in the list until the core has been told that it is. (A condition on the packet, held by the driver, would do the
//! same; as a state of the core it stands in the transcripts and in the simulation, and the driver has nothing to forget.)
//!
//! Storage outputs (`Append`, `StoreAcceptedEpoch`, `StoreCurrentEpoch`, `Truncate`, `InstallSnapshot`) are one queue with one worker.

use bytes::Bytes;

use super::input::{LinkId, SyncId};
use super::membership::Configuration;
use super::notification::{Notification, ServerState};
use super::packet::{Packet, Rider};
use crate::ids::{Epoch, ServerId, Zxid};

/// How a learner was brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// It got what it lacked.
    Diff,
    /// It dropped what nobody else has, and got what it lacked.
    Trunc,
    /// It got the whole state.
    Snap,
}

/// Why a server gives up its role and looks for a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has just started.
    Started,
    /// The link to the leader broke, or could not be made.
    LeaderLost,
    /// The leader said nothing for too long.
    LeaderSilent,
    /// The leader broke the protocol.
    LeaderMisbehaved,
    /// The leader's epoch is older than one that was promised to another.
    EpochTooOld,
    /// The log cannot be truncated as the leader demands: the next leader is asked for a snapshot.
    TruncationRefused,
    /// No quorum of learners is connected any more, or none is heard of.
    QuorumLost,
    /// No quorum came together in initLimit ticks, or none can: too many of those who could come back another.
    QuorumNeverCame,
    /// A follower's history is ahead of the leader's.
    FollowerAhead,
    /// The counter of the epoch is used up.
    EpochExhausted,
    /// Another epoch is promised that is not this leader's.
    Superseded,
    /// A reconfiguration changed what this server is, or who leads. It names the next leader, if there is one: then everybody takes office
    /// without an election.
    Reconfigured {
        /// The next leader.
        designated: Option<ServerId>,
    },
}

/// A change of role, for the replica and for the log. Durations in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// No role: clients are to be let go, nothing is acknowledged, nothing is served.
    Looking {
        /// Why the role before ended.
        reason: Reason,
    },
    /// The election is over. Nothing is served yet.
    Elected {
        /// What this server does next.
        state: ServerState,
        /// The leader.
        leader: ServerId,
        /// The length of the election.
        took_ms: i64,
    },
    /// The epoch is known: discovery is over.
    Discovered {
        /// The epoch.
        epoch: Epoch,
        /// The length of discovery.
        took_ms: i64,
    },
    /// Synchronization is over: serve. A leader may propose.
    Serving {
        /// Leading, following or observing.
        state: ServerState,
        /// The leader.
        leader: ServerId,
        /// The epoch.
        epoch: Epoch,
        /// How this server was brought up to date; `None` for a leader.
        mode: Option<SyncMode>,
        /// The length of synchronization.
        took_ms: i64,
    },
    /// Stopped for good.
    Stopped,
}

/// Why a learner's connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// This server leads no more.
    NotLeading,
    /// It broke the protocol.
    Misbehaved,
    /// It knows a later configuration.
    LaterConfiguration,
    /// Its history is ahead of the leader's.
    Ahead,
    /// Its history is of a later epoch than that of an established leader: too many of those who knew that epoch have lost their data.
    OtherPast,
    /// It said nothing for too long, or took too long to synchronize.
    Silent,
    /// It connected again.
    Replaced,
}

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Append a txn to the log. When it is durable, and not before, tell by `Input::Persisted`.
    Append {
        /// The txn's zxid, which follows that of the append before.
        zxid: Zxid,
        /// The opaque txn.
        payload: Bytes,
    },
    /// A txn to be applied: each once, in zxid order, without gaps. While the role serves, it is committed. Before that it may be the
    /// history of a leader that comes to nothing: then `Truncate` or `InstallSnapshot` takes it back, and no client has seen it.
    Deliver {
        /// The txn's zxid.
        zxid: Zxid,
        /// The opaque txn.
        payload: Bytes,
    },

    /// Replace the file `acceptedEpoch`, then tell by `Input::AcceptedEpochStored`.
    StoreAcceptedEpoch(Epoch),
    /// Replace the file `currentEpoch`, then tell by `Input::CurrentEpochStored`.
    StoreCurrentEpoch(Epoch),
    /// Remove every snapshot that ends above this zxid, then every record above it, and make that durable; if the applied state is above
    /// it, read it back from what is left. Then `Input::Truncated`. If neither the log nor a snapshot ends in exactly this zxid, change
    /// nothing and answer `Input::TruncationRefused`.
    Truncate(Zxid),
    /// Replace the whole durable history by the received snapshot, in one step that a crash cannot divide: the snapshot gets its name and
    /// the whole log goes, for what it holds may be another leader's history, below the snapshot or above it. (A small file that says
    /// what is being done, written first and removed last, makes it one step.) Load it before
    /// that: if it cannot be, change nothing and answer `Input::InstallationRefused`; else answer `Input::SnapshotInstalled`.
    InstallSnapshot(Zxid),

    /// A reconfiguration is proposed by the txn that is appended next. Servers that it adds must be reachable from now on. Not answered.
    ConfigurationProposed(Box<Configuration>),
    /// The ensemble has these members from now on. What was delivered before is applied before. Not answered.
    ConfigurationActivated(Box<Configuration>),

    /// Read the log behind this zxid for a learner; answer with `Input::HistoryRead`, when the learner's queue has room.
    ReadHistory {
        /// The learner.
        link: LinkId,
        /// The zxid that the learner has.
        after: Zxid,
    },
    /// Freeze the applied state for a learner; answer with `Input::SnapshotTaken`, and do not send anything yet.
    TakeSnapshot(LinkId),
    /// Send the frozen state as it is, behind the SNAP packet that was sent before; answer with `Input::SnapshotSent`.
    StreamSnapshot(LinkId),

    /// Send a notification to a peer's election port, connecting to it if need be.
    Notify {
        /// The peer.
        to: ServerId,
        /// The vote.
        notification: Notification,
    },
    /// Listen on the quorum port.
    OpenQuorumPort,
    /// Listen on the port at which a follower serves observers. Whoever connects there is a learner like any other.
    OpenObserverMasterPort,
    /// Stop listening on the one or the other, and close every learner's connection.
    CloseQuorumPort,
    /// Send a packet to a learner.
    ToLearner(LinkId, Packet),
    /// Close a learner's connection, after what was sent. No `Input::LearnerDisconnected` is needed.
    CloseLearner(LinkId, CloseReason),
    /// Connect to the leader's quorum port.
    ConnectLeader {
        /// The name of the link.
        link: LinkId,
        /// The leader.
        leader: ServerId,
    },
    /// Connect to a follower's observer master port. The link is that to the leader in everything else.
    ConnectMaster {
        /// The name of the link.
        link: LinkId,
        /// The follower.
        master: ServerId,
    },
    /// Send a packet to the leader.
    ToLeader(LinkId, Packet),
    /// Close the link to the leader, and forget a snapshot that is half received. No `Input::LeaderDisconnected` is needed.
    DisconnectLeader(LinkId),

    /// A session's traffic from a learner, of a leader or of a follower that serves observers: for the replica.
    FromLearner(LinkId, ServerId, Rider),
    /// A session's traffic from the leader: for the replica. PING is to be answered with `Input::ToLeader`, with the sessions heard of.
    FromLeader(Rider),
    /// A quorum has confirmed this leader since the `sync` came, and everything proposed before it is delivered: answer it.
    SyncConfirmed(SyncId),
    /// The role changed.
    Role(RoleChange),
}
