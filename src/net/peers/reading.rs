//! Reading a quorum link: bytes to packets, as many at once as came, until the link is over.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, sleep, timeout_at};

use super::decoder::PacketDecoder;
use super::limits::RESOURCE_PAUSE;
use super::quorum_link::{Link, Phase};
use super::rim::PeerInbox;
use crate::zab::Packet;

/// The reading end of a link.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) reader: OwnedReadHalf,
    pub(super) decoder: PacketDecoder,
    limit: Duration,
    heard: Instant,
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Step {
    /// There are new bytes.
    Bytes,
    /// The link is to be closed behind what is queued, and all of it is sent.
    Sent,
}

impl Reading {
    pub(super) fn new(reader: OwnedReadHalf, decoder: PacketDecoder, limit: Duration) -> Self {
        Self { reader, decoder, limit, heard: Instant::now() }
    }

    /// Reads once; meanwhile sends what the socket did not take at first. An error when the link is over: it broke, was silent for too
    /// long, or is not wanted any more.
    pub(super) async fn read(&mut self, link: &Link) -> io::Result<Step> {
        loop {
            link.flush();
            let wanted = link.wanted();
            match wanted.phase {
                Phase::Open => {}
                Phase::Closing if wanted.is_idle => return Ok(Step::Sent),
                Phase::Closing => {}
                Phase::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
            if wanted.is_streaming {
                self.heard = Instant::now();
            }
            let silent_at = self.heard + self.limit;
            let Self { reader, decoder, .. } = self;
            tokio::select! {
                read = timeout_at(silent_at, reader.read_buf(decoder.buffer())), if wanted.phase == Phase::Open => {
                    // While a snapshot is sent nothing is expected, however long that takes.
                    let Ok(read) = read else {
                        if wanted.is_streaming { continue }
                        return Err(io::ErrorKind::TimedOut.into());
                    };
                    if read? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    self.heard = Instant::now();
                    return Ok(Step::Bytes);
                }
                ready = link.writable(self.limit), if wanted.is_blocked => ready?,
                () = link.woken_up() => {}
            }
        }
    }

    /// The whole packets that are there, up to one that `stops`.
    pub(super) fn packets(&mut self, stops: impl Fn(&Packet) -> bool) -> io::Result<Vec<Packet>> {
        let mut packets = Vec::new();
        loop {
            match self.decoder.packet() {
                Ok(Some(packet)) => {
                    let is_last = stops(&packet);
                    packets.push(packet);
                    if is_last {
                        return Ok(packets);
                    }
                }
                Ok(None) => return Ok(packets),
                // What came before it counts; the error comes again.
                Err(_) if !packets.is_empty() => return Ok(packets),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }
}

/// Waits while too much waits to be handled.
pub(super) async fn inbox_room(inbox: &dyn PeerInbox) {
    while inbox.is_full() {
        sleep(RESOURCE_PAUSE).await;
    }
}
