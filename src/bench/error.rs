//! Why a run cannot start or go on. What single requests come back with is counted instead, see `tally`.

use std::io;

use thiserror::Error;

use crate::client::servers::BadServers;
use crate::proto::error_code::ErrorCode;

/// Why a run ends without a result.
#[derive(Debug, Error)]
pub enum BenchError {
    /// An argument that cannot be used.
    #[error("{what}: {why}")]
    Argument {
        /// The argument.
        what: String,
        /// What is wrong with it, and what it may be.
        why: String,
    },
    /// The connection string.
    #[error(transparent)]
    Servers(#[from] BadServers),
    /// None of the servers took the connection.
    #[error("cannot connect to any server of {servers}; the last attempt, {last}: {source}")]
    CannotConnect {
        /// The addresses tried, separated by commas.
        servers: String,
        /// The address of the last attempt.
        last: String,
        /// Why that one failed.
        source: io::Error,
    },
    /// A server took the connection, but the handshake came to nothing.
    #[error(
        "{server} took the connection and then {what}: it has no quorum, allows no further connection from here, \
         wants TLS, or is not a ZooKeeper server"
    )]
    NotServing {
        /// The address.
        server: String,
        /// What happened instead of an answer.
        what: String,
    },
    /// The servers answer nothing that the protocol knows.
    #[error("{server} sent {what}: not the client protocol of ZooKeeper")]
    Protocol {
        /// The address.
        server: String,
        /// What was read.
        what: String,
    },
    /// The znodes for the run could not be made.
    #[error("cannot {what}: {code}{}", advice(*.code))]
    Refused {
        /// What was tried.
        what: String,
        /// What the server said.
        code: ErrorCode,
    },
    /// The connection for preparing or cleaning up broke.
    #[error("the connection to {server} broke: {source}")]
    Broken {
        /// The address.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// Some connections of the run do not open.
    #[error("{open} of {wanted} connections have a session and no further one opens; the last failure: {last}")]
    NotAllOpen {
        /// How many are open.
        open: usize,
        /// How many there should be.
        wanted: usize,
        /// Why the last attempt failed.
        last: String,
    },
    /// No connection of the run is open, and none comes back.
    #[error("no session was open for {seconds} s; the last failure: {last}")]
    AllLost {
        /// How long it was waited.
        seconds: u64,
        /// Why the last attempt failed.
        last: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was asked of it.
        what: String,
        /// Its answer.
        source: io::Error,
    },
    /// Ctrl-C before there was anything to report.
    #[error("interrupted before the measurement began")]
    Interrupted,
}

/// What a user can do about a refusal.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NO_AUTH => "; the ACL does not let this client create znodes there: give --auth SCHEME:CREDENTIALS, or another chroot",
        ErrorCode::NO_NODE => "; the chroot of the connection string does not exist: create it first",
        ErrorCode::AUTH_FAILED | ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH => {
            "; the server refused the credentials of --auth, or demands some"
        }
        ErrorCode::QUOTA_EXCEEDED => "; a quota covers that place: choose another chroot",
        ErrorCode::NOT_READ_ONLY => "; this server is cut off from its quorum and serves reads only",
        _ => "",
    }
}

/// Turns an IO error into `System`.
pub(super) fn system(what: &str) -> impl FnOnce(io::Error) -> BenchError {
    let what = what.to_owned();
    |source| BenchError::System { what, source }
}
