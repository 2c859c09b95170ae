//! Which server a version text names, and whether that release can be a partner.

use std::fmt;

use super::finding::Level;

/// What runs on a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// This server, with the version that it gives.
    Paddock(String),
    /// ZooKeeper of this release.
    Java(Release),
    /// It gives no version that is one.
    Unknown(String),
}

/// A release of ZooKeeper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Release(pub u32, pub u32, pub u32);

/// The newest releases that were tried, of all and of the line before.
const NEWEST: Release = Release(3, 9, 6);
const NEWEST_38: Release = Release(3, 8, 7);

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paddock(version) => write!(f, "Paddock {version}"),
            Self::Java(release) => write!(f, "Java {release}"),
            Self::Unknown(text) if text.is_empty() => f.write_str("of no known version"),
            Self::Unknown(text) => write!(f, "of version {text:?}"),
        }
    }
}

impl Kind {
    /// Reads what follows `Zookeeper version:`, e.g. `3.9.6-<commit>, built on …`.
    #[must_use]
    pub fn parse(version: &str) -> Self {
        let name = version.split([',', ' ']).next().unwrap_or_default();
        let (release, build) = name.split_once('-').unwrap_or((name, ""));
        if let Some(own) = build.strip_prefix("paddock-") {
            return Self::Paddock(own.to_owned());
        }
        let mut numbers = release.split('.').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Self::Java(Release(major, minor, patch)),
            _ => Self::Unknown(version.to_owned()),
        }
    }
}

impl Release {
    /// What this release means for a migration, as the table in docs/migration.md says it. The defects are ZooKeeper's own, by their numbers in
    /// its tracker.
    #[must_use]
    pub fn judge(self) -> (Level, String) {
        let Self(major, minor, patch) = self;
        let newest_of_line = if (major, minor) <= (NEWEST_38.0, NEWEST_38.1) { NEWEST_38 } else { NEWEST };
        if self > newest_of_line {
            return (Level::Caution, format!("Java {self} is newer than {newest_of_line}, the newest of its line that was tried"));
        }
        match (major, minor, patch) {
            (3, 9, 4..=6) | (3, 8, 7) => (Level::Good, format!("Java {self} is a good partner")),
            (3, 9, 3) => stop(self, "after a restart it may skip txns when it becomes leader (ZOOKEEPER-4925)", NEWEST),
            (3, 9, 2) | (3, 8, 5 | 6) => caution(self, "a member may leave and join again under load, or stop incompletely"),
            (3, 8 | 9, _) => {
                stop(self, "it may lose acknowledged writes when servers restart (ZOOKEEPER-4643, ZOOKEEPER-4646)", newest_of_line)
            }
            (3, 5..=7, _) => {
                stop(self, "it may lose acknowledged writes when servers restart (ZOOKEEPER-3911, ZOOKEEPER-4646)", newest_of_line)
            }
            _ => stop(self, "its quorum protocol was not tried", NEWEST_38),
        }
    }
}

fn stop(release: Release, why: &str, update: Release) -> (Level, String) {
    (Level::Stop, format!("Java {release} cannot be a partner: {why}; update the Java servers to {update} first"))
}

fn caution(release: Release, why: &str) -> (Level, String) {
    (Level::Caution, format!("Java {release} can be a partner, with care: {why} (ZOOKEEPER-4394, ZOOKEEPER-4712)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::full_version;

    #[test]
    fn versions_are_told_apart() {
        assert_eq!(Kind::parse("3.9.6-ab, built on 2026-09-03 19:29 UTC"), Kind::Java(Release(3, 9, 6)));
        assert_eq!(Kind::parse("3.4.14-4c25d4, built on 03/06/2019"), Kind::Java(Release(3, 4, 14)));
        assert_eq!(Kind::parse(&full_version()), Kind::Paddock(env!("CARGO_PKG_VERSION").to_owned()));
        for text in ["", "3.9", "3.9.x-1", "3.9.6.1", "99999999999.1.1"] {
            assert_eq!(Kind::parse(text), Kind::Unknown(text.to_owned()));
        }
    }

    #[test]
    fn releases_that_lose_writes_stop_a_migration() {
        for (release, level) in [
            (Release(3, 9, 6), Level::Good),
            (Release(3, 9, 4), Level::Good),
            (Release(3, 8, 7), Level::Good),
            (Release(3, 8, 8), Level::Caution),
            (Release(3, 9, 3), Level::Stop),
            (Release(3, 9, 2), Level::Caution),
            (Release(3, 9, 1), Level::Stop),
            (Release(3, 8, 6), Level::Caution),
            (Release(3, 8, 4), Level::Stop),
            (Release(3, 7, 2), Level::Stop),
            (Release(3, 5, 10), Level::Stop),
            (Release(3, 4, 14), Level::Stop),
            (Release(3, 9, 7), Level::Caution),
            (Release(3, 10, 0), Level::Caution),
        ] {
            assert_eq!(release.judge().0, level, "{release}");
        }
        for old in [Release(3, 8, 2), Release(3, 7, 2), Release(3, 4, 14)] {
            assert!(old.judge().1.ends_with("update the Java servers to 3.8.7 first"), "{old}");
        }
    }
}
