//! Reads: answered from the applied tree, with the watches that they set (client-protocol.md §2.4, §2.8, §6).
//!
//! The caller holds the tree's lock over the read, the registration of its watch and the queueing of the reply.

use std::borrow::Cow;

use jute::{Decode, DecodeError, Encode, Reader, writer};

use super::auth::user_name;
use super::decode;
use crate::ids::{SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::limits::{MULTI_OPS_MAX, MULTI_READ_REPLY_BYTES_MAX};
use crate::proto::op_code::OpCode;
use crate::proto::records::client as records;
use crate::proto::reply::{PING_XID, encode_frame, encode_header};
use crate::tree::acl::{Identity, perms};
use crate::tree::data_tree::DataTree;
use crate::tree::snapshot_walk::acl_records;
use crate::tree::store::NodeId;
use crate::tree::watch::{EventType, WatchAccess, Watcher, modes};

/// The zxid of events that setWatches makes up for what the client missed.
const CATCH_UP_ZXID: Zxid = Zxid(-1);
/// `KeeperState.SyncConnected`, the only state a server sends.
const SYNC_CONNECTED: i32 = 3;

/// What a watch on a null path is kept under: Java keeps it too, and nothing ever happens there.
const NULL_PATH: &str = "\0";

/// The paths of one kind of watch in setWatches.
type Paths<'a> = Option<Vec<Option<Cow<'a, str>>>>;

/// What a stat adds to the bytes of a read, as Java reckons them (`DataTree.STAT_OVERHEAD_BYTES`).
const STAT_BYTES: usize = 6 * 8 + 5 * 4;

/// Is told how much was read where.
pub trait Traffic {
    /// A read of this znode found so many bytes: path, data or names of children, and stat.
    fn read(&mut self, path: &str, bytes: usize);
}

/// What a read sees and who asks.
pub struct ReadContext<'a> {
    /// The applied tree, locked.
    tree: &'a DataTree,
    /// The watches.
    watches: WatchAccess<'a>,
    /// The connection that asks, as a watcher.
    watcher: Watcher,
    /// Its session.
    session: SessionId,
    /// Its identities at the time of the request.
    identities: &'a [Identity],
    /// `skipACL`: no permission is checked.
    skip_acl: bool,
    has_too_many_watches: bool,
    traffic: Option<&'a mut dyn Traffic>,
}

/// What the connection does after a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// It goes on.
    Continue,
    /// It is closed: a limit is exceeded.
    Close,
}

/// Why there is no ordinary reply.
enum Failure {
    Code(ErrorCode),
    /// Undecodable, or something that Java runs into: MARSHALLINGERROR.
    Undecodable,
    /// MARSHALLINGERROR, yet with what was built of the multi before it broke off.
    BrokenMulti(Vec<u8>),
}

impl From<DecodeError> for Failure {
    fn from(_: DecodeError) -> Self {
        Self::Undecodable
    }
}

impl From<ErrorCode> for Failure {
    fn from(error: ErrorCode) -> Self {
        Self::Code(error)
    }
}

/// Appends a watch event.
pub fn encode_event(out: &mut Vec<u8>, zxid: Zxid, event: EventType, path: &str) {
    encode_frame(out, crate::proto::reply::NOTIFICATION_XID, zxid, ErrorCode::OK, |out| {
        (event as i32).encode(out);
        SYNC_CONNECTED.encode(out);
        writer::write_ustring(out, Some(path));
    });
}

impl<'a> ReadContext<'a> {
    /// A read of `watcher`'s `session` by `identities`, the client's at the time of the request. `skip_acl` is the setting.
    #[must_use]
    pub fn new(
        tree: &'a DataTree,
        watches: WatchAccess<'a>,
        (watcher, session): (Watcher, SessionId),
        identities: &'a [Identity],
        skip_acl: bool,
    ) -> Self {
        Self { tree, watches, watcher, session, identities, skip_acl, has_too_many_watches: false, traffic: None }
    }

    /// The same, and `traffic` is told what is read.
    #[must_use]
    pub fn telling(self, traffic: &'a mut dyn Traffic) -> Self {
        Self { traffic: Some(traffic), ..self }
    }

    fn tell(&mut self, path: &str, bytes: usize) {
        if let Some(traffic) = &mut self.traffic {
            traffic.read(path, path.len() + bytes + STAT_BYTES);
        }
    }

