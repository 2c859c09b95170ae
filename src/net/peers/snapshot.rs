//! The bytes of a snapshot between packets, in both directions. What may block runs on threads that may.

use std::io;
use std::sync::Arc;

use bytes::Buf;

use super::quorum::Quorum;
use super::quorum_link::Link;
use super::reading::{Reading, Step};
use super::rim::SnapshotSource;
use crate::ids::Zxid;
use crate::zab::Input;

/// Sends a snapshot as the socket takes it, then tells the core.
pub(super) async fn send(quorum: Arc<Quorum>, link: Arc<Link>, mut source: Box<dyn SnapshotSource>) {
    let mut has_more = true;
    while has_more && link.room().await {
        let next = tokio::task::spawn_blocking(move || {
            let mut slice = Vec::new();
            let has_more = source.next_slice(&mut slice)?;
            Ok::<_, io::Error>((source, slice, has_more))
        });
        let (returned, slice, more) = match next.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(%error, "a snapshot for a learner was given up");
                link.close();
                return;
            }
        };
        (source, has_more) = (returned, more);
        link.send_slice(slice);
        link.flush();
    }
    if !has_more {
        link.end_snapshot();
        link.flush();
        quorum.inbox.submit(vec![Input::SnapshotSent(link.id)]);
    }
}

/// Receives a snapshot off the stream; what follows it stays there.
pub(super) async fn receive(quorum: &Quorum, link: &Link, reading: &mut Reading, zxid: Zxid) -> io::Result<()> {
    let factory = Arc::clone(&quorum.snapshots);
    let mut sink = blocking(move || factory.receive(zxid)).await?;
    loop {
        let mut bytes = reading.decoder.take();
        if !bytes.is_empty() {
            let length = bytes.len();
            let (returned_sink, returned, received) = blocking(move || {
                let received = sink.write(&bytes)?;
                Ok((sink, bytes, received))
            })
            .await?;
            (sink, bytes) = (returned_sink, returned);
            if received.is_complete {
                bytes.advance(received.consumed.min(length));
                reading.decoder.give_back(bytes);
                return Ok(());
            }
        }
        if let Step::Sent = reading.read(link).await? {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
