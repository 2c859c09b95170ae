//! ACLs: interned lists, and the check of a permission against the identities of a connection (client-protocol.md §8).

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::proto::records::data::Acl;

/// Permission bits of an ACL entry.
pub mod perms {
    /// Read data and list children.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the ACL.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// The name of an interned ACL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AclId(pub u32);

impl AclId {
    /// World, all permissions: what the server itself creates nodes with. Stored as -1 and never part of a snapshot's ACL map.
    pub const OPEN: Self = Self(u32::MAX);

    /// The number in a snapshot (`ReferenceCountedACLCache`).
    #[must_use]
    pub fn to_disk(self) -> i64 {
        if self == Self::OPEN { -1 } else { i64::from(self.0) }
    }

    /// The id for the number in a snapshot; `None` if it cannot be one.
    #[must_use]
    pub fn from_disk(id: i64) -> Option<Self> {
        if id == -1 { Some(Self::OPEN) } else { u32::try_from(id).ok().filter(|&id| id != u32::MAX).map(Self) }
    }
}

/// Who somebody is, or who is allowed: a scheme and an id in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Identity {
    /// "world", "ip", "digest", "super", ...
    pub scheme: String,
    /// The id in the scheme's own syntax.
    pub id: String,
}

impl Identity {
    /// An identity from its two parts.
    #[must_use]
    pub fn new(scheme: &str, id: &str) -> Self {
        Self { scheme: scheme.to_owned(), id: id.to_owned() }
    }
}

/// One entry of an ACL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AclEntry {
    /// Permission bits, stored as they came.
    pub perms: i32,
    /// Whom it allows.
    pub who: Identity,
}

impl AclEntry {
    /// The entry that a record stands for; null is the empty text.
    #[must_use]
    pub fn from_record(record: &Acl<'_>) -> Self {
        let who = Identity::new(record.id.scheme.as_deref().unwrap_or_default(), record.id.id.as_deref().unwrap_or_default());
        Self { perms: record.perms, who }
    }

    fn is_of(&self, record: &Acl<'_>) -> bool {
        self.perms == record.perms
            && self.who.scheme == record.id.scheme.as_deref().unwrap_or_default()
            && self.who.id == record.id.id.as_deref().unwrap_or_default()
    }
}

/// A whole ACL, with what `world:anyone` may do worked out once. A long list is asked by clients with many identities, and for each
/// watcher of a znode, under the tree's lock: nothing may look at every pair of them.
#[derive(Debug, PartialEq, Eq)]
pub struct AclList {
    entries: Vec<AclEntry>,
    world_perms: i32,
    /// The entries of the digest scheme, by the hash of their id.
    digests: Box<[(u64, u32)]>,
    networks: Box<[Network]>,
}

/// An entry of the ip scheme.
#[derive(Debug, PartialEq, Eq)]
struct Network {
    perms: i32,
    address: IpAddr,
    bits: u32,
}

impl AclList {
    /// A list of entries, in their order.
    #[must_use]
    pub fn new(entries: Vec<AclEntry>) -> Self {
        let world = entries.iter().filter(|entry| entry.who.scheme == "world" && entry.who.id == "anyone");
        let world_perms = world.fold(0, |all, entry| all | entry.perms);
        let of_digest = (0..).zip(&entries).filter(|(_, entry)| entry.who.scheme == "digest");
        let mut digests: Box<[(u64, u32)]> = of_digest.map(|(at, entry)| (hash_of(&entry.who.id), at)).collect();
        digests.sort_unstable();
        let network = |entry: &AclEntry| {
            let (address, bits) = parse_ip_pattern(&entry.who.id)?;
            Some(Network { perms: entry.perms, address, bits })
        };
        let networks = entries.iter().filter(|entry| entry.who.scheme == "ip").filter_map(network).collect();
        Self { entries, world_perms, digests, networks }
    }