    /// Appends the answer to one read to `out`, events of setWatches before it.
    pub fn answer(&mut self, xid: i32, op: OpCode, body: &[u8], out: &mut Vec<u8>) -> After {
        let zxid = self.tree.last_zxid();
        if op == OpCode::PING {
            encode_header(out, PING_XID, zxid, ErrorCode::OK);
            return After::Continue;
        }
        let start = out.len();
        let mut result = Ok(());
        let mut events = Vec::new();
        encode_frame(out, xid, zxid, ErrorCode::OK, |out| result = self.answer_body(op, body, out, &mut events));
        if result.is_err() {
            out.truncate(start);
        }
        if !events.is_empty() {
            out.splice(start..start, events);
        }
        if let Err(failure) = result {
            match failure {
                Failure::Code(code) => encode_header(out, xid, zxid, code),
                Failure::Undecodable => encode_header(out, xid, zxid, ErrorCode::MARSHALLING_ERROR),
                Failure::BrokenMulti(built) => {
                    encode_frame(out, xid, zxid, ErrorCode::MARSHALLING_ERROR, |out| out.extend_from_slice(&built));
                }
            }
        }
        if self.has_too_many_watches { After::Close } else { After::Continue }
    }

    fn answer_body(&mut self, op: OpCode, body: &[u8], out: &mut Vec<u8>, events: &mut Vec<u8>) -> Result<(), Failure> {
        let mut reader = Reader::new(body);
        let reader = &mut reader;
        match op {
            OpCode::GET_DATA => self.get_data(reader, out),
            OpCode::EXISTS => self.exists(reader, out),
            OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 => self.get_children(op, reader, out),
            OpCode::GET_ACL => self.get_acl(reader, out),
            OpCode::GET_EPHEMERALS => self.get_ephemerals(reader, out),
            OpCode::GET_ALL_CHILDREN_NUMBER => self.get_all_children_number(reader, out),
            OpCode::WHO_AM_I => {
                self.who_am_i(out);
                Ok(())
            }
            OpCode::ADD_WATCH => self.add_watch(reader, out),
            OpCode::CHECK_WATCHES | OpCode::REMOVE_WATCHES => self.check_or_remove_watches(op, reader),
            OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => self.set_watches(op, reader, events),
            OpCode::MULTI_READ => self.multi_read(reader, out),
            _ => Err(Failure::Undecodable),
        }
    }

    fn readable(&self, id: NodeId, wanted: i32) -> Result<NodeId, ErrorCode> {
        if self.skip_acl || self.tree.acl(id).allows(wanted, self.identities) { Ok(id) } else { Err(ErrorCode::NO_AUTH) }
    }

    fn node(&self, path: &str, wanted: i32) -> Result<NodeId, ErrorCode> {
        self.tree.find(path).ok_or(ErrorCode::NO_NODE).and_then(|id| self.readable(id, wanted))
    }

    fn watch(&mut self, path: &str, added: u8) {
        self.has_too_many_watches |= self.watches.with(|watches| {
            watches.add(self.watcher, path, added);
            watches.is_beyond_limits(self.watcher)
        });
    }

    fn get_data(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let (path, watch) = path_and_watch(reader)?;
        let id = self.node(&path, perms::READ)?;
        if watch {
            self.watch(&path, modes::DATA);
        }
        let data = self.tree.data(id);
        writer::write_buffer(out, data);
        self.tree.stat(id).encode(out);
        self.tell(&path, data.map_or(0, <[u8]>::len));
        Ok(())
    }

    fn exists(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let (path, watch) = path_and_watch(reader)?;
        if path.contains('\0') {
            return Err(ErrorCode::BAD_ARGUMENTS.into());
        }
        let found = self.tree.find(&path).map(|id| self.readable(id, perms::READ)).transpose()?;
        if watch {
            self.watch(&path, modes::DATA);
        }
        self.tree.stat(found.ok_or(ErrorCode::NO_NODE)?).encode(out);
        self.tell(&path, 0);
        Ok(())
    }

    fn get_children(&mut self, op: OpCode, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let (path, watch) = path_and_watch(reader)?;
        let id = self.node(&path, perms::READ)?;
        if watch {
            self.watch(&path, modes::CHILD);
        }
        let names_bytes = self.encode_children(id, out);
        if op == OpCode::GET_CHILDREN2 {
            self.tree.stat(id).encode(out);
        }
        self.tell(&path, names_bytes);
        Ok(())
    }

    /// Gives the bytes of all names.
    fn encode_children(&self, id: NodeId, out: &mut Vec<u8>) -> usize {
        let mut names_bytes = 0;
        (self.tree.child_count(id) as i32).encode(out);
        for name in self.tree.child_names(id) {
            names_bytes += name.len();
            writer::write_ustring(out, Some(name));
        }
        names_bytes
    }

