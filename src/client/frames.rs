//! The client's side of the protocol: requests into bytes, bytes into replies (client-protocol.md §1, §2).

use std::borrow::Cow;

use jute::{DecodeError, Encode, Reader};

use crate::ids::{SessionId, Zxid};
use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::password::PASSWORD_BYTES;
use crate::proto::records::client::{
    AuthPacket, ConnectRequest, CreateRequest, DeleteRequest, ExistsRequest, GetAclRequest, GetChildrenRequest, GetDataRequest,
    MultiHeader, RequestHeader, SetDataRequest, SyncRequest,
};
use crate::proto::records::data::{Acl, Id};
use crate::proto::reply::{HEADER_BYTES, PING_XID};

/// The xid of every auth packet.
pub const AUTH_XID: i32 = -4;
/// Reply frames longer than this many bytes are taken for garbage.
const FRAME_BYTES_MAX: usize = 256 << 20;
/// All five permissions.
const PERMS_ALL: i32 = 31;
/// Any version.
const ANY: i32 = -1;

/// What is needed to open or resume a session.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// The session to resume, or none.
    pub session: SessionId,
    /// Its password.
    pub password: [u8; PASSWORD_BYTES],
    /// The newest zxid seen.
    pub last_zxid: Zxid,
    /// The timeout asked for, in ms.
    pub timeout_ms: i32,
}

impl Ticket {
    /// A ticket for a new session.
    #[must_use]
    pub fn new(timeout_ms: i32) -> Self {
        Self { session: SessionId::NONE, password: [0; PASSWORD_BYTES], last_zxid: Zxid::ZERO, timeout_ms }
    }

    /// Appends the first frame of a connection.
    pub fn encode(&self, out: &mut Vec<u8>) {
        framed(out, |out| {
            let request = ConnectRequest {
                protocol_version: 0,
                last_zxid_seen: self.last_zxid.0,
                time_out: self.timeout_ms,
                session_id: self.session.0,
                passwd: Some(Cow::Borrowed(&self.password)),
            };
            request.encode(out);
            false.encode(out);
        });
    }

    /// Takes over what the first reply says; gives the negotiated timeout in ms, or `None` when the session is gone.
    ///
    /// # Errors
    /// When the frame is no such reply.
    pub fn accept(&mut self, frame: &[u8]) -> Result<Option<i32>, DecodeError> {
        let mut reader = Reader::new(frame);
        let _protocol_version = reader.read_int()?;
        let timeout_ms = reader.read_int()?;
        let session = SessionId(reader.read_long()?);
        let password = reader.read_buffer()?.unwrap_or_default();
        if timeout_ms <= 0 {
            *self = Self::new(self.timeout_ms);
            return Ok(None);
        }
        self.session = session;
        self.password = password.try_into().unwrap_or([0; PASSWORD_BYTES]);
        Ok(Some(timeout_ms))
    }
}

fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn request(out: &mut Vec<u8>, xid: i32, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) {
    framed(out, |out| {
        RequestHeader { xid, type_: op.0 }.encode(out);
        body(out);
    });
}

