//! Another server, as the election port knows it: how to reach it, the connection to it, and the newest vote for it.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::HostPort;
use crate::ids::ServerId;

/// A connection between two election ports.
#[derive(Debug)]
pub(super) struct ElectionLink {
    /// Connections are numbered as they come.
    pub(super) number: u64,
    pub(super) stream: TcpStream,
    /// There is a vote to send, or the connection is given up.
    pub(super) wake: Notify,
    pub(super) since: Instant,
}

/// What the core was told of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// By this connection.
    Reachable(u64),
    Unreachable,
}

/// A peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) sid: ServerId,
    pub(super) state: Mutex<PeerState>,
    /// Something changed that concerns whoever keeps the connection up.
    pub(super) wake: Notify,
    /// Held while the core is told something of this peer, so that it hears of things in the order in which they happened. Taken before
    /// `state`, never by [`super::Peers::carry_out`].
    pub(super) telling: Mutex<()>,
}

#[derive(Debug)]
pub(super) struct PeerState {
    /// The addresses of the configuration; none: it is no member.
    pub(super) configured: Vec<HostPort>,
    /// The addresses that it named itself.
    pub(super) named: Vec<HostPort>,
    pub(super) link: Option<std::sync::Arc<ElectionLink>>,
    /// The newest vote that is not given to a connection yet. There is only one: a newer one takes its place.
    pub(super) pending: Option<Bytes>,
    /// The last vote at all: a new connection begins with it.
    pub(super) last: Option<Bytes>,
    pub(super) told: Told,
    /// The last attempt to connect failed.
    pub(super) has_failed: bool,
    /// Somebody wants a connection now: a vote is to be sent, or the peer asked to be called back.
    pub(super) is_urgent: bool,
    /// There is a task that keeps the connection up, or makes one.
    pub(super) is_kept: bool,
    /// The peer is gone from the table.
    pub(super) is_removed: bool,
}

impl Peer {
    pub(super) fn new(sid: ServerId, configured: Vec<HostPort>) -> Self {
        let state = PeerState {
            configured,
            named: Vec::new(),
            link: None,
            pending: None,
            last: None,
            told: Told::Nothing,
            has_failed: false,
            is_urgent: false,
            is_kept: false,
            is_removed: false,
        };
        Self { sid, state: Mutex::new(state), wake: Notify::new(), telling: Mutex::new(()) }
    }

    /// Gives up the connection, if there is one.
    pub(super) fn unlink(&self) {
        let link = self.state.lock().link.take();
        if let Some(link) = link {
            link.wake.notify_one();
        }
    }

    /// Asks for a connection now.
    pub(super) fn hurry(&self) {
        self.state.lock().is_urgent = true;
        self.wake.notify_one();
    }
}

impl PeerState {
    pub(super) fn is_member(&self) -> bool {
        !self.configured.is_empty()
    }

    pub(super) fn is_link(&self, number: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.number == number)
    }

    /// Where it can be dialed: what the configuration says, and what it says itself.
    pub(super) fn addresses(&self) -> Vec<HostPort> {
        let named = self.named.iter().filter(|address| !self.configured.contains(address));
        self.configured.iter().chain(named).cloned().collect()
    }

    /// A vote to send: the newest only.
    pub(super) fn put(&mut self, frame: Bytes) {
        self.last = Some(frame.clone());
        self.pending = Some(frame);
    }

    /// A new connection begins with the last vote, if none waits (`QuorumCnxManager.SendWorker.run`); gives the connection before.
    pub(super) fn set_link(&mut self, link: std::sync::Arc<ElectionLink>) -> Option<std::sync::Arc<ElectionLink>> {
        if self.pending.is_none() {
            self.pending = self.last.clone();
        }
        self.has_failed = false;
        self.link.replace(link)
    }

    /// What the core has to be told, which counts as told from here on.
    pub(super) fn news(&mut self) -> Option<Told> {
        let now = match &self.link {
            Some(link) => Told::Reachable(link.number),
            None if self.has_failed => Told::Unreachable,
            None => return None,
        };
        (std::mem::replace(&mut self.told, now) != now).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn link(number: u64) -> Arc<ElectionLink> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        Arc::new(ElectionLink { number, stream, wake: Notify::new(), since: Instant::now() })
    }

    #[tokio::test]
    async fn only_the_newest_vote_waits_and_the_last_is_said_again() {
        let link = link(1).await;
        let peer = Peer::new(ServerId(1), Vec::new());
        let mut state = peer.state.lock();
        state.put(Bytes::from_static(b"old"));
        state.put(Bytes::from_static(b"new"));
        assert_eq!(state.pending.take(), Some(Bytes::from_static(b"new")));
        assert!(state.set_link(link).is_none());
        assert_eq!(state.pending, Some(Bytes::from_static(b"new")), "the peer may not have read it");
    }

    #[tokio::test]
    async fn the_core_is_told_each_change_once() {
        let peer = Peer::new(ServerId(1), Vec::new());
        let (first, second) = (link(1).await, link(2).await);
        let mut state = peer.state.lock();
        assert_eq!(state.news(), None);
        state.has_failed = true;
        assert_eq!((state.news(), state.news()), (Some(Told::Unreachable), None));
        state.set_link(first);
        assert_eq!((state.news(), state.news()), (Some(Told::Reachable(1)), None));
        state.set_link(second);
        assert_eq!(state.news(), Some(Told::Reachable(2)), "what was sent over the old one may be lost");
        state.link = None;
        assert_eq!(state.news(), None, "it is being dialed");
    }

    #[test]
    fn both_kinds_of_addresses_are_dialed_once() {
        let at = |port| HostPort { host: "a".to_owned(), port };
        let peer = Peer::new(ServerId(1), vec![at(1), at(2)]);
        let mut state = peer.state.lock();
        state.named = vec![at(2), at(3)];
        assert_eq!(state.addresses(), [at(1), at(2), at(3)]);
    }
}
