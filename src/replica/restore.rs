//! Building the state from what the disk holds: a snapshot, then the log behind it.

use std::collections::BTreeMap;

use crate::ids::{SessionId, Zxid};
use crate::proto::txn::{Body, Txn};
use crate::tree::acl::{AclEntry, AclId, Identity};
use crate::tree::data_tree::DataTree;
use crate::tree::stat::{OwnerRules, StatFields};

/// The state while it is being restored.
pub struct Restored {
    seed: u64,
    rules: OwnerRules,
    digest_enabled: bool,
    tree: DataTree,
    sessions: BTreeMap<SessionId, i32>,
    /// The digest that a snapshot promises once the log is replayed up to its zxid.
    promised: Option<(Zxid, u64)>,
    digest_mismatches: u64,
}

impl Restored {
    /// An empty state with the predefined znodes.
    #[must_use]
    pub fn new(seed: u64, rules: OwnerRules, digest_enabled: bool) -> Self {
        let tree = DataTree::new(seed, rules, digest_enabled);
        Self { seed, rules, digest_enabled, tree, sessions: BTreeMap::new(), promised: None, digest_mismatches: 0 }
    }

    /// Starts anew, to load a snapshot: nothing of an attempt before it may remain.
    pub fn reset(&mut self, for_snapshot: bool) {
        *self = Self::new(self.seed, self.rules, self.digest_enabled);
        if for_snapshot {
            self.tree = DataTree::bare(self.seed, self.rules, self.digest_enabled);
        }
    }

    /// A session of the snapshot.
    pub fn session(&mut self, id: SessionId, timeout_ms: i32) {
        self.sessions.insert(id, timeout_ms);
    }

    /// An ACL of the snapshot.
    ///
    /// # Errors
    /// When the id is none that a server gives.
    pub fn acl(&mut self, id: i64, entries: Vec<(i32, Option<String>, Option<String>)>) -> Result<(), String> {
        let entry = |(perms, scheme, id): (i32, Option<String>, Option<String>)| AclEntry {
            perms,
            who: Identity { scheme: scheme.unwrap_or_default(), id: id.unwrap_or_default() },
        };
        let AclId(number) = AclId::from_disk(id).filter(|&id| id != AclId::OPEN).ok_or_else(|| format!("ACL id {id} is out of range"))?;
        self.tree.acls_mut().put(number, entries.into_iter().map(entry).collect());
        Ok(())
    }

    /// A znode of the snapshot.
    ///
    /// # Errors
    /// When it does not fit into the tree so far.
    pub fn znode(&mut self, path: &str, data: Option<&[u8]>, acl: i64, stat: StatFields) -> Result<(), String> {
        let acl = AclId::from_disk(acl).ok_or_else(|| format!("ACL id {acl} of {path} is out of range"))?;
        self.tree.load_node(path, data, acl, stat)
    }

    /// The snapshot is complete: quotas are recounted; what the log adds counts as it did when it was written. `digest` is what it says of the tree at a zxid that may be later than its own.
    pub fn snapshot_loaded(&mut self, zxid: Zxid, digest: Option<(Zxid, i32, i64)>) {
        self.tree.acls_mut().purge_unused();
        self.tree.setup_quotas();
        self.tree.set_last_zxid(zxid);
        // A snapshot without a digest may have come from a leader that wrote it while it went on.
        self.tree.set_fuzzy(digest.is_none());
        self.promised = digest
            .filter(|&(at, version, value)| version == crate::tree::digest::DIGEST_VERSION && at >= zxid && !is_blank(at, value))
            .map(|(at, _, digest)| (at, digest as u64));
        self.check_promised();
    }

    fn check_promised(&mut self) {
        let Some((at, digest)) = self.promised else { return };
        if self.tree.last_zxid() < at {
            return;
        }
        if self.tree.last_zxid() == at && self.tree.digest_enabled() && digest != self.tree.digest() {
            tracing::error!(zxid = %at, expected = digest, got = self.tree.digest(), "the digest of the snapshot does not match the tree");
            self.digest_mismatches += 1;
        }
        self.promised = None;
    }

    /// A txn of the log.
    ///
    /// # Errors
    /// When the payload is no txn.
    pub fn txn(&mut self, payload: &[u8]) -> Result<(), String> {
        let txn = Txn::decode(payload).map_err(|error| error.to_string())?;
        let session = SessionId(txn.header.client_id);
        match &txn.body {
            Body::CreateSession(created) => {
                self.sessions.insert(session, created.time_out);
            }
            Body::CloseSession(_) => {
                self.sessions.remove(&session);
            }
            _ => {}
        }
        self.tree.apply(&txn, &mut ());
        if self.promised.is_some() {
            self.check_promised();
        } else {
            self.check_digest(&txn);
        }
        Ok(())
    }

    fn check_digest(&mut self, txn: &Txn<'_>) {
        let Some(digest) = txn.digest.as_ref().filter(|digest| digest.version == crate::tree::digest::DIGEST_VERSION) else { return };
        if self.tree.digest_enabled() && !self.tree.agrees_with(digest.tree_digest as u64) {
            tracing::error!(zxid = %Zxid(txn.header.zxid), expected = digest.tree_digest as u64, got = self.tree.digest(), "digest mismatch in replay");
            self.digest_mismatches += 1;
        }
    }

    /// How often a digest did not match.
    #[must_use]
    pub fn digest_mismatches(&self) -> u64 {
        self.digest_mismatches
    }

