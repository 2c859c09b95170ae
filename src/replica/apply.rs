//! Applying what the ordering core delivers, under one write lock for the whole batch. A batch of large txns lets others read between.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{MutexGuard, RwLockWriteGuard};

use super::core::{Origin, Replica, Role};
use super::effects::{Effects, View};
use super::input::Now;
use super::learning::answer_write;
use super::shared::Shared;
use crate::ids::{SessionId, Zxid};
use crate::proto::op_code::OpCode;
use crate::proto::txn::{Body, Txn};
use crate::tree::acl::AclList;
use crate::tree::apply::{Applied, Observer};
use crate::tree::data_tree::DataTree;
use crate::tree::watch::{EventType, WatchAccess, WatchTable};

/// Bytes of txns that are applied before those who wait for the tree have their turn.
const SLICE_BYTES: usize = 256 << 10;

/// Turns changes into events for those who watch.
struct Fire<'a, E> {
    watches: &'a mut WatchTable,
    effects: &'a mut E,
}

impl<E: Effects> Observer for Fire<'_, E> {
    fn changed(&mut self, event: EventType, path: &str, zxid: Zxid, acl: &AclList) {
        let mut watchers = Vec::new();
        self.watches.fire(event, path, |watcher| watchers.push(watcher));
        if !watchers.is_empty() {
            self.effects.event(&watchers, zxid, event, path, acl);
        }
    }

    fn written(&mut self, path: &str, data_bytes: usize) {
        self.effects.written(path, data_bytes);
    }
}

impl Replica {
    pub(super) fn apply_all(&mut self, shared: &Shared, payloads: &[Bytes], now: Now, effects: &mut impl Effects) {
        let mut tree = shared.tree.write();
        let mut watches = shared.watches.lock();
        let mut slice_bytes = 0;
        for payload in payloads {
            if slice_bytes > SLICE_BYTES {
                MutexGuard::unlocked(&mut watches, || RwLockWriteGuard::bump(&mut tree));
                slice_bytes = 0;
            }
            slice_bytes += payload.len();
            let txn = Txn::decode(payload).expect("a committed txn was encoded by a server");
            self.apply_one(&mut tree, &mut watches, &txn, now, effects);
        }
        self.overlay.applied(tree.last_zxid(), tree.digest());
    }

    fn apply_one(&mut self, tree: &mut DataTree, watches: &mut WatchTable, txn: &Txn<'_>, now: Now, effects: &mut impl Effects) {
        let zxid = Zxid(txn.header.zxid);
        assert!(zxid > tree.last_zxid(), "txns are applied in zxid order: {zxid} after {}", tree.last_zxid());
        let applied = tree.apply(txn, &mut Fire { watches, effects });
        check_digest(tree, txn, effects);
        let ended = self.apply_to_sessions(txn, now);
        let mut view = View { tree, watches: WatchAccess::Held(watches) };
        let closes_own = match &mut self.role {
            Role::Learning(learning) => learning.answer(&txn.header, &applied, &mut view, effects),
            Role::Leading | Role::Idle | Role::ReadOnly(_) => self.answer(zxid, &applied, &mut view, effects),
        };
        if let Some(connection) = ended.filter(|_| !closes_own) {
            effects.close(connection);
        }
    }

    /// Keeps the session table in step; gives the connection of a session that ended.
    fn apply_to_sessions(&mut self, txn: &Txn<'_>, now: Now) -> Option<crate::ids::ConnectionId> {
        let session = SessionId(txn.header.client_id);
        match &txn.body {
            Body::CreateSession(created) => {
                self.sessions.created(session, created.time_out, now.monotonic_ms);
                None
            }
            Body::CloseSession(_) => {
                if let Some(cell) = self.sessions.get(session) {
                    cell.set_closing();
                }
                if let Role::Learning(learning) = &mut self.role {
                    learning.speakers.ended(session);
                }
                self.sessions.remove(session)
            }
            _ => None,
        }
    }

    /// Answers whoever waits for this txn, and what has no txn behind it. True when a client closed its own session.
    fn answer(&mut self, zxid: Zxid, applied: &Applied<'_>, view: &mut View<'_>, effects: &mut impl Effects) -> bool {
        let mut answered_client = false;
        while let Some((_, origin)) = self.in_flight.pop_front_if(|(waiting, _)| *waiting <= zxid) {
            match origin {
                Origin::Request { connection, xid } => {
                    answered_client = true;
                    answer_write(view, connection, xid, applied, effects);
                }
                Origin::Txnless { connection, xid, answer } => effects.reply(view, connection, xid, &answer.applied()),
                Origin::OpenSession { connection, session } => effects.session_opened(connection, Arc::clone(&session)),
                Origin::Server => {}
            }
        }
        answered_client
    }
}

/// Compares the tree with the digest that the leader put behind the txn.
fn check_digest(tree: &mut DataTree, txn: &Txn<'_>, effects: &mut impl Effects) {
    if let Some(digest) = &txn.digest
        && tree.digest_enabled()
        && digest.version == crate::tree::digest::DIGEST_VERSION
        && OpCode(txn.header.type_) != OpCode::ERROR
        && !tree.agrees_with(digest.tree_digest as u64)
    {
        effects.digest_mismatch(Zxid(txn.header.zxid), digest.tree_digest as u64, tree.digest());
    }
}
