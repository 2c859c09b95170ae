//! The election port: one connection to each other server, over which votes travel (quorum-protocol.md §1.1–§1.3).
//!
//! Of the two connections that a pair of servers can have, the one that the server with the larger sid made is kept: whoever has the smaller
//! sid dials, says who it is, and is called back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::frame::notification_frame;
use super::handshake::{ANONYMOUS, Greeting};
use super::limits::{CALL_BACK_WAIT, STRANGERS_MAX};
use super::peer::{ElectionLink, Peer, Told};
use super::rim::PeerInbox;
use super::settings::{Addresses, PeerSettings, election_addresses};
use super::sockets::set_election_options;
use super::{election_link, keeper};
use crate::ids::ServerId;
use crate::zab::{Input, Notification};

/// All election links of a server.
pub(super) struct Election {
    pub(super) settings: Arc<PeerSettings>,
    inbox: Arc<dyn PeerInbox>,
    runtime: Handle,
    peers: Mutex<Table>,
    /// Numbers of connections; also what makes anonymous observers distinct.
    counter: AtomicU64,
}

#[derive(Default)]
struct Table {
    by_sid: BTreeMap<ServerId, Arc<Peer>>,
    /// What this server says of itself.
    own_addresses: Vec<crate::config::HostPort>,
    is_stopped: bool,
}

impl Election {
    pub(super) fn new(settings: Arc<PeerSettings>, inbox: Arc<dyn PeerInbox>, runtime: Handle) -> Self {
        Self { settings, inbox, runtime, peers: Mutex::default(), counter: AtomicU64::new(0) }
    }

    /// The members are these from now on: new ones are dialed, those who left are hung up on.
    pub(super) fn set_members(self: &Arc<Self>, members: &Addresses) {
        let mut table = self.peers.lock();
        let own = self.settings.server_id;
        // Whoever left the ensemble is still where it was.
        if let Some(addresses) = members.get(&own) {
            table.own_addresses = election_addresses(addresses);
        }
        for (sid, peer) in &table.by_sid {
            let was_member = !std::mem::take(&mut peer.state.lock().configured).is_empty();
            if was_member && !members.contains_key(sid) {
                peer.state.lock().is_removed = true;
                peer.unlink();
                peer.wake.notify_one();
            }
        }
        table.by_sid.retain(|_, peer| !peer.state.lock().is_removed);
        for (&sid, addresses) in members.iter().filter(|&(&sid, _)| sid != own) {
            let peer = table.by_sid.entry(sid).or_insert_with(|| Arc::new(Peer::new(sid, Vec::new())));
            peer.state.lock().configured = election_addresses(addresses);
            self.keep(peer);
        }
    }

    /// Sees to it that somebody makes a connection to this peer.
    fn keep(self: &Arc<Self>, peer: &Arc<Peer>) {
        if !std::mem::replace(&mut peer.state.lock().is_kept, true) {
            self.runtime.spawn(keeper::keep(Arc::clone(self), Arc::clone(peer)));
        }
        peer.wake.notify_one();
    }

    /// Hangs up on everybody, for good.
    pub(super) fn stop(&self) {
        let mut table = self.peers.lock();
        table.is_stopped = true;
        for peer in std::mem::take(&mut table.by_sid).into_values() {
            peer.state.lock().is_removed = true;
            peer.unlink();
            peer.wake.notify_one();
        }
    }

    pub(super) fn greeting(&self) -> Vec<u8> {
        let addresses = self.peers.lock().own_addresses.clone();
        Greeting { sid: self.settings.server_id, addresses }.encode(self.settings.is_multi_address)
    }

    /// Puts a vote in the place of the one before. Whoever is no member and has no connection gets none.
    pub(super) fn send(&self, to: ServerId, notification: &Notification) {
        let Some(peer) = self.peers.lock().by_sid.get(&to).cloned() else { return };
        let mut state = peer.state.lock();
        state.put(notification_frame(notification));
        match &state.link {
            Some(link) => link.wake.notify_one(),
            None => {
                state.is_urgent = true;
                peer.wake.notify_one();
            }
        }
    }

    /// Whether there is surely no connection to be had.
    pub(super) fn is_unreachable(&self, sid: ServerId) -> bool {
        let peer = self.peers.lock().by_sid.get(&sid).cloned();
        peer.is_none_or(|peer| peer.state.lock().told == Told::Unreachable)
    }

    // Connections.

