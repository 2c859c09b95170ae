//! What must hold of a tree at any moment, worked out from nothing but its znodes.

use jute::{Decode, Encode, Reader};
use paddock::proto::records::client::{CreateRequest, MultiHeader, SetDataRequest};
use paddock::proto::records::data::{Acl, Id};
use paddock::tree::data_tree::DataTree;
use paddock::tree::digest::{node_digest, prefix_crc};
use paddock::tree::path::is_excluded_from_digest;

/// Counts and digest of a tree equal what its znodes add up to.
///
/// # Panics
/// When they do not.
pub fn tree(tree: &DataTree) {
    let (mut digest, mut count, mut data_bytes) = (0_u64, 0, 0_u64);
    let mut pending = vec![String::new()];
    while let Some(path) = pending.pop() {
        let id = tree.find(&path).expect("a listed child is found");
        let data = tree.data(id);
        let crc = prefix_crc(&path, data);
        assert_eq!(tree.prefix_crc(id), crc, "the kept checksum of {path:?}");
        if !is_excluded_from_digest(&path) {
            digest = digest.wrapping_add(node_digest(crc, &tree.stat_fields(id)));
        }
        count += 1;
        data_bytes += (path.len() + data.map_or(0, <[u8]>::len)) as u64;
        let names: Vec<String> = tree.child_names(id).map(|name| format!("{path}/{name}")).collect();
        assert_eq!(names.len(), tree.child_count(id) as usize, "children of {path:?}");
        let _ = tree.acl(id);
        pending.extend(names);
    }
    assert_eq!(tree.node_count(), count + 1, "Java counts the root twice");
    if tree.digest_enabled() {
        assert_eq!(tree.digest(), digest, "the digest is the sum of all znodes");
    }
    let _ = data_bytes;
}

/// The frames that an output consists of: xid, zxid, error and body of each.
///
/// # Panics
/// When the bytes are not whole frames.
#[must_use]
pub fn frames(mut bytes: &[u8]) -> Vec<(i32, i64, i32, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>().expect("a whole length");
        let length = u32::from_be_bytes(*length) as usize;
        assert!((16..=rest.len()).contains(&length), "a frame of {length} bytes in {}", rest.len());
        let (frame, rest) = rest.split_at(length);
        let mut reader = Reader::new(frame);
        let header = paddock::proto::records::client::ReplyHeader::decode(&mut reader).expect("a whole header");
        found.push((header.xid, header.zxid, header.err, reader.rest()));
        bytes = rest;
    }
    found
}

/// `world:anyone` with all permissions.
#[must_use]
pub fn open_acl() -> Option<Vec<Acl<'static>>> {
    Some(vec![Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } }])
}

/// The body of a create.
#[must_use]
pub fn create(path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    CreateRequest { path: Some(path.into()), data: Some(data.into()), acl: open_acl(), flags }.to_vec()
}

/// The body of a setData of any version.
#[must_use]
pub fn set_data(path: &str, data: &[u8]) -> Vec<u8> {
    SetDataRequest { path: Some(path.into()), data: Some(data.into()), version: -1 }.to_vec()
}

/// The body of a multi of these ops.
#[must_use]
pub fn multi(ops: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, body) in ops {
        MultiHeader { type_: *kind, done: false, err: -1 }.encode(&mut out);
        out.extend_from_slice(body);
    }
    MultiHeader { type_: -1, done: true, err: -1 }.encode(&mut out);
    out
}