/// A request without its xid.
#[derive(Clone, Copy, Debug)]
pub enum Request<'a> {
    /// getData, with a watch or without.
    Get(&'a str, bool),
    /// exists.
    Exists(&'a str),
    /// getChildren.
    Children(&'a str),
    /// getACL.
    Acl(&'a str),
    /// setData, any version.
    Set(&'a str, &'a [u8]),
    /// create, persistent, open to all.
    Create(&'a str, &'a [u8]),
    /// delete, any version.
    Delete(&'a str),
    /// multi of setData, any versions.
    Multi(&'a [String], &'a [u8]),
    /// sync.
    Sync(&'a str),
    /// closeSession.
    CloseSession,
    /// ping.
    Ping,
    /// auth: scheme and credentials.
    Auth(&'a str, &'a str),
}

impl Request<'_> {
    /// Appends the frame. `xid` is not used for the two kinds that have a fixed one.
    pub fn encode(&self, xid: i32, out: &mut Vec<u8>) {
        match *self {
            Self::Get(path, watch) => request(out, xid, OpCode::GET_DATA, |out| GetDataRequest { path: text(path), watch }.encode(out)),
            Self::Exists(path) => request(out, xid, OpCode::EXISTS, |out| ExistsRequest { path: text(path), watch: false }.encode(out)),
            Self::Children(path) => {
                request(out, xid, OpCode::GET_CHILDREN, |out| GetChildrenRequest { path: text(path), watch: false }.encode(out));
            }
            Self::Acl(path) => request(out, xid, OpCode::GET_ACL, |out| GetAclRequest { path: text(path) }.encode(out)),
            Self::Set(path, data) => request(out, xid, OpCode::SET_DATA, |out| set(path, data).encode(out)),
            Self::Create(path, data) => request(out, xid, OpCode::CREATE, |out| create(path, data).encode(out)),
            Self::Delete(path) => request(out, xid, OpCode::DELETE, |out| DeleteRequest { path: text(path), version: ANY }.encode(out)),
            Self::Multi(paths, data) => request(out, xid, OpCode::MULTI, |out| multi(paths, data, out)),
            Self::Sync(path) => request(out, xid, OpCode::SYNC, |out| SyncRequest { path: text(path) }.encode(out)),
            Self::CloseSession => request(out, xid, OpCode::CLOSE_SESSION, |_| {}),
            Self::Ping => request(out, PING_XID, OpCode::PING, |_| {}),
            Self::Auth(scheme, credentials) => request(out, AUTH_XID, OpCode::AUTH, |out| {
                AuthPacket { type_: 0, scheme: text(scheme), auth: Some(Cow::Borrowed(credentials.as_bytes())) }.encode(out);
            }),
        }
    }
}

fn text(path: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(path))
}

fn set<'a>(path: &'a str, data: &'a [u8]) -> SetDataRequest<'a> {
    SetDataRequest { path: text(path), data: Some(Cow::Borrowed(data)), version: ANY }
}

fn create<'a>(path: &'a str, data: &'a [u8]) -> CreateRequest<'a> {
    let anyone = Acl { perms: PERMS_ALL, id: Id { scheme: text("world"), id: text("anyone") } };
    CreateRequest { path: text(path), data: Some(Cow::Borrowed(data)), acl: Some(vec![anyone]), flags: 0 }
}

fn multi(paths: &[String], data: &[u8], out: &mut Vec<u8>) {
    for path in paths {
        MultiHeader { type_: OpCode::SET_DATA.0, done: false, err: -1 }.encode(out);
        set(path, data).encode(out);
    }
    MultiHeader { type_: -1, done: true, err: -1 }.encode(out);
}

/// A reply or a watch event.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The xid of the request, or a negative one.
    pub xid: i32,
    /// The zxid of the header.
    pub zxid: Zxid,
    /// The code of the header.
    pub err: ErrorCode,
    /// What stands behind the header.
    pub body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Takes the header off a frame; `None` when the frame is too short for one.
    #[must_use]
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let (head, body) = frame.split_first_chunk::<HEADER_BYTES>()?;
        let (xid, rest) = head.split_first_chunk::<4>()?;
        let (zxid, err) = rest.split_first_chunk::<8>()?;
        Some(Self {
            xid: i32::from_be_bytes(*xid),
            zxid: Zxid(i64::from_be_bytes(*zxid)),
            err: ErrorCode(i32::from_be_bytes(err.try_into().ok()?)),
            body,
        })
    }

    /// The code of the part that made a multi fail: the header says success even then. `OK` for a multi that succeeded.
    #[must_use]
    pub fn multi_error(&self) -> ErrorCode {
        let mut reader = Reader::new(self.body);
        loop {
            let (Ok(kind), Ok(done), Ok(err)) = (reader.read_int(), reader.read_bool(), reader.read_int()) else {
                return ErrorCode::MARSHALLING_ERROR;
            };
            let err = ErrorCode(err);
            let is_culprit = err != ErrorCode::OK && err != ErrorCode::RUNTIME_INCONSISTENCY;
            match OpCode(kind) {
                // A multi that succeeded has results of its own kinds only.
                _ if done => return ErrorCode::OK,
                OpCode::ERROR if is_culprit => return err,
                OpCode::ERROR => drop(reader.read_int()),
                _ => return ErrorCode::OK,
            }
        }
    }
}

/// The next whole frame of `bytes`, without its length; `None` when it is not complete yet.
///
/// # Errors
/// The length, when no frame has such a one.
pub fn cut(bytes: &[u8]) -> Result<Option<&[u8]>, i32> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    match usize::try_from(length) {
        Ok(size) if size <= FRAME_BYTES_MAX => Ok(rest.get(..size)),
        _ => Err(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::connect;

    #[test]
    fn the_server_reads_what_is_sent() {
        let mut out = Vec::new();
        Ticket { last_zxid: Zxid(7), ..Ticket::new(4_000) }.encode(&mut out);
        let frame = cut(&out).expect("a length").expect("whole");
        assert_eq!(frame.len() + 4, out.len());
        let request = connect::ConnectRequest::decode(frame).expect("a request");
        assert_eq!((request.timeout_ms, request.last_zxid_seen, request.read_only), (4_000, Zxid(7), Some(false)));
    }

    #[test]
    fn a_session_is_taken_over_or_dropped() {
        let mut ticket = Ticket::new(4_000);
        let mut out = Vec::new();
        connect::ConnectResponse { timeout_ms: 2_000, session: SessionId(5), password: [9; 16] }.encode_frame(Some(false), &mut out);
        assert_eq!(ticket.accept(&out[4..]), Ok(Some(2_000)));
        assert_eq!((ticket.session, ticket.password), (SessionId(5), [9; 16]));
        out.clear();
        connect::ConnectResponse::EXPIRED.encode_frame(None, &mut out);
        assert_eq!(ticket.accept(&out[4..]), Ok(None));
        assert_eq!((ticket.session, ticket.timeout_ms), (SessionId::NONE, 4_000));
        assert!(ticket.accept(&out[4..20]).is_err());
    }

    #[test]
    fn frames_and_headers_are_cut() {
        let mut out = Vec::new();
        crate::proto::reply::encode_frame(&mut out, 3, Zxid(-2), ErrorCode::NO_NODE, |out| out.push(1));
        assert_eq!(cut(&out[..20]), Ok(None));
        let reply = Reply::parse(cut(&out).expect("a length").expect("whole")).expect("a header");
        assert_eq!((reply.xid, reply.zxid, reply.err, reply.body), (3, Zxid(-2), ErrorCode::NO_NODE, &[1][..]));
        assert!(Reply::parse(&[0; 15]).is_none());
        assert_eq!(cut(&[0xff, 0xff, 0xff, 0xfe]), Err(-2));
        assert_eq!(cut(&[0x7f, 0, 0, 0]), Err(0x7f00_0000));
    }

    #[test]
    fn the_culprit_of_a_failed_multi_is_found() {
        let result = |parts: &[(i32, i32)]| {
            let mut body = Vec::new();
            for (kind, err) in parts {
                MultiHeader { type_: *kind, done: false, err: *err }.encode(&mut body);
                err.encode(&mut body);
            }
            MultiHeader { type_: -1, done: true, err: -1 }.encode(&mut body);
            Reply { xid: 1, zxid: Zxid(1), err: ErrorCode::OK, body: &body }.multi_error()
        };
        assert_eq!(result(&[(-1, 0), (-1, -101), (-1, -2)]), ErrorCode::NO_NODE);
        assert_eq!(result(&[(5, 0)]), ErrorCode::OK);
        assert_eq!(result(&[]), ErrorCode::OK);
        let torn = Reply { xid: 1, zxid: Zxid(1), err: ErrorCode::OK, body: &[0, 0] };
        assert_eq!(torn.multi_error(), ErrorCode::MARSHALLING_ERROR);
    }
}
