//! The task of one learner's connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::decoder::PacketDecoder;
use super::limits::FIRST_PACKET_DATA_BYTES_MAX;
use super::lobby::Place;
use super::quorum::{Door, Quorum};
use super::quorum_link::Link;
use super::reading::{Reading, Step, inbox_room};
use crate::zab::{Input, Packet};

/// Serves a connection until its end. The core hears of it with its first packet: who says nothing costs nothing.
pub(super) async fn serve(quorum: Arc<Quorum>, door: Door, mut stream: TcpStream, address: SocketAddr, place: Place) {
    let settings = Arc::clone(&quorum.settings);
    let mut decoder = PacketDecoder::new(FIRST_PACKET_DATA_BYTES_MAX);
    let introduced = timeout(settings.silence_limit(), introduction(&mut stream, &mut decoder)).await;
    drop(place);
    let first = match introduced.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(first) => first,
        Err(error) if decoder.buffer().is_empty() => {
            tracing::debug!(%address, ?door, %error, "a connection without a word");
            return;
        }
        Err(error) => {
            tracing::info!(%address, ?door, %error, "no learner: closing");
            return;
        }
    };
    decoder.set_limit(settings.data_bytes_max);
    let added = quorum.add_learner(door, |id| {
        let (link, reader) = Link::new(id, stream, quorum.learner_queue());
        (Arc::new(link), Reading::new(reader, decoder, settings.silence_limit()))
    });
    let Some((link, mut reading)) = added else { return };
    tracing::info!(%address, ?door, link = link.id.0, "a learner connected");
    quorum.inbox.submit(vec![Input::LearnerConnected(link.id), Input::LearnerPacket(link.id, first)]);
    let result = exchange(&quorum, &link, &mut reading).await;
    if let Err(error) = &result {
        tracing::info!(%address, link = link.id.0, %error, "a learner's connection is over");
        link.close();
    }
    quorum.lost_learner(link.id);
    if result.is_ok() {
        link.end(reading.reader).await;
    }
}

async fn introduction(stream: &mut TcpStream, decoder: &mut PacketDecoder) -> io::Result<Packet> {
    stream.set_nodelay(true)?;
    loop {
        if stream.read_buf(decoder.buffer()).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(first) = decoder.packet().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            return Ok(first);
        }
    }
}

/// Gives packets to the core until the link is over; well when it is the core that hung up.
async fn exchange(quorum: &Quorum, link: &Link, reading: &mut Reading) -> io::Result<()> {
    loop {
        loop {
            let packets = reading.packets(|_| false)?;
            if packets.is_empty() {
                break;
            }
            quorum.inbox.submit(packets.into_iter().map(|packet| Input::LearnerPacket(link.id, packet)).collect());
        }
        inbox_room(&*quorum.inbox).await;
        if let Step::Sent = reading.read(link).await? {
            return Ok(());
        }
    }
}
