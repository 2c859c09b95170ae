//! Links to learners, while this server leads or serves observers, and the link to the leader while it learns (quorum-protocol.md §2.1).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::election::Election;
use super::limits::{LEARNERS_MAX, LEARNERS_QUEUE_BYTES_MAX, QUORUM_BIND_PAUSE};
use super::lobby::Lobby;
use super::port::{Port, PortRules};
use super::quorum_link::Link;
use super::rim::{PeerInbox, SnapshotFactory, SnapshotSource};
use super::settings::{Addresses, PeerSettings, observer_master_addresses, quorum_addresses};
use super::{leader_link, learner_link, snapshot};
use crate::config::{HostPort, MemberAddress};
use crate::ids::ServerId;
use crate::zab::{CloseReason, Input, LinkId, Packet};

/// The links of learners are numbered from here on: those to leaders, which the core names, never get so far.
const FIRST_LEARNER: u64 = 1 << 32;

/// All quorum links of a server.
pub(super) struct Quorum {
    pub(super) settings: Arc<PeerSettings>,
    pub(super) inbox: Arc<dyn PeerInbox>,
    pub(super) snapshots: Arc<dyn SnapshotFactory>,
    pub(super) election: Arc<Election>,
    runtime: Handle,
    table: Mutex<Table>,
    /// The quorum port, and where observers are served; none once they are closed for good.
    ports: Mutex<Vec<(Door, Port)>>,
    /// Bytes that may wait on the link of one learner.
    learner_queue_bytes_max: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Table {
    members: Addresses,
    /// Where learners are let in now.
    open: Option<Door>,
    is_stopped: bool,
    learners: BTreeMap<LinkId, Arc<Link>>,
    learner_count: u64,
    leader: Option<(LinkId, Leader)>,
    /// Links with packets that nobody has flushed.
    dirty: Vec<Arc<Link>>,
}

/// Where learners come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The quorum port of a leader.
    Quorum,
    /// The observer master port of a follower.
    ObserverMaster,
}

/// The link to the leader.
enum Leader {
    Dialing(AbortHandle),
    Linked(Arc<Link>),
}

impl Leader {
    fn close(&self) {
        match self {
            Self::Dialing(task) => task.abort(),
            Self::Linked(link) => link.close(),
        }
    }
}

impl Quorum {
    pub(super) fn start(
        settings: Arc<PeerSettings>,
        inbox: Arc<dyn PeerInbox>,
        snapshots: Arc<dyn SnapshotFactory>,
        election: Arc<Election>,
    ) -> Arc<Self> {
        let table = Table { members: settings.members.clone(), ..Table::default() };
        let (runtime, learner_queue_bytes_max) = (Handle::current(), Arc::new(AtomicUsize::new(settings.queue_bytes_max)));
        let quorum = Arc::new(Self {
            settings,
            inbox,
            snapshots,
            election,
            runtime,
            table: Mutex::new(table),
            ports: Mutex::default(),
            learner_queue_bytes_max,
        });
        *quorum.ports.lock() = [Door::Quorum, Door::ObserverMaster].map(|door| (door, quorum.port(door))).into();
        quorum
    }

    /// A port that is closed.
    fn port(self: &Arc<Self>, door: Door) -> Port {
        let name = if door == Door::Quorum { "quorum" } else { "observer master" };
        let rules = PortRules { name, on_all_ips: self.settings.listens_on_all_ips, retry: QUORUM_BIND_PAUSE };
        let (lobby, weak) = (Arc::new(Lobby::default()), Arc::downgrade(self));
        let accept = Arc::new(move |stream: TcpStream, address: SocketAddr| {
            let Some(quorum) = weak.upgrade() else { return };
            lobby.admit(|place| learner_link::serve(quorum, door, stream, address, place));
        });
        Port::new(rules, Vec::new(), Vec::new(), accept)
    }

    /// Listens where learners are let in now, and nowhere else.
    fn listen(&self, table: &Table) {
        for (door, port) in &*self.ports.lock() {
            port.listen_on(if table.open == Some(*door) { self.own_addresses(table, *door) } else { Vec::new() });
        }
    }

    fn own_addresses(&self, table: &Table, door: Door) -> Vec<HostPort> {
        let own = table.members.get(&self.settings.server_id).map(Vec::as_slice).unwrap_or_default();
        match door {
            Door::Quorum => quorum_addresses(own),
            Door::ObserverMaster => observer_master_addresses(own, self.settings.observer_master_port),
        }
    }

    /// The members have these addresses from now on.
    pub(super) fn set_members(&self, members: &Addresses) {
        let mut table = self.table.lock();
        table.members = members.clone();
        self.listen(&table);
    }

    /// Listens for learners.
    pub(super) fn open(&self, door: Door) {
        let mut table = self.table.lock();
        if !table.is_stopped {
            table.open = Some(door);
            self.share_queues(&table);
            self.listen(&table);
        }
    }

    /// Listens no more, and hangs up on every learner behind what was sent to it.
    pub(super) fn close(&self) {
        let mut table = self.table.lock();
        table.open = None;
        self.listen(&table);
        let learners = std::mem::take(&mut table.learners);
        drop(table);
        for link in learners.into_values() {
            link.close_behind_queue();
        }
    }

    /// Closes everything, for good.
    pub(super) fn stop(&self) {
        self.table.lock().is_stopped = true;
        self.close();
        let leader = self.table.lock().leader.take();
        if let Some((_, leader)) = leader {
            leader.close();
        }
        self.ports.lock().clear();
    }

    // Sending: nothing is written before the flush.

