//! The ordering core: it puts opaque txns into one order, and says when each is committed; Zab as ZooKeeper runs it, on ZooKeeper's wire.
//! Pure: inputs in, outputs out. It has no clock, no random source, no file and no socket, and cannot name a znode.
//!
//! A server is one [`Zab`]. Calling order: [`Zab::start`] with what recovery found; then [`Zab::handle`] for each input, and
//! [`Zab::propose`] on a leader that serves. After each call the outputs are carried out in their order, before the next call.
//! [`Zab::wake_ms`] says when to come back with [`Input::Tick`]. A standalone server is a leader with a quorum of one: the same path.
//!
//! What the driver owes:
//!
//! * [`Output`] says for each effect what answers it. Storage effects are done in their order, by one worker; an error of the disk ends the
//!   process. `Append`s may be made durable together; `Persisted` names the last.
//! * The applied state is changed by `Deliver`, `Truncate` and `InstallSnapshot` only. A snapshot for the disk may be taken of what is
//!   applied while [`Zab::is_serving`]: only then is it committed.
//! * Clients are served from `RoleChange::Serving` on, until `RoleChange::Looking`.
//! * Packets of one link come in their order, none twice. Links break; what was sent is lost then. A link whose queue of unsent bytes grows
//!   beyond its bound is broken by the driver.
//! * On the election port only the newest notification to each peer counts. Whoever is connected has its last one.

mod broadcast;
mod confirmation;
mod core;
mod discovery;
mod election;
#[cfg(test)]
mod fixture;
mod history;
mod input;
mod leader;
mod leader_sync;
mod learner;
mod learner_handler;
mod learner_masters;
mod membership;
mod notification;
mod observer_master;
mod output;
mod packet;
mod quorum;
mod reconfiguration;
mod synchronization;
mod timing;
#[allow(clippy::module_inception)]
mod zab;

pub use core::{Recovered, Settings};
pub use history::{History, HistoryLimits, follows};
pub use input::{HistorySlice, Input, LinkId, SyncId};
pub use leader::LearnerCounts;
pub use learner::answer_ping;
pub use membership::{Configuration, ConfigurationReader, Membership};
pub use notification::{CONFIG_BYTES_MAX, NOTIFICATION_VERSION, Notification, NotificationError, ServerState, Vote};
pub use output::{CloseReason, Output, Reason, RoleChange, SyncMode};
pub use packet::{Introduction, PROTOCOL_VERSION, Packet, PacketError, Rider, RiderKind, packet_length};
pub use quorum::QuorumVerifier;
pub use synchronization::{Offer, Plan, choose};
pub use timing::Timing;
pub use zab::Zab;
