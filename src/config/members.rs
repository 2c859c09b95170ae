//! The lines that name the servers of an ensemble: `server.N`, `group.G` and `weight.N`.
//!
//! `server.N=host:quorumPort:electionPort[:participant|observer][|host2:q2:e2[:role]…][;[clientHost:]clientPort]`, hosts of IPv6 in square
//! brackets (`QuorumPeer.QuorumServer`, `QuorumMaj`, `QuorumHierarchical`).

use std::collections::BTreeMap;
use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::{tag_no_case, take_while1};
use nom::character::complete::{char, digit1, space0};
use nom::combinator::{all_consuming, map_res, opt};
use nom::multi::separated_list1;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use crate::ids::ServerId;

/// A host and port as written; the name is not looked up here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

/// Whether a server votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It votes: the default.
    Participant,
    /// It does not.
    Observer,
}

/// One address of a server: the host with the quorum and the election port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAddress {
    /// Name or address, without brackets.
    pub host: String,
    /// Port on which a leader serves its learners.
    pub quorum_port: u16,
    /// Port of leader election.
    pub election_port: u16,
}

/// One `server.N` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// At least one address; several only with `multiAddress.enabled=true`.
    pub addresses: Vec<MemberAddress>,
    /// Its role.
    pub role: Role,
    /// The part behind `;`, if there is one. The host is `0.0.0.0` when only a port is given.
    pub client_address: Option<HostPort>,
}

/// All members of a configuration, with groups and weights if it is hierarchical.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The `server.N` lines.
    pub servers: BTreeMap<ServerId, Member>,
    /// `group.G`: the group of each server that is in one.
    pub group_of: BTreeMap<ServerId, i64>,
    /// `weight.N`: 1 where none is given.
    pub weight_of: BTreeMap<ServerId, i64>,
}

/// What is wrong with a member line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// The part of the key behind the dot.
    #[error("the part of the key behind the dot must be a whole number")]
    BadId,
    /// The line leaves the grammar.
    #[error("does not have the form host:port:port[:participant|observer][|more addresses][;[host:]port], from character {position} on")]
    Grammar {
        /// The first character that does not fit, counted from 1.
        position: usize,
    },
    /// Quorum and election port of one address are the same.
    #[error("quorum and election port of {host} are both {port}; they must differ")]
    SamePorts {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// Several addresses without `multiAddress.enabled=true`.
    #[error("has {count} addresses, which needs multiAddress.enabled=true")]
    MultiAddressDisabled {
        /// How many.
        count: usize,
    },
    /// The addresses of one server carry different roles.
    #[error("the addresses of one server must have the same role")]
    RolesDiffer,
    /// A group that is not a list of server ids.
    #[error("a group must be server ids with ':' between them")]
    BadGroup,
    /// A server in two groups.
    #[error("server {id} is in more than one group")]
    InTwoGroups {
        /// The server.
        id: ServerId,
    },
    /// A voter outside all groups, though there are groups.
    #[error("server {id} is in no group, though there are groups or weights")]
    InNoGroup {
        /// The server.
        id: ServerId,
    },
    /// A weight that is not a number of at least 0.
    #[error("a weight must be a whole number, 0 or more")]
    BadWeight,
}

impl Members {
    /// The members of these lines, for tests.
    #[cfg(test)]
    pub(crate) fn of_lines(lines: &[(&str, &str)]) -> Self {
        let mut members = Self::default();
        lines.iter().for_each(|(key, value)| members.add(key, value, true).expect("a member line"));
        members
    }

    /// Whether `key` belongs to this grammar (`QuorumPeerConfig.parseDynamicConfig` looks at these beginnings only).
    #[must_use]
    pub fn owns(key: &str) -> bool {
        key.starts_with("server.") || key.starts_with("group") || key.starts_with("weight")
    }

    /// Adds one line. The key must be one that [`Self::owns`] accepts.
    ///
    /// # Errors
    /// The line does not follow the grammar, or contradicts an earlier one.
    pub fn add(&mut self, key: &str, value: &str, multi_address_enabled: bool) -> Result<(), MemberError> {
        let (kind, id) = key.split_once('.').ok_or(MemberError::BadId)?;
        let id: i64 = id.parse().map_err(|_| MemberError::BadId)?;
        match kind {
            "server" => self.add_server(ServerId(id), value, multi_address_enabled),
            kind if kind.starts_with("group") => self.add_group(id, value),
            _ => self.add_weight(ServerId(id), value),
        }
    }

