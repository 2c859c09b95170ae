//! One turn of a connection: all whole frames in the buffer are cut and handled, reads under one lock, writes in one batch.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use jute::{Decode, Encode, Reader};
use parking_lot::{MutexGuard, RwLockReadGuard};

use super::connection::{Connection, Pending, Phase, State};
use super::handshake::First;
use super::holdings::FREE_BYTES;
use super::stats::Done;
use crate::ids::Zxid;
use crate::proto::error_code::ErrorCode;
use crate::proto::limits::{
    AUTH_BYTES_PER_CONNECTION_MAX, AUTH_IDS_PER_CONNECTION_MAX, CHILDREN_PER_QUICK_LIST_MAX, HANDSHAKE_BYTES_MAX,
    QUICK_SET_WATCHES_BYTES_MAX,
};
use crate::proto::op_code::{OpCode, OpKind};
use crate::proto::records::client::{AuthPacket, GetSaslRequest, SetSaslResponse};
use crate::replica::{Input, Request, View};
use crate::request::auth::Verdict;
use crate::tree::acl::Identity;
use crate::tree::data_tree::DataTree;
use crate::tree::watch::WatchAccess;

/// The next frame of a buffer.
enum Cut<'a> {
    Frame(&'a [u8]),
    Incomplete,
    /// A length that no frame may have.
    Malformed(i32),
}

fn cut(bytes: &[u8], frame_bytes_max: usize) -> Cut<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Cut::Incomplete };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) {
        Ok(length) if length <= frame_bytes_max => rest.get(..length).map_or(Cut::Incomplete, Cut::Frame),
        _ => Cut::Malformed(length),
    }
}

fn header(frame: &[u8]) -> Option<(i32, OpCode, &[u8])> {
    let (xid, rest) = frame.split_first_chunk::<4>()?;
    let (op, body) = rest.split_first_chunk::<4>()?;
    Some((i32::from_be_bytes(*xid), OpCode(i32::from_be_bytes(*op)), body))
}

/// The bodies that outlive a turn. All frames behind the first of them are kept too, so one copy serves all.
struct Kept<'a> {
    bytes: &'a [u8],
    frame_bytes_max: usize,
    /// Where the copy begins in `bytes`.
    copy: Option<(usize, Bytes)>,
}

impl Kept<'_> {
    fn body(&mut self, body: Range<usize>) -> Bytes {
        if self.copy.is_none() {
            let end = body.end + whole_frames_bytes(&self.bytes[body.end..], self.frame_bytes_max);
            let copy = Bytes::copy_from_slice(&self.bytes[body.start..end]);
            if end == body.end {
                return copy;
            }
            self.copy = Some((body.start, copy));
        }
        let (start, copy) = self.copy.as_ref().expect("it was made just now");
        copy.slice(body.start - start..body.end - start)
    }
}

fn whole_frames_bytes(bytes: &[u8], frame_bytes_max: usize) -> usize {
    let mut whole = 0;
    while let Cut::Frame(frame) = cut(&bytes[whole..], frame_bytes_max) {
        whole += 4 + frame.len();
    }
    whole
}

/// After so many ms a turn ends, so that the tree's lock is free for others. It is looked at the clock every few requests.
const TURN_MS_MAX: i64 = 2;
/// A power of two.
const REQUESTS_PER_LOOK: u64 = 16;

/// Whether a request may take long under the tree's lock. Such a one is the first of its turn, it is done while nobody else does
/// one, and it waits for no write, since what does is answered under the write lock.
fn may_take_long(frame: &[u8], tree: &DataTree) -> bool {
    let Some((_, op, body)) = header(frame) else { return false };
    match op {
        OpCode::GET_ALL_CHILDREN_NUMBER | OpCode::GET_EPHEMERALS | OpCode::MULTI_READ => true,
        OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => body.len() > QUICK_SET_WATCHES_BYTES_MAX,
        // The usual tree has no such list, and a request is looked up once.
        OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 if tree.most_children() > CHILDREN_PER_QUICK_LIST_MAX => {
            let path = Option::<Cow<'_, str>>::decode(&mut Reader::new(body)).ok().flatten();
            path.and_then(|path| tree.find(&path)).is_some_and(|id| tree.child_count(id) > CHILDREN_PER_QUICK_LIST_MAX)
        }
        _ => false,
    }
}

/// Room for so many writes of a turn is made at the first of them at most.
const INPUTS_AT_ONCE: usize = 64;

/// What a turn works with.
struct Turn<'a> {
    now_ms: i64,
    kept: Kept<'a>,
    tree: Option<RwLockReadGuard<'a, DataTree>>,
    /// To do what may take long.
    permit: Option<MutexGuard<'a, ()>>,
    inputs: Vec<Input>,
    received: u64,
    done: Done,
}

