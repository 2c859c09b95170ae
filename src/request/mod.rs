//! Requests: writes become txns, reads are answered from the applied tree. Pure: no network, no disk, no clock.

pub mod auth;
pub mod decode;
pub mod overlay;
pub mod prepare;
pub mod read;
pub mod reply;
