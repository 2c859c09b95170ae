//! What can happen to a replica.

use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{ConnectionId, SessionId};
use crate::proto::op_code::OpCode;
use crate::session::SessionCell;
use crate::tree::acl::Identity;
use crate::zab;

/// The time, given from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, ms since 1970: what txns are stamped with.
    pub wall_ms: i64,
    /// Monotonic clock, ms: what sessions expire by.
    pub monotonic_ms: i64,
}

/// A write of a client.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it came from and the reply goes to.
    pub connection: ConnectionId,
    /// The session it belongs to.
    pub session: Arc<SessionCell>,
    /// The client's number for it.
    pub xid: i32,
    /// What it asks for.
    pub op: OpCode,
    /// The undecoded record.
    pub body: Bytes,
    /// Who the client was when it arrived.
    pub identities: Arc<[Identity]>,
}

/// A client that comes back says that a session is its own.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    /// Its connection.
    pub(super) connection: ConnectionId,
    /// The session.
    pub(super) session: SessionId,
    /// What it says the password is.
    pub(super) password: &'a [u8],
    /// The negotiated timeout in ms.
    pub(super) timeout_ms: i32,
}

/// One input. Inputs of one connection come in the order of its requests.
#[derive(Clone, Debug)]
pub enum Input {
    /// A write.
    Request(Request),
    /// A client without a session wants one.
    OpenSession {
        /// Its connection.
        connection: ConnectionId,
        /// The negotiated timeout in ms.
        timeout_ms: i32,
        /// Whether it puts up with a server that only reads, and may be behind.
        takes_read_only: bool,
    },
    /// A client comes back to its session.
    ResumeSession {
        /// Its connection.
        connection: ConnectionId,
        /// The session.
        session: SessionId,
        /// What the client says the password is.
        password: Vec<u8>,
        /// The negotiated timeout in ms.
        timeout_ms: i32,
        /// As of a new session.
        takes_read_only: bool,
    },
    /// A connection is gone; its session lives on until it expires.
    Disconnected {
        /// The connection.
        connection: ConnectionId,
        /// The session it served.
        session: SessionId,
    },
    /// A container or TTL znode looks due for removal.
    Reap {
        /// Its path.
        path: String,
    },
    /// Time has passed: sessions may have expired.
    Tick,
    /// What the ordering core has to hear: from the disk, from its peers, or that time has passed for it.
    Zab(zab::Input),
}
