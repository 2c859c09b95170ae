//! The first bytes on a connection to the election port: who dials, and where it can be called back (quorum-protocol.md §1.2).
//!
//! `long version (−65536 or −65535), long sid, int length, addresses` since 3.4.6; before that a bare `long sid`, which is not negative.

use std::net::IpAddr;

use thiserror::Error;

use super::limits::GREETING_ADDRESS_BYTES_MAX;
use crate::config::HostPort;
use crate::ids::ServerId;

/// One address behind the sid.
const VERSION_1: i64 = -65_536;
/// Several addresses with `|` between them.
const VERSION_2: i64 = -65_535;
/// Bytes before the addresses.
const HEAD_BYTES: usize = 20;

/// The sid of an observer that has none (`QuorumPeer.OBSERVER_ID`).
pub const ANONYMOUS: ServerId = ServerId(i64::MAX);

/// Who dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The sid that it claims.
    pub sid: ServerId,
    /// Its election addresses; none when it does not say, or names wildcards only.
    pub addresses: Vec<HostPort>,
}

/// Why bytes are no greeting: the connection is to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GreetingError {
    /// A version that is none.
    #[error("protocol version {version} of the election port is not known")]
    UnknownVersion {
        /// The version as read.
        version: i64,
    },
    /// A text of addresses of no size or a large one.
    #[error("an address of {size} bytes, 1 to {GREETING_ADDRESS_BYTES_MAX} expected")]
    AddressSize {
        /// The size as read.
        size: i32,
    },
    /// Not a host and a port.
    #[error("an address that is no host and port")]
    Address,
}

impl Greeting {
    /// The bytes. The receiver expects them in one piece: they are to be written with one call.
    #[must_use]
    pub fn encode(&self, is_multi_address: bool) -> Vec<u8> {
        let texts: Vec<String> = self.addresses.iter().map(HostPort::to_string).collect();
        let (version, text) =
            if is_multi_address { (VERSION_2, texts.join("|")) } else { (VERSION_1, texts.into_iter().next().unwrap_or_default()) };
        let mut out = Vec::with_capacity(HEAD_BYTES + text.len());
        out.extend_from_slice(&version.to_be_bytes());
        out.extend_from_slice(&self.sid.0.to_be_bytes());
        out.extend_from_slice(&(text.len() as i32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
        out
    }

    /// Reads the greeting at the front of `bytes`, with its length; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the bytes are no greeting.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, GreetingError> {
        let Some(version) = bytes.first_chunk().map(|first| i64::from_be_bytes(*first)) else { return Ok(None) };
        if version >= 0 {
            return Ok(Some((Self { sid: ServerId(version), addresses: Vec::new() }, 8)));
        }
        if version != VERSION_1 && version != VERSION_2 {
            return Err(GreetingError::UnknownVersion { version });
        }
        let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let sid = i64::from_be_bytes(*head[8..].first_chunk().expect("12 bytes are left"));
        let size = i32::from_be_bytes(*head[16..].first_chunk().expect("4 bytes are left"));
        let length = usize::try_from(size).ok().filter(|length| (1..=GREETING_ADDRESS_BYTES_MAX).contains(length));
        let end = HEAD_BYTES + length.ok_or(GreetingError::AddressSize { size })?;
        let Some(text) = bytes.get(HEAD_BYTES..end) else { return Ok(None) };
        let text = std::str::from_utf8(text).map_err(|_| GreetingError::Address)?;
        Ok(Some((Self { sid: ServerId(sid), addresses: addresses(text, version == VERSION_2)? }, end)))
    }
}

/// The addresses that can be dialed: a wildcard tells nothing.
fn addresses(text: &str, is_several: bool) -> Result<Vec<HostPort>, GreetingError> {
    let parts: Vec<&str> = if is_several { text.split('|').collect() } else { vec![text] };
    let all: Vec<HostPort> = parts.into_iter().map(address).collect::<Option<_>>().ok_or(GreetingError::Address)?;
    let is_wildcard = |address: &HostPort| address.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    Ok(all.into_iter().filter(|address| !is_wildcard(address)).collect())
}

/// `host:port`, with brackets around an IPv6 address.
fn address(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').map_or(Some(host), |inner| inner.strip_suffix(']'))?;
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && !"[]/|".contains(c));
    let port = port.parse().ok().filter(|&port: &u16| port > 0)?;
    is_host.then(|| HostPort { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> HostPort {
        HostPort { host: host.to_owned(), port }
    }

    #[test]
    fn both_versions_are_the_golden_bytes_and_come_back() {
        let greeting = Greeting { sid: ServerId(3), addresses: vec![at("10.0.0.3", 3888), at("fe80::1", 3889)] };
        let first = greeting.encode(false);
        assert_eq!(first, b"\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\x03\0\0\0\x0d10.0.0.3:3888");
        let only = Greeting { addresses: greeting.addresses[..1].to_vec(), ..greeting.clone() };
        assert_eq!(Greeting::decode(&first), Ok(Some((only, first.len()))));
        let second = greeting.encode(true);
        assert_eq!(&second[..8], (-65_535_i64).to_be_bytes());
        assert!(second.ends_with(b"10.0.0.3:3888|[fe80::1]:3889"));
        assert_eq!(Greeting::decode(&second), Ok(Some((greeting, second.len()))));
    }

    #[test]
    fn a_bare_sid_is_the_form_of_3_4() {
        let bytes = [7_i64.to_be_bytes(), [9; 8]].concat();
        assert_eq!(Greeting::decode(&bytes), Ok(Some((Greeting { sid: ServerId(7), addresses: vec![] }, 8))));
        assert_eq!(Greeting::decode(&bytes[..7]), Ok(None));
    }

    #[test]
    fn half_a_greeting_needs_more() {
        let whole = Greeting { sid: ServerId(1), addresses: vec![at("zk-1.local", 3888)] }.encode(false);
        for length in 0..whole.len() {
            assert_eq!(Greeting::decode(&whole[..length]), Ok(None), "{length} bytes");
        }
    }

    #[test]
    fn wildcards_are_dropped() {
        for wildcard in ["0.0.0.0", "::"] {
            let bytes = Greeting { sid: ServerId(1), addresses: vec![at(wildcard, 3888), at("a", 1)] }.encode(true);
            let (greeting, _) = Greeting::decode(&bytes).expect("well formed").expect("whole");
            assert_eq!(greeting.addresses, [at("a", 1)]);
        }
    }

    #[test]
    fn hostile_greetings_are_errors() {
        let with = |size: i32, text: &[u8]| {
            let bytes = [&VERSION_1.to_be_bytes()[..], &1_i64.to_be_bytes(), &size.to_be_bytes(), text].concat();
            Greeting::decode(&bytes)
        };
        for size in [-1, 0, 2049, i32::MAX, i32::MIN] {
            assert_eq!(with(size, b"x"), Err(GreetingError::AddressSize { size }));
        }
        for text in ["nohost", ":1", "a:", "a:0", "a:65536", "a b:1", "[::1:1", "a:1|b:2x", "\u{1}:1", "a/b:1", "a|b:1"] {
            assert_eq!(with(text.len() as i32, text.as_bytes()), Err(GreetingError::Address), "{text:?}");
        }
        assert_eq!(with(3, &[0xff, 0xfe, b':']), Err(GreetingError::Address));
        let unknown = (-65_534_i64).to_be_bytes();
        assert_eq!(Greeting::decode(&unknown), Err(GreetingError::UnknownVersion { version: -65_534 }));
    }
}
