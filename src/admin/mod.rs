//! Four-letter words, and the statistics and metrics behind them: plain views go in, bytes come out.
//!
//! This room never opens a socket, never takes a lock of another room and never changes the tree or a session. What the words need
//! comes through [`ServerView`], which the server implements; the only things changed through it are statistics.
//! Layouts follow ZooKeeper 3.9.6 byte for byte; `answer` lists where a native server cannot say the same.
//!
//! Calling order for a fresh connection: [`recognise`] the first four bytes, ask [`Whitelist::allows`], read
//! [`Word::argument_bytes`] more only when it does, then [`answer`], write, close.

mod answer;
mod connections;
mod dump;
mod environment;
#[cfg(test)]
mod fake;
mod format;
pub mod metrics;
mod mntr;
mod process;
pub mod stats;
pub mod summary;
mod version;
pub mod view;
mod word;

pub use answer::answer;
pub use environment::Environment;
pub use metrics::Metrics;
pub use stats::{ConnectionStats, ServerStats, last_operation_name};
pub use version::full_version;
pub use view::ServerView;
pub use word::{Whitelist, Word, recognise};
