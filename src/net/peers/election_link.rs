//! The task of one connection between election ports, and that of a connection that has not said who it is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::election::Election;
use super::frame::take_notifications;
use super::handshake::Greeting;
use super::limits::RESOURCE_PAUSE;
use super::lobby::Place;
use super::peer::{ElectionLink, Peer};

/// Bytes that are read at once: votes are small and few.
const READ_BYTES: usize = 4 << 10;

/// Waits for the first bytes of whoever connected, for a while.
pub(super) async fn receive_greeting(election: Arc<Election>, mut stream: TcpStream, place: Place) {
    let limit = Duration::from_millis(election.settings.handshake_timeout_ms);
    let mut bytes = BytesMut::new();
    let greeting = timeout(limit, read_greeting(&mut stream, &mut bytes)).await;
    match greeting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(greeting) => election.greeted(stream, greeting, bytes),
        // Whoever only looks whether the port is open says nothing.
        Err(error) if bytes.is_empty() => tracing::debug!(%error, "a connection to the election port without a word"),
        Err(error) => tracing::info!(address = ?stream.peer_addr().ok(), %error, "no server on the election port: closing"),
    }
    drop(place);
}

async fn read_greeting(stream: &mut TcpStream, bytes: &mut BytesMut) -> io::Result<Greeting> {
    loop {
        let greeting = Greeting::decode(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let Some((greeting, length)) = greeting {
            bytes.advance(length);
            return Ok(greeting);
        }
        bytes.reserve(READ_BYTES);
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Serves a connection until its end, or until another takes its place.
pub(super) async fn serve(election: Arc<Election>, peer: Arc<Peer>, link: Arc<ElectionLink>, mut buffer: BytesMut) {
    election.tell(&peer);
    let result = exchange(&election, &peer, &link, &mut buffer).await;
    tracing::debug!(sid = %peer.sid, number = link.number, ?result, "election link is over");
    election.lost(&peer, &link);
}

async fn exchange(election: &Election, peer: &Peer, link: &ElectionLink, buffer: &mut BytesMut) -> io::Result<()> {
    let mut sending = Bytes::new();
    take(election, peer, link, buffer).await?;
    loop {
        if sending.is_empty() {
            let mut state = peer.state.lock();
            if !state.is_link(link.number) {
                return Ok(());
            }
            sending = state.pending.take().unwrap_or_default();
        }
        let is_blocked = !sending.is_empty() && !write(&link.stream, &mut sending)?;
        tokio::select! {
            ready = link.stream.readable() => {
                ready?;
                if read(&link.stream, buffer)? {
                    take(election, peer, link, buffer).await?;
                }
            }
            ready = link.stream.writable(), if is_blocked => ready?,
            () = link.wake.notified() => {}
        }
    }
}

/// Whether everything was written.
fn write(stream: &TcpStream, sending: &mut Bytes) -> io::Result<bool> {
    match stream.try_write(sending) {
        Ok(written) => sending.advance(written),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(sending.is_empty())
}

/// Whether something came.
fn read(stream: &TcpStream, buffer: &mut BytesMut) -> io::Result<bool> {
    buffer.reserve(READ_BYTES);
    match stream.try_read_buf(buffer) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

async fn take(election: &Election, peer: &Peer, link: &ElectionLink, buffer: &mut BytesMut) -> io::Result<()> {
    let taken = take_notifications(buffer);
    if let Some(error) = taken.skipped {
        tracing::info!(sid = %peer.sid, %error, "a frame on the election port is skipped");
    }
    if let Some(notification) = taken.newest {
        election.deliver(peer, link, notification);
    }
    if let Some(length) = taken.bad_length {
        tracing::info!(sid = %peer.sid, length, "a frame of an impossible length on the election port: closing");
        return Err(io::ErrorKind::InvalidData.into());
    }
    while election.is_full() {
        sleep(RESOURCE_PAUSE).await;
    }
    Ok(())
}
