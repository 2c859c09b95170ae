//! The version line: what clients parse as 3.9.6, and what tells a person that this is Paddock.

/// The release of ZooKeeper whose behaviour this server has. kazoo takes the leading digits and dots of `envi`'s
/// `zookeeper.version` as the server's version and decides by them what it may send.
const COMPATIBLE_RELEASE: &str = "3.9.6";

/// When this version was released, in the form of ZooKeeper 3.9 (`yyyy-MM-dd HH:mm zone`).
const RELEASE_DATE: &str = "2026-11-24 00:00 UTC";

/// The full version, e.g. `3.9.6-paddock-0.1.0, built on 2026-11-24 00:00 UTC`. In place of ZooKeeper's commit hash stands the
/// name and version of this server: letters, digits, dots and dashes only, as go-zookeeper's pattern asks.
#[must_use]
pub fn full_version() -> String {
    format!("{COMPATIBLE_RELEASE}-paddock-{}, built on {RELEASE_DATE}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// kazoo: `([\d\.]*).*`, the group split at dots, every part an integer.
    #[test]
    fn kazoo_reads_three_numbers() {
        let version = full_version();
        let digits: String = version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let numbers: Vec<u32> = digits.split('.').map(|part| part.parse().expect("kazoo needs a number")).collect();
        assert_eq!(numbers, [3, 9, 6]);
    }

    /// go-zookeeper: `[A-Za-z0-9\.\-]+, built on …`.
    #[test]
    fn the_version_has_only_the_letters_go_zookeeper_knows() {
        let version = full_version();
        let (name, date) = version.split_once(", built on ").expect("the separator is part of the format");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-'), "{name}");
        assert_eq!(date.len(), "2026-09-03 19:29 UTC".len());
        assert!(name.contains("paddock"));
    }
}
