//! Every limit on what a client can make the server hold that is not a key of `zoo.cfg`. Each has a name, a unit and a reason.
//! `docs/limits.md` lists them beside the keys.

/// Requests of one connection that may wait for their turn; beyond it the socket is not read until some are answered.
pub const OUTSTANDING_REQUESTS_PER_CONNECTION_MAX: usize = 1_000;

/// Bytes of requests of one connection that may wait behind an unfinished write; beyond it the socket is not read.
pub const OUTSTANDING_BYTES_PER_CONNECTION_MAX: usize = 4 << 20;

/// Reply bytes that may wait for a slow reader; beyond it no further request of that connection is read.
pub const OUTPUT_BYTES_PAUSE: usize = 1 << 20;

/// Bytes (watch events, and replies to reads that waited behind a write) that may wait for a client that does not take them; beyond
/// it the connection is closed. One reply that finds at most [`OUTPUT_BYTES_PAUSE`] in front of it may have any size.
pub const OUTPUT_BYTES_MAX: usize = 32 << 20;

/// Reply bytes of one multiRead; beyond it the request fails with MARSHALLINGERROR: each of its reads costs a client twenty bytes
/// and may be answered with a megabyte.
pub const MULTI_READ_REPLY_BYTES_MAX: usize = 64 << 20;

/// Identities one connection may gather by `auth`; further ones fail the authentication.
pub const AUTH_IDS_PER_CONNECTION_MAX: usize = 64;

/// Bytes of the identities of one connection; an `auth` beyond it fails. The scheme `auth` puts all of them into an ACL.
pub const AUTH_BYTES_PER_CONNECTION_MAX: usize = 16 << 10;

/// Entries of an ACL, as it is stored; a request with more fails with INVALIDACL.
pub const ACL_ENTRIES_MAX: usize = 1_024;

/// Bytes of all ACLs that one request stores; one with more fails with INVALIDACL. The scheme `auth` makes an entry of twenty bytes
/// into as many as the client has identities, and Java reads no log record above twice `jute.maxbuffer`.
pub const ACL_BYTES_PER_TXN_MAX: usize = 1 << 20;

/// Bytes of ACLs that every request may store: all identities of a connection, once.
pub const ACL_BYTES_PER_TXN_FREE: usize = 20 << 10;

/// Bytes of ACLs that a request may store for each byte of its own, if they are more than [`ACL_BYTES_PER_TXN_FREE`].
pub const ACL_BYTES_PER_REQUEST_BYTE_MAX: usize = 4;

/// Bytes of the paths of one session's ephemerals, four more for each; a create beyond it fails with QUOTAEXCEEDED. The txn that
/// closes the session lists them all, and Java reads no log record above twice `jute.maxbuffer` (ZOOKEEPER-4306).
pub const EPHEMERAL_BYTES_PER_SESSION_MAX: usize = 2_000_000;

/// Watches (path and connection pairs) one connection may hold; a request beyond it closes the connection.
pub const WATCHES_PER_CONNECTION_MAX: usize = 4_000_000;

/// Bytes of the paths that one connection watches; a request beyond it closes the connection.
pub const WATCH_BYTES_PER_CONNECTION_MAX: usize = 256 << 20;

/// Watches that a connection may hold whatever all others hold.
pub const WATCHES_PER_CONNECTION_FREE: usize = 1_000;

/// Bytes of watched paths that a connection may hold whatever all others hold.
pub const WATCH_BYTES_PER_CONNECTION_FREE: usize = 256 << 10;

/// Operations in one multi or multiRead; beyond it the request fails to decode.
pub const MULTI_OPS_MAX: usize = 100_000;

/// Bytes of the first frame of a connection; a longer one closes it. Clients send 44 or 45, and the password may be any.
pub const HANDSHAKE_BYTES_MAX: usize = 4 << 10;

/// Children of a znode from which a list of them may take long: it waits for its turn with other such requests.
pub const CHILDREN_PER_QUICK_LIST_MAX: u32 = 10_000;

/// Bytes of a setWatches from which it may take long.
pub const QUICK_SET_WATCHES_BYTES_MAX: usize = 4 << 10;

/// Size of the buffer that a worker reads sockets into, in bytes.
pub const READ_BUFFER_BYTES: usize = 64 << 10;
