//! Links to the other servers of the ensemble: bytes to inputs of the ordering core, and its outputs to bytes. It decides nothing about votes
//! or histories.
//!
//! Two ports (quorum-protocol.md §1.1–§1.4, §2.1): the election port, always open, with one connection to each other server (`election`,
//! kept up by `keeper`); and the quorum port, open while this server leads (`quorum`), with a link to each learner (`learner_link`) or one
//! to the leader (`leader_link`). Where followers serve observers that is a third one, open while this server follows.
//!
//! Calling order: [`Peers::start`]; [`Peers::carry_out`] for every output of the core that is for the network, in their order; and
//! [`Peers::flush`] when no more come for now, under no lock: only then are packets written, those of one link with one call.

mod decoder;
mod election;
mod election_link;
mod frame;
mod handshake;
mod keeper;
mod leader_link;
mod learner_link;
pub mod limits;
mod lobby;
mod peer;
mod port;
mod quorum;
mod quorum_link;
mod reading;
mod rim;
mod settings;
mod snapshot;
mod sockets;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::sleep;

pub use decoder::PacketDecoder;
pub use frame::{Notifications, notification_frame, take_notifications};
pub use handshake::{ANONYMOUS, Greeting, GreetingError};
pub use rim::{PeerInbox, SnapshotFactory, SnapshotSink, SnapshotSource};
pub use settings::{Addresses, PeerSettings};

use self::election::Election;
use self::limits::BIND_PAUSE;
use self::lobby::Lobby;
use self::port::{Port, PortRules};
use self::quorum::{Door, Quorum};
use crate::config::HostPort;
use crate::ids::ServerId;
use crate::zab::{CloseReason, LinkId, Output};

/// Why the links cannot be made.
#[derive(Debug, Error)]
pub enum PeersError {
    /// This server has no address.
    #[error("server {server_id} is not among the servers of the configuration")]
    NotAMember {
        /// This server.
        server_id: ServerId,
    },
    /// The election port cannot be bound: the process ends with exit code 14.
    #[error("cannot listen on the election address {address} after {attempts} attempts: {source}")]
    Bind {
        /// The address.
        address: HostPort,
        /// How often it was tried (`electionPortBindRetry`).
        attempts: u32,
        /// The system's answer to the last attempt.
        source: io::Error,
    },
}

/// The links of one server to all others.
pub struct Peers {
    election: Arc<Election>,
    quorum: Arc<Quorum>,
    /// `None` once it is shut down.
    election_port: parking_lot::Mutex<Option<Port>>,
}

impl Peers {
    /// Binds the election port and begins to connect to the other servers. Belongs to the runtime that it is called in.
    ///
    /// # Errors
    /// When the election port cannot be bound.
    pub async fn start(
        settings: PeerSettings,
        inbox: Arc<dyn PeerInbox>,
        snapshots: Arc<dyn SnapshotFactory>,
    ) -> Result<Arc<Self>, PeersError> {
        let settings = Arc::new(settings);
        let own = settings.members.get(&settings.server_id).ok_or(PeersError::NotAMember { server_id: settings.server_id })?;
        let addresses = settings::election_addresses(own);
        let bound = bind_election_port(&settings, &addresses).await?;
        let election = Arc::new(Election::new(Arc::clone(&settings), Arc::clone(&inbox), Handle::current()));
        let port = election_port(&settings, addresses, bound, &election);
        election.set_members(&settings.members);
        let quorum = Quorum::start(settings, inbox, snapshots, Arc::clone(&election));
        Ok(Arc::new(Self { election, quorum, election_port: parking_lot::Mutex::new(Some(port)) }))
    }

