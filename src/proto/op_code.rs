//! Operation codes (`ZooDefs.OpCode`): a number with known names, so that an unknown one can be answered instead of failing to decode.

use std::fmt;

/// What a request asks for, or what kind of txn a record in the log is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpCode(pub i32);

macro_rules! op_codes {
    ($($name:ident = $code:literal $text:literal: $doc:literal;)*) => {
        impl OpCode {
            $(#[doc = $doc] pub const $name: Self = Self($code);)*

            /// The name ZooKeeper's tools print (`Request.op2String`), or "unknown".
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    _ => "unknown",
                }
            }
        }
    };
}

op_codes! {
    ERROR = -1 "error": "A txn that records a failed request.";
    CREATE_SESSION = -10 "createSession": "Opens a session; never sent by a client as a request.";
    CLOSE_SESSION = -11 "closeSession": "Ends the session and removes its ephemerals.";
    NOTIFICATION = 0 "notification": "A watch event, server to client only.";
    CREATE = 1 "create": "Creates a znode and answers its path.";
    DELETE = 2 "delete": "Deletes a znode.";
    EXISTS = 3 "exists": "Answers the stat of a znode.";
    GET_DATA = 4 "getData": "Answers data and stat.";
    SET_DATA = 5 "setData": "Replaces the data.";
    GET_ACL = 6 "getACL": "Answers the ACL and stat.";
    SET_ACL = 7 "setACL": "Replaces the ACL.";
    GET_CHILDREN = 8 "getChildren": "Answers the names of the children.";
    SYNC = 9 "sync": "Orders the session behind everything committed before it.";
    PING = 11 "ping": "Keeps the session alive.";
    GET_CHILDREN2 = 12 "getChildren2": "Answers the names of the children, and the stat.";
    CHECK = 13 "check": "Checks a version, only inside multi.";
    MULTI = 14 "multi": "Several writes, all or none.";
    CREATE2 = 15 "create2": "Creates a znode and answers path and stat.";
    RECONFIG = 16 "reconfig": "Changes the membership of the ensemble.";
    CHECK_WATCHES = 17 "checkWatches": "Tells whether this connection holds a watch.";
    REMOVE_WATCHES = 18 "removeWatches": "Removes watches of this connection.";
    CREATE_CONTAINER = 19 "createContainer": "Creates a container znode.";
    DELETE_CONTAINER = 20 "deleteContainer": "Removes an empty container or an expired TTL znode; internal.";
    CREATE_TTL = 21 "createTTL": "Creates a znode with a time to live.";
    MULTI_READ = 22 "multiRead": "Several independent reads in one frame.";
    AUTH = 100 "auth": "Adds an identity to the connection.";
    SET_WATCHES = 101 "setWatches": "Registers one-shot watches again after a reconnect.";
    SASL = 102 "sasl": "One step of a SASL exchange.";
    GET_EPHEMERALS = 103 "getEphemerals": "Lists this session's ephemerals.";
    GET_ALL_CHILDREN_NUMBER = 104 "getAllChildrenNumber": "Counts all descendants.";
    SET_WATCHES2 = 105 "setWatches2": "Registers all kinds of watches again after a reconnect.";
    ADD_WATCH = 106 "addWatch": "Registers a persistent or recursive watch.";
    WHO_AM_I = 107 "whoAmI": "Lists the identities of the connection.";
}

/// How the server treats a request of some op code (client-protocol.md §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpKind {
    /// Goes through the replica in the order of its session: becomes a replicated txn or, for sync, waits for the leader.
    Write,
    /// Answered from the applied tree, in the order of its session.
    Read,
    /// Handled on the connection at once: auth and SASL.
    Immediate,
    /// Not a request a client may send: answered with UNIMPLEMENTED, then closed (§2.1 step 10).
    Invalid,
}

impl OpCode {
    /// How a request with this code is treated.
    #[must_use]
    pub fn kind(self) -> OpKind {
        match self.0 {
            1 | 2 | 5 | 7 | 9 | 14 | 15 | 16 | 19 | 21 | -11 => OpKind::Write,
            3 | 4 | 6 | 8 | 11 | 12 | 17 | 18 | 22 | 101 | 103..=107 => OpKind::Read,
            100 | 102 => OpKind::Immediate,
            _ => OpKind::Invalid,
        }
    }

    /// True for the four op codes that create a znode.
    #[must_use]
    pub fn is_create(self) -> bool {
        matches!(self, Self::CREATE | Self::CREATE2 | Self::CREATE_CONTAINER | Self::CREATE_TTL)
    }
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_alone_and_internal_codes_are_invalid_as_requests() {
        for code in [0, 13, -1, -10, 10, 20, 23, 99, 108, i32::MAX, i32::MIN] {
            assert_eq!(OpCode(code).kind(), OpKind::Invalid, "code {code}");
        }
    }

    #[test]
    fn names_are_those_of_the_tools() {
        assert_eq!(OpCode::CREATE_TTL.name(), "createTTL");
        assert_eq!(OpCode(4711).name(), "unknown");
    }
}