    fn get_acl(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let path = records::GetAclRequest::decode(reader)?.path.ok_or(Failure::Undecodable)?;
        let id = self.node(&path, perms::READ | perms::ADMIN)?;
        let list = self.tree.acl(id);
        let mut records = acl_records(list);
        if !self.skip_acl && !list.allows(perms::ADMIN, self.identities) {
            for id in records.iter_mut().map(|record| &mut record.id).filter(|id| id.scheme.as_deref() == Some("digest")) {
                id.id = id.id.take().map(|id| mask(&id).into());
            }
        }
        Some(records).encode(out);
        self.tree.stat(id).encode(out);
        Ok(())
    }

    fn get_ephemerals(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let prefix = records::GetEphemeralsRequest::decode(reader)?.prefix_path.unwrap_or_default();
        let all = matches!(prefix.trim(), "" | "/");
        let owned = self.tree.ephemerals_of(self.session);
        let found: Vec<&String> = owned.iter().filter(|path| all || path.starts_with(&*prefix)).collect();
        (found.len() as i32).encode(out);
        for path in found {
            writer::write_ustring(out, Some(path));
        }
        Ok(())
    }

    fn get_all_children_number(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let path = records::GetAllChildrenNumberRequest::decode(reader)?.path.ok_or(Failure::Undecodable)?;
        let id = self.node(&path, perms::READ)?;
        // Java counts the keys that begin with "path/": for "" that takes in "/" itself.
        (self.tree.descendant_count(id) as i32 + i32::from(path.is_empty())).encode(out);
        Ok(())
    }

    fn who_am_i(&self, out: &mut Vec<u8>) {
        (self.identities.len() as i32).encode(out);
        for identity in self.identities {
            writer::write_ustring(out, Some(&identity.scheme));
            writer::write_ustring(out, Some(user_name(identity)));
        }
    }

    fn add_watch(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let request = records::AddWatchRequest::decode(reader)?;
        let mode = match request.mode {
            0 => modes::PERSISTENT,
            1 => modes::RECURSIVE,
            _ => return Err(Failure::Undecodable),
        };
        self.watch(request.path.as_deref().unwrap_or(NULL_PATH), mode);
        0_i32.encode(out);
        Ok(())
    }

    fn check_or_remove_watches(&mut self, op: OpCode, reader: &mut Reader<'_>) -> Result<(), Failure> {
        let request = records::CheckWatchesRequest::decode(reader)?;
        let wanted = match request.type_ {
            1 => modes::CHILD,
            2 => modes::DATA,
            3 => u8::MAX,
            4 => modes::PERSISTENT,
            5 => modes::RECURSIVE,
            _ => return Err(Failure::Undecodable),
        };
        let path = request.path.as_deref().unwrap_or(NULL_PATH);
        let watcher = self.watcher;
        self.watches.with(|watches| {
            if watches.modes(watcher, path) & wanted == 0 {
                return Err(ErrorCode::NO_WATCHER.into());
            }
            if op == OpCode::REMOVE_WATCHES {
                watches.remove(watcher, path, wanted);
            }
            Ok(())
        })
    }

    /// Registers again what a client held before it reconnected; what it missed is sent first (client-protocol.md §6.6).
    /// They go to `events`, which the caller puts in front of the reply. At a null Java breaks off: what was done before it stands.
    fn set_watches(&mut self, op: OpCode, reader: &mut Reader<'_>, events: &mut Vec<u8>) -> Result<(), Failure> {
        let request = records::SetWatches::decode(reader)?;
        let (persistent, recursive): (Paths<'_>, Paths<'_>) = match op {
            OpCode::SET_WATCHES2 => (Decode::decode(reader)?, Decode::decode(reader)?),
            _ => (Some(Vec::new()), Some(Vec::new())),
        };
        for path in request.data_watches.ok_or(Failure::Undecodable)? {
            self.catch_up(&path.ok_or(Failure::Undecodable)?, modes::DATA, request.relative_zxid, events);
        }
        for path in request.exist_watches.ok_or(Failure::Undecodable)? {
            self.catch_up_exist(&path.ok_or(Failure::Undecodable)?, events);
        }
        for path in request.child_watches.ok_or(Failure::Undecodable)? {
            self.catch_up(&path.ok_or(Failure::Undecodable)?, modes::CHILD, request.relative_zxid, events);
        }
        for path in persistent.ok_or(Failure::Undecodable)? {
            self.watch(path.as_deref().unwrap_or(NULL_PATH), modes::PERSISTENT);
        }
        for path in recursive.ok_or(Failure::Undecodable)? {
            self.watch(path.as_deref().unwrap_or(NULL_PATH), modes::RECURSIVE);
        }
        Ok(())
    }