impl Connection {
    /// Handles the whole frames at the beginning of `bytes`; gives how many bytes were used. What is left is an incomplete frame,
    /// or waits for room or for the session.
    pub(super) fn handle(self: &Arc<Self>, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let phase = {
                let state = self.state.lock();
                if state.has_more || state.is_held_back {
                    return used;
                }
                state.phase
            };
            let rest = &bytes[used..];
            let taken = match phase {
                Phase::AwaitingConnect => self.handle_first(rest),
                Phase::Open => self.handle_requests(rest),
                Phase::Connecting => 0,
                Phase::Closing | Phase::Closed => return bytes.len(),
            };
            if taken == 0 {
                return used;
            }
            used += taken;
        }
    }

    fn handle_first(&self, bytes: &[u8]) -> usize {
        match self.four_letter_word(bytes) {
            First::Incomplete => return 0,
            First::Later => {
                self.state.lock().is_held_back = true;
                return 0;
            }
            First::Word => return bytes.len(),
            First::Frame => {}
        }
        match cut(bytes, self.context.settings.frame_bytes_max.min(HANDSHAKE_BYTES_MAX)) {
            Cut::Incomplete => 0,
            Cut::Malformed(length) => self.malformed(length, bytes.len()),
            Cut::Frame(_) if self.context.inbox.awaits_leader(self.context.now_ms()) => {
                self.state.lock().is_held_back = true;
                0
            }
            Cut::Frame(frame) => {
                self.context.stats.add_received(1, frame.len() as u64);
                if let Some(input) = self.connect(frame) {
                    self.context.inbox.submit(vec![input]);
                }
                4 + frame.len()
            }
        }
    }

    fn malformed(&self, length: i32, all: usize) -> usize {
        let limit = self.context.settings.frame_bytes_max;
        tracing::info!(address = %self.address(), length, limit, "Len error: closing connection");
        self.close();
        all
    }

    /// Handles requests until the buffer ends or a limit is reached.
    fn handle_requests(self: &Arc<Self>, bytes: &[u8]) -> usize {
        let reads = self.has_read(bytes);
        let now_ms = self.context.now_ms();
        if reads && !self.context.inbox.is_current(now_ms) {
            self.state.lock().has_more = true;
            return 0;
        }
        let tree = reads.then(|| self.context.shared.tree.read());
        let kept = Kept { bytes, frame_bytes_max: self.context.settings.frame_bytes_max, copy: None };
        let mut turn = Turn { now_ms, kept, tree, permit: None, inputs: Vec::new(), received: 0, done: Done::default() };
        let mut state = self.state.lock();
        let used = self.cut_requests(&mut state, &mut turn, bytes);
        // A frame that never ends does not keep its session alive.
        if let Some(session) = state.session.as_ref().filter(|_| turn.received > 0) {
            session.touch(now_ms);
        }
        self.count_holdings(&mut state);
        state.stats.received += turn.received;
        state.namespaces.flush(&self.context.stats.metrics);
        drop(state);
        let Turn { inputs, received, done, tree, permit, .. } = turn;
        drop((tree, permit));
        self.context.stats.add_received(received, used as u64);
        self.context.stats.add_done(&done);
        if !inputs.is_empty() {
            self.context.stats.begin(inputs.len());
            self.context.inbox.submit(inputs);
        }
        used
    }

    /// Whether there is a read among the whole frames: the tree's lock is taken before the connection's.
    fn has_read(&self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let Cut::Frame(frame) = cut(rest, self.context.settings.frame_bytes_max) {
            if header(frame).is_some_and(|(_, op, _)| op.kind() == OpKind::Read) {
                return true;
            }
            rest = &rest[4 + frame.len()..];
        }
        false
    }

    fn cut_requests<'a>(&'a self, state: &mut MutexGuard<'_, State>, turn: &mut Turn<'a>, bytes: &[u8]) -> usize {
        let mut used = 0;
        while state.phase == Phase::Open {
            let rest = &bytes[used..];
            match cut(rest, self.context.settings.frame_bytes_max) {
                Cut::Incomplete => return used,
                Cut::Malformed(length) => {
                    tracing::info!(address = %self.address(), length, "Len error: closing connection");
                    state.phase = Phase::Closed;
                    return bytes.len();
                }
                Cut::Frame(frame) => {
                    let is_long = turn.tree.as_ref().is_some_and(|tree| may_take_long(frame, tree));
                    if self.must_pause(state) || (is_long && !state.pending.is_empty()) {
                        state.is_paused = true;
                        return used;
                    }
                    if self.is_held_back(state, frame.len()) {
                        state.is_held_back = true;
                        return used;
                    }
                    if turn.received > 0 && (is_long || self.is_over(turn)) {
                        state.has_more = true;
                        return used;
                    }
                    if is_long {
                        turn.permit = self.context.long_work.try_lock();
                        if turn.permit.is_none() {
                            state.is_held_back = true;
                            return used;
                        }
                    }
                    used += 4 + frame.len();
                    turn.received += 1;
                    self.handle_request(state, turn, frame, used);
                }
            }
        }
        bytes.len()
    }

    /// A connection that has something under way is not read while the server has too much of it (client-protocol.md §12).
    fn must_pause(&self, state: &State) -> bool {
        !state.has_room() || (state.pending_writes > 0 && self.context.stats.outstanding() > self.context.settings.outstanding_max)
    }

    fn is_over(&self, turn: &Turn<'_>) -> bool {
        turn.received.is_multiple_of(REQUESTS_PER_LOOK) && self.context.now_ms() - turn.now_ms >= TURN_MS_MAX
    }

    /// No more is read of whoever wants more than a little, while the requests of all take more room than there is.
    fn is_held_back(&self, state: &State, frame_bytes: usize) -> bool {
        state.pending_bytes + frame_bytes > FREE_BYTES && self.context.are_requests_exceeded()
    }

    /// `end` is where the frame ends in the turn's bytes.
    fn handle_request(&self, state: &mut State, turn: &mut Turn<'_>, frame: &[u8], end: usize) {
        let Some((xid, op, body)) = header(frame) else {
            state.phase = Phase::Closed;
            return;
        };
        if op.kind() == OpKind::Immediate {
            return self.handle_immediate(state, xid, op, body);
        }
        if !self.satisfies_enforced_auth(state) {
            return self.queue_frame(state, xid, Zxid::ZERO, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH, &[], true);
        }
        if state.session.as_ref().is_none_or(|session| session.is_closing()) {
            return;
        }
        match op.kind() {
            OpKind::Write => self.handle_write(state, turn, xid, op, end - body.len()..end),
            OpKind::Read => self.handle_read(state, turn, xid, op, end - body.len()..end),
            OpKind::Immediate | OpKind::Invalid if op == OpCode::DELETE_CONTAINER => {
                tracing::warn!(address = %self.address(), "deleteContainer from a client: closing connection");
                state.begin_closing();
            }
            OpKind::Immediate | OpKind::Invalid => self.queue_frame(state, xid, Zxid(-1), ErrorCode::UNIMPLEMENTED, &[], true),
        }
    }

    fn handle_write(&self, state: &mut State, turn: &mut Turn<'_>, xid: i32, op: OpCode, body: Range<usize>) {
        let is_large = self.context.is_large(body.len());
        if is_large && !self.context.begin_large(body.len()) {
            state.phase = Phase::Closed;
            return;
        }
        let Some(session) = state.session.clone() else { return };
        let closes = op == OpCode::CLOSE_SESSION;
        state.pending.push_back(Pending::Write { op, received_ms: turn.now_ms, closes, bytes: body.len(), is_large });
        state.pending_bytes += body.len();
        state.pending_writes += 1;
        let frame_bytes = 12 + body.len();
        let (connection, identities, body) = (self.id(), Arc::clone(&state.identities), turn.kept.body(body));
        if turn.inputs.is_empty() {
            // Requests of one client are much of a size.
            turn.inputs.reserve((turn.kept.bytes.len() / frame_bytes).min(INPUTS_AT_ONCE));
        }
        turn.inputs.push(Input::Request(Request { connection, session, xid, op, body, identities }));
    }

    fn handle_read(&self, state: &mut State, turn: &mut Turn<'_>, xid: i32, op: OpCode, body: Range<usize>) {
        if !state.pending.is_empty() {
            state.pending_bytes += body.len();
            let identities = Arc::clone(&state.identities);
            state.pending.push_back(Pending::Read { xid, op, received_ms: turn.now_ms, body: turn.kept.body(body), identities });
            return;
        }
        let tree = turn.tree.as_ref().expect("the tree is locked when there is a read among the frames");
        let mut view = View { tree, watches: WatchAccess::Free(&self.context.shared.watches) };
        let times = (turn.now_ms, turn.now_ms);
        self.answer_read(state, &mut view, (xid, op, &turn.kept.bytes[body]), None, times, &mut turn.done);
    }

    fn satisfies_enforced_auth(&self, state: &State) -> bool {
        let Some(schemes) = &self.context.settings.enforced_schemes else { return true };
        state.identities.iter().any(|identity| schemes.contains(&identity.scheme))
    }

    fn handle_immediate(&self, state: &mut State, xid: i32, op: OpCode, body: &[u8]) {
        let mut reader = Reader::new(body);
        if op == OpCode::SASL {
            // Not configured: success with a null token, which clients take for "no SASL here" (client-protocol.md §8.7).
            match GetSaslRequest::decode(&mut reader) {
                Ok(GetSaslRequest { token: Some(_) }) => {
                    self.queue_frame(state, xid, Zxid::ZERO, ErrorCode::OK, &SetSaslResponse { token: None }.to_vec(), false);
                }
                Ok(GetSaslRequest { token: None }) | Err(_) => state.phase = Phase::Closed,
            }
            return;
        }
        let Ok(packet) = AuthPacket::decode(&mut reader) else {
            state.phase = Phase::Closed;
            return;
        };
        let verdict = self.context.settings.auth.authenticate(packet.scheme.as_deref(), packet.auth.as_deref(), self.address().ip());
        let identities = match verdict {
            Verdict::Granted(granted) => with_identities(&state.identities, granted),
            Verdict::Refused => None,
            Verdict::Closed => {
                tracing::warn!(address = %self.address(), "client means another ensemble: closing connection");
                state.phase = Phase::Closed;
                return;
            }
        };
        match identities {
            Some(identities) => {
                state.identities = identities;
                self.queue_frame(state, xid, Zxid::ZERO, ErrorCode::OK, &[], false);
            }
            None => self.queue_frame(state, xid, Zxid::ZERO, ErrorCode::AUTH_FAILED, &[], true),
        }
    }
}

