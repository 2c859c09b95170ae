//! Why bytes are not a record.

use thiserror::Error;

/// Why a field could not be decoded. `position` is the offset of that field (of its length, if it has one) in the frame, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The frame ends inside a field.
    #[error("{needed} bytes needed at offset {position}, {remaining} left")]
    Truncated {
        /// How many bytes the field takes at least.
        needed: usize,
        /// How many bytes of the frame were left for it.
        remaining: usize,
        /// Where the field's content begins.
        position: usize,
    },
    /// The length of a buffer or ustring is negative and not −1 (null).
    #[error("length {length} at offset {position} is negative")]
    NegativeLength {
        /// The length as read.
        length: i32,
        /// Where the length stands.
        position: usize,
    },
    /// The length of a buffer or ustring is above the reader's limit.
    #[error("length {length} at offset {position} is above the limit of {limit}")]
    TooLong {
        /// The length as read, in bytes.
        length: usize,
        /// The largest length accepted, in bytes.
        limit: usize,
        /// Where the length stands.
        position: usize,
    },
}
