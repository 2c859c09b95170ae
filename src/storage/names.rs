//! The names of the files in a `version-2` directory, and which of them count.

use std::path::Path;

use super::error::{IoContext, StorageError};
use super::fs::FileSystem;
use super::snapshot_codec::Compression;
use crate::ids::Zxid;

/// First part of the name of a snapshot.
pub const SNAPSHOT_PREFIX: &str = "snapshot";
/// First part of the name of a log.
pub const LOG_PREFIX: &str = "log";
/// First part of the name of a snapshot that is being written: no ZooKeeper takes it for a snapshot.
pub const TEMPORARY_PREFIX: &str = "paddock-snapshot";
/// Last part of the names of files that are being written.
pub const TEMPORARY_SUFFIX: &str = ".tmp";
/// First part of the name of a log that has no header yet.
pub const TEMPORARY_LOG_PREFIX: &str = "paddock-log";
/// First part of the name of a received snapshot that is taking the place of everything else.
pub const INSTALL_PREFIX: &str = "paddock-install";
/// First part of the name of an empty file: everything above the zxid in its name is being removed.
pub const TRUNCATE_PREFIX: &str = "paddock-truncate";
/// The file that says up to where the last log file is durable.
pub const MARK_NAME: &str = "paddock.synced";
/// The file whose lock keeps a second server out of the directory.
pub const LOCK_NAME: &str = "paddock.lock";

/// `log.<hex>`.
#[must_use]
pub fn log_name(zxid: Zxid) -> String {
    format!("{LOG_PREFIX}.{:x}", zxid.0)
}

/// The name of a log until it has its header.
#[must_use]
pub fn temporary_log_name(zxid: Zxid) -> String {
    format!("{TEMPORARY_LOG_PREFIX}.{:x}{TEMPORARY_SUFFIX}", zxid.0)
}

/// `snapshot.<hex>`, with the suffix of the codec.
#[must_use]
pub fn snapshot_name(zxid: Zxid, compression: Compression) -> String {
    format!("{SNAPSHOT_PREFIX}.{:x}{}", zxid.0, compression.suffix())
}

/// The name under which a snapshot is written until it is whole.
#[must_use]
pub fn temporary_snapshot_name(zxid: Zxid) -> String {
    format!("{TEMPORARY_PREFIX}.{:x}{TEMPORARY_SUFFIX}", zxid.0)
}

/// The name under which a snapshot is received.
#[must_use]
pub fn received_snapshot_name(number: u64) -> String {
    format!("{TEMPORARY_PREFIX}-received.{number}{TEMPORARY_SUFFIX}")
}

/// The name of a received snapshot that is being installed.
#[must_use]
pub fn install_name(zxid: Zxid, compression: Compression) -> String {
    format!("{INSTALL_PREFIX}.{:x}{}", zxid.0, compression.suffix())
}

/// The name of the file that says what is being truncated.
#[must_use]
pub fn truncate_name(to: Zxid) -> String {
    format!("{TRUNCATE_PREFIX}.{:x}", to.0)
}

/// The zxid in the name `log.<hex>`; `None` for every other name, so also for `log.5.bak`, which ZooKeeper would take for log 5.
#[must_use]
pub fn parse_log_name(name: &str) -> Option<Zxid> {
    parse_hex(name.strip_prefix(LOG_PREFIX)?.strip_prefix('.')?)
}

/// The zxid and the codec in the name of a snapshot; `None` for every other name, so also for `snapshot.5.tmp`.
#[must_use]
pub fn parse_snapshot_name(name: &str) -> Option<(Zxid, Compression)> {
    parse_compressed(name, SNAPSHOT_PREFIX)
}

/// The zxid and the codec in the name of a snapshot that is being installed.
#[must_use]
pub fn parse_install_name(name: &str) -> Option<(Zxid, Compression)> {
    parse_compressed(name, INSTALL_PREFIX)
}

/// The zxid in the name of the file that says what is being truncated.
#[must_use]
pub fn parse_truncate_name(name: &str) -> Option<Zxid> {
    parse_hex(name.strip_prefix(TRUNCATE_PREFIX)?.strip_prefix('.')?)
}

