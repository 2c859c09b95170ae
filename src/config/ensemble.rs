//! What only a member of an ensemble has: its id from the file `myid`, the dynamic file, and the text of the configuration.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::error::Reason;
use super::members::{Member, MemberError, Members, Role};
use super::properties;
use super::settings::Settings;
use crate::ids::ServerId;

/// A `myid` larger than this is none, bytes.
const MYID_BYTES_MAX: usize = 64;

/// The id in `dataDir/myid`: a decimal number in the first line.
///
/// # Errors
/// When there is no such file or no such number.
pub(super) fn read_myid(data_dir: &Path) -> Result<ServerId, Reason> {
    let path = data_dir.join("myid");
    let text = fs::read_to_string(&path).map_err(|error| Reason::MyIdUnreadable { path: path.clone(), error: error.to_string() })?;
    let line = text.lines().next().unwrap_or_default().trim();
    let id = line.parse().ok().filter(|_| text.len() <= MYID_BYTES_MAX).filter(|id: &i64| *id >= 0);
    id.map(ServerId).ok_or_else(|| Reason::MyIdNoNumber { path, found: line.chars().take(MYID_BYTES_MAX).collect() })
}

/// Takes the place of this server among the members: its id, and the client address of its own line.
///
/// # Errors
/// When it has none, or the line and the static file contradict one another.
pub(super) fn take_place(settings: &mut Settings) -> Result<(), Reason> {
    let id = read_myid(&settings.storage.data_dir)?;
    let Some(own) = settings.ensemble.members.servers.get(&id) else { return Err(Reason::NotAMember { id: id.0 }) };
    if let Some(client) = &own.client_address {
        let network = &mut settings.network;
        if network.client_port != 0 && network.client_port != client.port {
            let fixed = network.client_port.to_string();
            return Err(Reason::ClientAddressDiffers { id: id.0, dynamic: client.to_string(), fixed });
        }
        network.client_port = client.port;
        if network.client_port_address.is_none() && client.host != "0.0.0.0" {
            network.client_port_address = Some(client.host.clone());
        }
    }
    settings.ensemble.server_id = id.0;
    Ok(())
}

/// Why a text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembersTextError {
    /// It is no properties text.
    #[error("a bad escape in line {line}")]
    BadEscape {
        /// The line.
        line: usize,
    },
    /// A line that is wrong.
    #[error("{key}: {error}")]
    Member {
        /// Its key.
        key: String,
        /// What is wrong with it.
        error: MemberError,
    },
    /// A key that has no place in it.
    #[error("{key}: not a key of a configuration's members")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// The version is not a hexadecimal number.
    #[error("version={found}: not a hexadecimal number")]
    BadVersion {
        /// What it is.
        found: String,
    },
}

impl Members {
    /// Reads the text of a configuration, and its version: 0 if it has none (`QuorumPeer.configFromString`, `QuorumPeerConfig.parseDynamicConfig`).
    ///
    /// # Errors
    /// When a line does not follow the grammar, or the whole contradicts itself.
    pub fn parse(text: &[u8]) -> Result<(Self, i64), MembersTextError> {
        let (mut members, mut version) = (Self::default(), 0);
        for entry in properties::parse(&escaped(text)).map_err(|bad| MembersTextError::BadEscape { line: bad.line })? {
            let (key, value) = (entry.key.trim(), entry.value.trim());
            if key == "version" {
                let number = i64::from_str_radix(value, 16).ok().filter(|number| *number >= 0);
                version = number.ok_or_else(|| MembersTextError::BadVersion { found: value.to_owned() })?;
            } else if Self::owns(key) {
                members.add(key, value, true).map_err(|error| MembersTextError::Member { key: key.to_owned(), error })?;
            } else {
                return Err(MembersTextError::UnknownKey { key: key.to_owned() });
            }
        }
        members.check_groups().map_err(|error| MembersTextError::Member { key: "group".to_owned(), error })?;
        Ok((members, version))
    }

    /// The text of the configuration, as servers tell it to each other (`QuorumMaj.toString`, `QuorumHierarchical.toString`).
    #[must_use]
    pub fn text(&self, version: i64) -> String {
        let mut text = String::new();
        for (id, member) in &self.servers {
            let _ = writeln!(text, "server.{id}={}", member_text(member));
        }
        let mut groups: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (id, group) in &self.group_of {
            groups.entry(*group).or_default().push(id.to_string());
        }
        for (group, ids) in groups {
            let _ = writeln!(text, "group.{group}={}", ids.join(":"));
        }
        for (id, weight) in self.weight_of.iter().filter(|_| !self.group_of.is_empty()) {
            let _ = writeln!(text, "weight.{id}={weight}");
        }
        let _ = write!(text, "version={version:x}");
        text
    }
}

/// Servers tell each other UTF-8, where a file of properties has ISO-8859-1 and escapes.
fn escaped(text: &[u8]) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let escape = |unit: u16| if unit < 128 { char::from(unit as u8).to_string() } else { format!("\\u{unit:04x}") };
    Cow::Owned(String::from_utf8_lossy(text).encode_utf16().map(escape).collect::<String>().into_bytes())
}

fn member_text(member: &Member) -> String {
    let address = |address: &super::members::MemberAddress| {
        let host = if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
        format!("{host}:{}:{}", address.quorum_port, address.election_port)
    };
    let addresses: Vec<String> = member.addresses.iter().map(address).collect();
    let role = match member.role {
        Role::Participant => "participant",
        Role::Observer => "observer",
    };
    let client = member.client_address.as_ref().map_or_else(String::new, |client| format!(";{client}"));
    format!("{}:{role}{client}", addresses.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_java() {
        let members =
            Members::of_lines(&[("server.2", "b:3:4:observer"), ("server.1", "[::1]:1:2|a:5:6;2181"), ("server.3", "c:1:2;h:2182")]);
        let expected = "server.1=[::1]:1:2|a:5:6:participant;0.0.0.0:2181\nserver.2=b:3:4:observer\n\
                        server.3=c:1:2:participant;h:2182\nversion=1f";
        assert_eq!(members.text(31), expected);
    }

    #[test]
    fn a_text_is_read_back() {
        let text = "server.1=höst:1:2:participant;0.0.0.0:2181\nserver.2=[::1]:3:4:observer\nversion=1f";
        let (members, version) = Members::parse(text.as_bytes()).expect("well formed");
        assert_eq!((members.text(version).as_str(), members.servers[&ServerId(1)].addresses[0].host.as_str()), (text, "höst"));
        for (bad, key) in [("version=-1", "version"), ("version=x", "version"), ("dataDir=/d", "dataDir"), ("server.1=a:1:1", "server.1")] {
            let error = Members::parse(bad.as_bytes()).expect_err(bad);
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn groups_and_weights_have_their_lines() {
        let members = Members::of_lines(&[("server.1", "a:1:2"), ("server.2", "b:1:2"), ("group.1", "1:2"), ("weight.1", "0")]);
        assert!(members.text(0).ends_with("group.1=1:2\nweight.1=0\nversion=0"));
    }

    #[test]
    fn myid_is_a_number_in_the_first_line() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(read_myid(dir.path()), Err(Reason::MyIdUnreadable { .. })));
        for (text, expected) in [("3\n", Some(3)), (" 12", Some(12)), ("3x", None), ("", None), ("-1", None)] {
            fs::write(dir.path().join("myid"), text).expect("writable");
            assert_eq!(read_myid(dir.path()).ok(), expected.map(ServerId), "{text:?}");
        }
    }
}