    /// The finished state. Ephemerals of sessions that are not known stay: whoever serves with them has them removed by a txn, so that all
    /// servers do the same (ZOOKEEPER-5010).
    #[must_use]
    pub fn finish(mut self) -> (DataTree, Vec<(SessionId, i32)>) {
        self.tree.ensure_config_node();
        (self.tree, self.sessions.into_iter().collect())
    }
}

/// Java has no digest of a database without a txn, and writes zeros into its first snapshot (`DataTree.deserializeZxidDigest` passes them over).
fn is_blank(at: Zxid, digest: i64) -> bool {
    at == Zxid::ZERO && digest == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::op_code::OpCode;
    use crate::proto::records::data::{Acl, Id};
    use crate::proto::records::txn::{CreateTxn, SetDataTxn};
    use crate::proto::txn::{self, TxnHeader};
    use crate::tree::quota;

    fn payload(zxid: i64, kind: OpCode, body: &Body<'_>) -> Vec<u8> {
        txn::encode(&TxnHeader { client_id: 1, cxid: 1, zxid, time: 1, type_: kind.0 }, body, None)
    }

    fn create(zxid: i64, path: &str, data: &str) -> Vec<u8> {
        let anyone = Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } };
        let (path, data, acl) = (Some(path.to_owned().into()), Some(data.as_bytes().to_vec().into()), Some(vec![anyone]));
        payload(zxid, OpCode::CREATE, &Body::Create(CreateTxn { path, data, acl, ephemeral: false, parent_c_version: -1 }))
    }

    fn usage(tree: &DataTree) -> Option<&[u8]> {
        tree.data(tree.find(&quota::stats_path("/a")).expect("created"))
    }

    /// Java recounts when it has read a snapshot, and then counts on with the log.
    #[test]
    fn usage_is_recounted_behind_a_snapshot_and_not_behind_the_log() {
        let mut restored = Restored::new(1, OwnerRules::default(), true);
        for (index, (path, data)) in
            [("/a", "1"), ("/zookeeper/quota/a", ""), (&quota::limits_path("/a"), "count=9"), (&quota::stats_path("/a"), "")]
                .into_iter()
                .enumerate()
        {
            restored.txn(&create(index as i64 + 1, path, data)).expect("a txn");
        }
        let (path, data) = (Some(quota::stats_path("/a").into()), Some(b"count=50,bytes=50".to_vec().into()));
        restored.txn(&payload(5, OpCode::SET_DATA, &Body::SetData(SetDataTxn { path, data, version: 1 }))).expect("a txn");
        restored.txn(&create(6, "/a/b", "22")).expect("a txn");
        assert_eq!(usage(&restored.tree), Some(b"count=51,bytes=52".as_slice()));
        restored.snapshot_loaded(Zxid(6), None);
        restored.txn(&create(7, "/a/c", "333")).expect("a txn");
        let (tree, _) = restored.finish();
        assert_eq!(usage(&tree), Some(b"count=3,bytes=6".as_slice()));
    }

    #[test]
    fn the_first_snapshot_of_java_promises_no_digest() {
        let version = crate::tree::digest::DIGEST_VERSION;
        for (at, digest, mismatches) in [(0, 0, 0), (0, 1, 1), (7, 0, 1)] {
            let mut restored = Restored::new(1, OwnerRules::default(), true);
            restored.snapshot_loaded(Zxid(at), Some((Zxid(at), version, digest)));
            assert_eq!(restored.digest_mismatches(), mismatches, "{digest} at {at}");
        }
    }

    /// An image that a Java leader took while it went on: it holds a later txn, and its digest is of no zxid until that one is applied.
    #[test]
    fn digests_count_from_the_end_of_a_fuzzy_snapshot() {
        let mut sound = Restored::new(1, OwnerRules::default(), true);
        let anyone = || Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } };
        let body = |path: &'static str, parent_c_version| {
            let (path, acl) = (Some(path.into()), Some(vec![anyone()]));
            Body::Create(CreateTxn { path, data: None, acl, ephemeral: false, parent_c_version })
        };
        let mut txns = Vec::new();
        for (zxid, path) in [(1, "/a"), (2, "/b"), (3, "/c"), (4, "/d")] {
            let header = TxnHeader { client_id: 1, cxid: 1, zxid, time: 1, type_: OpCode::CREATE.0 };
            sound.txn(&txn::encode(&header, &body(path, zxid as i32), None)).expect("a txn");
            let digest = txn::TxnDigest { version: crate::tree::digest::DIGEST_VERSION, tree_digest: sound.tree.digest() as i64 };
            txns.push(txn::encode(&header, &body(path, zxid as i32), Some(digest)));
        }
        let mut wrong_last = txns.clone();
        let length = wrong_last[3].len();
        wrong_last[3][length - 1] ^= 1;
        for (txns, mismatches) in [(&txns, 0), (&wrong_last, 1)] {
            let mut fuzzy = Restored::new(1, OwnerRules::default(), true);
            // The third is in the image already.
            fuzzy.txn(&txns[2]).expect("a txn");
            fuzzy.digest_mismatches = 0;
            fuzzy.snapshot_loaded(Zxid(0), None);
            txns.iter().for_each(|txn| fuzzy.txn(txn).expect("a txn"));
            assert_eq!(fuzzy.digest_mismatches(), mismatches);
        }
    }
}
