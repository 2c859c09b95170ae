//! The connection string: `host:port,host:port/chroot`, as ZooKeeper's clients take it (`ConnectStringParser`).

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};

const DEFAULT_PORT: u16 = 2181;

/// A connection string that is none, or that names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection string {text:?}: {why}; it looks like host:port,host:port/chroot")]
pub struct BadServers {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// One server by its name, not looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name or address, without brackets.
    pub name: String,
    /// Client port.
    pub port: u16,
}

impl Host {
    /// The addresses of the name.
    ///
    /// # Errors
    /// Why there is none.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let found = (self.name.as_str(), self.port).to_socket_addrs().map_err(|error| format!("cannot resolve {}: {error}", self.name))?;
        Ok(found.collect())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') { write!(f, "[{}]:{}", self.name, self.port) } else { write!(f, "{}:{}", self.name, self.port) }
    }
}

/// Takes a connection string apart: its hosts in the order given, and the chroot.
///
/// # Errors
/// When a part is empty, a port is not a number, or the chroot is not a path.
pub fn parse(text: &str) -> Result<(Vec<Host>, String), BadServers> {
    let (hosts, chroot) = split_chroot(text)?;
    let hosts = hosts.split(',').map(|host| split_port(host.trim()).map_err(|why| bad(text, &why)));
    Ok((hosts.collect::<Result<_, _>>()?, chroot))
}

/// The servers of one ensemble, resolved, and the znode below which a client stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    /// The text as given.
    pub text: String,
    /// Every address of every name, in the order given.
    pub addresses: Vec<SocketAddr>,
    /// The chroot without a slash at its end; empty when there is none.
    pub chroot: String,
}

impl Servers {
    /// Parses and resolves.
    ///
    /// # Errors
    /// When a part is empty, a port is not a number, a name does not resolve, or the chroot is not a path.
    pub fn resolve(text: &str) -> Result<Self, BadServers> {
        let (hosts, chroot) = parse(text)?;
        let mut addresses = Vec::new();
        for host in hosts {
            addresses.extend(host.resolve().map_err(|why| bad(text, &why))?);
        }
        if addresses.is_empty() {
            return Err(bad(text, "no name has an address"));
        }
        Ok(Self { text: text.to_owned(), addresses, chroot })
    }

    /// The addresses, separated by commas.
    #[must_use]
    pub fn address_list(&self) -> String {
        self.addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",")
    }
}

fn bad(text: &str, why: &str) -> BadServers {
    BadServers { text: text.to_owned(), why: why.to_owned() }
}

fn split_chroot(text: &str) -> Result<(&str, String), BadServers> {
    let Some(slash) = text.find('/') else { return Ok((text, String::new())) };
    let (hosts, chroot) = text.split_at(slash);
    let chroot = if chroot == "/" { "" } else { chroot };
    let is_path = !chroot.ends_with('/') && !chroot.contains("//") && !chroot.contains(',');
    if is_path { Ok((hosts, chroot.to_owned())) } else { Err(bad(text, &format!("{chroot:?} is not the path of a znode"))) }
}

/// Name and port; an IPv6 address stands in brackets when a port follows it.
fn split_port(host: &str) -> Result<Host, String> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, behind) = rest.split_once(']').ok_or_else(|| format!("{host:?} has no closing bracket"))?;
            (name, behind.strip_prefix(':'))
        }
        None if host.matches(':').count() == 1 => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
        None => (host, None),
    };
    if name.is_empty() {
        return Err("a host is missing".to_owned());
    }
    let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| format!("{port:?} is not a port")))?;
    Ok(Host { name: name.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> (String, String) {
        let servers = Servers::resolve(text).expect("is a connection string");
        (servers.address_list(), servers.chroot)
    }

    #[test]
    fn hosts_ports_and_chroot_are_told_apart() {
        assert_eq!(list("127.0.0.1"), ("127.0.0.1:2181".to_owned(), String::new()));
        assert_eq!(list("127.0.0.1:5,127.0.0.2:6/a/b"), ("127.0.0.1:5,127.0.0.2:6".to_owned(), "/a/b".to_owned()));
        assert_eq!(list("[::1]:7/"), ("[::1]:7".to_owned(), String::new()));
        assert_eq!(list("::1"), ("[::1]:2181".to_owned(), String::new()));
    }

    #[test]
    fn hosts_keep_their_names() {
        let (hosts, chroot) = parse("zk1,[::1]:2182/a").expect("is a connection string");
        assert_eq!(
            (hosts.iter().map(Host::to_string).collect::<Vec<_>>(), &*chroot),
            (vec!["zk1:2181".to_owned(), "[::1]:2182".to_owned()], "/a")
        );
    }

    #[test]
    fn names_are_resolved() {
        let servers = Servers::resolve("localhost:2182").expect("every machine knows itself");
        assert!(servers.addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 2182));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("127.0.0.1:x", "\"x\" is not a port"),
            ("127.0.0.1:70000", "\"70000\" is not a port"),
            (":2181", "a host is missing"),
            ("127.0.0.1,,127.0.0.2", "a host is missing"),
            ("127.0.0.1/a/", "is not the path of a znode"),
            ("127.0.0.1/a//b", "is not the path of a znode"),
            ("[::1:2181", "no closing bracket"),
        ] {
            let error = Servers::resolve(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
