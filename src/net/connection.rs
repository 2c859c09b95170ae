//! One client connection: what it waits for, what waits for it, and the effects that the replica has on it.
//!
//! Lock order: the tree's lock first, then the connection's state. The state is never held while the replica is called.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::context::Context;
use super::holdings::Share;
use super::namespaces::{Direction, Namespaces};
use super::output::Output;
use super::stats::Done;
use crate::admin::stats::Reply;
use crate::admin::view::ConnectionView;
use crate::admin::{ConnectionStats, Metrics, last_operation_name};
use crate::ids::{ConnectionId, Zxid};
use crate::proto::connect::ConnectResponse;
use crate::proto::limits::{
    OUTPUT_BYTES_MAX, OUTPUT_BYTES_PAUSE, OUTSTANDING_BYTES_PER_CONNECTION_MAX, OUTSTANDING_REQUESTS_PER_CONNECTION_MAX,
};
use crate::proto::op_code::OpCode;
use crate::proto::password;
use crate::proto::reply::{encode_frame, encode_header};
use crate::replica::View;
use crate::request::read::{After, ReadContext, Traffic};
use crate::request::reply::{encode_body, header_error};
use crate::session::SessionCell;
use crate::tree::acl::{AclList, Identity, perms};
use crate::tree::apply::Applied;

/// Where a connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nothing but a four-letter word or a ConnectRequest is understood.
    AwaitingConnect,
    /// The replica opens the session; bytes behind the handshake wait.
    Connecting,
    /// Requests are served.
    Open,
    /// What is queued is written, then the socket is closed.
    Closing,
    /// The socket is closed at once.
    Closed,
}

/// A request that waits for its turn behind a write.
pub(super) enum Pending {
    /// A write that the replica has.
    Write { op: OpCode, received_ms: i64, closes: bool, bytes: usize, is_large: bool },
    /// A read that must see the writes before it and nothing later of its own session.
    Read { xid: i32, op: OpCode, received_ms: i64, body: Bytes, identities: Arc<[Identity]> },
    /// A finished frame that keeps its place.
    Ready { frame: Vec<u8>, closes: bool },
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) output: Output,
    pub(super) pending: VecDeque<Pending>,
    pub(super) pending_bytes: usize,
    pub(super) pending_writes: usize,
    pub(super) session: Option<Arc<SessionCell>>,
    pub(super) identities: Arc<[Identity]>,
    pub(super) read_only_byte: bool,
    pub(super) stats: ConnectionStats,
    /// The task found a limit reached and waits to be woken when there is room.
    pub(super) is_paused: bool,
    /// What is read where.
    pub(super) namespaces: Namespaces,
    /// Neither the table nor the watches know this connection any more.
    has_left: bool,
    /// The turn ended before the buffer did, so that others have theirs.
    pub(super) has_more: bool,
    /// Requests of others take the room.
    pub(super) is_held_back: bool,
    output_share: Share,
    request_share: Share,
}

