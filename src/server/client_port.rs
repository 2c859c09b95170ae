//! The client port: bound at the start, and bound elsewhere when a reconfiguration moves it. Connections that stand stay.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::watch;

use super::start::StartError;
use crate::config::{HostPort, NetworkSettings};
use crate::net::{Context, Listener, listen};

/// The host that means every address of the machine.
const ANY_HOST: &str = "0.0.0.0";

fn client_address(network: &NetworkSettings) -> Result<SocketAddr, std::io::Error> {
    let port = network.client_port;
    match &network.client_port_address {
        None => Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)),
        Some(host) => {
            let found = (without_needless_zone(host), port).to_socket_addrs()?.next();
            found.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address"))
        }
    }
}

/// `::1%lo` as `::1`: a zone means something for link-local addresses only, and the system's resolver refuses it for others. The JVM,
/// which prints addresses so, takes them back.
fn without_needless_zone(host: &str) -> &str {
    match host.split_once('%') {
        Some((address, _)) if address.parse::<Ipv6Addr>().is_ok_and(|parsed| !parsed.is_unicast_link_local()) => address,
        _ => host,
    }
}

/// Binds the client port.
///
/// # Errors
/// When it cannot be bound.
pub(super) fn bind(network: &NetworkSettings) -> Result<Listener, StartError> {
    let backlog = network.client_port_listen_backlog.map_or(-1, |backlog| backlog as i32);
    let named = network.client_port_address.as_deref().unwrap_or("*");
    let failed = |source| StartError::Listen { address: format!("{named}:{}", network.client_port), source };
    let address = client_address(network).map_err(failed)?;
    let any_v4 = SocketAddr::from(([0, 0, 0, 0], network.client_port));
    let bound = listen(address, backlog);
    // A machine without IPv6 has no such wildcard.
    let bound = if network.client_port_address.is_none() { bound.or_else(|_| listen(any_v4, backlog)) } else { bound };
    bound.map_err(failed)
}

/// Accepts clients for ever, at the place that `moves` names last. If that cannot be bound clients are served where they were.
pub(super) async fn serve(
    listener: Listener,
    mut network: NetworkSettings,
    context: Arc<Context>,
    mut moves: watch::Receiver<Option<HostPort>>,
) {
    let mut accepting = tokio::spawn(listener.accept(Arc::clone(&context)));
    while moves.changed().await.is_ok() {
        let Some(HostPort { host, port }) = moves.borrow_and_update().clone() else { continue };
        network.client_port = port;
        network.client_port_address = (host != ANY_HOST).then_some(host);
        match bind(&network) {
            Ok(listener) => {
                accepting.abort();
                accepting = tokio::spawn(listener.accept(Arc::clone(&context)));
                tracing::info!(port, "the client port moved");
            }
            Err(error) => tracing::error!(%error, "the client port cannot move: it stays where it was"),
        }
    }
    let _ = accepting.await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn an_address_with_a_zone_can_be_bound() {
        for (host, bare) in [
            ("::1%lo", "::1"),
            ("0:0:0:0:0:0:0:1%1", "0:0:0:0:0:0:0:1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("127.0.0.1", "127.0.0.1"),
            ("name%with-percent", "name%with-percent"),
        ] {
            assert_eq!(without_needless_zone(host), bare);
        }
        let mut network = Settings::embedded_default(std::path::Path::new("data")).network;
        network.client_port_address = Some("0:0:0:0:0:0:0:1%lo".to_owned());
        assert_eq!(client_address(&network).map(|address| address.ip()).ok(), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }
}
