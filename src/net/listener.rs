//! The client port: accepts sockets within the limits and gives each its task.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use super::context::Context;
use super::link;

/// The backlog when the configuration names none.
const BACKLOG_DEFAULT: i32 = 1024;
/// Pause after an accept that failed for want of resources.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A bound client port.
pub struct Listener {
    socket: TcpListener,
}

/// Binds the client port. A backlog of 0 or less means the default.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen(address: SocketAddr, backlog: i32) -> io::Result<Listener> {
    bind(address, backlog).map(|socket| Listener { socket })
}

/// Binds a port. An IPv6 wildcard takes IPv4 too.
pub(super) fn bind(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(if backlog > 0 { backlog } else { BACKLOG_DEFAULT })?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

impl Listener {
    /// The address that is bound.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts connections for ever.
    pub async fn accept(self, context: Arc<Context>) {
        loop {
            match self.socket.accept().await {
                Ok((stream, address)) => admit(stream, canonical(address), &context),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }
}

/// An IPv4 client of a dual-stack socket is an IPv4 client.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn admit(stream: TcpStream, address: SocketAddr, context: &Arc<Context>) {
    let settings = &context.settings;
    let _ = stream.set_nodelay(true);
    if settings.keep_alive {
        let _ = SockRef::from(&stream).set_keepalive(true);
    }
    let (reader, writer) = stream.into_split();
    let established_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64);
    let added = context.table.add(address.ip(), settings.connections_per_address_max, settings.connections_max, |id| {
        Arc::new(Connection::new(id, address, writer, Arc::clone(context), established_ms))
    });
    match added {
        Some(connection) => {
            context.enter_lobby(connection.id());
            tokio::spawn(link::serve(connection, reader));
        }
        None => {
            context.stats.count_rejected();
            tracing::warn!(%address, max = settings.connections_per_address_max, "Too many connections");
        }
    }
}
