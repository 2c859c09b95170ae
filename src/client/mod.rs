//! What a client of any ensemble needs: the connection string, requests into bytes, bytes into replies. It names nothing of the server but
//! the records of `proto`.

pub mod frames;
pub mod servers;
