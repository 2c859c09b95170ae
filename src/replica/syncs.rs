//! Syncs that wait for the leader, and the requests of the same clients that wait behind them.
//!
//! A connection has one sync under way at most: what comes behind it is held back until it is answered, so replies keep their order.

use std::collections::{BTreeMap, VecDeque};

use super::input::Request;
use crate::ids::ConnectionId;

/// A sync of an own client.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The client's number for it.
    pub(super) xid: i32,
    /// What it named.
    pub(super) path: Option<String>,
    held: VecDeque<Request>,
}

/// The syncs of own clients.
#[derive(Debug, Default)]
pub(super) struct Syncs(BTreeMap<ConnectionId, Waiting>);

impl Syncs {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Holds a request back if its connection has a sync under way; gives it back if not.
    pub(super) fn hold(&mut self, request: Request) -> Option<Request> {
        if self.0.is_empty() {
            return Some(request);
        }
        match self.0.get_mut(&request.connection) {
            Some(waiting) => {
                waiting.held.push_back(request);
                None
            }
            None => Some(request),
        }
    }

    /// A sync is under way.
    pub(super) fn begin(&mut self, connection: ConnectionId, xid: i32, path: Option<String>) {
        let before = self.0.insert(connection, Waiting { xid, path, held: VecDeque::new() });
        assert!(before.is_none(), "one sync of a connection at a time");
    }

    /// The sync of a connection is done. Gives it with what was held back, unless the connection is gone.
    pub(super) fn end(&mut self, connection: ConnectionId) -> Option<(Waiting, VecDeque<Request>)> {
        let mut waiting = self.0.remove(&connection)?;
        let held = std::mem::take(&mut waiting.held);
        Some((waiting, held))
    }

    /// The connection is gone.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.0.remove(&connection);
    }

    /// All connections are gone.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
