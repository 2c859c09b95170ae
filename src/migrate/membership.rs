//! Who belongs to the ensemble, from `/zookeeper/config` or from `conf`: both hold the same lines.

use crate::config::{Member as Line, Members, Role};
use crate::ids::ServerId;

/// Lines read at most.
const LINES_MAX: usize = 4096;

/// The configuration that the ensemble works with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Membership {
    /// The server lines, groups and weights.
    pub members: Members,
    /// Its version: 0 while nobody changed it at run time.
    pub version: i64,
}

impl Membership {
    /// Reads the lines; `None` when there is no server line among them. What is no member line is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut membership = Self::default();
        for (key, value) in text.lines().take(LINES_MAX).filter_map(|line| line.split_once('=')) {
            if Members::owns(key) {
                // A line that does not follow the grammar is missing below, and is told as a member that nobody knows.
                let _ = membership.members.add(key, value.trim(), true);
            } else if key == "version" {
                membership.version = i64::from_str_radix(value.trim(), 16).unwrap_or_default();
            }
        }
        Some(membership).filter(|found| !found.members.servers.is_empty())
    }

    /// How many servers vote.
    #[must_use]
    pub fn voter_count(&self) -> usize {
        self.members.count(Role::Participant)
    }

    /// How many voters are a quorum, unless groups or weights decide.
    #[must_use]
    pub fn quorum_size(&self) -> usize {
        self.voter_count() / 2 + 1
    }

    /// Whether groups or weights decide what a quorum is.
    #[must_use]
    pub fn is_hierarchical(&self) -> bool {
        !self.members.group_of.is_empty()
    }

    /// Whether this server votes; `false` for one that is no member.
    #[must_use]
    pub fn is_voter(&self, id: ServerId) -> bool {
        self.members.servers.get(&id).is_some_and(|line| line.role == Role::Participant)
    }

    /// The member whose client address this is, as written in its line.
    #[must_use]
    pub fn by_client_address(&self, address: &str) -> Option<ServerId> {
        let is_it = |line: &Line| line.client_address.as_ref().is_some_and(|client| client.to_string() == address);
        self.members.servers.iter().find(|(_, line)| is_it(line)).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONFIG: &str = "server.1=zk1:2888:3888:participant;zk1:2181\nserver.2=zk2:2888:3888:participant;0.0.0.0:2181\n\
                          server.3=zk3:2888:3888:observer\nversion=10000000a";

    #[test]
    fn the_lines_of_both_sources_are_read() {
        let found = Membership::parse(CONFIG).expect("server lines");
        assert_eq!((found.voter_count(), found.quorum_size(), found.version), (2, 2, 0x1_0000_000a));
        assert_eq!(found.by_client_address("zk1:2181"), Some(ServerId(1)));
        assert_eq!(found.by_client_address("zk2:2181"), None);
        assert!(found.is_voter(ServerId(2)) && !found.is_voter(ServerId(3)) && !found.is_voter(ServerId(4)));
        let conf = format!("clientPort=2181\nserverId=1\nmembership: \n{CONFIG}");
        assert_eq!(Membership::parse(&conf), Some(found));
    }

    #[test]
    fn no_member_is_no_membership() {
        assert_eq!(Membership::parse(""), None);
        assert_eq!(Membership::parse("version=1"), None);
        assert_eq!(Membership::parse("server.1=nonsense\nserver.x=a:1:2"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(server|group|weight|version)[.]?[0-9]{0,20}=[0-9a-f:;|]{0,40}\n") {
            let _ = Membership::parse(&text);
        }
    }
}
