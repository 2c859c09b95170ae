//! Asks every server what it tells to anybody: the four-letter words, and what a session may read.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::facts::{Status, digests};
use super::member::{Member, WORDS};
use super::membership::Membership;
use super::session::{Session, SessionError};
use super::words::{self, Answer};
use crate::client::servers::Host;
use crate::ids::{ServerId, SessionId, Zxid};

/// How long all that one session does may take.
const SESSION_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// How often two servers are asked for their trees at the same zxid.
const TWIN_TRIES: u32 = 10;

/// How far a member is behind what the leader had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lag {
    /// It has all that the leader had when that was asked.
    None,
    /// It did not reach it in time; this is where it was, if it told.
    Behind(Option<Zxid>),
}

/// Whether the members keep up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    /// The index of the leader.
    pub leader: usize,
    /// What it had when it was asked.
    pub zxid: Zxid,
    /// Each member by its index.
    pub lags: Vec<Lag>,
}

/// Two trees at one zxid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Twins {
    /// The zxid.
    pub zxid: Zxid,
    /// Znodes of the leader.
    pub leader_nodes: u64,
    /// Znodes of the member.
    pub member_nodes: u64,
}

/// What is known about the ensemble.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survey {
    /// The servers, in the order given.
    pub members: Vec<Member>,
    /// Who belongs to the ensemble, by `/zookeeper/config`, or else by `conf`.
    pub membership: Option<Membership>,
    /// Why `/zookeeper/config` could not be read.
    pub config_problem: Option<String>,
    /// Authentication schemes in the ACLs near the root.
    pub acl_schemes: BTreeSet<String>,
    /// Whether the members keep up with the leader, if there is one.
    pub pace: Option<Pace>,
    /// Leader and verified member at one zxid, if they were met there.
    pub twins: Option<Twins>,
}

/// What came of using a member as a client does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trial {
    /// Why it did not work, if so.
    pub problem: Option<String>,
}

/// Asks everybody. The members get `patience` to reach what the leader has.
#[must_use]
pub fn take(hosts: &[Host], patience: Duration) -> Survey {
    let mut survey = Survey { members: hosts.iter().map(meet).collect(), ..Survey::default() };
    survey.read_config(hosts);
    survey.name_members();
    survey.pace = measure(hosts, &survey.members, patience);
    survey
}

fn addresses(host: &Host) -> Vec<SocketAddr> {
    host.resolve().unwrap_or_default()
}

/// All words of one server; one that does not answer the first is asked no more of them.
fn meet(host: &Host) -> Member {
    let mut member = Member::new(host.to_string());
    let addresses = match host.resolve() {
        Ok(addresses) => addresses,
        Err(why) => {
            member.silence = Some(why);
            return member;
        }
    };
    for word in WORDS {
        member.take(word, words::ask(&addresses, word));
        if member.silence.is_some() {
            break;
        }
    }
    if member.status.is_none() && member.silence.is_none() && !member.is_without_role {
        member.take("stat", words::ask(&addresses, "stat"));
    }
    if member.id.is_none() && !member.is_without_role {
        let opened = Session::open(&addresses, SESSION_PATIENCE);
        member.has_given_session = Some(opened.is_ok());
        if let Ok(session) = opened {
            member.id = id_in_session(session.id());
            // Should it not be closed, it ends by its timeout.
            let _ = session.close();
        }
    }
    member
}

/// The id of the server that made a session, unless the ensemble is one server.
fn id_in_session(session: SessionId) -> Option<ServerId> {
    Some(ServerId(i64::from(session.0.to_be_bytes()[0]))).filter(|id| id.0 > 0)
}

/// Opens a session, has it synced, reads, and closes it: the ensemble has to commit two txns for that.
#[must_use]
pub fn try_out(host: &Host, patience: Duration) -> Trial {
    let trial = || -> Result<(), SessionError> {
        let mut session = Session::open(&addresses(host), patience.max(SESSION_PATIENCE))?;
        session.sync_and_read()?;
        session.close()
    };
    Trial { problem: trial().err().map(|error| error.to_string()) }
}

fn status(host: &Host) -> Option<Status> {
    match words::ask(&addresses(host), "srvr") {
        Answer::Text(text) => Status::parse(&text),
        _ => None,
    }
}