    fn is_of(&self, records: &[Acl<'_>]) -> bool {
        self.entries.len() == records.len() && self.entries.iter().zip(records).all(|(entry, record)| entry.is_of(record))
    }

    /// The entries in their order.
    #[must_use]
    pub fn entries(&self) -> &[AclEntry] {
        &self.entries
    }

    /// Whether one of `identities` has *any* of the bits of `wanted` (`ZooKeeperServer.checkACL`). An empty list allows all.
    #[must_use]
    pub fn allows(&self, wanted: i32, identities: &[Identity]) -> bool {
        self.world_perms & wanted != 0 || self.entries.is_empty() || identities.iter().any(|identity| self.allows_one(wanted, identity))
    }

    fn allows_one(&self, wanted: i32, identity: &Identity) -> bool {
        match identity.scheme.as_str() {
            "super" => true,
            "digest" => self.allows_digest(wanted, &identity.id),
            "ip" if !self.networks.is_empty() => identity.id.parse().is_ok_and(|address| self.allows_address(wanted, address)),
            _ => false,
        }
    }

    fn allows_digest(&self, wanted: i32, id: &str) -> bool {
        if self.digests.is_empty() {
            return false;
        }
        let hash = hash_of(id);
        let first = self.digests.partition_point(|&(other, _)| other < hash);
        let same_hash = self.digests[first..].iter().take_while(|&&(other, _)| other == hash);
        same_hash.map(|&(_, at)| &self.entries[at as usize]).any(|entry| entry.perms & wanted != 0 && entry.who.id == id)
    }

    fn allows_address(&self, wanted: i32, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.perms & wanted != 0 && network.contains(address))
    }
}

fn hash_of(id: &str) -> u64 {
    FixedState::with_seed(0).hash_one(id)
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (address, self.address) {
            (IpAddr::V4(a), IpAddr::V4(n)) => self.bits == 0 || (a.to_bits() ^ n.to_bits()) >> (32 - self.bits) == 0,
            (IpAddr::V6(a), IpAddr::V6(n)) => self.bits == 0 || (a.to_bits() ^ n.to_bits()) >> (128 - self.bits) == 0,
            _ => false,
        }
    }
}

/// The network and prefix length of an `ip` id; `None` if the syntax is wrong (`IPAuthenticationProvider.isValid`).
#[must_use]
pub fn parse_ip_pattern(pattern: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match pattern.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<i32>().ok()?)),
        None => (pattern, None),
    };
    let network = if address.contains(':') { parse_ipv6(address)?.into() } else { parse_ipv4(address)?.into() };
    let longest = if address.contains(':') { 128 } else { 32 };
    let bits = bits.map_or(Some(longest), |bits| u32::try_from(bits).ok())?;
    (bits <= longest).then_some((network, bits))
}

/// Four numbers as Java reads them: leading zeros and signs do not matter.
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let octets: Option<Vec<u8>> = text.split('.').map(|part| u8::try_from(part.parse::<i32>().ok()?).ok()).collect();
    Some(<[u8; 4]>::try_from(octets?).ok()?.into())
}

/// Up to eight groups of up to four characters, with at most one `::`, which stands for at least one group. A group may have a sign,
/// as any number in Java; the two low bytes count.
fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    let groups = |part: &str| -> Option<Vec<u16>> {
        let group = |group: &str| (group.chars().count() <= 4).then(|| i32::from_str_radix(group, 16).ok().map(|value| value as u16))?;
        if part.is_empty() { Some(Vec::new()) } else { part.split(':').map(group).collect() }
    };
    let mut all = [0_u16; 8];
    match text.split("::").collect::<Vec<_>>()[..] {
        [whole] => all = <[u16; 8]>::try_from(groups(whole)?).ok()?,
        [front, back] => {
            let (front, back) = (groups(front)?, groups(back)?);
            if front.len() + back.len() >= all.len() {
                return None;
            }
            all[..front.len()].copy_from_slice(&front);
            let start = all.len() - back.len();
            all[start..].copy_from_slice(&back);
        }
        _ => return None,
    }
    Some(all.into())
}

struct Interned {
    list: Arc<AclList>,
    use_count: u64,
}

/// All ACLs in use, each stored once.
pub struct AclTable {
    by_id: BTreeMap<u32, Interned>,
    by_entries: BTreeMap<Vec<AclEntry>, u32>,
    open: Arc<AclList>,
    next_id: u32,
    /// The list that was interned last: most znodes have the same.
    last: u32,
}

impl Default for AclTable {
    fn default() -> Self {
        let everyone = AclEntry { perms: perms::ALL, who: Identity::new("world", "anyone") };
        Self { by_id: BTreeMap::new(), by_entries: BTreeMap::new(), open: Arc::new(AclList::new(vec![everyone])), next_id: 1, last: 0 }
    }
}

