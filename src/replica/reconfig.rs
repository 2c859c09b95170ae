//! Reconfiguration: from what a client asks to the text of the next configuration (client-protocol.md §10, `PrepRequestProcessor`).

use std::net::IpAddr;

use super::configuration::configuration;
use super::core::Replica;
use crate::config::{HostPort, Member, MemberError, Members, MembersTextError, Role, parse_member};
use crate::ids::ServerId;
use crate::proto::error_code::ErrorCode;
use crate::proto::records::client::ReconfigRequest;
use crate::zab::CONFIG_BYTES_MAX;

impl Replica {
    /// The text that is proposed. The permission to write `/zookeeper/config` is checked last, as Java does, and not here.
    pub(super) fn next_configuration(&self, request: &ReconfigRequest<'_>) -> Result<String, ErrorCode> {
        if !self.rules.reconfig_enabled {
            return Err(ErrorCode::RECONFIG_DISABLED);
        }
        let membership = self.zab.membership();
        if membership.committed().text.is_empty() {
            // It stands alone.
            return Err(ErrorCode::UNIMPLEMENTED);
        }
        if membership.is_changing() {
            return Err(ErrorCode::RECONFIG_IN_PROGRESS);
        }
        if request.cur_config_id != -1 && request.cur_config_id != membership.committed().version {
            return Err(ErrorCode::BAD_VERSION);
        }
        let (current, _) = Members::parse(&membership.committed().text).map_err(|_| ErrorCode::MARSHALLING_ERROR)?;
        let next = match &request.new_members {
            Some(text) => all_anew(text, self.rules.voters_min)?,
            None => changed(current, request.joining_servers.as_deref(), request.leaving_servers.as_deref())?,
        };
        if next.count(Role::Participant) < self.rules.voters_min {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let next = configuration(&next, self.zab.next_zxid().0);
        if next.text.len() > CONFIG_BYTES_MAX {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        if !self.zab.is_quorum_in_sync(&next) {
            return Err(ErrorCode::NEW_CONFIG_NO_QUORUM);
        }
        String::from_utf8(next.text.into()).map_err(|_| ErrorCode::BAD_ARGUMENTS)
    }
}

/// The whole list is replaced. Commas stand for ends of lines. Java runs into an exception, and answers a marshalling error, where a number
/// is none and where observers have nobody to observe.
fn all_anew(text: &str, voters_min: usize) -> Result<Members, ErrorCode> {
    let (members, _) = Members::parse(text.replace(',', "\n").as_bytes()).map_err(|error| match error {
        MembersTextError::Member { error: MemberError::BadId, .. } | MembersTextError::BadVersion { .. } => ErrorCode::MARSHALLING_ERROR,
        _ => ErrorCode::BAD_ARGUMENTS,
    })?;
    let (voters, observers) = (members.count(Role::Participant), members.count(Role::Observer));
    if voters < voters_min && (observers > 0 || voters_min == 1) { Err(ErrorCode::MARSHALLING_ERROR) } else { Ok(members) }
}

/// Some leave, then some join or are changed.
fn changed(mut members: Members, joining: Option<&str>, leaving: Option<&str>) -> Result<Members, ErrorCode> {
    if members.is_hierarchical() {
        return Err(ErrorCode::BAD_ARGUMENTS);
    }
    for id in split(leaving, ',') {
        members.servers.remove(&number(id)?);
    }
    for joiner in split(joining, ',') {
        let parts: Vec<&str> = split(Some(joiner), '=').collect();
        let [key, value] = parts[..] else { return Err(ErrorCode::BAD_ARGUMENTS) };
        let sid = number(key.rsplit('.').next().unwrap_or_default())?;
        let member = parse_member(value).map_err(|_| ErrorCode::BAD_ARGUMENTS)?;
        let others = members.servers.iter().filter(|(other, _)| **other != sid);
        if member.client_address.is_none() || others.map(|(_, other)| other).any(|other| clashes(&member, other)) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        members.servers.insert(sid, member);
    }
    Ok(members)
}

/// The parts between separators, without blanks around them and without empty ones (`StringUtils.split`).
fn split(text: Option<&str>, separator: char) -> impl Iterator<Item = &str> {
    text.into_iter().flat_map(move |text| text.split(separator)).map(str::trim).filter(|part| !part.is_empty())
}

fn number(text: &str) -> Result<ServerId, ErrorCode> {
    text.parse().map(ServerId).map_err(|_| ErrorCode::MARSHALLING_ERROR)
}

/// Whether two servers share a place that only one can have (`QuorumServer.checkAddressDuplicate`). Addresses that mean the machine itself
/// are not compared.
fn clashes(one: &Member, other: &Member) -> bool {
    let (one, other) = (places(one), places(other));
    one.iter().any(|place| other.contains(place))
}

fn places(member: &Member) -> Vec<HostPort> {
    let ports = |address: &crate::config::MemberAddress| {
        [address.quorum_port, address.election_port].map(|port| HostPort { host: address.host.clone(), port })
    };
    let all = member.addresses.iter().flat_map(ports).chain(member.client_address.clone());
    all.filter(|place| !means_itself(&place.host)).collect()
}

fn means_itself(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Members {
        Members::of_lines(&[("server.1", "a:1:2;3"), ("server.2", "b:1:2;3"), ("server.3", "c:1:2;3")])
    }

    fn sids(members: &Members) -> Vec<i64> {
        members.servers.keys().map(|sid| sid.0).collect()
    }

    #[test]
    fn some_leave_and_some_join() {
        let next = changed(three(), Some("server.5=e:1:2:observer;3, server.2=b:4:5;3"), Some("3,9,")).expect("well formed");
        assert_eq!(sids(&next), [1, 2, 5]);
        assert_eq!((next.servers[&ServerId(2)].addresses[0].quorum_port, next.count(Role::Observer)), (4, 1));
        assert_eq!(sids(&changed(three(), None, None).expect("nothing is asked")), [1, 2, 3]);
    }

    /// The codes are those of `ReconfigExceptionTest` and `ReconfigTest`.
    #[test]
    fn what_joins_must_be_complete_and_in_a_place_of_its_own() {
        for (joining, leaving, expected) in [
            (Some("server.5"), None, ErrorCode::BAD_ARGUMENTS),
            (Some("server.5=e:1:2;3=x"), None, ErrorCode::BAD_ARGUMENTS),
            (Some("server.5=e:1:2"), None, ErrorCode::BAD_ARGUMENTS),
            (Some("server.5=e:1;3"), None, ErrorCode::BAD_ARGUMENTS),
            (Some("server.5=e:1:2:leader;3"), None, ErrorCode::BAD_ARGUMENTS),
            (Some("server.x=e:1:2;3"), None, ErrorCode::MARSHALLING_ERROR),
            (None, Some("x"), ErrorCode::MARSHALLING_ERROR),
            (Some("server.5=a:7:2;3"), None, ErrorCode::BAD_ARGUMENTS),
            (Some("server.5=e:1:2;a:1"), None, ErrorCode::BAD_ARGUMENTS),
        ] {
            assert_eq!(changed(three(), joining, leaving), Err(expected), "{joining:?} {leaving:?}");
        }
        assert!(changed(three(), Some("server.5=a:7:2;3"), Some("1")).is_ok(), "the place is free");
        let local = Members::of_lines(&[("server.1", "127.0.0.1:1:2;3"), ("server.2", "127.0.0.1:4:5;6")]);
        assert!(changed(local, Some("server.5=localhost:1:2;0.0.0.0:3"), None).is_ok(), "many servers on one machine");
    }

    #[test]
    fn a_hierarchy_changes_as_a_whole_only() {
        let lines = [("server.1", "a:1:2;3"), ("server.2", "b:1:2;3"), ("group.1", "1:2")];
        assert_eq!(changed(Members::of_lines(&lines), Some("server.3=c:1:2;3"), None), Err(ErrorCode::BAD_ARGUMENTS));
        let next = all_anew("server.1=a:1:2;3,server.2=b:1:2;3\ngroup.1=1:2\nweight.1=3\nversion=5", 2).expect("well formed");
        assert!(next.is_hierarchical() && next.weight_of[&ServerId(1)] == 3);
    }

    #[test]
    fn the_whole_list_has_voters() {
        for (text, voters_min, expected) in [
            ("", 2, Ok(vec![])),
            ("server.1=a:1:2;3", 2, Ok(vec![1])),
            ("server.1=a:1:2;3", 1, Ok(vec![1])),
            ("server.1=a:1:2:observer;3", 2, Err(ErrorCode::MARSHALLING_ERROR)),
            ("server.1=a:1:2:observer;3", 1, Err(ErrorCode::MARSHALLING_ERROR)),
            ("server.1=a:1:2;3,server.2=b:1:2:observer;3", 2, Err(ErrorCode::MARSHALLING_ERROR)),
            ("server.1=a:1:2;3,clientPort=1", 1, Err(ErrorCode::BAD_ARGUMENTS)),
            ("server.x=a:1:2;3", 1, Err(ErrorCode::MARSHALLING_ERROR)),
            ("server.1=a:1;3", 1, Err(ErrorCode::BAD_ARGUMENTS)),
        ] {
            assert_eq!(all_anew(text, voters_min).map(|members| sids(&members)), expected, "{text:?} {voters_min}");
        }
    }
}
