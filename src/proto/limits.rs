//! Every limit on what a client can make the server hold that is not a key of `zoo.cfg`. Each has a name, a unit and a reason.

/// Requests of one connection that may wait for their turn; beyond it the socket is not read until some are answered.
pub const OUTSTANDING_REQUESTS_PER_CONNECTION_MAX: usize = 1_000;

/// Bytes of requests of one connection that may wait behind an unfinished write; beyond it the socket is not read.
pub const OUTSTANDING_BYTES_PER_CONNECTION_MAX: usize = 4 << 20;

/// Reply bytes that may wait for a slow reader; beyond it no further request of that connection is read.
pub const OUTPUT_BYTES_PAUSE: usize = 1 << 20;

/// Bytes (watch events mostly) that may wait for a client that never reads; beyond it the connection is closed.
pub const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// Identities one connection may gather by `auth`; further ones fail the authentication.
pub const AUTH_IDS_PER_CONNECTION_MAX: usize = 256;

/// Watches (path and connection pairs) one connection may hold; a request beyond it closes the connection.
pub const WATCHES_PER_CONNECTION_MAX: usize = 4_000_000;

/// Operations in one multi or multiRead; beyond it the request fails to decode.
pub const MULTI_OPS_MAX: usize = 100_000;

/// Sockets that have not finished their handshake; beyond it a new socket is closed.
pub const SOCKETS_BEFORE_HANDSHAKE_MAX: usize = 20_000;

/// Size of the buffer that a worker reads sockets into, in bytes.
pub const READ_BUFFER_BYTES: usize = 64 << 10;
