//! The stat of a znode: the fields that are stored, and what a client sees of them (client-protocol.md §4).

use crate::proto::records::data::Stat;

/// The owner that marks a container (client-protocol.md §3.4).
pub const CONTAINER_OWNER: i64 = i64::MIN;
/// The top byte that marks a TTL znode; the low 40 bits are the TTL in ms.
pub const TTL_MASK: i64 = 0xff_u64.wrapping_shl(56) as i64;
/// The longest TTL, in ms.
pub const TTL_MS_MAX: i64 = 0xff_ffff_ffff;

/// What is stored of a stat. `cversion` is the raw one: it counts creations of children and never goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatFields {
    /// Zxid of the txn that created the znode.
    pub czxid: i64,
    /// Zxid of the last change of data.
    pub mzxid: i64,
    /// Zxid of the last creation or deletion of a child.
    pub pzxid: i64,
    /// Time of creation, ms of the leader's clock.
    pub ctime: i64,
    /// Time of the last change of data, ms.
    pub mtime: i64,
    /// Number of changes of data.
    pub version: i32,
    /// Number of creations of children.
    pub cversion: i32,
    /// Number of changes of the ACL.
    pub aversion: i32,
    /// 0, a session, [`CONTAINER_OWNER`] or a TTL.
    pub ephemeral_owner: i64,
}

/// What kind of znode an owner stands for (`EphemeralType.get`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnerKind {
    /// A persistent znode.
    None,
    /// A container.
    Container,
    /// A znode with a time to live in ms.
    Ttl(i64),
    /// An ephemeral of that session.
    Ephemeral(i64),
}

/// How owners are read: both switches come from the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OwnerRules {
    /// `extendedTypesEnabled`: TTL znodes exist.
    pub extended_types: bool,
    /// `emulate353TTLNodes`: the old encoding, any negative owner is a TTL.
    pub emulate_353: bool,
}

impl OwnerRules {
    /// What a stored owner stands for.
    #[must_use]
    pub fn kind(self, owner: i64) -> OwnerKind {
        match owner {
            0 => OwnerKind::None,
            CONTAINER_OWNER => OwnerKind::Container,
            _ if self.extended_types && self.emulate_353 && owner < 0 => OwnerKind::Ttl(owner & 0x0fff_ffff_ffff_ffff),
            _ if self.extended_types && owner & TTL_MASK == TTL_MASK => OwnerKind::Ttl(owner & TTL_MS_MAX),
            _ => OwnerKind::Ephemeral(owner),
        }
    }

    /// The owner that a TTL is stored as.
    #[must_use]
    pub fn ttl_owner(self, ttl_ms: i64) -> i64 {
        if self.emulate_353 { i64::MIN | ttl_ms } else { TTL_MASK | ttl_ms }
    }
}

impl StatFields {
    /// The stat of a znode that a txn just created.
    #[must_use]
    pub fn created(zxid: i64, time_ms: i64, ephemeral_owner: i64) -> Self {
        Self { czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: time_ms, mtime: time_ms, ephemeral_owner, ..Self::default() }
    }

    /// What a client sees (`DataNode.copyStat`): the visible `cversion` counts creations and deletions of children.
    #[must_use]
    pub fn visible(&self, data_length: usize, child_count: u32, rules: OwnerRules) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.cversion.wrapping_mul(2).wrapping_sub(child_count as i32),
            aversion: self.aversion,
            ephemeral_owner: match rules.kind(self.ephemeral_owner) {
                OwnerKind::Ephemeral(owner) => owner,
                _ => 0,
            },
            data_length: data_length as i32,
            num_children: child_count as i32,
            pzxid: self.pzxid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENDED: OwnerRules = OwnerRules { extended_types: true, emulate_353: false };

    #[test]
    fn owners() {
        assert_eq!(EXTENDED.kind(EXTENDED.ttl_owner(500)), OwnerKind::Ttl(500));
        assert_eq!(OwnerRules::default().kind(TTL_MASK | 5), OwnerKind::Ephemeral(TTL_MASK | 5));
        assert_eq!(OwnerRules::default().kind(CONTAINER_OWNER), OwnerKind::Container);
        assert_eq!(OwnerRules::default().kind(77), OwnerKind::Ephemeral(77));
    }

    #[test]
    fn visible_cversion_counts_creations_and_deletions() {
        let stat = StatFields { cversion: 2, ..StatFields::created(1, 1, 0) };
        assert_eq!(stat.visible(0, 1, EXTENDED).cversion, 3);
    }

    #[test]
    fn only_a_session_shows_as_owner() {
        let stat = |owner| StatFields::created(1, 1, owner).visible(0, 0, EXTENDED).ephemeral_owner;
        assert_eq!((stat(CONTAINER_OWNER), stat(TTL_MASK | 9), stat(42)), (0, 0, 42));
    }
}
