//! Error codes of replies (`KeeperException.Code`): data for the client, not failures of the server.

use std::fmt;

/// The `err` field of a reply header. Zero is success.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ErrorCode(pub i32);

macro_rules! error_codes {
    ($($name:ident = $code:literal: $doc:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $doc] pub const $name: Self = Self($code);)*

            /// The name in ZooKeeper's documentation, or "UNKNOWN".
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                    _ => "UNKNOWN",
                }
            }
        }
    };
}

error_codes! {
    OK = 0: "Success.";
    RUNTIME_INCONSISTENCY = -2: "In a failed multi: an op behind the one that failed.";
    MARSHALLING_ERROR = -5: "The body could not be decoded.";
    UNIMPLEMENTED = -6: "Unknown op code, or a feature that is switched off.";
    BAD_ARGUMENTS = -8: "Invalid path, flags or TTL.";
    UNKNOWN_SESSION = -12: "The session is not known.";
    NEW_CONFIG_NO_QUORUM = -13: "reconfig: no quorum of the new configuration is in sync.";
    RECONFIG_IN_PROGRESS = -14: "reconfig: another one is under way.";
    NO_NODE = -101: "The znode does not exist.";
    NO_AUTH = -102: "The ACL does not allow it.";
    BAD_VERSION = -103: "The version does not match.";
    NO_CHILDREN_FOR_EPHEMERALS = -108: "The parent is ephemeral.";
    NODE_EXISTS = -110: "The znode exists already.";
    NOT_EMPTY = -111: "The znode has children.";
    SESSION_EXPIRED = -112: "The session is closing or gone.";
    INVALID_ACL = -114: "The ACL is empty or has an invalid entry.";
    AUTH_FAILED = -115: "The credentials were refused.";
    SESSION_MOVED = -118: "The session moved to another server; never sent, the connection is closed instead.";
    NOT_READ_ONLY = -119: "A write on a read-only server.";
    EPHEMERAL_ON_LOCAL_SESSION = -120: "An ephemeral on a local session that cannot be upgraded.";
    NO_WATCHER = -121: "This connection holds no such watch.";
    RECONFIG_DISABLED = -123: "reconfig is switched off.";
    SESSION_CLOSED_REQUIRE_SASL_AUTH = -124: "The server demands an identity that the connection lacks.";
    QUOTA_EXCEEDED = -125: "A hard quota would be exceeded.";
    THROTTLED_OP = -127: "Not executed: it waited too long under overload.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}