    fn catch_up(&mut self, path: &str, mode: u8, relative_zxid: i64, events: &mut Vec<u8>) {
        let Some(id) = self.tree.find(path) else {
            encode_event(events, CATCH_UP_ZXID, EventType::NodeDeleted, path);
            return;
        };
        let stat = self.tree.stat_fields(id);
        let (changed, event) = match mode {
            modes::DATA => (stat.mzxid, EventType::NodeDataChanged),
            _ => (stat.pzxid, EventType::NodeChildrenChanged),
        };
        if changed > relative_zxid {
            self.send_if_readable(id, event, path, events);
        } else {
            self.watch(path, mode);
        }
    }

    fn catch_up_exist(&mut self, path: &str, events: &mut Vec<u8>) {
        match self.tree.find(path) {
            Some(id) => self.send_if_readable(id, EventType::NodeCreated, path, events),
            None => self.watch(path, modes::DATA),
        }
    }

    /// 3.9.6 sends a catch-up event only to who may read the znode now.
    fn send_if_readable(&self, id: NodeId, event: EventType, path: &str, events: &mut Vec<u8>) {
        if self.readable(id, perms::READ).is_ok() {
            encode_event(events, CATCH_UP_ZXID, event, path);
        }
    }

    /// Several reads; each fails for itself (client-protocol.md §2.8).
    fn multi_read(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Failure> {
        let mut reads = Vec::new();
        let mut writes = 0_usize;
        loop {
            let header = records::MultiHeader::decode(reader)?;
            if header.done {
                break;
            }
            match OpCode(header.type_) {
                op @ (OpCode::GET_DATA | OpCode::GET_CHILDREN) => reads.push((op, records::GetDataRequest::decode(reader)?.path)),
                op => {
                    decode::skip_in_multi(op, reader).map_err(|_| Failure::Undecodable)?;
                    writes += 1;
                }
            }
            if reads.len() + writes > MULTI_OPS_MAX || (writes > 0 && !reads.is_empty()) {
                return Err(Failure::Undecodable);
            }
        }
        let mut built = Vec::new();
        for (op, path) in &reads {
            let Some(path) = path else { return Err(broken_multi(built)) };
            self.read_in_multi(*op, path, &mut built);
            if built.len() > MULTI_READ_REPLY_BYTES_MAX {
                return Err(Failure::Undecodable);
            }
        }
        if writes > 0 {
            return Err(broken_multi(built));
        }
        out.extend_from_slice(&built);
        MULTI_END.encode(out);
        Ok(())
    }

    fn read_in_multi(&mut self, op: OpCode, path: &str, out: &mut Vec<u8>) {
        match self.node(path, perms::READ) {
            Err(error) => {
                records::MultiHeader { type_: -1, done: false, err: error.0 }.encode(out);
                error.0.encode(out);
            }
            Ok(id) => {
                records::MultiHeader { type_: op.0, done: false, err: 0 }.encode(out);
                let found_bytes = if op == OpCode::GET_DATA {
                    let data = self.tree.data(id);
                    writer::write_buffer(out, data);
                    self.tree.stat(id).encode(out);
                    data.map_or(0, <[u8]>::len)
                } else {
                    self.encode_children(id, out)
                };
                self.tell(path, found_bytes);
            }
        }
    }
}

const MULTI_END: records::MultiHeader = records::MultiHeader { type_: -1, done: true, err: -1 };

/// What was built so far, ended as a multi ends.
fn broken_multi(mut built: Vec<u8>) -> Failure {
    MULTI_END.encode(&mut built);
    Failure::BrokenMulti(built)
}

/// The common form of reads with a path; a null path is answered as undecodable.
fn path_and_watch<'a>(reader: &mut Reader<'a>) -> Result<(Cow<'a, str>, bool), Failure> {
    let request = records::GetDataRequest::decode(reader)?;
    Ok((request.path.ok_or(Failure::Undecodable)?, request.watch))
}

