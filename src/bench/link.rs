//! One connection: its socket, its session, what is on its way, and the checks on what comes back.
//!
//! ```text
//! Idle ──open──► Connecting ──► Shaking ──► Open ──close──► Closing ──► Idle
//!   ▲               │              │          │                │
//!   └─────retry─────┴──────────────┴──lost────┴────────────────┘
//! ```

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::net::TcpStream;

use rustix::event::epoll::EventFlags;

use super::fleet::{Load, Wire};
use super::workload::Kind;
use crate::client::frames::{self, AUTH_XID, Reply, Request, Ticket};
use crate::ids::SessionId;
use crate::proto::error_code::ErrorCode;
use crate::proto::reply::{NOTIFICATION_XID, PING_XID};

/// The pause after all servers have refused once, in ns; it doubles up to the longest.
const RETRY_PAUSE: u64 = 10_000_000;
const RETRY_PAUSE_MAX: u64 = 500_000_000;
/// Never, in ns of the run's clock.
const NEVER: u64 = u64::MAX;

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    xid: i32,
    /// What it is.
    pub kind: Kind,
    /// When its latency begins, in ns of the run's clock.
    pub since: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Idle,
    Connecting,
    Shaking,
    Open,
    Closing,
}

/// One connection of the run. It is told `ready` and `sweep` by the fleet; a load calls `send` while it holds it.
#[derive(Debug)]
pub struct Link {
    /// Its number in the fleet.
    pub index: usize,
    phase: Phase,
    socket: Option<TcpStream>,
    /// Which server is next or in use: an index into the addresses, taken modulo their number.
    server: usize,
    ticket: Ticket,
    /// Negotiated session timeout, in ns.
    timeout: u64,
    xid: i32,
    out: Vec<u8>,
    out_sent: usize,
    wants_write: bool,
    input: Vec<u8>,
    outstanding: VecDeque<Sent>,
    /// When the current attempt began.
    begun_at: u64,
    retry_at: u64,
    failures: u32,
    heard_at: u64,
    sent_at: u64,
}

impl Link {
    /// A connection that stays closed until it is opened; its first server is number `server`.
    pub(super) fn new(index: usize, server: usize, session_timeout_ms: i32) -> Self {
        Self {
            index,
            phase: Phase::Idle,
            socket: None,
            server,
            ticket: Ticket::new(session_timeout_ms),
            timeout: 0,
            xid: 0,
            out: Vec::new(),
            out_sent: 0,
            wants_write: false,
            input: Vec::new(),
            outstanding: VecDeque::new(),
            begun_at: 0,
            retry_at: NEVER,
            failures: 0,
            heard_at: 0,
            sent_at: 0,
        }
    }

    /// Whether requests can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Requests on their way.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// When the attempt began that led to the open session, in ns of the run's clock.
    #[must_use]
    pub fn begun_at(&self) -> u64 {
        self.begun_at
    }

    /// Puts a request into the buffer, which leaves when the turn of this connection ends.
    pub fn send(&mut self, request: &Request<'_>, kind: Kind, since: u64) {
        self.xid = if self.xid == i32::MAX { 1 } else { self.xid + 1 };
        request.encode(self.xid, &mut self.out);
        self.outstanding.push_back(Sent { xid: self.xid, kind, since });
    }

    /// Ends the session: sends closeSession, after whose reply the connection stays closed.
    pub fn close(&mut self, now: u64) {
        self.send(&Request::CloseSession, Kind::Close, now);
        self.phase = Phase::Closing;
    }

    /// Asks for the next attempt to connect, at the coming sweep or `start`.
    pub fn reopen(&mut self, now: u64) {
        self.ticket = Ticket::new(self.ticket.timeout_ms);
        self.failures = 0;
        self.retry_at = now;
    }

