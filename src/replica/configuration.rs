//! Configurations of the ensemble: as the ordering core takes them, out of the text that `/zookeeper/config` and txns hold.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::config::{Members, Role};
use crate::ids::ServerId;
use crate::proto::op_code::OpCode;
use crate::proto::txn::{Body, Txn};
use crate::tree::data_tree::DataTree;
use crate::tree::path;
use crate::zab::{Configuration, ConfigurationReader, QuorumVerifier};

/// Where the type stands in the header of a txn, bytes.
const TYPE_AT: usize = 28;

/// Reads configurations for an ordering core that serves reconfiguration.
pub const READER: ConfigurationReader = ConfigurationReader { parse, proposed_by };

/// The configuration of these members.
#[must_use]
pub fn configuration(members: &Members, version: i64) -> Configuration {
    let observers = members.servers.iter().filter(|(_, member)| member.role == Role::Observer).map(|(&sid, _)| sid).collect();
    let addresses = members.servers.iter().map(|(&sid, member)| (sid, quorum_address(member))).collect();
    Configuration { version, text: members.text(version).into(), verifier: verifier(members), observers, addresses }
}

fn quorum_address(member: &crate::config::Member) -> String {
    let texts: Vec<String> = member.addresses.iter().map(|address| format!("{}:{}", address.host, address.quorum_port)).collect();
    texts.join("|")
}

/// Who votes, and what a quorum is.
fn verifier(members: &Members) -> QuorumVerifier {
    let voters = || members.servers.iter().filter(|(_, member)| member.role == Role::Participant).map(|(&sid, _)| sid);
    if !members.is_hierarchical() {
        return QuorumVerifier::majority(voters());
    }
    let mut groups: BTreeMap<i64, BTreeMap<ServerId, i64>> = BTreeMap::new();
    for sid in voters() {
        let (group, weight) = (members.group_of.get(&sid).copied().unwrap_or(0), members.weight_of.get(&sid).copied().unwrap_or(1));
        groups.entry(group).or_default().insert(sid, weight);
    }
    QuorumVerifier::Hierarchical { groups }
}

fn parse(text: &[u8]) -> Option<Configuration> {
    let (members, version) = Members::parse(text).ok()?;
    Some(configuration(&members, version)).filter(|found| !found.verifier.participants().is_empty())
}

fn proposed_by(payload: &Bytes) -> Option<Bytes> {
    if payload.get(TYPE_AT..TYPE_AT + 4)? != OpCode::RECONFIG.0.to_be_bytes() {
        return None;
    }
    match Txn::decode(payload).ok()?.body {
        Body::SetData(set) => set.data.map(|data| Bytes::copy_from_slice(&data)),
        _ => None,
    }
}

/// The configuration that a tree holds: the newest that its history proposes.
pub(super) fn of_tree(tree: &DataTree) -> Option<Configuration> {
    tree.find(path::CONFIG).and_then(|id| tree.data(id)).and_then(parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Zxid;
    use crate::proto::records::txn::SetDataTxn;
    use crate::proto::txn::{self, TxnHeader};
    use crate::zab::Membership;

    fn membership(lines: &[(&str, &str)]) -> Membership {
        Membership::new(configuration(&Members::of_lines(lines), 0))
    }

    #[test]
    fn observers_do_not_vote() {
        let membership = membership(&[("server.1", "a:1:2"), ("server.2", "b:1:2:observer")]);
        assert!(membership.is_participant(ServerId(1)) && !membership.is_participant(ServerId(2)));
        assert!(membership.committed().observers.contains(&ServerId(2)));
        assert!(membership.contains_quorum(&[ServerId(1)].into()));
        assert_eq!(membership.committed().addresses[&ServerId(2)], "b:1");
    }

    #[test]
    fn groups_make_a_hierarchy() {
        let lines = [("server.1", "a:1:2"), ("server.2", "b:1:2"), ("server.3", "c:1:2"), ("group.1", "1:2:3"), ("weight.3", "0")];
        let membership = membership(&lines);
        assert!(membership.contains_quorum(&[ServerId(1), ServerId(2)].into()));
        assert!(!membership.contains_quorum(&[ServerId(1), ServerId(3)].into()));
    }

    #[test]
    fn a_text_comes_back_and_what_is_none_is_none() {
        let members = Members::of_lines(&[("server.1", "a:1:2;h:3"), ("server.2", "[::1]:1:2:observer;4")]);
        let made = configuration(&members, 0x1_0000_0005);
        assert_eq!((READER.parse)(&made.text), Some(made));
        for text in
            ["", "version=1", "server.1=a:1:2:observer\nversion=1", "server.1=a:1:2\nkey=1", "server.1=a:1:2\nversion=x", "server.1="]
        {
            assert_eq!((READER.parse)(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn only_a_reconfiguration_proposes_a_configuration() {
        let payload = |kind: OpCode| {
            let header = TxnHeader { client_id: 1, cxid: 1, zxid: Zxid(7).0, time: 1, type_: kind.0 };
            let set = SetDataTxn { path: Some(path::CONFIG.into()), data: Some(b"text".as_slice().into()), version: -1 };
            Bytes::from(txn::encode(&header, &Body::SetData(set), None))
        };
        assert_eq!(proposed_by(&payload(OpCode::RECONFIG)), Some(Bytes::from_static(b"text")));
        assert_eq!(proposed_by(&payload(OpCode::SET_DATA)), None);
        assert_eq!(proposed_by(&Bytes::from_static(b"short")), None);
    }
}
