//! The jute record language: the bounded reader, the writer, the codec traits, and the generator of records (feature `codegen`).
//!
//! A record is its fields back to back, without tags, lengths or padding; numbers are big-endian. A buffer, ustring or vector
//! is an `int` length and its content, where length −1 says null, which is not the same as empty.
//! No function of the runtime panics on bytes it reads, nor allocates more than those bytes can fill.

// Also under test, so that a test run without features runs the tests of the generator.
#[cfg(any(feature = "codegen", test))]
pub mod codegen;
mod error;
pub mod reader;
pub mod record;
pub mod text;
pub mod writer;

pub use error::DecodeError;
pub use reader::Reader;
pub use record::{Decode, Encode};
