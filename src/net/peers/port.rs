//! A port that servers connect to: opened, closed and moved to other addresses while the server runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::limits::RESOURCE_PAUSE;
use super::sockets::listen;
use crate::config::HostPort;

/// What is done with a connection: it must not block.
pub(super) type Accept = Arc<dyn Fn(TcpStream, SocketAddr) + Send + Sync>;

/// How a port is bound.
#[derive(Clone, Debug)]
pub(super) struct PortRules {
    /// Its name in the log.
    pub(super) name: &'static str,
    pub(super) on_all_ips: bool,
    /// The pause between two attempts to bind it.
    pub(super) retry: Duration,
}

/// A port. Dropped, it closes.
#[derive(Debug)]
pub(super) struct Port {
    /// The addresses to listen on; none while the port is closed.
    wanted: watch::Sender<Vec<HostPort>>,
}

impl Port {
    /// A port that is closed, or bound to these addresses already.
    pub(super) fn new(rules: PortRules, addresses: Vec<HostPort>, bound: Vec<TcpListener>, accept: Accept) -> Self {
        let (wanted, changes) = watch::channel(addresses);
        tokio::spawn(serve(rules, bound, accept, changes));
        Self { wanted }
    }

    /// Listens on these addresses, as soon as they can be bound; on none: the port closes.
    pub(super) fn listen_on(&self, addresses: Vec<HostPort>) {
        self.wanted.send_if_modified(|wanted| {
            let is_new = *wanted != addresses;
            *wanted = addresses;
            is_new
        });
    }
}

async fn serve(rules: PortRules, mut bound: Vec<TcpListener>, accept: Accept, mut changes: watch::Receiver<Vec<HostPort>>) {
    loop {
        let mut tasks = JoinSet::new();
        for listener in bound.drain(..) {
            tasks.spawn(accept_all(listener, Arc::clone(&accept)));
        }
        if changes.changed().await.is_err() {
            return;
        }
        // The sockets must be closed before the port can be bound again.
        tasks.shutdown().await;
        bound = bind_wanted(&rules, &mut changes).await;
    }
}

/// Tries until it succeeds, or until something else is wanted: somebody else may be about to leave the port.
async fn bind_wanted(rules: &PortRules, changes: &mut watch::Receiver<Vec<HostPort>>) -> Vec<TcpListener> {
    let mut is_told = false;
    loop {
        let wanted = changes.borrow_and_update().clone();
        match listen(&wanted, rules.on_all_ips).await {
            Ok(listeners) => return listeners,
            Err((address, error)) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(port = rules.name, %address, %error, "cannot listen; trying on");
                }
                tokio::select! {
                    () = sleep(rules.retry) => {}
                    changed = changes.changed() => if changed.is_err() { return Vec::new() } else { changes.mark_changed() },
                }
            }
        }
    }
}

async fn accept_all(listener: TcpListener, accept: Accept) {
    accept_each(|| listener.accept(), accept).await;
}

/// An error of accept is one of the moment: too many open files, or a client that went away (ZOOKEEPER-2836).
async fn accept_each<F>(mut next: impl FnMut() -> F, accept: Accept)
where
    F: Future<Output = io::Result<(TcpStream, SocketAddr)>>,
{
    loop {
        match next().await {
            Ok((stream, address)) => accept(stream, SocketAddr::new(address.ip().to_canonical(), address.port())),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                sleep(RESOURCE_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[tokio::test]
    async fn zookeeper_2836_a_port_survives_that_no_connection_can_be_accepted() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let connection = listener.accept().await.expect("there is one");
        let failures = [io::ErrorKind::ConnectionAborted, io::ErrorKind::OutOfMemory, io::ErrorKind::Other];
        let mut steps = failures.map(|kind| Err(kind.into())).into_iter().chain([Ok(connection)]);
        let next = move || {
            let step = steps.next();
            async move {
                match step {
                    Some(step) => step,
                    None => std::future::pending().await,
                }
            }
        };
        let (accepted, mut connections) = unbounded_channel();
        let accept: Accept = Arc::new(move |_, from| accepted.send(from).expect("somebody waits"));
        tokio::spawn(accept_each(next, accept));
        assert_eq!(connections.recv().await, stream.local_addr().ok());
    }
}