    fn add_server(&mut self, id: ServerId, value: &str, multi_address_enabled: bool) -> Result<(), MemberError> {
        let member = parse_member(value)?;
        if member.addresses.len() > 1 && !multi_address_enabled {
            return Err(MemberError::MultiAddressDisabled { count: member.addresses.len() });
        }
        self.servers.insert(id, member);
        Ok(())
    }

    fn add_group(&mut self, group: i64, value: &str) -> Result<(), MemberError> {
        for id in value.split(':') {
            let id = ServerId(id.parse().map_err(|_| MemberError::BadGroup)?);
            if self.group_of.insert(id, group).is_some() {
                return Err(MemberError::InTwoGroups { id });
            }
        }
        Ok(())
    }

    fn add_weight(&mut self, id: ServerId, value: &str) -> Result<(), MemberError> {
        let weight = value.parse().ok().filter(|weight| *weight >= 0).ok_or(MemberError::BadWeight)?;
        self.weight_of.insert(id, weight);
        Ok(())
    }

    /// Checks what only the whole can show: with groups or weights, each voter is in a group.
    ///
    /// # Errors
    /// A voter without a group.
    pub fn check_groups(&self) -> Result<(), MemberError> {
        if !self.is_hierarchical() {
            return Ok(());
        }
        let mut voters = self.servers.iter().filter(|(_, member)| member.role == Role::Participant);
        match voters.find(|(id, _)| !self.group_of.contains_key(id)) {
            Some((id, _)) => Err(MemberError::InNoGroup { id: *id }),
            None => Ok(()),
        }
    }

    /// Whether quorums are those of groups and weights.
    #[must_use]
    pub fn is_hierarchical(&self) -> bool {
        !self.group_of.is_empty() || !self.weight_of.is_empty()
    }

    /// How many servers have this role.
    #[must_use]
    pub fn count(&self, role: Role) -> usize {
        self.servers.values().filter(|member| member.role == role).count()
    }
}

/// Parses the value of a `server.N` line.
///
/// # Errors
/// The value leaves the grammar, an address has one port twice, or roles differ.
pub fn parse_member(value: &str) -> Result<Member, MemberError> {
    let (_, (addresses, client_address)) = all_consuming((separated_list1(char('|'), address), opt(preceded(char(';'), client))))
        .parse(value)
        .map_err(|error| grammar_error(value, &error))?;
    let mut role = None;
    for (address, own_role) in &addresses {
        if address.quorum_port == address.election_port {
            return Err(MemberError::SamePorts { host: address.host.clone(), port: address.quorum_port });
        }
        if own_role.is_some_and(|own| *role.get_or_insert(own) != own) {
            return Err(MemberError::RolesDiffer);
        }
    }
    let addresses = addresses.into_iter().map(|(address, _)| address).collect();
    Ok(Member { addresses, role: role.unwrap_or(Role::Participant), client_address })
}

fn grammar_error(value: &str, error: &nom::Err<nom::error::Error<&str>>) -> MemberError {
    let rest = match error {
        nom::Err::Error(error) | nom::Err::Failure(error) => error.input.chars().count(),
        nom::Err::Incomplete(_) => 0,
    };
    MemberError::Grammar { position: value.chars().count() - rest + 1 }
}

fn address(input: &str) -> IResult<&str, (MemberAddress, Option<Role>)> {
    let (input, host) = host(input)?;
    let (input, quorum_port) = preceded(char(':'), port).parse(input)?;
    let (input, election_port) = preceded(char(':'), port).parse(input)?;
    let (input, role) = opt(preceded(char(':'), delimited(space0, role, space0))).parse(input)?;
    Ok((input, (MemberAddress { host: host.to_owned(), quorum_port, election_port }, role)))
}

fn client(input: &str) -> IResult<&str, HostPort> {
    alt((
        all_consuming(port).map(|port| HostPort { host: "0.0.0.0".to_owned(), port }),
        (host, char(':'), port).map(|(host, _, port)| HostPort { host: host.to_owned(), port }),
    ))
    .parse(input)
}

fn host(input: &str) -> IResult<&str, &str> {
    alt((
        delimited(char('['), take_while1(|c: char| c != ']'), char(']')),
        take_while1(|c: char| !matches!(c, ':' | '|' | ';' | '[' | ']') && !c.is_whitespace()),
    ))
    .parse(input)
}

fn port(input: &str) -> IResult<&str, u16> {
    map_res(digit1, str::parse).parse(input)
}

fn role(input: &str) -> IResult<&str, Role> {
    alt((tag_no_case("participant").map(|_| Role::Participant), tag_no_case("observer").map(|_| Role::Observer))).parse(input)
}
