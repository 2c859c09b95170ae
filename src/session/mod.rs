//! Sessions: the table of all of them and when they expire. Pure: the time is an argument.

mod cell;
mod expiry;
mod table;

pub use cell::{Owner, SessionCell};
pub use expiry::ExpiryQueue;
pub use table::SessionTable;