    /// Carries out an output of the core. Only those for the network are for here: the others do nothing. Never blocks, from any thread.
    ///
    /// A link whose queue grows beyond its bound is broken, which the core is told as its end.
    pub fn carry_out(&self, output: &Output) {
        match output {
            Output::Notify { to, notification } => self.election.send(*to, notification),
            Output::OpenQuorumPort => self.quorum.open(Door::Quorum),
            Output::OpenObserverMasterPort => {
                tracing::info!(port = self.election.settings.observer_master_port, "serving observers");
                self.quorum.open(Door::ObserverMaster);
            }
            Output::CloseQuorumPort => self.quorum.close(),
            Output::ToLearner(link, packet) => self.quorum.send_to_learner(*link, packet),
            Output::CloseLearner(link, reason) => {
                tracing::info!(link = link.0, ?reason, "hanging up on a learner");
                if *reason == CloseReason::OtherPast {
                    tracing::error!(
                        link = link.0,
                        "a server with data of a later epoch than this ensemble's stays outside: empty it, or the others"
                    );
                }
                self.quorum.close_learner(*link, *reason);
            }
            Output::ConnectLeader { link, leader } => self.quorum.connect_leader(*link, *leader),
            Output::ConnectMaster { link, master } => {
                tracing::info!(%master, link = link.0, "observing through a follower");
                self.quorum.connect_master(*link, *master);
            }
            Output::ToLeader(link, packet) => self.quorum.send_to_leader(*link, packet),
            Output::DisconnectLeader(link) => self.quorum.disconnect_leader(*link),
            _ => {}
        }
    }

    /// Writes the packets that were queued since the last time, as far as the sockets take them; the rest follows by itself. The caller
    /// holds no lock that matters to others: it makes system calls.
    pub fn flush(&self) {
        self.quorum.flush();
    }

    /// Sends the frozen state (`Output::StreamSnapshot`) behind the packets that were carried out before, as the socket takes it; packets
    /// that are carried out later follow it. Then `Input::SnapshotSent`.
    pub fn stream_snapshot(&self, link: LinkId, source: Box<dyn SnapshotSource>) {
        self.quorum.stream_snapshot(link, source);
    }

    /// Waits until a learner's queue is short enough for more of a history (`Output::ReadHistory`), or the learner is gone.
    pub async fn room(&self, link: LinkId) {
        if let Some(link) = self.quorum.learner(link) {
            link.room().await;
        }
    }

    /// The ensemble has these members from now on: new ones are connected to, connections to those who left are closed.
    pub fn set_members(&self, members: &Addresses) {
        let own = members.get(&self.election.settings.server_id);
        if let (Some(own), Some(port)) = (own, &*self.election_port.lock()) {
            port.listen_on(settings::election_addresses(own));
        }
        self.election.set_members(members);
        self.quorum.set_members(members);
    }

    /// Closes every port and every connection. What is carried out later does nothing.
    pub fn shutdown(&self) {
        *self.election_port.lock() = None;
        self.quorum.stop();
        self.election.stop();
    }
}

/// Tries as often as `electionPortBindRetry` says.
async fn bind_election_port(settings: &PeerSettings, addresses: &[HostPort]) -> Result<Vec<TcpListener>, PeersError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match sockets::listen(addresses, settings.listens_on_all_ips).await {
            Ok(bound) => return Ok(bound),
            Err((address, source)) if attempts == settings.election_bind_attempts => {
                return Err(PeersError::Bind { address, attempts, source });
            }
            Err((address, error)) => {
                tracing::warn!(%address, %error, attempts, "cannot listen on the election address; trying again");
                sleep(BIND_PAUSE).await;
            }
        }
    }
}

fn election_port(settings: &PeerSettings, addresses: Vec<HostPort>, bound: Vec<TcpListener>, election: &Arc<Election>) -> Port {
    let rules = PortRules { name: "election", on_all_ips: settings.listens_on_all_ips, retry: BIND_PAUSE };
    let (lobby, weak) = (Arc::new(Lobby::default()), Arc::downgrade(election));
    let accept = Arc::new(move |stream: TcpStream, _: SocketAddr| {
        let Some(election) = weak.upgrade() else { return };
        lobby.admit(|place| election_link::receive_greeting(election, stream, place));
    });
    Port::new(rules, addresses, bound, accept)
}
