//! Quotas: the text in the quota nodes, and which paths have one (client-protocol.md §9).

use std::collections::{BTreeMap, BTreeSet};

use super::path;

/// The node that holds the limits of a path.
pub const LIMITS: &str = "zookeeper_limits";
/// The node that holds the usage of a path.
pub const STATS: &str = "zookeeper_stats";

const BYTE_HARD_LIMIT: &str = "byteHardLimit";
const COUNT_HARD_LIMIT: &str = "countHardLimit";

/// Limits or usage: a count of znodes and bytes of data. -1 is "no limit" (`StatsTrack`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsTrack {
    values: BTreeMap<String, i64>,
}

impl StatsTrack {
    /// A usage of so many znodes and bytes.
    #[must_use]
    pub fn usage(count: i64, bytes: i64) -> Self {
        Self { values: BTreeMap::from([("count".to_owned(), count), ("bytes".to_owned(), bytes)]) }
    }

    /// Reads the text form; `None` when it is not one, so that a client's odd text is ignored instead of stopping the server.
    #[must_use]
    pub fn parse(data: Option<&[u8]>) -> Option<Self> {
        let text = std::str::from_utf8(data.unwrap_or_default()).ok()?;
        let mut values = BTreeMap::new();
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let mut parts = pair.split('=');
            let key = parts.next()?.to_owned();
            let value = parts.next().unwrap_or_default();
            values.insert(key, if value.is_empty() { -1 } else { value.parse().ok()? });
        }
        Some(Self { values })
    }

    fn value(&self, key: &str) -> i64 {
        self.values.get(key).copied().unwrap_or(-1)
    }

    /// The number of znodes, soft limit or usage.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.value("count")
    }

    /// The bytes of data, soft limit or usage.
    #[must_use]
    pub fn bytes(&self) -> i64 {
        self.value("bytes")
    }

    /// The hard limit on the number of znodes.
    #[must_use]
    pub fn count_hard_limit(&self) -> i64 {
        self.value(COUNT_HARD_LIMIT)
    }

    /// The hard limit on bytes.
    #[must_use]
    pub fn byte_hard_limit(&self) -> i64 {
        self.value(BYTE_HARD_LIMIT)
    }

    /// The same with other counts.
    #[must_use]
    pub fn changed_by(mut self, count: i64, bytes: i64) -> Self {
        let (old_count, old_bytes) = (self.count(), self.bytes());
        self.values.insert("count".to_owned(), old_count.wrapping_add(count));
        self.values.insert("bytes".to_owned(), old_bytes.wrapping_add(bytes));
        self
    }

    /// The text form: count and bytes first, then the rest in order behind a `=` that keeps old parsers content.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("count={},bytes={}", self.count(), self.bytes());
        let extra = self.values.iter().filter(|(key, _)| *key != "count" && *key != "bytes");
        for (index, (key, value)) in extra.enumerate() {
            text.push_str(if index == 0 { "=;" } else { ";" });
            text.push_str(&format!("{key}={value}"));
        }
        text
    }
}

/// The path whose quota the children of `quota_node` describe: "" for the quota node itself.
#[must_use]
pub fn trim(quota_node: &str) -> &str {
    quota_node.strip_prefix(path::QUOTA).unwrap_or_default()
}

/// Where the usage of a path is kept.
#[must_use]
pub fn stats_path(of: &str) -> String {
    format!("{}{of}/{STATS}", path::QUOTA)
}

/// Where the limits of a path are kept.
#[must_use]
pub fn limits_path(of: &str) -> String {
    format!("{}{of}/{LIMITS}", path::QUOTA)
}

/// The paths that have a quota.
#[derive(Default)]
pub struct QuotaIndex {
    paths: BTreeSet<String>,
}

impl QuotaIndex {
    /// A path has limits from now on. The root cannot have a quota.
    pub fn add(&mut self, path: &str) {
        if !path.is_empty() {
            self.paths.insert(path.to_owned());
        }
    }

    /// A path has no limits any more.
    pub fn remove(&mut self, path: &str) {
        self.paths.remove(path);
    }

    /// The deepest of the path and its ancestors that has a quota. Nodes below `/zookeeper` never count.
    #[must_use]
    pub fn nearest<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.paths.is_empty() {
            return None;
        }
        std::iter::once(path).chain(path::ancestors(path)).find(|candidate| self.paths.contains(*candidate))
    }

    /// All paths with a quota.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_in_javas_form() {
        let text = "count=5,bytes=-1=;byteHardLimit=1000;countHardLimit=7";
        let track = StatsTrack::parse(Some(text.as_bytes())).expect("valid");
        assert_eq!((track.count(), track.bytes(), track.byte_hard_limit(), track.count_hard_limit()), (5, -1, 1000, 7));
        assert_eq!(track.to_text(), text);
        assert_eq!(StatsTrack::usage(2, 3).to_text(), "count=2,bytes=3");
    }

    #[test]
    fn odd_text_is_no_quota() {
        for text in ["count=x", "count=1,bytes=9999999999999999999999"] {
            assert_eq!(StatsTrack::parse(Some(text.as_bytes())), None, "{text}");
        }
    }

    /// Java counts on from -1 where there is no number.
    #[test]
    fn empty_text_is_a_usage_without_numbers() {
        let track = StatsTrack::parse(Some(b"")).expect("no pair is wrong");
        assert_eq!((track.count(), track.bytes()), (-1, -1));
        assert_eq!(track.changed_by(1, 5).to_text(), "count=0,bytes=4");
    }

    #[test]
    fn the_deepest_ancestor_counts() {
        let mut index = QuotaIndex::default();
        index.add("/a");
        index.add("/a/b/c");
        index.add("");
        assert_eq!(index.nearest("/a/b"), Some("/a"));
        assert_eq!(index.nearest("/a/b/c/d"), Some("/a/b/c"));
        assert_eq!(index.nearest("/x"), None);
        assert_eq!(trim("/zookeeper/quota/a/b"), "/a/b");
        assert_eq!(stats_path("/a"), "/zookeeper/quota/a/zookeeper_stats");
    }
}
