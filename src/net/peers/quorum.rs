//! The quorum port: links to learners while this server leads, one link to the leader while it learns (quorum-protocol.md §2.1).

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
use super::settings::{Addresses, PeerSettings, quorum_addresses};
use super::{leader_link, learner_link, snapshot};
use crate::config::HostPort;
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
    port: Mutex<Option<Port>>,
    /// Bytes that may wait on the link of one learner.
    learner_queue_bytes_max: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Table {
    members: Addresses,
    is_open: bool,
    is_stopped: bool,
    learners: BTreeMap<LinkId, Arc<Link>>,
    learner_count: u64,
    leader: Option<(LinkId, Leader)>,
    /// Links with packets that nobody has flushed.
    dirty: Vec<Arc<Link>>,
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
        let rules = PortRules { name: "quorum", on_all_ips: settings.listens_on_all_ips, retry: QUORUM_BIND_PAUSE };
        let (runtime, learner_queue_bytes_max) = (Handle::current(), Arc::new(AtomicUsize::new(settings.queue_bytes_max)));
        let quorum = Arc::new(Self {
            settings,
            inbox,
            snapshots,
            election,
            runtime,
            table: Mutex::new(table),
            port: Mutex::default(),
            learner_queue_bytes_max,
        });
        let (lobby, weak) = (Arc::new(Lobby::default()), Arc::downgrade(&quorum));
        let accept = Arc::new(move |stream: TcpStream, address: SocketAddr| {
            let Some(quorum) = weak.upgrade() else { return };
            lobby.admit(|place| learner_link::serve(quorum, stream, address, place));
        });
        *quorum.port.lock() = Some(Port::new(rules, Vec::new(), Vec::new(), accept));
        quorum
    }

    fn listen_on(&self, addresses: Vec<HostPort>) {
        if let Some(port) = &*self.port.lock() {
            port.listen_on(addresses);
        }
    }

    fn own_addresses(&self, table: &Table) -> Vec<HostPort> {
        table.members.get(&self.settings.server_id).map(|addresses| quorum_addresses(addresses)).unwrap_or_default()
    }

    /// The members have these addresses from now on.
    pub(super) fn set_members(&self, members: &Addresses) {
        let mut table = self.table.lock();
        table.members = members.clone();
        if table.is_open {
            self.listen_on(self.own_addresses(&table));
        }
    }

    /// Listens for learners.
    pub(super) fn open(&self) {
        let mut table = self.table.lock();
        if !table.is_stopped {
            table.is_open = true;
            self.listen_on(self.own_addresses(&table));
        }
    }

    /// Listens no more, and hangs up on every learner behind what was sent to it.
    pub(super) fn close(&self) {
        let mut table = self.table.lock();
        table.is_open = false;
        self.listen_on(Vec::new());
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
        *self.port.lock() = None;
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
    pub(super) fn add_learner<T>(&self, make: impl FnOnce(LinkId) -> (Arc<Link>, T)) -> Option<(Arc<Link>, T)> {
        let mut table = self.table.lock();
        if !table.is_open || table.learners.len() >= LEARNERS_MAX {
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
        self.learner_queue_bytes_max.store(share.min(self.settings.queue_bytes_max), Relaxed);
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
        let mut table = self.table.lock();
        if table.is_stopped {
            return;
        }
        let addresses = table.members.get(&leader).map(|addresses| quorum_addresses(addresses)).unwrap_or_default();
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