    pub(super) fn send_to_learner(&self, id: LinkId, packet: &Packet) {
        let mut table = self.table.lock();
        if let Some(link) = table.learners.get(&id)
            && link.send(packet)
        {
            let link = Arc::clone(link);
            table.dirty.push(link);
        }
    }

    pub(super) fn send_to_leader(&self, id: LinkId, packet: &Packet) {
        let mut table = self.table.lock();
        if let Some((leader, Leader::Linked(link))) = &table.leader
            && *leader == id
            && link.send(packet)
        {
            let link = Arc::clone(link);
            table.dirty.push(link);
        }
    }

    /// Writes to the sockets what was queued since the last time.
    pub(super) fn flush(&self) {
        let dirty = std::mem::take(&mut self.table.lock().dirty);
        dirty.iter().for_each(|link| link.flush());
    }

    // Learners.

    /// A learner has sent its first packet; `None` when it is not wanted.
    pub(super) fn add_learner<T>(&self, door: Door, make: impl FnOnce(LinkId) -> (Arc<Link>, T)) -> Option<(Arc<Link>, T)> {
        let mut table = self.table.lock();
        if table.open != Some(door) || table.learners.len() >= LEARNERS_MAX {
            return None;
        }
        let id = LinkId(FIRST_LEARNER + table.learner_count);
        table.learner_count += 1;
        let (link, rest) = make(id);
        table.learners.insert(id, Arc::clone(&link));
        self.share_queues(&table);
        Some((link, rest))
    }

    /// What bounds the queue of every learner.
    pub(super) fn learner_queue(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.learner_queue_bytes_max)
    }

    fn share_queues(&self, table: &Table) {
        let share = LEARNERS_QUEUE_BYTES_MAX / table.learners.len().max(1);
        let settings = &self.settings;
        let limit = if table.open == Some(Door::ObserverMaster) { settings.observer_queue_bytes_max } else { settings.queue_bytes_max };
        self.learner_queue_bytes_max.store(share.min(limit), Relaxed);
    }

    /// Takes a learner out.
    fn remove_learner(&self, id: LinkId) -> Option<Arc<Link>> {
        let mut table = self.table.lock();
        let link = table.learners.remove(&id);
        self.share_queues(&table);
        link
    }

    /// Hangs up on a learner, behind what was sent to it. One that is too slow gets no more of that: it would serve it as if it were new.
    pub(super) fn close_learner(&self, id: LinkId, reason: CloseReason) {
        let Some(link) = self.remove_learner(id) else { return };
        if reason == CloseReason::Silent {
            link.reset();
        } else {
            link.close_behind_queue();
        }
    }

    /// A learner's connection is over: the core is told, unless it was the core that hung up.
    pub(super) fn lost_learner(&self, id: LinkId) {
        if self.remove_learner(id).is_some() {
            self.inbox.submit(vec![Input::LearnerDisconnected(id)]);
        }
    }

    pub(super) fn learner(&self, id: LinkId) -> Option<Arc<Link>> {
        self.table.lock().learners.get(&id).cloned()
    }

    /// Sends a snapshot to a learner, behind what is queued now.
    pub(super) fn stream_snapshot(self: &Arc<Self>, id: LinkId, source: Box<dyn SnapshotSource>) {
        if let Some(link) = self.learner(id) {
            link.begin_snapshot();
            self.runtime.spawn(snapshot::send(Arc::clone(self), link, source));
        }
    }

    // The leader.

    /// Connects to the leader. A link to another is given up.
    pub(super) fn connect_leader(self: &Arc<Self>, id: LinkId, leader: ServerId) {
        self.connect(id, leader, quorum_addresses);
    }

    /// Connects to a follower that serves observers, as to the leader.
    pub(super) fn connect_master(self: &Arc<Self>, id: LinkId, master: ServerId) {
        let port = self.settings.observer_master_port;
        self.connect(id, master, |addresses| observer_master_addresses(addresses, port));
    }

    fn connect(self: &Arc<Self>, id: LinkId, leader: ServerId, addresses_of: impl Fn(&[MemberAddress]) -> Vec<HostPort>) {
        let mut table = self.table.lock();
        if table.is_stopped {
            return;
        }
        let addresses = table.members.get(&leader).map(|addresses| addresses_of(addresses)).unwrap_or_default();
        // Under the lock: the task finds itself in the table.
        let task = self.runtime.spawn(leader_link::connect(Arc::clone(self), id, leader, addresses));
        let before = table.leader.replace((id, Leader::Dialing(task.abort_handle())));
        drop(table);
        if let Some((_, before)) = before {
            before.close();
        }
    }

    /// The connection stands; false when the core wants it no more.
    pub(super) fn set_leader(&self, link: &Arc<Link>) -> bool {
        let mut table = self.table.lock();
        match &mut table.leader {
            Some((id, leader @ Leader::Dialing(_))) if *id == link.id => {
                *leader = Leader::Linked(Arc::clone(link));
                true
            }
            _ => false,
        }
    }

    /// Hangs up on the leader, at once.
    pub(super) fn disconnect_leader(&self, id: LinkId) {
        let leader = self.table.lock().leader.take_if(|(leader, _)| *leader == id);
        if let Some((_, leader)) = leader {
            leader.close();
        }
    }

    /// The link to the leader is over, or never was: the core is told, unless it was the core that hung up.
    pub(super) fn lost_leader(&self, id: LinkId) {
        let leader = self.table.lock().leader.take_if(|(leader, _)| *leader == id);
        if leader.is_some() {
            self.inbox.submit(vec![Input::LeaderDisconnected(id)]);
        }
    }
}