/// Asks the leader for its zxid, then the others until they have it.
fn measure(hosts: &[Host], members: &[Member], patience: Duration) -> Option<Pace> {
    let leader = members.iter().position(Member::leads)?;
    let zxid = status(&hosts[leader])?.zxid?;
    let deadline = Instant::now() + patience;
    let mut lags: Vec<Lag> = members.iter().map(|member| Lag::Behind(member.zxid())).collect();
    lags[leader] = Lag::None;
    loop {
        for (lag, (host, _)) in
            lags.iter_mut().zip(hosts.iter().zip(members)).filter(|(lag, (_, member))| **lag != Lag::None && member.serves())
        {
            let reached = status(host).and_then(|status| status.zxid);
            *lag = if reached.is_some_and(|reached| reached >= zxid) { Lag::None } else { Lag::Behind(reached) };
        }
        let is_done = lags.iter().zip(members).all(|(lag, member)| *lag == Lag::None || !member.serves());
        if is_done || Instant::now() >= deadline {
            return Some(Pace { leader, zxid, lags });
        }
        thread::sleep(POLL);
    }
}

impl Survey {
    /// Configuration and ACLs, from the first server that gives a session.
    fn read_config(&mut self, hosts: &[Host]) {
        let serving = hosts.iter().zip(&self.members).filter(|(_, member)| member.serves() || member.has_given_session == Some(true));
        for host in serving.map(|(host, _)| host) {
            match read(host) {
                Ok((text, schemes)) => {
                    self.membership = Membership::parse(&text);
                    self.acl_schemes = schemes;
                    self.config_problem = None;
                    break;
                }
                Err(error) => self.config_problem = Some(format!("{host}: {error}")),
            }
        }
        self.membership = self.membership.take().or_else(|| self.members.iter().find_map(|member| member.membership.clone()));
    }

    /// Names members that did not tell their id by the client address in their server line.
    fn name_members(&mut self) {
        let Some(membership) = &self.membership else { return };
        for member in self.members.iter_mut().filter(|member| member.id.is_none()) {
            member.id = membership.by_client_address(&member.address);
        }
    }

    /// Looks at the trees of the leader and of this member once more: their digests, and their size at the same zxid.
    pub fn compare(&mut self, hosts: &[Host], index: usize) {
        let Some(leader) = self.pace.as_ref().map(|pace| pace.leader).filter(|leader| *leader != index) else { return };
        for each in [leader, index] {
            if let Answer::Text(text) = words::ask(&addresses(&hosts[each]), "hash") {
                self.members[each].digests = digests(&text);
            }
        }
        for _ in 0..TWIN_TRIES {
            self.twins = twins(&hosts[leader], &hosts[index]);
            if self.twins.is_some() {
                return;
            }
            thread::sleep(POLL);
        }
    }

    /// The leader, or who stands alone.
    #[must_use]
    pub fn leader(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.leads())
    }
}

/// Both trees, if nothing was written while they were looked at.
fn twins(leader: &Host, member: &Host) -> Option<Twins> {
    let (before, own, after) = (status(leader)?, status(member)?, status(leader)?);
    let is_quiet = before.zxid == own.zxid && own.zxid == after.zxid && before.node_count == after.node_count;
    let twins = Twins { zxid: own.zxid?, leader_nodes: before.node_count?, member_nodes: own.node_count? };
    is_quiet.then_some(twins)
}

fn read(host: &Host) -> Result<(String, BTreeSet<String>), SessionError> {
    let mut session = Session::open(&addresses(host), SESSION_PATIENCE)?;
    let text = session.config()?;
    let schemes = session.acl_schemes()?;
    // What was wanted is there; should it not be closed, it ends by its timeout.
    let _ = session.close();
    Ok((text, schemes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_names_its_server() {
        assert_eq!(id_in_session(SessionId(0x0300_0000_0000_0001)), Some(ServerId(3)));
        assert_eq!(id_in_session(SessionId(-1)), Some(ServerId(255)));
        assert_eq!(id_in_session(SessionId(5)), None);
    }

    #[test]
    fn who_is_not_there_is_known_by_its_silence() {
        let host = Host { name: "127.0.0.1".to_owned(), port: 1 };
        let survey = take(std::slice::from_ref(&host), Duration::ZERO);
        assert!(survey.members[0].silence.is_some() && survey.pace.is_none() && survey.membership.is_none());
        assert!(try_out(&host, Duration::ZERO).problem.is_some());
    }
}