/// One client connection.
pub struct Connection {
    id: ConnectionId,
    address: SocketAddr,
    writer: OwnedWriteHalf,
    pub(super) wake: Notify,
    pub(super) state: Mutex<State>,
    pub(super) context: Arc<Context>,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, address: SocketAddr, writer: OwnedWriteHalf, context: Arc<Context>, established_ms: i64) -> Self {
        let state = State {
            phase: Phase::AwaitingConnect,
            output: Output::default(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            pending_writes: 0,
            session: None,
            identities: Arc::new([Identity::new("ip", &address.ip().to_string())]),
            read_only_byte: false,
            stats: ConnectionStats::new(established_ms),
            is_paused: false,
            namespaces: Namespaces::new(Direction::Read),
            has_left: false,
            has_more: false,
            is_held_back: false,
            output_share: Share::default(),
            request_share: Share::default(),
        };
        Self { id, address, writer, wake: Notify::new(), state: Mutex::new(state), context }
    }

    /// Its slot and generation.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The client's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The session it serves.
    #[must_use]
    pub fn session(&self) -> Option<Arc<SessionCell>> {
        self.state.lock().session.clone()
    }

    /// Itself as the four-letter words show it. A connection that asks with a word waits for nothing more.
    #[must_use]
    pub fn view(&self) -> ConnectionView {
        let state = self.state.lock();
        let interest_ops = if state.phase == Phase::AwaitingConnect { 0 } else { 1 };
        let session = state.session.as_ref().map(|session| (session.id(), session.timeout_ms()));
        state.stats.view(self.address, interest_ops, state.pending.len() as u64, session)
    }

    /// Forgets its figures (`crst`).
    pub fn reset_stats(&self) {
        self.state.lock().stats.reset();
    }

    /// A session is open on this connection: the client is told, and what it sent meanwhile is read. `is_read_only` says that this server
    /// only reads now.
    pub fn opened(&self, session: Arc<SessionCell>, is_read_only: bool) {
        let mut state = self.state.lock();
        if state.phase != Phase::Connecting {
            return;
        }
        let response =
            ConnectResponse { timeout_ms: session.timeout_ms(), session: session.id(), password: password::generate(session.id()) };
        let read_only = state.read_only_byte.then_some(is_read_only);
        response.encode_frame(read_only, state.output.queue());
        state.stats.sent += 1;
        state.session = Some(session);
        state.phase = Phase::Open;
        drop(state);
        self.context.stats.add_sent(1);
        self.wake.notify_one();
    }

    /// The session cannot be resumed: says so, and closes.
    pub fn refused(&self) {
        let mut state = self.state.lock();
        if state.phase == Phase::Connecting {
            let read_only = state.read_only_byte.then_some(false);
            ConnectResponse::EXPIRED.encode_frame(read_only, state.output.queue());
            state.phase = Phase::Closing;
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Closes at once, without a word. Whoever calls it under no lock calls [`Self::leave`] next.
    pub fn close(&self) {
        self.state.lock().phase = Phase::Closed;
        self.wake.notify_one();
    }

    /// No client is served any more: closes it if it has, or wants, a session. True if so; then [`Self::leave`] is due.
    pub fn end_service(&self) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Connecting | Phase::Open) {
            return false;
        }
        state.phase = Phase::Closed;
        drop(state);
        self.wake.notify_one();
        true
    }

    /// Takes a closed connection out of the table and its watches out of theirs, if that is not done yet: nobody sees it from then on.
    pub fn leave(&self) {
        let has_left = std::mem::replace(&mut self.state.lock().has_left, true);
        if has_left {
            return;
        }
        let _tree = self.context.shared.tree.read();
        self.context.shared.watches.lock().remove_watcher(self.id.slot);
        self.context.table.remove(self.id, self.address.ip());
    }

    /// There is more to read than one buffer: others have their turn first.
    pub(super) fn yield_turn(&self) {
        let mut state = self.state.lock();
        state.has_more |= state.phase == Phase::Open;
    }

    /// Closes it if it has not begun a session; whether it has not.
    pub(super) fn leave_lobby(&self) -> bool {
        let mut state = self.state.lock();
        let is_waiting = state.phase == Phase::AwaitingConnect;
        if is_waiting {
            state.phase = Phase::Closed;
            self.wake.notify_one();
        }
        is_waiting
    }

    /// Whether everything is said and written.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state.lock();
        state.phase == Phase::Closing && state.output.is_idle()
    }

    /// Bytes that wait for the client.
    pub(super) fn output_bytes(&self) -> usize {
        self.state.lock().output.len()
    }

    /// Closes it because its client does not take what waits for it; false when nothing waits.
    pub(super) fn evict(&self) -> bool {
        let mut state = self.state.lock();
        let bytes = state.output.len();
        if bytes > 0 {
            tracing::warn!(address = %self.address, bytes, "too many bytes wait for all clients: closing the slowest");
            self.drop_output(&mut state);
        }
        bytes > 0
    }

    fn drop_output(&self, state: &mut State) {
        self.context.stats.metrics.own.paddock_slow_readers_closed.inc();
        state.phase = Phase::Closed;
        state.output.discard();
        self.count_holdings(state);
        self.wake.notify_one();
    }

    /// Counts what the connection holds, after it changed.
    pub(super) fn count_holdings(&self, state: &mut State) {
        let stats = &self.context.stats;
        let is_over = state.phase == Phase::Closed;
        state.output.seal();
        let (output, requests) = if is_over { (0, 0) } else { (state.output.len(), state.pending_bytes) };
        state.output_share.set(&stats.output, output);
        state.request_share.set(&stats.requests, requests);
    }

    /// More was queued behind `before` bytes. One reply may have any size; a client that does not take its replies gets no more.
    fn check_output(&self, state: &mut State, before: usize) {
        self.count_holdings(state);
        let bytes = state.output.len();
        if before > OUTPUT_BYTES_PAUSE && state.phase != Phase::Closed && (bytes > OUTPUT_BYTES_MAX || self.context.is_output_exceeded()) {
            tracing::warn!(address = %self.address, bytes, limit = OUTPUT_BYTES_MAX, "client does not take its replies: closing");
            self.drop_output(state);
        }
    }

    /// A write is done at `now_ms` of the monotonic clock: queues its reply, then answers the reads that waited behind it.
    pub fn complete_write(&self, view: &mut View<'_>, xid: i32, applied: &Applied<'_>, now_ms: i64, done: &mut Done) {
        let mut state = self.state.lock();
        // A connection that was closed in the middle says nothing more: what it left unanswered came before this.
        if state.phase == Phase::Closed {
            return;
        }
        let Some(Pending::Write { op, received_ms, closes, bytes, is_large }) = state.pending.pop_front() else { return };
        if is_large {
            self.context.end_large(bytes);
        }
        state.pending_writes -= 1;
        state.pending_bytes -= bytes;
        let before = state.output.len();
        let error = header_error(applied);
        encode_frame(state.output.queue(), xid, view.tree.last_zxid(), error, |out| {
            if error.0 == 0 {
                encode_body(applied, out);
            }
        });
        done.count_write(now_ms - received_ms);
        done.count_reply(state.output.len() - before);
        state.stats.sent += 1;
        state.stats.record(Reply {
            cxid: i64::from(xid),
            zxid: view.tree.last_zxid(),
            operation: last_operation_name(op.0),
            received_ms,
            answered_ms: now_ms,
        });
        if closes {
            state.begin_closing();
        }
        self.answer_waiting(&mut state, view, now_ms, done);
        state.namespaces.flush(&self.context.stats.metrics);
        self.count_holdings(&mut state);
        if state.is_paused && state.pending.is_empty() {
            state.is_paused = false;
            self.wake.notify_one();
        }
    }

    /// Answers what stands in front of the next write.
    fn answer_waiting(&self, state: &mut State, view: &mut View<'_>, now_ms: i64, done: &mut Done) {
        while let Some(pending) = state.pending.pop_front_if(|next| !matches!(next, Pending::Write { .. })) {
            match pending {
                Pending::Read { xid, op, received_ms, body, identities } => {
                    state.pending_bytes -= body.len();
                    self.answer_read(state, view, (xid, op, &body), Some(&identities), (received_ms, now_ms), done);
                }
                Pending::Ready { frame, closes } => {
                    done.count_reply(frame.len());
                    state.output.queue().extend_from_slice(&frame);
                    if closes {
                        state.begin_closing();
                    }
                }
                Pending::Write { .. } => unreachable!("writes are not taken here"),
            }
        }
    }

    /// Answers a read, as the client is now or as it was when the request came. The times are those of the request and of now.
    pub(super) fn answer_read(
        &self,
        state: &mut State,
        view: &mut View<'_>,
        (xid, op, body): (i32, OpCode, &[u8]),
        identities: Option<&[Identity]>,
        (received_ms, now_ms): (i64, i64),
        done: &mut Done,
    ) {
        let Some(session) = state.session.as_ref().map(|session| session.id()) else { return };
        if state.phase != Phase::Open {
            return;
        }
        let before = state.output.len();
        let skip_acl = self.context.settings.skip_acl;
        let State { output, identities: current, namespaces, .. } = state;
        let identities = identities.unwrap_or(current);
        let mut traffic = ConnectionTraffic { namespaces, metrics: &self.context.stats.metrics };
        let read = ReadContext::new(view.tree, view.watches.reborrow(), (self.id.slot, session), identities, skip_acl);
        let after = read.telling(&mut traffic).answer(xid, op, body, output.queue());
        done.count_read(now_ms - received_ms);
        done.count_reply(output.len() - before);
        state.stats.sent += 1;
        state.stats.record(Reply {
            cxid: i64::from(xid),
            zxid: view.tree.last_zxid(),
            operation: last_operation_name(op.0),
            received_ms,
            answered_ms: now_ms,
        });
        if after == After::Close {
            tracing::warn!(address = %self.address, "too many watches on one connection");
            state.begin_closing();
        }
        self.check_output(state, before);
    }

    /// An event for this connection, encoded already. Dropped silently if the client may not read what changed.
    pub fn event(&self, frame: &[u8], acl: &AclList) {
        let mut state = self.state.lock();
        if state.phase != Phase::Open || !(self.context.settings.skip_acl || acl.allows(perms::READ, &state.identities)) {
            return;
        }
        let before = state.output.len();
        state.output.queue().extend_from_slice(frame);
        state.stats.sent += 1;
        self.check_output(&mut state, before);
    }

    /// Writes what the socket takes. Any thread may call it; one writes at a time.
    pub fn flush(&self) {
        let mut next = self.begin_flush();
        while let Some(bytes) = next {
            let result = self.writer.try_write(&bytes);
            let mut state = self.state.lock();
            next = state.output.written(bytes, &result);
            if next.is_none() {
                self.count_holdings(&mut state);
            }
            let has_room_again = state.is_paused && state.pending.is_empty();
            if state.output.is_blocked() || (state.output.is_idle() && (state.phase != Phase::Open || has_room_again)) {
                state.is_paused = state.is_paused && !has_room_again;
                self.wake.notify_one();
            }
        }
        self.context.relieve();
    }

    fn begin_flush(&self) -> Option<Bytes> {
        let mut state = self.state.lock();
        let next = state.output.begin_write();
        if next.is_none() {
            self.count_holdings(&mut state);
        }
        next
    }

    /// Ends the writing side; the peer sees the end of the stream.
    pub(super) fn shutdown(&self) {
        let _ = socket2::SockRef::from(self.writer.as_ref()).shutdown(std::net::Shutdown::Write);
    }

    /// Gives up what waits: the session, the number of writes under way, and the bytes of large ones.
    pub(super) fn abandon(&self) -> (Option<crate::ids::SessionId>, usize, usize) {
        let mut state = self.state.lock();
        state.phase = Phase::Closed;
        let large = |pending: &Pending| match pending {
            Pending::Write { bytes, is_large: true, .. } => *bytes,
            _ => 0,
        };
        let large_bytes = state.pending.iter().map(large).sum();
        state.pending.clear();
        state.pending_bytes = 0;
        state.output.discard();
        self.count_holdings(&mut state);
        let writes = std::mem::take(&mut state.pending_writes);
        (state.session.as_ref().map(|session| session.id()), writes, large_bytes)
    }

    /// Waits until the socket takes bytes again.
    pub(super) async fn writable(&self) -> std::io::Result<()> {
        self.writer.writable().await
    }

    /// Queues a finished frame in the place of its request.
    pub(super) fn queue_frame(
        &self,
        state: &mut State,
        xid: i32,
        zxid: Zxid,
        error: crate::proto::error_code::ErrorCode,
        body: &[u8],
        closes: bool,
    ) {
        self.context.stats.add_sent(1);
        if state.pending.is_empty() {
            encode_frame(state.output.queue(), xid, zxid, error, |out| out.extend_from_slice(body));
            if closes {
                state.begin_closing();
            }
            return;
        }
        let mut frame = Vec::new();
        if body.is_empty() {
            encode_header(&mut frame, xid, zxid, error);
        } else {
            encode_frame(&mut frame, xid, zxid, error, |out| out.extend_from_slice(body));
        }
        state.pending.push_back(Pending::Ready { frame, closes });
    }
}

/// Feeds the metrics of what is read per namespace.
struct ConnectionTraffic<'a> {
    namespaces: &'a mut Namespaces,
    metrics: &'a Metrics,
}

impl Traffic for ConnectionTraffic<'_> {
    fn read(&mut self, path: &str, bytes: usize) {
        self.namespaces.record(self.metrics, path, bytes);
    }
}

impl State {
    /// Nothing more is read; what is queued is written, then the socket is closed.
    pub(super) fn begin_closing(&mut self) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closing;
        }
    }

    /// Whether another request may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < OUTSTANDING_REQUESTS_PER_CONNECTION_MAX
            && self.pending_bytes < OUTSTANDING_BYTES_PER_CONNECTION_MAX
            && self.output.len() < OUTPUT_BYTES_PAUSE
    }
}
