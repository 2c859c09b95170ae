//! Requests to txns: every check of a write, in Java's order, against the tree and the changes pending over it
//! (client-protocol.md §2.3, `PrepRequestProcessor`).

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::auth::AuthRules;
use super::decode::Write;
use super::overlay::{Overlay, Record};
use crate::ids::{SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::limits::{
    ACL_BYTES_PER_REQUEST_BYTE_MAX, ACL_BYTES_PER_TXN_FREE, ACL_BYTES_PER_TXN_MAX, EPHEMERAL_BYTES_PER_SESSION_MAX,
};
use crate::proto::op_code::OpCode;
use crate::proto::records::client::{CheckVersionRequest, CreateTtlRequest, DeleteRequest, SetAclRequest, SetDataRequest};
use crate::proto::records::data::Acl;
use crate::proto::records::txn as records;
use crate::proto::txn::Body;
use crate::tree::acl::{Identity, perms};
use crate::tree::data_tree::{DataTree, listed_bytes};
use crate::tree::digest::prefix_crc;
use crate::tree::path;
use crate::tree::stat::{CONTAINER_OWNER, OwnerKind, StatFields, TTL_MS_MAX};

/// Switches of the configuration that decide on writes.
#[derive(Clone, Debug, Default)]
pub struct WriteRules {
    /// The authentication schemes.
    pub auth: AuthRules,
    /// `skipACL`: no permission is checked.
    pub skip_acl: bool,
    /// `enforceQuota`: hard limits refuse.
    pub enforce_quota: bool,
    /// `reconfigEnabled`.
    pub reconfig_enabled: bool,
    /// A reconfiguration leaves so many voters at least: 2, or 1 with `standaloneEnabled=false`.
    pub voters_min: usize,
    /// `closeSessionTxn.enabled`: the txn lists the ephemerals.
    pub close_session_txn: bool,
}

/// One request about to become a txn.
pub struct Prepare<'a> {
    /// The applied tree.
    pub tree: &'a DataTree,
    /// What is pending over it.
    pub overlay: &'a mut Overlay,
    /// The switches.
    pub rules: &'a WriteRules,
    /// The zxid that the txn will have.
    pub zxid: Zxid,
    /// The leader's clock, ms since 1970.
    pub time_ms: i64,
    /// Who asks.
    pub session: SessionId,
    /// As whom.
    pub identities: &'a [Identity],
    /// Whether the session may own ephemerals; if not, what a client is told that wants one.
    pub may_own_ephemerals: Result<(), ErrorCode>,
    /// Bytes of ACLs that the request may still store: [`acl_bytes_max`] at first.
    pub acl_bytes_left: usize,
}

/// Bytes of ACLs that a request of so many bytes may store.
#[must_use]
pub fn acl_bytes_max(request_bytes: usize) -> usize {
    request_bytes.saturating_mul(ACL_BYTES_PER_REQUEST_BYTE_MAX).clamp(ACL_BYTES_PER_TXN_FREE, ACL_BYTES_PER_TXN_MAX)
}

type Prepared<'b> = Result<(OpCode, Body<'b>), ErrorCode>;

