//! One connection on the quorum port, to a learner or to the leader: what waits to be sent, and the task that reads.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::limits::{CLOSE_WAIT, LINK_BUFFER_BYTES_KEPT, LINK_QUEUE_BYTES_ROOM};
use crate::net::output::Output;
use crate::zab::{LinkId, Packet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// What is queued is sent, then the connection is closed.
    Closing,
    /// The connection is closed at once.
    Closed,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    output: Output,
    /// While a snapshot is sent: the packets that come behind it.
    behind: Option<Vec<u8>>,
    /// Packets were queued since the last flush.
    is_dirty: bool,
    /// Since when the socket takes nothing.
    blocked: Option<Instant>,
    close_by: Option<Instant>,
}

/// A connection on the quorum port.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    /// Bytes that may wait, shared by links of a kind: it changes with their number.
    queue_bytes_max: Arc<AtomicUsize>,
    writer: OwnedWriteHalf,
    wake: Notify,
    /// The queue has become short, or nothing will ever be sent again.
    has_room: Notify,
    state: Mutex<State>,
}

/// What the task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) phase: Phase,
    /// The socket must become writable.
    pub(super) is_blocked: bool,
    /// Everything is sent.
    pub(super) is_idle: bool,
    /// A snapshot is being sent: the learner has nothing to say.
    pub(super) is_streaming: bool,
}

impl Link {
    /// A link, and the half that its task reads from.
    pub(super) fn new(id: LinkId, stream: TcpStream, queue_bytes_max: Arc<AtomicUsize>) -> (Self, OwnedReadHalf) {
        let (reader, writer) = stream.into_split();
        let state = State {
            phase: Phase::Open,
            output: Output::keeping(LINK_BUFFER_BYTES_KEPT),
            behind: None,
            is_dirty: false,
            blocked: None,
            close_by: None,
        };
        let link = Self { id, queue_bytes_max, writer, wake: Notify::new(), has_room: Notify::new(), state: Mutex::new(state) };
        (link, reader)
    }

    /// Queues a packet; true when the link is to be flushed and nobody was told yet.
    pub(super) fn send(&self, packet: &Packet) -> bool {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return false;
        }
        let State { output, behind, .. } = &mut *state;
        packet.encode(behind.as_mut().unwrap_or(output.queue()));
        let limit = self.queue_bytes_max.load(Relaxed);
        if state.queued_bytes() > limit {
            tracing::warn!(link = self.id.0, bytes = state.queued_bytes(), limit, "a link does not take what is sent");
            state.phase = Phase::Closed;
            drop(state);
            self.woken();
            return false;
        }
        !std::mem::replace(&mut state.is_dirty, true)
    }

    /// Sends what the socket takes. Any thread may call it; one writes at a time.
    pub(super) fn flush(&self) {
        let mut next = {
            let mut state = self.state.lock();
            state.is_dirty = false;
            state.output.begin_write()
        };
        while let Some(bytes) = next {
            let result = self.writer.try_write(&bytes);
            let mut state = self.state.lock();
            next = state.output.written(bytes, &result);
            state.blocked = state.output.is_blocked().then(Instant::now);
            let is_over = state.output.is_idle() && state.phase != Phase::Open;
            if state.output.is_blocked() || is_over {
                self.wake.notify_one();
            }
            if state.output.len() < LINK_QUEUE_BYTES_ROOM {
                self.has_room.notify_waiters();
            }
        }
    }

    fn woken(&self) {
        self.wake.notify_one();
        self.has_room.notify_waiters();
    }

    /// Sends what is queued, then closes.
    pub(super) fn close_behind_queue(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            // The rest of a snapshot, and what comes behind it, is of no use any more.
            state.phase = if state.behind.is_some() { Phase::Closed } else { Phase::Closing };
            state.close_by = Some(Instant::now() + CLOSE_WAIT);
        }
        drop(state);
        self.woken();
    }

    /// Closes at once.
    pub(super) fn close(&self) {
        self.state.lock().phase = Phase::Closed;
        let _ = SockRef::from(self.writer.as_ref()).shutdown(Shutdown::Both);
        self.woken();
    }

    /// Closes at once, and what the kernel has not sent is thrown away: over a slow link it would arrive for a long time.
    pub(super) fn reset(&self) {
        let _ = SockRef::from(self.writer.as_ref()).set_linger(Some(Duration::ZERO));
        self.close();
    }

    // Snapshots.

    /// A snapshot follows what is queued now. Packets that are queued from here on come behind it.
    pub(super) fn begin_snapshot(&self) {
        self.state.lock().behind.get_or_insert_default();
    }

    /// Queues the next part of the snapshot.
    pub(super) fn send_slice(&self, slice: Vec<u8>) {
        append(self.state.lock().output.queue(), slice);
    }

    /// The snapshot is complete: what was queued meanwhile follows it.
    pub(super) fn end_snapshot(&self) {
        let mut state = self.state.lock();
        if let Some(behind) = state.behind.take() {
            append(state.output.queue(), behind);
        }
    }

    /// Waits until the queue is short; false when the link is over.
    pub(super) async fn room(&self) -> bool {
        loop {
            let mut notified = std::pin::pin!(self.has_room.notified());
            notified.as_mut().enable();
            {
                let state = self.state.lock();
                if state.phase != Phase::Open {
                    return false;
                }
                if state.output.len() < LINK_QUEUE_BYTES_ROOM {
                    return true;
                }
            }
            notified.await;
        }
    }

    // The task.

    pub(super) fn wanted(&self) -> Wanted {
        let state = self.state.lock();
        let is_late = state.phase == Phase::Closing && state.close_by.is_some_and(|close_by| close_by <= Instant::now());
        Wanted {
            phase: if is_late { Phase::Closed } else { state.phase },
            is_blocked: state.output.is_blocked(),
            is_idle: state.output.is_idle(),
            is_streaming: state.behind.is_some(),
        }
    }

    /// Waits until the socket takes bytes again, or until the queue must be empty; an error when it takes none for too long.
    pub(super) async fn writable(&self, limit: Duration) -> io::Result<()> {
        let (close_by, blocked) = {
            let state = self.state.lock();
            (state.close_by, state.blocked)
        };
        let by = close_by.unwrap_or(blocked.unwrap_or(Instant::now()) + limit);
        let result = timeout_at(by, self.writer.writable()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        self.state.lock().output.unblock();
        result
    }

    /// Waits until somebody wants something of the task.
    pub(super) async fn woken_up(&self) {
        self.wake.notified().await;
    }

    /// Everything is sent: says so, and drains what the other end still sends for a moment, so that it reads the last packet instead of a
    /// reset.
    pub(super) async fn end(&self, mut reader: OwnedReadHalf) {
        let _ = SockRef::from(self.writer.as_ref()).shutdown(Shutdown::Write);
        let mut drained = [0; 4096];
        let _ = timeout(CLOSE_WAIT, async { while reader.read(&mut drained).await.is_ok_and(|read| read > 0) {} }).await;
    }
}

fn append(queue: &mut Vec<u8>, bytes: Vec<u8>) {
    if queue.is_empty() { *queue = bytes } else { queue.extend_from_slice(&bytes) }
}

impl State {
    fn queued_bytes(&self) -> usize {
        self.output.len() + self.behind.as_ref().map_or(0, Vec::len)
    }
}
