//! Connections with an end: every call has a deadline, and what is read has a bound.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bytes read with one call.
const CHUNK_BYTES: usize = 16 << 10;

/// Connects to the first address that takes it.
///
/// # Errors
/// Why the last one did not, or that there is none.
pub fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, left(deadline)?) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Appends what comes next; `false` at the end of the stream.
///
/// # Errors
/// When nothing comes before the deadline, when there are `bytes_max` already, or when the connection breaks.
pub fn read_more(socket: &mut TcpStream, input: &mut Vec<u8>, bytes_max: usize, deadline: Instant) -> io::Result<bool> {
    if input.len() >= bytes_max {
        return Err(io::Error::other(format!("it sent more than {bytes_max} bytes")));
    }
    socket.set_read_timeout(Some(left(deadline)?))?;
    let mut chunk = [0; CHUNK_BYTES];
    let size = CHUNK_BYTES.min(bytes_max - input.len());
    match socket.read(&mut chunk[..size]) {
        Ok(count) => {
            input.extend_from_slice(&chunk[..count]);
            Ok(count > 0)
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(late()),
        Err(error) => Err(error),
    }
}

/// The time until the deadline, never nothing: a timeout of zero would mean none.
///
/// # Errors
/// When it is past.
pub fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left) }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time")
}