impl Prepare<'_> {
    /// Checks a write and gives the type and body of its txn.
    ///
    /// # Errors
    /// The code that the client gets; nothing is pending then that was not before.
    pub fn write<'b>(&mut self, write: Write<'b>) -> Prepared<'b> {
        match write {
            Write::Create(op, request) => self.create(op, request),
            Write::Delete(request) => self.delete(&request),
            Write::SetData(request) => self.set_data(request),
            Write::SetAcl(request) => self.set_acl(request),
            Write::Check(request) => self.check(request),
            Write::Multi(ops) => Ok((OpCode::MULTI, self.multi(ops)?)),
            // Who belongs to the ensemble is the replica's to know: `configuration`.
            Write::Reconfig(_) => Err(ErrorCode::UNIMPLEMENTED),
            Write::CloseSession => Ok((OpCode::CLOSE_SESSION, self.close_session())),
        }
    }

    /// All or none: the first failure takes everything back; what stood before it reports 0, what stands behind it -2.
    /// Where Java runs into a null the whole request fails instead of one op.
    fn multi<'b>(&mut self, ops: Vec<Write<'b>>) -> Result<Body<'b>, ErrorCode> {
        self.overlay.begin_multi();
        let count = ops.len();
        let mut bodies = Vec::with_capacity(count);
        for (index, op) in ops.into_iter().enumerate() {
            match self.write(op) {
                Ok(prepared) => bodies.push(prepared),
                Err(error) => {
                    self.overlay.undo_multi();
                    return if error == ErrorCode::MARSHALLING_ERROR { Err(error) } else { Ok(failed_multi(count, index, error)) };
                }
            }
        }
        self.overlay.keep_multi();
        Ok(Body::Multi(bodies))
    }

    fn allowed(&self, record: &Record, wanted: i32) -> Result<(), ErrorCode> {
        if self.rules.skip_acl || record.acl.allows(wanted, self.identities) { Ok(()) } else { Err(ErrorCode::NO_AUTH) }
    }

    fn existing(&self, path: &str) -> Result<Record, ErrorCode> {
        self.overlay.record(self.tree, path).ok_or(ErrorCode::NO_NODE)
    }

    fn create<'b>(&mut self, op: OpCode, request: CreateTtlRequest<'b>) -> Prepared<'b> {
        let CreateTtlRequest { path, data, acl, flags, ttl } = request;
        let owner = self.owner(op, flags, ttl)?;
        if matches!(flags, 1 | 3) {
            self.may_own_ephemerals?;
        }
        let path = path.ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let (parent_path, _) = path::split(&path).filter(|_| !path.contains('\0')).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let parent_len = parent_path.len();
        let acl = self.fix_up(acl)?;
        let parent = self.existing(parent_path)?;
        self.allowed(&parent, perms::CREATE)?;
        let path = if matches!(flags, 2 | 3 | 6) { Cow::Owned(format!("{path}{:010}", parent.stat.cversion)) } else { path };
        if !path::is_valid(&path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        if self.overlay.record(self.tree, &path).is_some() {
            return Err(ErrorCode::NODE_EXISTS);
        }
        if matches!(self.tree.rules().kind(parent.stat.ephemeral_owner), OwnerKind::Ephemeral(_)) {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        if matches!(self.tree.rules().kind(owner), OwnerKind::Ephemeral(_)) {
            self.check_ephemerals(&path)?;
        }
        self.check_quota(&path, 1, data.as_deref().map_or(0, <[u8]>::len) as i64)?;
        let parent_c_version = self.note_created(&path[..parent_len], &parent, &path, data.as_deref(), &acl, owner);
        let (path, acl) = (Some(path), Some(acl));
        Ok(match op {
            OpCode::CREATE_CONTAINER => (op, Body::CreateContainer(records::CreateContainerTxn { path, data, acl, parent_c_version })),
            OpCode::CREATE_TTL => (op, Body::CreateTtl(records::CreateTtlTxn { path, data, acl, parent_c_version, ttl })),
            _ => {
                let ephemeral = matches!(flags, 1 | 3);
                (op, Body::Create(records::CreateTxn { path, data, acl, ephemeral, parent_c_version }))
            }
        })
    }

    /// The ACL that is stored for the one of the request.
    fn fix_up<'b>(&mut self, acl: Option<Vec<Acl<'b>>>) -> Result<Vec<Acl<'b>>, ErrorCode> {
        let fixed = self.rules.auth.fix_up(acl, self.identities)?;
        let text_bytes = |text: &Option<Cow<'_, str>>| text.as_ref().map_or(0, |text| text.len());
        let bytes: usize = fixed.iter().map(|entry| 12 + text_bytes(&entry.id.scheme) + text_bytes(&entry.id.id)).sum();
        self.acl_bytes_left = self.acl_bytes_left.checked_sub(bytes).ok_or(ErrorCode::INVALID_ACL)?;
        Ok(fixed)
    }

    /// The txn that closes the session must be able to list all its ephemerals.
    fn check_ephemerals(&self, path: &str) -> Result<(), ErrorCode> {
        let applied = self.tree.ephemeral_bytes_of(self.session) as i64;
        let bytes = applied + self.overlay.ephemeral_bytes_of(self.session.0) + listed_bytes(path) as i64;
        if bytes > EPHEMERAL_BYTES_PER_SESSION_MAX as i64 { Err(ErrorCode::QUOTA_EXCEEDED) } else { Ok(()) }
    }

    /// The owner that the new znode will store; checks flags and TTL (`validateCreateRequest`).
    fn owner(&self, op: OpCode, flags: i32, ttl: i64) -> Result<i64, ErrorCode> {
        let is_ttl_flag = match flags {
            0..=4 => false,
            5 | 6 => true,
            _ => return Err(ErrorCode::BAD_ARGUMENTS),
        };
        if is_ttl_flag && !self.tree.rules().extended_types {
            return Err(ErrorCode::UNIMPLEMENTED);
        }
        let ttl_fits = if is_ttl_flag { (1..=TTL_MS_MAX).contains(&ttl) } else { ttl < 0 };
        if !ttl_fits || (op == OpCode::CREATE_TTL && !is_ttl_flag) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        Ok(match op {
            OpCode::CREATE_CONTAINER => CONTAINER_OWNER,
            OpCode::CREATE_TTL => self.tree.rules().ttl_owner(ttl),
            _ if matches!(flags, 1 | 3) => self.session.0,
            _ => 0,
        })
    }

    /// Lays the new znode and its parent's new stat over the tree; gives the parent's new cversion.
    fn note_created(&mut self, parent_path: &str, parent: &Record, path: &str, data: Option<&[u8]>, acl: &[Acl<'_>], owner: i64) -> i32 {
        let zxid = self.zxid;
        let cversion = parent.stat.cversion.wrapping_add(1);
        let stat = StatFields { cversion, pzxid: zxid.0, ..parent.stat };
        let raised = if cversion > parent.stat.cversion { stat } else { parent.stat };
        let new_parent = Record { stat: raised, child_count: parent.child_count + 1, ..parent.clone() };
        self.overlay.put(zxid, parent_path, Some(parent), Some(new_parent));
        let node = Record {
            stat: StatFields::created(zxid.0, self.time_ms, owner),
            child_count: 0,
            acl: self.tree.acls().list_of(acl),
            data_len: data.map_or(0, <[u8]>::len),
            prefix_crc: prefix_crc(path, data),
        };
        self.overlay.put(zxid, path, None, Some(node));
        cversion
    }

    fn delete<'b>(&mut self, request: &DeleteRequest<'b>) -> Prepared<'b> {
        let path = request.path.clone().ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let parent_path = deletable_parent(&path)?;
        let parent = self.existing(parent_path)?;
        self.allowed(&parent, perms::DELETE)?;
        let node = self.existing(&path)?;
        next_version(node.stat.version, request.version)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NOT_EMPTY);
        }
        self.note_deleted(parent_path, &parent, &path, &node);
        Ok((OpCode::DELETE, Body::Delete(records::DeleteTxn { path: Some(path) })))
    }

    fn note_deleted(&mut self, parent_path: &str, parent: &Record, path: &str, node: &Record) {
        let stat = StatFields { pzxid: self.zxid.0.max(parent.stat.pzxid), ..parent.stat };
        let new_parent = Record { stat, child_count: parent.child_count.saturating_sub(1), ..parent.clone() };
        self.overlay.put(self.zxid, parent_path, Some(parent), Some(new_parent));
        self.overlay.put(self.zxid, path, Some(node), None);
    }

    /// The removal of a container or TTL znode that the sweep found; checked again, since it may have changed.
    ///
    /// # Errors
    /// When it is gone, has children, or is neither container nor TTL.
    pub fn delete_container(&mut self, path: &str) -> Prepared<'static> {
        let parent_path = deletable_parent(path)?;
        let node = self.existing(path)?;
        if node.child_count > 0 {
            return Err(ErrorCode::NOT_EMPTY);
        }
        if !matches!(self.tree.rules().kind(node.stat.ephemeral_owner), OwnerKind::Container | OwnerKind::Ttl(_)) {
            return Err(ErrorCode::BAD_VERSION);
        }
        let parent = self.existing(parent_path)?;
        self.note_deleted(parent_path, &parent, path, &node);
        Ok((OpCode::DELETE_CONTAINER, Body::Delete(records::DeleteTxn { path: Some(path.to_owned().into()) })))
    }

    fn set_data<'b>(&mut self, request: SetDataRequest<'b>) -> Prepared<'b> {
        let SetDataRequest { path, data, version } = request;
        let path = path.filter(|path| path::is_valid(path)).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let node = self.existing(&path)?;
        self.allowed(&node, perms::WRITE)?;
        let data_len = data.as_deref().map_or(0, <[u8]>::len);
        self.check_quota(&path, 0, data_len as i64 - node.data_len as i64)?;
        let version = next_version(node.stat.version, version)?;
        let stat = StatFields { version, mzxid: self.zxid.0, mtime: self.time_ms, ..node.stat };
        let changed = Record { stat, data_len, prefix_crc: prefix_crc(&path, data.as_deref()), ..node.clone() };
        self.overlay.put(self.zxid, &path, Some(&node), Some(changed));
        Ok((OpCode::SET_DATA, Body::SetData(records::SetDataTxn { path: Some(path), data, version })))
    }

    /// The txn that makes `text` the configuration. Its version says nothing: it stays -1.
    ///
    /// # Errors
    /// When the client may not write `/zookeeper/config`.
    pub fn configuration<'b>(&mut self, text: String) -> Prepared<'b> {
        let node = self.existing(path::CONFIG)?;
        self.allowed(&node, perms::WRITE)?;
        let stat = StatFields { version: -1, mzxid: self.zxid.0, mtime: self.time_ms, ..node.stat };
        let changed = Record { stat, data_len: text.len(), ..node.clone() };
        self.overlay.put(self.zxid, path::CONFIG, Some(&node), Some(changed));
        let (path, data) = (Some(path::CONFIG.into()), Some(text.into_bytes().into()));
        Ok((OpCode::RECONFIG, Body::SetData(records::SetDataTxn { path, data, version: -1 })))
    }

    fn set_acl<'b>(&mut self, request: SetAclRequest<'b>) -> Prepared<'b> {
        let path = request.path.filter(|path| path::is_valid(path)).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let acl = self.fix_up(request.acl)?;
        let node = self.existing(&path)?;
        self.allowed(&node, perms::ADMIN)?;
        let version = next_version(node.stat.aversion, request.version)?;
        let stat = StatFields { aversion: version, ..node.stat };
        let changed = Record { stat, acl: self.tree.acls().list_of(&acl), ..node.clone() };
        self.overlay.put(self.zxid, &path, Some(&node), Some(changed));
        Ok((OpCode::SET_ACL, Body::SetAcl(records::SetAclTxn { path: Some(path), acl: Some(acl), version })))
    }

    fn check<'b>(&self, request: CheckVersionRequest<'b>) -> Prepared<'b> {
        let path = request.path.filter(|path| path::is_valid(path)).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let node = self.existing(&path)?;
        self.allowed(&node, perms::READ)?;
        let version = next_version(node.stat.version, request.version)?;
        Ok((OpCode::CHECK, Body::Check(records::CheckVersionTxn { path: Some(path), version })))
    }

    /// Ends the session: its applied ephemerals, with those being created and without those being deleted.
    fn close_session(&mut self) -> Body<'static> {
        let mut paths: BTreeSet<String> = self.tree.ephemerals_of(self.session);
        for (path, will_exist) in self.overlay.changes_of(self.session.0) {
            if will_exist {
                paths.insert(path.to_owned());
            } else {
                // Gone; if somebody else made it again, it is theirs.
                paths.remove(path);
            }
        }
        for path in &paths {
            let parent_path = path::split(path).map_or("", |(parent, _)| parent);
            if let (Ok(parent), Ok(node)) = (self.existing(parent_path), self.existing(path)) {
                self.note_deleted(parent_path, &parent, path, &node);
            }
        }
        let paths2_delete = Some(paths.into_iter().map(|path| Some(path.into())).collect());
        Body::CloseSession(self.rules.close_session_txn.then_some(records::CloseSessionTxn { paths2_delete }))
    }

    /// Hard limits refuse, soft ones do not (client-protocol.md §9). Usage and limits are those applied, as in Java.
    fn check_quota(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        if !self.rules.enforce_quota {
            return Ok(());
        }
        let Some((_, limits, usage)) = self.tree.quota_of(path) else { return Ok(()) };
        let exceeds = |change: i64, used: i64, hard_limit: i64| change != 0 && hard_limit > -1 && used + change > hard_limit;
        if exceeds(count, usage.count(), limits.count_hard_limit()) || exceeds(bytes, usage.bytes(), limits.byte_hard_limit()) {
            return Err(ErrorCode::QUOTA_EXCEEDED);
        }
        Ok(())
    }
}

