//! The client protocol's vocabulary: records, op codes, error codes, limits and the rules of the handshake.

pub mod connect;
pub mod error_code;
pub mod limits;
pub mod op_code;
pub mod password;
#[allow(clippy::all)]
pub mod records;
pub mod reply;
pub mod txn;
