//! Sockets between servers: names to addresses, dialing all addresses of a server at once, binding, options.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::limits::DIALED_ADDRESSES_MAX;
use crate::config::HostPort;
use crate::net::listener::bind;

/// The addresses of a name, looked up now.
async fn resolve(address: &HostPort) -> io::Result<Vec<SocketAddr>> {
    match address.host.parse::<IpAddr>() {
        Ok(ip) => Ok(vec![SocketAddr::new(ip, address.port)]),
        Err(_) => Ok(lookup_host((address.host.as_str(), address.port)).await?.take(DIALED_ADDRESSES_MAX).collect()),
    }
}

/// Connects to a server over all its addresses at once: the first connection that stands counts. TCP_NODELAY is on.
///
/// # Errors
/// When every address failed, one of the failures; or when the time is up.
pub(super) async fn dial(addresses: &[HostPort], limit: Duration) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let tried: Vec<HostPort> = addresses.iter().take(DIALED_ADDRESSES_MAX).cloned().collect();
    for address in tried {
        attempts.spawn(async move { dial_host(&address).await });
    }
    timeout(limit, first(attempts)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn dial_host(address: &HostPort) -> io::Result<TcpStream> {
    let found = resolve(address).await?;
    if let [only] = found[..] {
        return connect(only).await;
    }
    let mut attempts = JoinSet::new();
    for address in found {
        attempts.spawn(connect(address));
    }
    first(attempts).await
}

/// The first that succeeds; those that are still under way are given up.
async fn first(mut attempts: JoinSet<io::Result<TcpStream>>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address is known");
    while let Some(attempt) = attempts.join_next().await {
        match attempt.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A port of this machine that nobody listens on can connect to itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Listens on every one of these addresses. A name with several needs one of its own to be had; on all IPs only the ports count.
///
/// # Errors
/// When one cannot be bound: which, and why.
pub(super) async fn listen(addresses: &[HostPort], on_all_ips: bool) -> Result<Vec<TcpListener>, (HostPort, io::Error)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for address in addresses {
        let is_bound = listeners.iter().any(|listener| listener.local_addr().is_ok_and(|bound| bound.port() == address.port));
        if on_all_ips && is_bound {
            continue;
        }
        let bound = if on_all_ips { bind_all_ips(address.port).map(|listener| vec![listener]) } else { bind_host(address).await };
        listeners.extend(bound.map_err(|error| (address.clone(), error))?);
    }
    Ok(listeners)
}

fn bind_all_ips(port: u16) -> io::Result<TcpListener> {
    // A machine without IPv6 has the other wildcard only.
    bind((Ipv6Addr::UNSPECIFIED, port).into(), 0).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
        _ => bind((Ipv4Addr::UNSPECIFIED, port).into(), 0),
    })
}

async fn bind_host(address: &HostPort) -> io::Result<Vec<TcpListener>> {
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
    let mut bound = Vec::new();
    for found in resolve(address).await? {
        match bind(found, 0) {
            Ok(listener) => bound.push(listener),
            Err(error) => failure = error,
        }
    }
    if bound.is_empty() { Err(failure) } else { Ok(bound) }
}

/// The options of a connection between election ports. Data that nobody acknowledges breaks it: a machine that is gone says nothing.
pub(super) fn set_election_options(stream: &TcpStream, has_keep_alive: bool, unanswered: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unanswered))?;
    #[cfg(not(target_os = "linux"))]
    let _ = unanswered;
    if has_keep_alive { socket.set_keepalive(true) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> HostPort {
        HostPort { host: host.to_owned(), port }
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn the_first_address_that_answers_counts() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let addresses = [at("127.0.0.1", 1), at("no.such.name.invalid", 1), at("localhost", port)];
        let stream = dial(&addresses, LIMIT).await.expect("one answers");
        assert_eq!(stream.peer_addr().expect("connected").port(), port);
        assert!(stream.nodelay().expect("an option"));
    }

    #[tokio::test]
    async fn a_refusal_is_told_at_once() {
        let error = dial(&[at("127.0.0.1", 1)], LIMIT).await.expect_err("nobody listens there");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(dial(&[], LIMIT).await.expect_err("no address").kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = taken.local_addr().expect("bound").port();
        let (address, error) = listen(&[at("127.0.0.1", port)], false).await.expect_err("taken");
        assert_eq!((address, error.kind()), (at("127.0.0.1", port), io::ErrorKind::AddrInUse));
        assert!(listen(&[at("127.0.0.1", port)], true).await.is_err(), "nor on all addresses");
    }

    #[tokio::test]
    async fn on_all_ips_one_socket_serves_every_name() {
        let free = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port").local_addr().expect("bound").port();
        let listeners = listen(&[at("not.of.this.machine.invalid", free), at("another.invalid", free)], true).await.expect("bound");
        assert_eq!(listeners.len(), 1);
        dial(&[at("127.0.0.1", free)], LIMIT).await.expect("reached by IPv4");
    }
}