/// The id of a digest with the hash hidden, for callers that may not administer the znode.
fn mask(id: &str) -> String {
    match id.split_once(':') {
        Some((user, _)) => format!("{user}:x"),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::stat::OwnerRules;
    use crate::tree::watch::WatchTable;

    fn answer(op: OpCode, body: &[u8], watches: &mut WatchTable) -> Vec<u8> {
        let tree = DataTree::new(1, OwnerRules::default(), true);
        let mut out = Vec::new();
        let mut context = ReadContext::new(&tree, WatchAccess::Held(watches), (1, SessionId(1)), &[], false);
        assert_eq!(context.answer(7, op, body, &mut out), After::Continue);
        out
    }

    fn error(frame: &[u8]) -> i32 {
        i32::from_be_bytes(frame[16..20].try_into().expect("a whole header"))
    }

    #[test]
    fn exists_watches_a_missing_znode_and_get_data_does_not() {
        let mut watches = WatchTable::new(1);
        let body = records::GetDataRequest { path: Some("/x".into()), watch: true }.to_vec();
        assert_eq!(error(&answer(OpCode::GET_DATA, &body, &mut watches)), -101);
        assert_eq!(watches.total(), 0);
        assert_eq!(error(&answer(OpCode::EXISTS, &body, &mut watches)), -101);
        assert_eq!(watches.modes(1, "/x"), modes::DATA);
    }

    #[test]
    fn undecodable_bodies_and_odd_modes_are_marshalling_errors() {
        let mut watches = WatchTable::new(1);
        for op in [3, 4, 6, 8, 9, 12, 17, 18, 22, 101, 103, 104, 105, 106] {
            assert_eq!(error(&answer(OpCode(op), &[0, 0, 0], &mut watches)), -5, "op {op}");
        }
        let odd = records::AddWatchRequest { path: Some("/x".into()), mode: 2 }.to_vec();
        assert_eq!(error(&answer(OpCode::ADD_WATCH, &odd, &mut watches)), -5);
    }

    #[test]
    fn a_multi_read_has_a_limit_of_ops() {
        let children = |path: &'static str, count: usize| {
            let mut one = records::MultiHeader { type_: OpCode::GET_CHILDREN.0, done: false, err: -1 }.to_vec();
            records::GetDataRequest { path: Some(path.into()), watch: false }.encode(&mut one);
            [one.repeat(count), records::MultiHeader { type_: -1, done: true, err: -1 }.to_vec()].concat()
        };
        let mut watches = WatchTable::new(1);
        let mut read = |path, count| answer(OpCode::MULTI_READ, &children(path, count), &mut watches);
        assert_eq!((error(&read("/x", MULTI_OPS_MAX)), error(&read("/x", MULTI_OPS_MAX + 1))), (0, -5));
    }

    #[test]
    fn catch_up_events_come_before_the_reply() {
        let mut watches = WatchTable::new(1);
        let request = records::SetWatches {
            relative_zxid: 0,
            data_watches: Some(vec![Some("/gone".into())]),
            exist_watches: Some(vec![Some("/zookeeper".into())]),
            child_watches: Some(vec![Some("/".into())]),
        };
        let out = answer(OpCode::SET_WATCHES, &request.to_vec(), &mut watches);
        let xid = |at: usize| i32::from_be_bytes(out[at + 4..at + 8].try_into().expect("whole"));
        let length = |at: usize| 4 + u32::from_be_bytes(out[at..at + 4].try_into().expect("whole")) as usize;
        let second = length(0);
        let third = second + length(second);
        assert_eq!((xid(0), xid(second), xid(third), third + length(third)), (-1, -1, 7, out.len()));
        assert_eq!(watches.modes(1, "/"), modes::CHILD);
    }

    #[test]
    fn a_null_in_set_watches_ends_it_there() {
        let mut watches = WatchTable::new(1);
        let request = records::SetWatches {
            relative_zxid: 5,
            data_watches: Some(vec![Some("/gone".into()), Some("/zookeeper".into())]),
            exist_watches: Some(vec![None, Some("/later".into())]),
            child_watches: Some(vec![]),
        };
        let out = answer(OpCode::SET_WATCHES, &request.to_vec(), &mut watches);
        let event_length = 4 + u32::from_be_bytes(out[..4].try_into().expect("whole")) as usize;
        assert_eq!((error(&out[event_length..]), out.len()), (-5, event_length + 20));
        assert_eq!((watches.modes(1, "/zookeeper"), watches.modes(1, "/later")), (modes::DATA, 0));
    }

    #[test]
    fn a_write_in_a_multi_read_leaves_an_empty_list() {
        let mut body = records::MultiHeader { type_: 2, done: false, err: -1 }.to_vec();
        records::DeleteRequest { path: Some("/x".into()), version: -1 }.encode(&mut body);
        MULTI_END.encode(&mut body);
        let out = answer(OpCode::MULTI_READ, &body, &mut WatchTable::new(1));
        assert_eq!((error(&out), out.len()), (-5, 20 + 9));
    }
}
