//! What the links to other servers are told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::limits::{LINK_QUEUE_BYTES_MAX, OBSERVER_HISTORY_BYTES_MAX};
use crate::config::{HostPort, MemberAddress, Settings};
use crate::ids::ServerId;

/// The addresses of the servers of a configuration, this one among them.
pub type Addresses = BTreeMap<ServerId, Vec<MemberAddress>>;

/// The settings of [`super::Peers`].
#[derive(Clone, Debug)]
pub struct PeerSettings {
    /// This server.
    pub server_id: ServerId,
    /// Every server, participant or observer.
    pub members: Addresses,
    /// `quorumListenOnAllIPs`: the ports are bound on every address of this machine, not on the configured ones.
    pub listens_on_all_ips: bool,
    /// `multiAddress.enabled`: the handshake of the election port names all addresses (version 2).
    pub is_multi_address: bool,
    /// `cnxTimeout`: how long connecting to an election port may take, ms. Unanswered data on such a connection breaks it after as long.
    pub connect_timeout_ms: u64,
    /// `quorumCnxnTimeoutMs`, or syncLimit ticks: how long the handshake on the election port may take, ms.
    pub handshake_timeout_ms: u64,
    /// `connectToLearnerMasterLimit` or else initLimit, in ms: how long connecting to the leader may take.
    pub leader_connect_timeout_ms: u64,
    /// `leaderConnectDelayDuringRetryMs`: the longest pause between two attempts to connect to the leader.
    pub leader_connect_pause_ms: u64,
    /// The larger of initLimit and syncLimit, in ms: a link that brings, or takes, no byte for so long is broken. The core has closer limits.
    pub silence_limit_ms: u64,
    /// `electionPortBindRetry`: attempts to bind the election port at the start; 0 is without end.
    pub election_bind_attempts: u32,
    /// `tcpKeepAlive`: whether keep-alive is set on sockets of the election port.
    pub has_keep_alive: bool,
    /// `jute.maxbuffer` with `jute.maxbuffer.extrasize`: the largest content of a packet, bytes.
    pub data_bytes_max: usize,
    /// Bytes that may wait to be sent on one link; beyond it the link is broken.
    pub queue_bytes_max: usize,
    /// `observerMasterPort`: where followers serve observers, on the hosts of their quorum addresses.
    pub observer_master_port: Option<u16>,
    /// Bytes that may wait on the link of one observer of a follower: the history in memory, and `observerMaster.sizeLimit` behind it.
    pub observer_queue_bytes_max: usize,
}

impl PeerSettings {
    /// From the configuration of the server with this id.
    #[must_use]
    pub fn new(settings: &Settings, server_id: ServerId) -> Self {
        let (ensemble, peers) = (&settings.ensemble, &settings.peers);
        let members = ensemble.members.servers.iter().map(|(&sid, member)| (sid, member.addresses.clone())).collect();
        let tick_ms = settings.session.tick_time_ms.unsigned_abs().into();
        let ticks = |count: u32| u64::from(count).saturating_mul(tick_ms);
        Self {
            server_id,
            members,
            listens_on_all_ips: peers.listens_on_all_ips,
            is_multi_address: peers.multi_address_enabled,
            connect_timeout_ms: peers.connect_timeout_ms,
            handshake_timeout_ms: peers.handshake_timeout_ms.unwrap_or(ticks(ensemble.sync_limit_ticks)),
            leader_connect_timeout_ms: ticks(peers.connect_to_leader_limit_ticks.unwrap_or(ensemble.init_limit_ticks)),
            leader_connect_pause_ms: peers.leader_connect_pause_ms,
            silence_limit_ms: ticks(ensemble.init_limit_ticks.max(ensemble.sync_limit_ticks)),
            election_bind_attempts: peers.election_port_bind_attempts,
            has_keep_alive: peers.tcp_keep_alive,
            data_bytes_max: settings.limits.record_bytes_max(),
            queue_bytes_max: LINK_QUEUE_BYTES_MAX,
            observer_master_port: peers.observer_master_port,
            observer_queue_bytes_max: peers.observer_queue_bytes_max as usize + OBSERVER_HISTORY_BYTES_MAX,
        }
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(super) fn silence_limit(&self) -> Duration {
        Duration::from_millis(self.silence_limit_ms)
    }
}

/// The election addresses of one server.
pub(super) fn election_addresses(addresses: &[MemberAddress]) -> Vec<HostPort> {
    addresses.iter().map(|address| HostPort { host: address.host.clone(), port: address.election_port }).collect()
}

/// The quorum addresses of one server.
pub(super) fn quorum_addresses(addresses: &[MemberAddress]) -> Vec<HostPort> {
    addresses.iter().map(|address| HostPort { host: address.host.clone(), port: address.quorum_port }).collect()
}

/// Where one server serves observers while it follows, if `port` is that of all servers.
pub(super) fn observer_master_addresses(addresses: &[MemberAddress], port: Option<u16>) -> Vec<HostPort> {
    let hosts = addresses.iter().map(|address| address.host.clone());
    port.into_iter().flat_map(|port| hosts.clone().map(move |host| HostPort { host, port })).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse_member;

    #[test]
    fn limits_in_ticks_become_ms_and_unset_ones_follow_others() {
        let mut config = Settings::new(Path::new("/d"), 2181);
        config.session.tick_time_ms = 2000;
        (config.ensemble.init_limit_ticks, config.ensemble.sync_limit_ticks) = (10, 5);
        let member = parse_member("a:1:2|[::1]:3:4").expect("well formed");
        config.ensemble.members.servers.insert(ServerId(7), member);
        let settings = PeerSettings::new(&config, ServerId(7));
        assert_eq!(
            (settings.handshake_timeout_ms, settings.leader_connect_timeout_ms, settings.silence_limit_ms),
            (10_000, 20_000, 20_000)
        );
        assert_eq!((settings.connect_timeout_ms, settings.election_bind_attempts, settings.data_bytes_max), (5000, 3, 2 * 0xf_ffff));
        let own = &settings.members[&ServerId(7)];
        let texts = |addresses: Vec<HostPort>| addresses.iter().map(HostPort::to_string).collect::<Vec<_>>();
        assert_eq!(
            (texts(quorum_addresses(own)), texts(election_addresses(own))),
            (vec!["a:1".into(), "[::1]:3".into()], vec!["a:2".into(), "[::1]:4".to_owned()])
        );
        config.peers.handshake_timeout_ms = Some(7);
        config.peers.connect_to_leader_limit_ticks = Some(1);
        let settings = PeerSettings::new(&config, ServerId(7));
        assert_eq!((settings.handshake_timeout_ms, settings.leader_connect_timeout_ms), (7, 2000));
    }
}