impl AclTable {
    /// The id of a list, made if it is new. Counts one use.
    pub fn intern(&mut self, entries: Vec<AclEntry>) -> AclId {
        let id = match self.by_entries.get(&entries) {
            Some(&id) => id,
            None => {
                let id = self.next_id;
                self.put(id, entries);
                id
            }
        };
        self.add_use(AclId(id));
        AclId(id)
    }

    /// As [`Self::intern`], from the form of a record. Allocates nothing for the list that came last time.
    pub fn intern_records(&mut self, records: &[Acl<'_>]) -> AclId {
        let id = match self.by_id.get(&self.last).filter(|interned| interned.list.is_of(records)) {
            Some(_) => {
                let id = AclId(self.last);
                self.add_use(id);
                id
            }
            None => self.intern(records.iter().map(AclEntry::from_record).collect()),
        };
        self.last = id.0;
        id
    }

    /// The list that records stand for: the one in use if it came last, else a new one.
    #[must_use]
    pub fn list_of(&self, records: &[Acl<'_>]) -> Arc<AclList> {
        match self.by_id.get(&self.last).filter(|interned| interned.list.is_of(records)) {
            Some(interned) => Arc::clone(&interned.list),
            None => Arc::new(AclList::new(records.iter().map(AclEntry::from_record).collect())),
        }
    }

    /// Takes a list under the id that a snapshot gives it.
    pub fn put(&mut self, id: u32, entries: Vec<AclEntry>) {
        self.by_entries.insert(entries.clone(), id);
        self.by_id.insert(id, Interned { list: Arc::new(AclList::new(entries)), use_count: 0 });
        self.next_id = self.next_id.max(id.saturating_add(1));
    }

    /// Counts one more use of an id.
    pub fn add_use(&mut self, id: AclId) {
        if let Some(interned) = self.by_id.get_mut(&id.0) {
            interned.use_count += 1;
        }
    }

    /// Counts one use less; the last one removes the list.
    pub fn release(&mut self, id: AclId) {
        let Some(interned) = self.by_id.get_mut(&id.0) else { return };
        interned.use_count = interned.use_count.saturating_sub(1);
        if interned.use_count == 0 {
            self.forget(id.0);
        }
    }

    fn forget(&mut self, id: u32) {
        if let Some(interned) = self.by_id.remove(&id)
            && self.by_entries.get(interned.list.entries()) == Some(&id)
        {
            self.by_entries.remove(interned.list.entries());
        }
    }

    /// Removes the lists that no znode uses: a snapshot may hold some.
    pub fn purge_unused(&mut self) {
        let unused: Vec<u32> = self.by_id.iter().filter(|(_, interned)| interned.use_count == 0).map(|(&id, _)| id).collect();
        for id in unused {
            self.forget(id);
        }
    }

    /// Whether an id can be used.
    #[must_use]
    pub fn contains(&self, id: AclId) -> bool {
        id == AclId::OPEN || self.by_id.contains_key(&id.0)
    }

    /// The list of an id. One that nobody knows allows nothing: a damaged snapshot must not open a znode to everybody.
    #[must_use]
    pub fn list(&self, id: AclId) -> Arc<AclList> {
        Arc::clone(self.list_ref(id))
    }

    /// The list of an id, borrowed.
    #[must_use]
    pub fn list_ref(&self, id: AclId) -> &Arc<AclList> {
        if id == AclId::OPEN {
            return &self.open;
        }
        &self.by_id.get(&id.0).expect("a znode's ACL is in the table as long as the znode lives").list
    }

    /// All lists with their ids, for a snapshot.
    pub fn iter(&self) -> impl Iterator<Item = (AclId, &Arc<AclList>)> {
        self.by_id.iter().map(|(&id, interned)| (AclId(id), &interned.list))
    }

    /// Number of lists.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::records::data::Id;

    fn entry(perms: i32, scheme: &str, id: &str) -> AclEntry {
        AclEntry { perms, who: Identity::new(scheme, id) }
    }

    #[test]
    fn equal_lists_share_an_id_until_the_last_use_ends() {
        let mut table = AclTable::default();
        let first = table.intern(vec![entry(31, "world", "anyone")]);
        assert_eq!(first, AclId(1));
        assert_eq!(table.intern(vec![entry(31, "world", "anyone")]), first);
        table.release(first);
        assert!(table.contains(first));
        table.release(first);
        assert!(table.is_empty());
        assert_eq!(table.intern(vec![entry(1, "world", "anyone")]), AclId(2));
    }

    #[test]
    fn records_are_interned_like_their_entries() {
        let record = |perms, id: Option<&'static str>| Acl { perms, id: Id { scheme: Some("digest".into()), id: id.map(Into::into) } };
        let mut table = AclTable::default();
        let first = table.intern_records(&[record(1, Some("u:h"))]);
        assert_eq!(table.intern_records(&[record(1, Some("u:h"))]), first, "the one that came last");
        let other = table.intern_records(&[record(1, None)]);
        assert_ne!(other, first);
        assert_eq!(table.intern_records(&[record(1, Some("u:h"))]), first, "one that came before");
        assert_eq!(table.intern(vec![entry(1, "digest", "")]), other, "null is the empty text");
        (0..3).for_each(|_| table.release(first));
        assert!(!table.contains(first) && table.contains(other));
        assert_ne!(table.intern_records(&[record(1, Some("u:h"))]), first, "a list that is gone is not taken for the last one");
    }

    #[test]
    fn a_list_in_use_is_shared() {
        let records = [Acl { perms: 31, id: Id { scheme: Some("world".into()), id: Some("anyone".into()) } }];
        let mut table = AclTable::default();
        let before = table.list_of(&records);
        let id = table.intern_records(&records);
        assert_eq!(before, table.list_of(&records));
        assert!(Arc::ptr_eq(&table.list_of(&records), table.list_ref(id)));
    }

    #[test]
    fn any_wanted_bit_is_enough_and_super_passes() {
        let list = AclList::new(vec![entry(perms::READ, "digest", "u:h"), entry(perms::ADMIN, "ip", "10.0.0.0/8")]);
        let user = [Identity::new("digest", "u:h")];
        assert!(list.allows(perms::READ | perms::WRITE, &user));
        assert!(!list.allows(perms::WRITE, &user));
        assert!(list.allows(perms::ADMIN, &[Identity::new("ip", "10.200.3.4")]));
        assert!(!list.allows(perms::ADMIN, &[Identity::new("ip", "11.0.0.1")]));
        assert!(list.allows(perms::ALL, &[Identity::new("super", "")]));
    }

    #[test]
    fn every_entry_of_a_long_list_is_found() {
        let digest = |at: usize| format!("u{}:h", at * 7 % 1000);
        let list = AclList::new((0..1000).map(|at| entry(1 << (at % 5), "digest", &digest(at))).collect());
        for at in 0..1000 {
            assert!(list.allows(1 << (at % 5), &[Identity::new("digest", &digest(at))]));
            assert!(!list.allows(31 & !(1 << (at % 5)), &[Identity::new("digest", &digest(at))]));
        }
        assert!(!list.allows(31, &[Identity::new("digest", "u1000:h"), Identity::new("ip", "u1:h"), Identity::new("x509", "u1:h")]));
        let twice = AclList::new(vec![entry(1, "digest", "u:h"), entry(2, "digest", "u:h")]);
        assert!(twice.allows(1, &[Identity::new("digest", "u:h")]) && twice.allows(2, &[Identity::new("digest", "u:h")]));
    }

    #[test]
    fn ip_patterns() {
        let ip_matches =
            |address: &str, pattern: &str| AclList::new(vec![entry(1, "ip", pattern)]).allows(1, &[Identity::new("ip", address)]);
        assert!(ip_matches("fe80::1", "fe80::/10"));
        assert!(!ip_matches("10.0.0.1", "::/0"));
        assert!(ip_matches("1.2.3.4", "0.0.0.0/0"));
        assert!(ip_matches("127.0.0.1", "127.00.0.01/+8"));
        assert!(ip_matches("1:2:3:4:5:6:7:8", "01:2:3:4:5:6:7:0008"));
        for wrong in ["", "1.2.3", "1.2.3.4/33", "1.2.3.4/x", "::1/129", "::ffff:1.2.3.4", "256.1.1.1", "1.2.3.4/", "1.2.3.4/-1"] {
            assert!(parse_ip_pattern(wrong).is_none(), "{wrong}");
        }
        for wrong in ["1:2:3:4:5:6:7", "1::2::3", "1:2:3:4:5:6:7::8", ":1::2", "00001::", "::g", ":::"] {
            assert!(parse_ip_pattern(wrong).is_none(), "{wrong}");
        }
    }
}