/// The identities with more of them, each once; `None` beyond a limit.
fn with_identities(old: &Arc<[Identity]>, granted: Vec<Identity>) -> Option<Arc<[Identity]>> {
    if granted.iter().all(|identity| old.contains(identity)) {
        return Some(Arc::clone(old));
    }
    let mut all = old.to_vec();
    for identity in granted {
        if !all.contains(&identity) {
            all.push(identity);
        }
    }
    let bytes: usize = all.iter().map(|identity| identity.scheme.len() + identity.id.len()).sum();
    (all.len() <= AUTH_IDS_PER_CONNECTION_MAX && bytes <= AUTH_BYTES_PER_CONNECTION_MAX).then(|| all.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_by_length() {
        assert!(matches!(cut(&[0, 0, 0, 2, 7, 8, 9], 10), Cut::Frame([7, 8])));
        assert!(matches!(cut(&[0, 0, 0, 2, 7], 10), Cut::Incomplete));
        assert!(matches!(cut(&[0, 0, 0], 10), Cut::Incomplete));
        assert!(matches!(cut(&[0, 0, 0, 0], 10), Cut::Frame([])));
        assert!(matches!(cut(&[0, 0, 0, 11], 10), Cut::Malformed(11)));
        assert!(matches!(cut(&[0xff, 0xff, 0xff, 0xff], 10), Cut::Malformed(-1)));
        assert!(header(&[0; 7]).is_none());
    }

    #[test]
    fn kept_bodies_share_one_copy_of_whole_frames() {
        let bytes = [0, 0, 0, 1, 7, 0, 0, 0, 2, 8, 9, 0, 0, 0, 3, 1];
        let mut kept = Kept { bytes: &bytes, frame_bytes_max: 10, copy: None };
        assert_eq!((kept.body(4..5), kept.body(9..11)), (Bytes::from_static(&[7]), Bytes::from_static(&[8, 9])));
        assert_eq!(kept.copy.map(|(start, copy)| (start, copy.len())), Some((4, 7)), "the broken frame behind them is not copied");
        let mut last = Kept { bytes: &bytes, frame_bytes_max: 10, copy: None };
        assert_eq!((last.body(9..11), last.copy.is_none()), (Bytes::from_static(&[8, 9]), true));
    }

    #[test]
    fn identities_are_a_set_with_a_limit() {
        let old: Arc<[Identity]> = Arc::new([Identity::new("ip", "::1")]);
        assert_eq!(with_identities(&old, vec![Identity::new("ip", "::1")]).map(|all| all.len()), Some(1));
        let many = (0..AUTH_IDS_PER_CONNECTION_MAX).map(|i| Identity::new("digest", &i.to_string())).collect();
        assert!(with_identities(&old, many).is_none());
        let room = AUTH_BYTES_PER_CONNECTION_MAX - "ip::1digest".len();
        let one = |bytes: usize| with_identities(&old, vec![Identity::new("digest", &"x".repeat(bytes))]).map(|all| all.len());
        assert_eq!((one(room), one(room + 1)), (Some(2), None));
    }
}
