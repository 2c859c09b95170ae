//! The digest of a znode: CRC-32 over path, data and stat (quorum-protocol.md §3.3). The tree's digest is the wrapping sum of all.
//!
//! A change of the stat alone continues from the checksum of path and data that the node keeps.

use crc32fast::Hasher;

use super::stat::StatFields;

/// The version of the digest that ZooKeeper 3.6 and later write.
pub const DIGEST_VERSION: i32 = 2;

/// CRC-32 of path and data; the root is hashed with the path "".
#[must_use]
pub fn prefix_crc(path: &str, data: Option<&[u8]>) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(if path == "/" { b"" } else { path.as_bytes() });
    hasher.update(data.unwrap_or_default());
    hasher.finalize()
}

/// The digest of one znode from the checksum of path and data, and its stat.
#[must_use]
pub fn node_digest(prefix_crc: u32, stat: &StatFields) -> u64 {
    let mut bytes = [0; 60];
    bytes[0..8].copy_from_slice(&stat.czxid.to_be_bytes());
    bytes[8..16].copy_from_slice(&stat.mzxid.to_be_bytes());
    bytes[16..24].copy_from_slice(&stat.pzxid.to_be_bytes());
    bytes[24..32].copy_from_slice(&stat.ctime.to_be_bytes());
    bytes[32..40].copy_from_slice(&stat.mtime.to_be_bytes());
    bytes[40..44].copy_from_slice(&stat.version.to_be_bytes());
    bytes[44..48].copy_from_slice(&stat.cversion.to_be_bytes());
    bytes[48..52].copy_from_slice(&stat.aversion.to_be_bytes());
    bytes[52..60].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    let mut hasher = Hasher::new_with_initial(prefix_crc);
    hasher.update(&bytes);
    u64::from(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// quorum-protocol.md §7: the digests of the two predefined nodes that count.
    #[test]
    fn fresh_nodes_have_javas_digests() {
        let root = StatFields { cversion: 0, ..StatFields::default() };
        assert_eq!(node_digest(prefix_crc("/", Some(b"")), &root), 0x0412_8908);
        assert_eq!(node_digest(prefix_crc("/zookeeper", Some(b"")), &root), 0x4db4_4d58);
    }
}
