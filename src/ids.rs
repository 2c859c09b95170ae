//! The numbers that name things: zxid, epoch, server id, session id, connection id. One newtype each, so that two of them cannot be
//! swapped.

use std::fmt;

/// A transaction id: the epoch in the high half, a counter in the low half. Compared as a signed number, as ZooKeeper does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Zxid(pub i64);

impl Zxid {
    /// The zxid of a database that has seen no transaction.
    pub const ZERO: Self = Self(0);

    /// The zxid of this counter in this epoch (`ZxidUtils.makeZxid`).
    #[must_use]
    pub fn new(epoch: Epoch, counter: u32) -> Self {
        Self((epoch.0 << 32) | i64::from(counter))
    }

    /// The zxid after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The zxid before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    /// The epoch, by arithmetic shift (`ZxidUtils.getEpochFromZxid`).
    #[must_use]
    pub fn epoch(self) -> Epoch {
        Epoch(self.0 >> 32)
    }

    /// The counter inside the epoch.
    #[must_use]
    pub fn counter(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }
}

/// The number of a leadership: the high half of its zxids. On the wire it has 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The last epoch there can be: the zxids of the next one would be negative.
    pub const LAST: Self = Self(i32::MAX as i64);

    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The zxid that stands for the beginning of this epoch; no txn has it.
    #[must_use]
    pub fn zxid(self) -> Zxid {
        Zxid::new(self, 0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The id of a server in its ensemble: the N of `server.N`, and the number in `myid`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerId(pub i64);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A session id. The high byte is the low byte of the id of the server that made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: what a client sends to ask for a new one.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A client connection on this server: a slot in the table of connections, with the generation that tells two users of one slot apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId {
    /// Index into the table of connections.
    pub slot: u32,
    /// How often the slot had been used before.
    pub generation: u32,
}
