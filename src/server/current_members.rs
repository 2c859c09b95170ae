//! The members of the ensemble as this server goes by them: where the others are, and what its operators see.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::node::Node;
use crate::config::{EnsembleSettings, MemberAddress, Members, Role};
use crate::ids::ServerId;
use crate::net::peers::{Addresses, Peers};
use crate::zab::Configuration;

/// The members, as the configuration has them that is committed.
pub(super) struct CurrentMembers {
    server_id: ServerId,
    current: Mutex<(Members, i64)>,
}

impl CurrentMembers {
    /// Those of the files.
    pub(super) fn new(ensemble: &EnsembleSettings) -> Self {
        let current = Mutex::new((ensemble.members.clone(), ensemble.config_version));
        Self { server_id: ServerId(ensemble.server_id), current }
    }

    /// A configuration is proposed: those that it adds are needed for quorums from now on.
    pub(super) fn propose(&self, next: &Configuration, peers: &Peers) {
        let Ok((next, _)) = Members::parse(&next.text) else { return };
        let mut all = addresses(&next);
        all.extend(addresses(&self.current.lock().0));
        peers.set_members(&all);
    }

    /// A configuration is committed.
    pub(super) fn activate(&self, committed: &Configuration, peers: &Peers, node: &Node) {
        let Ok((members, version)) = Members::parse(&committed.text) else { return };
        let client_address = |members: &Members| members.servers.get(&self.server_id).and_then(|own| own.client_address.clone());
        let moved = client_address(&members).filter(|now| client_address(&self.current.lock().0).as_ref() != Some(now));
        tracing::info!(version = format!("{version:x}"), members = %committed_members(&members), "the ensemble has these members now");
        peers.set_members(&addresses(&members));
        *self.current.lock() = (members, version);
        if moved.is_some() {
            node.client_port.send_replace(moved);
        }
    }

    /// How many servers vote.
    pub(super) fn quorum_size(&self) -> u64 {
        self.current.lock().0.count(Role::Participant) as u64
    }

    /// What `conf` prints of an ensemble (`QuorumZooKeeperServer.dumpConf`).
    /// Java prints no `observerMasterPort`; here it is there where it is set.
    pub(super) fn conf_lines(&self, ensemble: &EnsembleSettings, observer_master_port: Option<u16>) -> String {
        let (members, version) = &*self.current.lock();
        let own = members.servers.get(&self.server_id);
        let ports = |port: fn(&MemberAddress) -> u16| {
            let addresses = own.map_or(&[][..], |own| &own.addresses);
            addresses.iter().map(|address| port(address).to_string()).collect::<Vec<_>>().join("|")
        };
        let observer_master = observer_master_port.map(|port| format!("observerMasterPort={port}\n")).unwrap_or_default();
        format!(
            "initLimit={}\nsyncLimit={}\nelectionAlg=3\nelectionPort={}\nquorumPort={}\n{observer_master}peerType={}\nmembership: \n{}",
            ensemble.init_limit_ticks,
            ensemble.sync_limit_ticks,
            ports(|address| address.election_port),
            ports(|address| address.quorum_port),
            i32::from(own.is_some_and(|own| own.role == Role::Observer)),
            members.text(*version),
        )
    }
}

fn addresses(members: &Members) -> Addresses {
    members.servers.iter().map(|(&sid, member)| (sid, member.addresses.clone())).collect::<BTreeMap<_, _>>()
}

fn committed_members(members: &Members) -> String {
    members.servers.keys().map(|sid| sid.to_string()).collect::<Vec<_>>().join(" ")
}
