//! From the answers to four-letter words to facts. Whatever a server says, reading it ends and never panics.

use std::collections::BTreeMap;

use crate::ids::Zxid;

/// Characters of one fact that are printed at most.
const PRINTED_CHARS_MAX: usize = 400;

/// What `srvr` and `stat` say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The version as the server writes it.
    pub version: String,
    /// `leader`, `follower`, `observer`, `standalone`, `read-only`.
    pub mode: String,
    /// The last zxid that the server's tree has.
    pub zxid: Option<Zxid>,
    /// Open client connections.
    pub connection_count: Option<u64>,
    /// Znodes.
    pub node_count: Option<u64>,
}

impl Status {
    /// Reads `srvr` or `stat`; `None` when the text has no mode, which is so while a server does not serve.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let count = |name: &str| value(name).and_then(|text| text.parse().ok());
        Some(Self {
            version: value("Zookeeper version:").unwrap_or_default().to_owned(),
            mode: value("Mode:")?.to_owned(),
            zxid: value("Zxid:").and_then(zxid),
            connection_count: count("Connections:"),
            node_count: count("Node count:"),
        })
    }
}

/// A zxid with or without `0x` in front.
fn zxid(text: &str) -> Option<Zxid> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).ok().map(|number| Zxid(number as i64))
}

/// Lines of a key and a value: `mntr`, `conf`, `envi`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table(BTreeMap<String, String>);

impl Table {
    /// Reads lines with this separator; others are left out.
    #[must_use]
    pub fn parse(text: &str, separator: char) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(separator));
        Self(pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect())
    }

    /// The value of a key, if it is not empty.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// The value as a whole number. Java with the Prometheus provider writes `5.0` for 5.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        text.parse().ok().or_else(|| text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number as i64))
    }
}

/// What `hash` says: the digest of the tree at some zxids.
#[must_use]
pub fn digests(text: &str) -> BTreeMap<Zxid, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs.filter_map(|(key, digest)| Some((zxid(key.trim())?, digest.trim().to_owned()))).collect()
}

/// The text without anything that a terminal or a reader of lines would obey, and not too long.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut clean: String = text.chars().take(PRINTED_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(PRINTED_CHARS_MAX).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SRVR: &str = "Zookeeper version: 3.9.6-ab12, built on 2026-09-03 19:29 UTC\nLatency min/avg/max: 0/0.5/9\nReceived: 12\n\
                        Sent: 11\nConnections: 3\nOutstanding: 0\nZxid: 0x10000000a\nMode: leader\nNode count: 9\n\
                        Proposal sizes last/min/max: 36/36/36\n";

    #[test]
    fn srvr_is_read() {
        let expected = Status {
            version: "3.9.6-ab12, built on 2026-09-03 19:29 UTC".to_owned(),
            mode: "leader".to_owned(),
            zxid: Some(Zxid(0x1_0000_000a)),
            connection_count: Some(3),
            node_count: Some(9),
        };
        assert_eq!(Status::parse(SRVR), Some(expected));
        assert_eq!(Status::parse("This ZooKeeper instance is not currently serving requests\n"), None);
        let odd = Status::parse("Mode: follower\nZxid: 0xzz\nConnections: -1\nNode count: 99999999999999999999999\n").expect("a mode");
        assert_eq!((odd.zxid, odd.connection_count, odd.node_count), (None, None, None));
    }

    #[test]
    fn tables_hold_numbers_of_both_providers() {
        let table = Table::parse("zk_version\t3.9.6\nzk_synced_followers\t2\nzk_znode_count\t5.0\nodd\nzk_nan\tNaN\n", '\t');
        assert_eq!((table.number("zk_synced_followers"), table.number("zk_znode_count")), (Some(2), Some(5)));
        assert_eq!((table.number("zk_nan"), table.number("zk_version"), table.text("zk_version")), (None, None, Some("3.9.6")));
        let conf = Table::parse("clientPort=2181\nmembership: \nserver.1=a:1:2:participant\n", '=');
        assert_eq!(conf.text("server.1"), Some("a:1:2:participant"));
    }

    #[test]
    fn digests_are_read_by_zxid() {
        let found = digests("100000080: -57\nnonsense\n100000100: 9\n");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(Zxid(0x1_0000_0080), "-57".to_owned()), (Zxid(0x1_0000_0100), "9".to_owned())]);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(clean(&"ä".repeat(1000)).chars().count(), PRINTED_CHARS_MAX + 1);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = (Status::parse(&text), Table::parse(&text, '\t'), digests(&text));
            prop_assert!(!clean(&text).contains(char::is_control));
        }
    }
}