fn parse_compressed(name: &str, prefix: &str) -> Option<(Zxid, Compression)> {
    let rest = name.strip_prefix(prefix)?.strip_prefix('.')?;
    let (hex, compression) = match rest.split_once('.') {
        None => (rest, Compression::None),
        Some((hex, "gz")) => (hex, Compression::Gzip),
        Some((hex, "snappy")) => (hex, Compression::Snappy),
        Some(_) => return None,
    };
    Some((parse_hex(hex)?, compression))
}

/// A zxid in hexadecimal. Java parses a signed number, and so do we: the writers never produce one with its top bit set.
fn parse_hex(hex: &str) -> Option<Zxid> {
    if hex.is_empty() || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(hex, 16).ok().map(Zxid)
}

/// A snapshot file by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotName {
    /// The zxid in the name.
    pub zxid: Zxid,
    /// How the content is compressed.
    pub compression: Compression,
    /// The whole name.
    pub name: String,
}

/// All snapshots of a directory by name, newest first, valid or not.
///
/// # Errors
/// If the directory cannot be listed.
pub fn list_snapshots(fs: &dyn FileSystem, dir: &Path) -> Result<Vec<SnapshotName>, StorageError> {
    let names = fs.list(dir).context("list", dir)?;
    let mut found: Vec<_> = names
        .into_iter()
        .filter_map(|name| parse_snapshot_name(&name).map(|(zxid, compression)| SnapshotName { zxid, compression, name }))
        .collect();
    found.sort_by(|a, b| b.zxid.cmp(&a.zxid).then_with(|| a.name.cmp(&b.name)));
    Ok(found)
}

/// All log files of a directory by the zxid in their name, oldest first.
///
/// # Errors
/// If the directory cannot be listed.
pub fn list_logs(fs: &dyn FileSystem, dir: &Path) -> Result<Vec<(Zxid, String)>, StorageError> {
    let names = fs.list(dir).context("list", dir)?;
    let mut found: Vec<_> = names.into_iter().filter_map(|name| parse_log_name(&name).map(|zxid| (zxid, name))).collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_hex_without_padding() {
        assert_eq!(log_name(Zxid(0x1_0000_00ab)), "log.1000000ab");
        assert_eq!(snapshot_name(Zxid(0), Compression::None), "snapshot.0");
        assert_eq!(snapshot_name(Zxid(10), Compression::Gzip), "snapshot.a.gz");
        assert_eq!(snapshot_name(Zxid(10), Compression::Snappy), "snapshot.a.snappy");
    }

    #[test]
    fn names_read_back_and_others_do_not() {
        assert_eq!(parse_log_name("log.1000000ab"), Some(Zxid(0x1_0000_00ab)));
        assert_eq!(parse_snapshot_name("snapshot.A.gz"), Some((Zxid(10), Compression::Gzip)));
        for name in ["log", "log.", "log.5.bak", "log.x", "log.+5", "log.-5", "log.10000000000000000", "Log.5", "snapshot.5"] {
            assert_eq!(parse_log_name(name), None, "{name}");
        }
        for name in ["snapshot", "snapshot.", "snapshot.5.tmp", "snapshot.5.gz.gz", "snapshot.gz", "log.5"] {
            assert_eq!(parse_snapshot_name(name), None, "{name}");
        }
        for name in
            [temporary_snapshot_name(Zxid(5)), received_snapshot_name(5), install_name(Zxid(5), Compression::None), truncate_name(Zxid(5))]
        {
            assert_eq!((parse_snapshot_name(&name), parse_log_name(&name)), (None, None), "{name}");
        }
        assert_eq!(parse_install_name(&install_name(Zxid(10), Compression::Gzip)), Some((Zxid(10), Compression::Gzip)));
        assert_eq!(parse_truncate_name(&truncate_name(Zxid(10))), Some(Zxid(10)));
        assert_eq!((parse_install_name("snapshot.5"), parse_truncate_name("paddock-truncate.5.tmp")), (None, None));
    }
}