    /// Begins to connect.
    pub(super) fn start<L: Load>(&mut self, wire: &mut Wire, load: &mut L, now: u64) {
        self.begun_at = now;
        self.retry_at = NEVER;
        self.phase = Phase::Connecting;
        match wire.connect(self.server, self.index) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.wants_write = true;
            }
            Err(error) => self.lose(wire, load, &error.to_string(), now),
        }
    }

    /// The socket can be read or written, or has failed.
    pub(super) fn ready<L: Load>(&mut self, wire: &mut Wire, load: &mut L, flags: EventFlags) {
        if self.phase == Phase::Connecting {
            return self.connected(wire, load);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(wire, load);
        } else if flags.contains(EventFlags::OUT) {
            let now = wire.now();
            self.flush(wire, load, now);
        }
    }

    fn connected<L: Load>(&mut self, wire: &mut Wire, load: &mut L) {
        let now = wire.now();
        let failure = match self.socket.as_ref().map(TcpStream::take_error) {
            Some(Ok(Some(error)) | Err(error)) => Some(error),
            _ => None,
        };
        if let Some(error) = failure {
            return self.lose(wire, load, &error.to_string(), now);
        }
        self.phase = Phase::Shaking;
        self.ticket.encode(&mut self.out);
        for (scheme, credentials) in &wire.auth {
            Request::Auth(scheme, credentials).encode(AUTH_XID, &mut self.out);
        }
        self.flush(wire, load, now);
    }

    fn read<L: Load>(&mut self, wire: &mut Wire, load: &mut L) {
        let Some(socket) = self.socket.as_mut() else { return };
        let mut scratch = mem::take(&mut wire.scratch);
        let got = socket.read(&mut scratch);
        // Taken after the read, for each connection: what waited behind the others in this turn has waited.
        let now = wire.now();
        let outcome = match got {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(length) => self.take(wire, load, &scratch[..length], now),
            Err(error) if is_not_yet(&error) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        wire.scratch = scratch;
        match outcome {
            Ok(()) => self.finish_turn(wire, load, now),
            Err(why) => self.lose(wire, load, &why, now),
        }
    }

    /// Ends a turn: the load may send, and everything leaves with one write call.
    pub(super) fn finish_turn<L: Load>(&mut self, wire: &mut Wire, load: &mut L, now: u64) {
        if self.phase == Phase::Open {
            load.refill(self, now);
        }
        self.flush(wire, load, now);
    }

    fn take<L: Load>(&mut self, wire: &mut Wire, load: &mut L, bytes: &[u8], now: u64) -> Result<(), String> {
        self.heard_at = now;
        if self.input.is_empty() {
            let used = self.frames(wire, load, bytes, now)?;
            self.input.extend_from_slice(&bytes[used..]);
        } else {
            let mut input = mem::take(&mut self.input);
            input.extend_from_slice(bytes);
            let used = self.frames(wire, load, &input, now)?;
            input.drain(..used);
            self.input = input;
        }
        Ok(())
    }

    /// Handles the whole frames at the beginning of `bytes`; gives how many bytes they take.
    fn frames<L: Load>(&mut self, wire: &mut Wire, load: &mut L, bytes: &[u8], now: u64) -> Result<usize, String> {
        let mut used = 0;
        while let Some(frame) = frames::cut(&bytes[used..]).map_err(|length| format!("the server sent a frame of length {length}"))? {
            used += 4 + frame.len();
            match self.phase {
                Phase::Shaking => self.shaken(wire, load, frame, now)?,
                Phase::Open | Phase::Closing => self.frame(wire, load, frame, now)?,
                Phase::Idle | Phase::Connecting => return Ok(bytes.len()),
            }
        }
        Ok(used)
    }

    fn shaken<L: Load>(&mut self, wire: &mut Wire, load: &mut L, frame: &[u8], now: u64) -> Result<(), String> {
        let is_resumed = self.ticket.session != SessionId::NONE;
        let accepted = self.ticket.accept(frame).map_err(|error| format!("the answer to the handshake cannot be read: {error}"))?;
        let Some(timeout_ms) = accepted else {
            wire.counts.expired += 1;
            return Err("the session is gone".to_owned());
        };
        self.timeout = u64::from(timeout_ms.unsigned_abs()) * 1_000_000;
        self.phase = Phase::Open;
        self.failures = 0;
        wire.counts.reconnects += u64::from(is_resumed);
        wire.counts.opened += 1;
        load.opened(self, now);
        Ok(())
    }

    fn frame<L: Load>(&mut self, wire: &mut Wire, load: &mut L, frame: &[u8], now: u64) -> Result<(), String> {
        let reply = Reply::parse(frame).ok_or_else(|| format!("the server sent a frame of {} bytes", frame.len()))?;
        match reply.xid {
            PING_XID => return Ok(()),
            NOTIFICATION_XID => {
                load.told(self, now);
                return Ok(());
            }
            AUTH_XID if reply.err == ErrorCode::OK => return Ok(()),
            AUTH_XID => return Err(format!("the server refused the credentials: {}", reply.err)),
            _ => {}
        }
        if reply.zxid < self.ticket.last_zxid {
            wire.counts.disorder += 1;
        } else {
            self.ticket.last_zxid = reply.zxid;
        }
        let Some(sent) = self.match_reply(wire, reply.xid) else { return Ok(()) };
        load.answered(self, sent, &reply, now);
        if sent.kind == Kind::Close {
            self.disconnect();
        }
        Ok(())
    }

    /// The request that a reply belongs to: the oldest one, or else something is out of order.
    fn match_reply(&mut self, wire: &mut Wire, xid: i32) -> Option<Sent> {
        match self.outstanding.front() {
            Some(first) if first.xid == xid => self.outstanding.pop_front(),
            _ => {
                wire.counts.disorder += 1;
                let place = self.outstanding.iter().position(|sent| sent.xid == xid)?;
                self.outstanding.remove(place)
            }
        }
    }

    fn flush<L: Load>(&mut self, wire: &mut Wire, load: &mut L, now: u64) {
        let Some(socket) = self.socket.as_mut() else { return };
        if self.out_sent < self.out.len() {
            match socket.write(&self.out[self.out_sent..]) {
                Ok(length) => self.out_sent += length,
                Err(error) if is_not_yet(&error) => {}
                Err(error) => return self.lose(wire, load, &error.to_string(), now),
            }
            self.sent_at = now;
            if self.out_sent == self.out.len() {
                self.out.clear();
                self.out_sent = 0;
            }
        }
        let wants_write = !self.out.is_empty();
        if wants_write != self.wants_write {
            self.wants_write = wants_write;
            if let Err(error) = wire.set_interest(socket, self.index, wants_write) {
                self.lose(wire, load, &error.to_string(), now);
            }
        }
    }

    /// Forgets the socket and what was on its way in bytes.
    fn disconnect(&mut self) {
        self.socket = None;
        self.phase = Phase::Idle;
        self.out.clear();
        self.out_sent = 0;
        self.input.clear();
    }

    /// The connection broke: what was on its way is lost, and the next server is tried, unless it was closing anyway.
    fn lose<L: Load>(&mut self, wire: &mut Wire, load: &mut L, why: &str, now: u64) {
        let was_closing = self.phase == Phase::Closing;
        wire.failed(self.server, why);
        self.disconnect();
        self.server = self.server.wrapping_add(1);
        let round = self.failures / wire.server_count() as u32;
        let ends_round = (self.failures + 1).is_multiple_of(wire.server_count() as u32);
        self.failures += 1;
        let pause = if ends_round { (RETRY_PAUSE << round.min(10)).min(RETRY_PAUSE_MAX) } else { 0 };
        self.retry_at = if was_closing { NEVER } else { now + pause };
        for sent in mem::take(&mut self.outstanding) {
            load.lost(self, sent, now);
        }
    }

    /// What time alone brings: the next attempt, the end of one, a ping, the end of a connection that fell silent.
    pub(super) fn sweep<L: Load>(&mut self, wire: &mut Wire, load: &mut L, now: u64) {
        match self.phase {
            Phase::Idle if self.retry_at <= now => self.start(wire, load, now),
            Phase::Idle => {}
            Phase::Connecting | Phase::Shaking => {
                let patience = u64::from(self.ticket.timeout_ms.unsigned_abs()) * 1_000_000 / wire.server_count() as u64;
                if now.saturating_sub(self.begun_at) > patience {
                    self.lose(wire, load, "no answer to the handshake", now);
                }
            }
            Phase::Open | Phase::Closing if now.saturating_sub(self.heard_at) > self.timeout / 3 * 2 => {
                self.lose(wire, load, "silent for two thirds of the session timeout", now);
            }
            Phase::Open | Phase::Closing => {
                if now.saturating_sub(self.sent_at) > self.timeout / 3 {
                    Request::Ping.encode(PING_XID, &mut self.out);
                    self.flush(wire, load, now);
                }
            }
        }
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
