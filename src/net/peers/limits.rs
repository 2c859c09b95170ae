//! Every limit on what another server, or whoever pretends to be one, can make this server hold or do.

use std::time::Duration;

/// Longest frame of the election port, bytes (`QuorumCnxManager.PACKETMAXSIZE`).
pub const ELECTION_FRAME_BYTES_MAX: usize = 512 << 10;

/// Longest text of addresses in a handshake, bytes (`QuorumCnxManager.maxBuffer`).
pub const GREETING_ADDRESS_BYTES_MAX: usize = 2048;

/// Addresses of one server that are dialed at once.
pub const DIALED_ADDRESSES_MAX: usize = 16;

/// Connections of a port that have not said who they are; beyond it the oldest of them is closed.
pub const LOBBY_CONNECTIONS_MAX: usize = 64;

/// Servers outside the configuration that may be connected to the election port: those that are about to join.
pub const STRANGERS_MAX: usize = 64;

/// Connections of learners; beyond it a new one is closed.
pub const LEARNERS_MAX: usize = 256;

/// Content of the first packet of a learner, bytes. The known ones take 20, 28 or 36.
pub const FIRST_PACKET_DATA_BYTES_MAX: usize = 1 << 10;

/// What a packet may be longer than its content, bytes: its head, and the authentication ids of a client.
pub const PACKET_BYTES_BEYOND_DATA: usize = 1 << 20;

/// Bytes that are read from a socket at once.
pub const READ_BYTES: usize = 64 << 10;

/// Bytes that may wait to be sent on one link; beyond it the link is broken.
pub const LINK_QUEUE_BYTES_MAX: usize = 256 << 20;

/// Bytes that may wait on the links of all learners together: each has its share of it, if that is less than what one link may have.
pub const LEARNERS_QUEUE_BYTES_MAX: usize = 1 << 30;

/// Bytes of a history, from memory or from disk, that an observer of a follower is given at once: they may wait on its link beside what
/// `observerMaster.sizeLimit` allows of what is committed meanwhile.
pub const OBSERVER_HISTORY_BYTES_MAX: usize = 40 << 20;

/// A link whose queue is shorter, in bytes, has room for more of a history or of a snapshot.
pub const LINK_QUEUE_BYTES_ROOM: usize = 1 << 20;

/// The buffer of a link that is kept for the next turn, bytes: it holds the proposals of a busy one, so that it need not grow anew each time.
pub const LINK_BUFFER_BYTES_KEPT: usize = 256 << 10;

/// The shortest and the longest time between two attempts to connect to a peer's election port. The first attempt waits for nothing.
pub const DIAL_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Attempts that were asked for, by a vote to send or by the peer, are no closer than this.
pub const DIAL_SPACING: Duration = Duration::from_millis(5);

/// How long a peer with a larger sid has to call back before it is asked again.
pub const CALL_BACK_WAIT: Duration = Duration::from_millis(200);

/// Attempts to connect to a leader before the core is told (`Learner.connectToLeader`).
pub const LEADER_DIALS: u32 = 5;

/// Pause after the first of them. It doubles, up to `leaderConnectDelayDuringRetryMs`.
pub const LEADER_DIAL_PAUSE: Duration = Duration::from_millis(2);

/// How long a link that is being closed may take to send what is queued, and then to drain what still comes.
pub const CLOSE_WAIT: Duration = Duration::from_millis(500);

/// Pause after an accept that failed for want of resources, and between two looks at a full inbox.
pub const RESOURCE_PAUSE: Duration = Duration::from_millis(1);

/// Pause between two attempts to bind the election port (`QuorumCnxManager.Listener`).
pub const BIND_PAUSE: Duration = Duration::from_secs(1);

/// Pause between two attempts to bind the quorum port.
pub const QUORUM_BIND_PAUSE: Duration = Duration::from_millis(20);