fn failed_multi(count: usize, failed: usize, error: ErrorCode) -> Body<'static> {
    let code = |index: usize| match index.cmp(&failed) {
        std::cmp::Ordering::Less => ErrorCode::OK,
        std::cmp::Ordering::Equal => error,
        std::cmp::Ordering::Greater => ErrorCode::RUNTIME_INCONSISTENCY,
    };
    Body::Multi((0..count).map(|index| (OpCode::ERROR, Body::Error(records::ErrorTxn { err: code(index).0 }))).collect())
}

/// The parent of a path that may be deleted (`getParentPathAndValidate`): not one of the predefined ones.
fn deletable_parent(path: &str) -> Result<&str, ErrorCode> {
    match path::split(path) {
        Some((parent, _)) if !path.contains('\0') && !path::is_special(path) => Ok(parent),
        _ => Err(ErrorCode::BAD_ARGUMENTS),
    }
}

/// The version after the change; -1 always matches.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current { Err(ErrorCode::BAD_VERSION) } else { Ok(current.wrapping_add(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::records::client as requests;
    use crate::proto::records::data::Id;
    use crate::proto::txn::{Txn, TxnHeader};
    use crate::tree::stat::OwnerRules;

    const SESSION: SessionId = SessionId(7);

    /// A tree that txns are applied to, and what is pending over it.
    struct Bench {
        tree: DataTree,
        overlay: Overlay,
        rules: WriteRules,
        zxid: i64,
        may_own_ephemerals: Result<(), ErrorCode>,
        acl_bytes_max: usize,
    }

    impl Bench {
        fn new(rules: WriteRules) -> Self {
            let tree = DataTree::new(1, OwnerRules::default(), true);
            let overlay = Overlay::new(1, tree.digest());
            Self { tree, overlay, rules, zxid: 0, may_own_ephemerals: Ok(()), acl_bytes_max: ACL_BYTES_PER_TXN_MAX }
        }

        fn prepare<'b>(&mut self, session: SessionId, write: Write<'b>) -> Prepared<'b> {
            self.zxid += 1;
            let (tree, overlay, rules, zxid) = (&self.tree, &mut self.overlay, &self.rules, Zxid(self.zxid));
            let (may_own_ephemerals, acl_bytes_left) = (self.may_own_ephemerals, self.acl_bytes_max);
            Prepare { tree, overlay, rules, zxid, time_ms: 1, session, identities: &[], may_own_ephemerals, acl_bytes_left }.write(write)
        }

        fn apply(&mut self, write: Write<'_>) {
            let (kind, body) = self.prepare(SESSION, write).expect("a valid write");
            let header = TxnHeader { client_id: SESSION.0, cxid: 1, zxid: self.zxid, time: 1, type_: kind.0 };
            self.tree.apply(&Txn { header, body, digest: None }, &mut ());
            self.overlay.applied(Zxid(self.zxid), self.tree.digest());
        }
    }

    fn create<'b>(path: &'b str, data: &'b [u8], flags: i32) -> Write<'b> {
        let anyone = Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } };
        let (path, data, acl) = (Some(path.into()), Some(data.into()), Some(vec![anyone]));
        Write::Create(OpCode::CREATE, requests::CreateTtlRequest { path, data, acl, flags, ttl: -1 })
    }

    fn delete(path: &str) -> Write<'_> {
        Write::Delete(requests::DeleteRequest { path: Some(path.into()), version: -1 })
    }

    fn set<'b>(path: &'b str, data: &'b [u8]) -> Write<'b> {
        Write::SetData(requests::SetDataRequest { path: Some(path.into()), data: Some(data.into()), version: -1 })
    }

    #[test]
    fn a_closing_session_leaves_what_others_made_again() {
        let mut bench = Bench::new(WriteRules { close_session_txn: true, ..WriteRules::default() });
        for path in ["/mine", "/now-persistent", "/now-of-another", "/gone"] {
            bench.apply(create(path, b"", 1));
        }
        for path in ["/now-persistent", "/now-of-another", "/gone"] {
            bench.prepare(SESSION, delete(path)).expect("a leaf");
        }
        bench.prepare(SESSION, create("/now-persistent", b"", 0)).expect("free");
        bench.prepare(SessionId(8), create("/now-of-another", b"", 1)).expect("free");
        bench.prepare(SESSION, create("/pending", b"", 1)).expect("free");
        let Ok((_, Body::CloseSession(Some(close)))) = bench.prepare(SESSION, Write::CloseSession) else { panic!("a close txn") };
        assert_eq!(close.paths2_delete, Some(vec![Some("/mine".into()), Some("/pending".into())]));
    }

    #[test]
    fn the_ephemerals_of_a_session_have_a_limit() {
        let mut bench = Bench::new(WriteRules::default());
        let name = |first: char, len: usize| format!("/{first}{}", "x".repeat(len - 2));
        for first in 'a'..='g' {
            bench.apply(create(&name(first, EPHEMERAL_BYTES_PER_SESSION_MAX / 8 - 4), b"", 1));
        }
        let last = name('h', EPHEMERAL_BYTES_PER_SESSION_MAX / 8 - 4);
        bench.prepare(SESSION, create(&last, b"", 1)).expect("at the limit");
        assert_eq!(bench.prepare(SESSION, create("/q", b"", 1)), Err(ErrorCode::QUOTA_EXCEEDED), "what is pending counts");
        assert!(bench.prepare(SessionId(8), create("/q", b"", 1)).is_ok() && bench.prepare(SESSION, create("/r", b"", 0)).is_ok());
        bench.prepare(SESSION, delete(&last)).expect("it is there");
        bench.apply(create("/s", b"", 1));
        bench.apply(create(&name('i', EPHEMERAL_BYTES_PER_SESSION_MAX / 8 - 10), b"", 1));
        assert_eq!(bench.tree.ephemeral_bytes_of(SESSION), EPHEMERAL_BYTES_PER_SESSION_MAX);
        assert_eq!(bench.prepare(SESSION, create("/t", b"", 1)), Err(ErrorCode::QUOTA_EXCEEDED), "what is applied counts");
    }

    /// Flags are looked at before, the path and all else behind (`PrepRequestProcessor.validateCreateRequest`).
    #[test]
    fn whoever_may_own_no_ephemerals_is_told_so_first() {
        let refusal = ErrorCode::EPHEMERAL_ON_LOCAL_SESSION;
        let mut bench = Bench { may_own_ephemerals: Err(refusal), ..Bench::new(WriteRules::default()) };
        assert_eq!(bench.prepare(SESSION, create("/a", b"", 9)), Err(ErrorCode::BAD_ARGUMENTS));
        for (path, flags) in [("/a", 1), ("/a", 3), ("no path", 1), ("/missing/a", 3)] {
            assert_eq!(bench.prepare(SESSION, create(path, b"", flags)), Err(refusal), "{path} {flags}");
        }
        bench.prepare(SESSION, create("/a", b"", 0)).expect("it is none");
        let multi = Write::Multi(vec![create("/b", b"", 0), create("/c", b"", 1), create("/d", b"", 0)]);
        let error = |err: ErrorCode| (OpCode::ERROR, Body::Error(records::ErrorTxn { err: err.0 }));
        let failed = [ErrorCode::OK, refusal, ErrorCode::RUNTIME_INCONSISTENCY].map(error);
        assert_eq!(bench.prepare(SESSION, multi), Ok((OpCode::MULTI, Body::Multi(failed.to_vec()))));
        bench.prepare(SESSION, create("/b", b"", 0)).expect("the multi left nothing pending");
    }

    #[test]
    fn the_acls_of_a_request_have_a_limit() {
        let mut bench = Bench { acl_bytes_max: acl_bytes_max(1), ..Bench::new(WriteRules::default()) };
        // Each entry is an eighth of the limit, with the 12 bytes of its numbers and lengths.
        let id = |index: usize| format!("{index}:{}", "x".repeat(ACL_BYTES_PER_TXN_FREE / 8 - 12 - "digest1:".len()));
        let acl = |count: usize| {
            let entry = |index| Acl { perms: 31, id: Id { scheme: Some("digest".into()), id: Some(id(index).into()) } };
            Some((1..=count).map(entry).collect::<Vec<_>>())
        };
        let op = |path: &'static str, count| {
            let request = requests::CreateTtlRequest { path: Some(path.into()), data: None, acl: acl(count), flags: 0, ttl: -1 };
            Write::Create(OpCode::CREATE, request)
        };
        let at_the_limit = bench.prepare(SESSION, Write::Multi(vec![op("/a", 4), op("/b", 4)])).expect("a multi").1;
        assert!(matches!(at_the_limit, Body::Multi(ops) if ops[1].0 == OpCode::CREATE));
        let beyond = bench.prepare(SESSION, Write::Multi(vec![op("/c", 4), op("/d", 5)])).expect("a failed multi").1;
        let error = |err: ErrorCode| (OpCode::ERROR, Body::Error(records::ErrorTxn { err: err.0 }));
        assert_eq!(beyond, Body::Multi(vec![error(ErrorCode::OK), error(ErrorCode::INVALID_ACL)]));
    }

    #[test]
    fn long_requests_may_store_longer_acls() {
        assert_eq!(acl_bytes_max(ACL_BYTES_PER_TXN_FREE / 4), ACL_BYTES_PER_TXN_FREE);
        assert_eq!(acl_bytes_max(ACL_BYTES_PER_TXN_FREE), ACL_BYTES_PER_TXN_FREE * 4);
        assert_eq!(acl_bytes_max(usize::MAX), ACL_BYTES_PER_TXN_MAX);
    }

    #[test]
    fn a_quota_compares_with_the_data_that_is_pending() {
        let mut bench = Bench::new(WriteRules { enforce_quota: true, ..WriteRules::default() });
        bench.apply(create("/a", b"12345", 0));
        bench.apply(create("/zookeeper/quota/a", b"", 0));
        bench.apply(create("/zookeeper/quota/a/zookeeper_limits", b"count=-1,bytes=-1=;byteHardLimit=6", 0));
        bench.apply(create("/zookeeper/quota/a/zookeeper_stats", b"", 0));
        assert_eq!(bench.prepare(SESSION, set("/a", b"1234567")), Err(ErrorCode::QUOTA_EXCEEDED));
        assert!(bench.prepare(SESSION, set("/a", b"")).is_ok());
        // Usage is what is applied, 5 bytes; the change counts from the empty data that is pending.
        assert_eq!(bench.prepare(SESSION, set("/a", b"12")), Err(ErrorCode::QUOTA_EXCEEDED));
        assert!(bench.prepare(SESSION, set("/a", b"1")).is_ok());
    }
}
