//! The task of the link to the leader: it dials, then reads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::decoder::PacketDecoder;
use super::limits::{LEADER_DIAL_PAUSE, LEADER_DIALS};
use super::quorum::Quorum;
use super::quorum_link::Link;
use super::reading::{Reading, Step, inbox_room};
use super::snapshot;
use super::sockets::dial;
use crate::config::HostPort;
use crate::ids::ServerId;
use crate::zab::{Input, LinkId, Packet};

/// Connects to the leader, then serves the link until its end.
pub(super) async fn connect(quorum: Arc<Quorum>, id: LinkId, leader: ServerId, addresses: Vec<HostPort>) {
    let stream = match dial_leader(&quorum, leader, &addresses).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::info!(%leader, %error, "cannot connect to the leader");
            quorum.lost_leader(id);
            return;
        }
    };
    let settings = &quorum.settings;
    let (link, reader) = Link::new(id, stream, Arc::new(AtomicUsize::new(settings.queue_bytes_max)));
    let link = Arc::new(link);
    if quorum.set_leader(&link) {
        // No longer a part of the dialing, which is aborted when the core hangs up.
        let reading = Reading::new(reader, PacketDecoder::new(settings.data_bytes_max), settings.silence_limit());
        tokio::spawn(serve(Arc::clone(&quorum), link, leader, reading));
    }
}

/// A leader may open its port a moment after it is elected: a few attempts are made before the core is told, unless there is nobody left.
async fn dial_leader(quorum: &Quorum, leader: ServerId, addresses: &[HostPort]) -> io::Result<TcpStream> {
    let settings = &quorum.settings;
    let give_up_at = Instant::now() + Duration::from_millis(settings.leader_connect_timeout_ms);
    let mut pause = LEADER_DIAL_PAUSE;
    for _ in 1..LEADER_DIALS {
        let result = dial(addresses, give_up_at - Instant::now()).await;
        if result.is_ok() || quorum.election.is_unreachable(leader) || Instant::now() + pause >= give_up_at {
            return result;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(settings.leader_connect_pause_ms));
    }
    dial(addresses, give_up_at - Instant::now()).await
}

async fn serve(quorum: Arc<Quorum>, link: Arc<Link>, leader: ServerId, mut reading: Reading) {
    quorum.inbox.submit(vec![Input::LeaderConnected(link.id)]);
    if let Err(error) = exchange(&quorum, &link, &mut reading).await {
        tracing::info!(%leader, link = link.id.0, %error, "the link to the leader is over");
    }
    link.close();
    quorum.lost_leader(link.id);
}

async fn exchange(quorum: &Quorum, link: &Link, reading: &mut Reading) -> io::Result<()> {
    loop {
        loop {
            let packets = reading.packets(|packet| matches!(packet, Packet::Snap { .. }))?;
            let Some(last) = packets.last() else { break };
            let snapshot = if let Packet::Snap { zxid } = last { Some(*zxid) } else { None };
            quorum.inbox.submit(packets.into_iter().map(|packet| Input::LeaderPacket(link.id, packet)).collect());
            if let Some(zxid) = snapshot {
                snapshot::receive(quorum, link, reading, zxid).await?;
                quorum.inbox.submit(vec![Input::SnapshotReceived(link.id)]);
            }
        }
        inbox_room(&*quorum.inbox).await;
        if let Step::Sent = reading.read(link).await? {
            return Ok(());
        }
    }
}