    /// Somebody dialed and said who it is. `rest` is what came behind that.
    pub(super) fn greeted(self: &Arc<Self>, stream: TcpStream, greeting: Greeting, rest: BytesMut) {
        let own = self.settings.server_id;
        let sid = match greeting.sid {
            ANONYMOUS => ServerId(-1 - self.counter.fetch_add(1, Relaxed) as i64),
            sid => sid,
        };
        if sid == own {
            tracing::warn!(%sid, "a server with this server's own id connected to the election port: closing");
            return;
        }
        let Some(peer) = self.find_or_add(sid) else { return };
        if !greeting.addresses.is_empty() {
            peer.state.lock().named = greeting.addresses;
        }
        if sid > own {
            self.link(&peer, stream, rest);
            return;
        }
        drop(stream);
        let link = peer.state.lock().link.clone();
        if link.is_some_and(|link| link.since.elapsed() < CALL_BACK_WAIT) {
            // Its call crossed with one of this server: the connection that it asks for is there.
            return;
        }
        // It has lost the connection that it had, if it had one: this server makes a new one.
        peer.unlink();
        peer.hurry();
        self.keep(&peer);
    }

    fn find_or_add(&self, sid: ServerId) -> Option<Arc<Peer>> {
        let mut table = self.peers.lock();
        if table.is_stopped {
            return None;
        }
        if let Some(peer) = table.by_sid.get(&sid) {
            return Some(Arc::clone(peer));
        }
        let strangers = table.by_sid.values().filter(|peer| !peer.state.lock().is_member()).count();
        if strangers >= STRANGERS_MAX {
            tracing::debug!(%sid, limit = STRANGERS_MAX, "too many servers outside the configuration on the election port: closing");
            return None;
        }
        let peer = Arc::new(Peer::new(sid, Vec::new()));
        table.by_sid.insert(sid, Arc::clone(&peer));
        Some(peer)
    }

    /// The connection to a peer is this one: one before it is given up.
    pub(super) fn link(self: &Arc<Self>, peer: &Arc<Peer>, stream: TcpStream, rest: BytesMut) {
        if let Err(error) = set_election_options(&stream, self.settings.has_keep_alive, self.settings.connect_timeout()) {
            tracing::debug!(sid = %peer.sid, %error, "the connection broke before it was used");
        }
        let number = self.counter.fetch_add(1, Relaxed);
        let link = Arc::new(ElectionLink { number, stream, wake: Notify::new(), since: Instant::now() });
        let mut state = peer.state.lock();
        if state.is_removed {
            return;
        }
        let before = state.set_link(Arc::clone(&link));
        drop(state);
        if let Some(before) = before {
            before.wake.notify_one();
        }
        peer.wake.notify_one();
        self.runtime.spawn(election_link::serve(Arc::clone(self), Arc::clone(peer), link, rest));
    }

    /// A connection is over. Unless another took its place the core is told, and a new one is made.
    pub(super) fn lost(self: &Arc<Self>, peer: &Arc<Peer>, link: &ElectionLink) {
        let mut state = peer.state.lock();
        if !state.is_link(link.number) {
            return;
        }
        state.link = None;
        state.has_failed = true;
        drop(state);
        self.tell(peer);
        peer.wake.notify_one();
        self.forget_stranger(peer);
    }

    /// A server outside the configuration is known while it is connected.
    pub(super) fn forget_stranger(&self, peer: &Arc<Peer>) {
        let mut table = self.peers.lock();
        let mut state = peer.state.lock();
        if !state.is_member() && state.link.is_none() && !state.is_kept {
            state.is_removed = true;
            drop(state);
            table.by_sid.remove(&peer.sid);
        }
    }

    // What the core is told.

    /// Tells the core whether this peer can be reached, if that is news.
    pub(super) fn tell(&self, peer: &Peer) {
        let _order = peer.telling.lock();
        let news = peer.state.lock().news();
        let input = match news {
            Some(Told::Reachable(link)) => {
                tracing::info!(sid = %peer.sid, link, "connected to the election port of a server");
                Input::PeerReachable(peer.sid)
            }
            Some(Told::Unreachable) => {
                tracing::info!(sid = %peer.sid, "no connection to the election port of a server");
                Input::PeerUnreachable(peer.sid)
            }
            Some(Told::Nothing) | None => return,
        };
        self.inbox.submit(vec![input]);
    }

    /// Gives a vote to the core, unless another connection took the place of the one it came by.
    pub(super) fn deliver(&self, peer: &Peer, link: &ElectionLink, notification: Notification) {
        let _order = peer.telling.lock();
        if peer.state.lock().is_link(link.number) {
            self.inbox.submit(vec![Input::Notification { from: peer.sid, notification }]);
        }
    }

    /// Whether the core has too much to do for more votes.
    pub(super) fn is_full(&self) -> bool {
        self.inbox.is_full()
    }
}
