//! What a replica asks of the world.

use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{ConnectionId, Zxid};
use crate::session::SessionCell;
use crate::tree::acl::AclList;
use crate::tree::apply::Applied;
use crate::tree::data_tree::DataTree;
use crate::tree::watch::{EventType, WatchAccess, Watcher};
use crate::zab;

/// The applied state at the moment of an effect. The tree is locked as long as it lives.
pub struct View<'a> {
    /// The tree.
    pub tree: &'a DataTree,
    /// The watches.
    pub watches: WatchAccess<'a>,
}

/// The world. Effects come in the order in which they must be seen: an event before every reply that reflects its txn.
pub trait Effects {
    /// Append to the log. When it is durable the replica is told by `zab::Input::Persisted`.
    fn append(&mut self, zxid: Zxid, payload: Bytes);

    /// What the ordering core asks of the disk and of the network, and its changes of role; `zab::Output` says of each what answers it.
    /// It comes in the same order as what is to be appended. Appends, deliveries and riders do not come this way.
    fn carry_out(&mut self, output: zab::Output);

    /// A write is done. The reads of that connection that waited behind it are due now, before the next txn is applied.
    fn reply(&mut self, view: &mut View<'_>, connection: ConnectionId, xid: i32, applied: &Applied<'_>);

    /// A watched change; `acl` says who may hear of it.
    fn event(&mut self, watchers: &[Watcher], zxid: Zxid, event: EventType, path: &str, acl: &AclList);

    /// So many bytes of data were written to a znode; 0 for its end.
    fn written(&mut self, _path: &str, _data_bytes: usize) {}

    /// A session is open, or open again, on this connection.
    fn session_opened(&mut self, connection: ConnectionId, session: Arc<SessionCell>);

    /// From now on clients are served that put up with a server that only reads, until the next change of role.
    fn read_only_began(&mut self) {}

    /// The session cannot be resumed: the client is told, and the connection closed.
    fn session_refused(&mut self, connection: ConnectionId);

    /// Close a connection without a word.
    fn close(&mut self, connection: ConnectionId);

    /// A session expired: nothing was heard of it for its timeout.
    fn session_expired(&mut self, session: &SessionCell);

    /// The digest of the tree after a txn is not the one that its leader computed.
    fn digest_mismatch(&mut self, zxid: Zxid, expected: u64, got: u64);
}
