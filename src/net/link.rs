//! The task of one connection: it reads the socket, waits for room and for writability, and ends the connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{Connection, Phase};
use super::context::Context;
use super::holdings::{FREE_BYTES, Share};
use crate::proto::limits::READ_BUFFER_BYTES;
use crate::replica::Input;

/// How long a closed connection's input is drained, so that the peer reads the last reply instead of a reset.
const LINGER: Duration = Duration::from_millis(500);

thread_local! {
    /// Sockets are read into one buffer a worker: an idle connection owns none.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BUFFER_BYTES]);
}

/// How long a connection waits that has no room because of others, or no leader, before it looks again.
const HELD_BACK: Duration = Duration::from_millis(10);

/// What the task waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Others had their turn.
    Turn,
    /// Others may have made room, or elected a leader.
    Later,
    Input,
    Writable,
    Wake,
}

/// Serves a connection until its end.
pub(super) async fn serve(connection: Arc<Connection>, mut reader: OwnedReadHalf) {
    let mut kept = Vec::new();
    let mut share = Share::default();
    serve_until_end(&connection, &mut reader, &mut kept, &mut share).await;
    share.set(&connection.context.stats.input, 0);
    drop(kept);
    let is_done = connection.is_done();
    end(&connection);
    if is_done {
        linger(reader).await;
    }
}

async fn serve_until_end(connection: &Arc<Connection>, reader: &mut OwnedReadHalf, kept: &mut Vec<u8>, share: &mut Share) {
    let patience = Duration::from_millis(connection.context.settings.sessionless_timeout_ms);
    let deadline = Instant::now() + patience;
    let mut closing_deadline = None;
    loop {
        if !kept.is_empty() {
            let used = connection.handle(kept);
            kept.drain(..used);
            shrink(kept);
        }
        share.set(&connection.context.stats.input, kept.capacity());
        connection.flush();
        let (phase, wanted) = next(connection, kept.len());
        match phase {
            Phase::Closed => return,
            Phase::Closing if connection.is_done() => return,
            _ if wanted == Wanted::Input && kept.len() > FREE_BYTES && connection.context.is_input_exceeded() => {
                tracing::warn!(address = %connection.address(), bytes = kept.len(), "too many bytes of frames that are not whole");
                return connection.close();
            }
            _ => {}
        }
        let step = wait(connection, reader, kept, wanted);
        let ended = match phase {
            Phase::AwaitingConnect => timeout_at(deadline, step).await.unwrap_or_else(|_| {
                connection.context.stats.count_sessionless_expired();
                true
            }),
            // Who does not take the last words in time goes without them.
            Phase::Closing => timeout_at(*closing_deadline.get_or_insert_with(|| Instant::now() + patience), step).await.unwrap_or(true),
            _ => step.await,
        };
        if ended {
            return;
        }
    }
}

fn next(connection: &Connection, kept: usize) -> (Phase, Wanted) {
    let mut state = connection.state.lock();
    let wanted = if state.output.is_blocked() {
        Wanted::Writable
    } else {
        let paused = !state.has_room() || (state.is_paused && !state.pending.is_empty());
        let phase = state.phase;
        match phase {
            Phase::Open if std::mem::take(&mut state.has_more) => Wanted::Turn,
            Phase::Open | Phase::AwaitingConnect if std::mem::take(&mut state.is_held_back) => Wanted::Later,
            Phase::AwaitingConnect => Wanted::Input,
            Phase::Open if !paused => Wanted::Input,
            // A frame may be arriving behind the handshake: one buffer of it is taken, no more.
            Phase::Connecting if kept < READ_BUFFER_BYTES => Wanted::Input,
            _ => {
                state.is_paused = true;
                Wanted::Wake
            }
        }
    };
    (state.phase, wanted)
}

/// Waits for one thing; true when the connection is over.
async fn wait(connection: &Arc<Connection>, reader: &mut OwnedReadHalf, kept: &mut Vec<u8>, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Turn => {
            tokio::task::yield_now().await;
            false
        }
        Wanted::Later => {
            tokio::select! {
                () = tokio::time::sleep(HELD_BACK) => false,
                () = connection.wake.notified() => false,
            }
        }
        Wanted::Wake => {
            connection.wake.notified().await;
            false
        }
        Wanted::Writable => {
            tokio::select! {
                result = connection.writable() => {
                    connection.state.lock().output.unblock();
                    result.is_err()
                }
                () = connection.wake.notified() => false,
            }
        }
        Wanted::Input => {
            tokio::select! {
                ended = read(connection, reader, kept) => ended.unwrap_or(true),
                () = connection.wake.notified() => false,
            }
        }
    }
}

/// Reads once and handles what came; true at the end of the stream.
async fn read(connection: &Arc<Connection>, reader: &mut OwnedReadHalf, kept: &mut Vec<u8>) -> io::Result<bool> {
    std::future::poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            match Pin::new(&mut *reader).poll_read(context, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => {
                    connection.context.stats.count_drop();
                    Poll::Ready(Err(error))
                }
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    connection.context.stats.count_drop();
                    Poll::Ready(Ok(true))
                }
                Poll::Ready(Ok(())) => {
                    take(connection, kept, buffer.filled());
                    if buffer.remaining() == 0 {
                        connection.yield_turn();
                    }
                    Poll::Ready(Ok(false))
                }
            }
        })
    })
    .await
}

/// Handles bytes where they are, if nothing waits in front of them; keeps what is left.
fn take(connection: &Arc<Connection>, kept: &mut Vec<u8>, bytes: &[u8]) {
    if kept.is_empty() {
        let used = connection.handle(bytes);
        kept.extend_from_slice(&bytes[used..]);
    } else {
        kept.extend_from_slice(bytes);
    }
}

/// An idle connection keeps no buffer.
fn shrink(kept: &mut Vec<u8>) {
    if kept.is_empty() {
        *kept = Vec::new();
    }
}

/// Everything is written and the peer knows: drains what the client still sends for a moment.
async fn linger(mut reader: OwnedReadHalf) {
    let mut drained = [0; 1024];
    let _ = timeout(LINGER, async { while reader.read(&mut drained).await.is_ok_and(|read| read > 0) {} }).await;
}

/// Takes the connection out of everything that knows it, then tells the peer: a client that comes back at once is not counted twice.
fn end(connection: &Connection) {
    let (session, writes, large) = connection.abandon();
    let context = &connection.context;
    context.stats.end(writes);
    context.end_large(large);
    connection.leave();
    if let Some(session) = session {
        context.inbox.submit(vec![Input::Disconnected { connection: connection.id(), session }]);
    }
    connection.shutdown();
}

/// Bytes of large requests under way in the whole server.
#[derive(Debug, Default)]
pub(super) struct LargeRequests(AtomicUsize);

impl Context {
    /// Whether a request of this size counts as large.
    pub(super) fn is_large(&self, bytes: usize) -> bool {
        self.settings.large_request_bytes > 0 && bytes as i64 > self.settings.large_request_bytes
    }

    /// Takes a large request in; false when there are too many bytes of them.
    pub(super) fn begin_large(&self, bytes: usize) -> bool {
        if self.large.0.load(Relaxed) + bytes > self.settings.large_request_bytes_max {
            return false;
        }
        self.large.0.fetch_add(bytes, Relaxed);
        true
    }

    /// A large request is done.
    pub(super) fn end_large(&self, bytes: usize) {
        if bytes > 0 {
            self.large.0.fetch_sub(bytes, Relaxed);
        }
    }
}
