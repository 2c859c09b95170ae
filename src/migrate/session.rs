//! One session on one server: enough of the client protocol to see that it serves, and to read what every client may.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use jute::{Decode, DecodeError, Reader};

use super::dial;
use crate::client::frames::{self, Reply, Request, Ticket};
use crate::ids::SessionId;
use crate::proto::error_code::ErrorCode;
use crate::proto::records::client::{GetAclResponse, GetChildrenResponse, GetDataResponse};
use crate::proto::reply::{NOTIFICATION_XID, PING_XID};

/// Session timeout asked for: nobody waits for this session if it cannot be closed.
const SESSION_TIMEOUT_MS: i32 = 10_000;
/// What is kept of one answer at most.
const FRAME_BYTES_MAX: usize = 4 << 20;
/// Children whose ACL is looked at.
const CHILDREN_MAX: usize = 100;
/// Where the ensemble keeps its configuration.
const CONFIG_PATH: &str = "/zookeeper/config";

/// Why a session came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// The handshake.
    #[error("it gave no session")]
    NoSession,
    /// Bytes that are not the protocol's.
    #[error("it sent what no ZooKeeper server sends")]
    Garbage,
    /// An error code.
    #[error("it refused {what}: {code}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// The code.
        code: ErrorCode,
    },
}

impl From<DecodeError> for SessionError {
    fn from(_: DecodeError) -> Self {
        Self::Garbage
    }
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    socket: TcpStream,
    deadline: Instant,
    input: Vec<u8>,
    xid: i32,
    id: SessionId,
}

impl Session {
    /// Opens a session; all that is done in it has to be done within `patience`.
    ///
    /// # Errors
    /// When the server gives none.
    pub fn open(addresses: &[SocketAddr], patience: Duration) -> Result<Self, SessionError> {
        let deadline = Instant::now() + patience;
        let socket = dial::connect(addresses, deadline)?;
        socket.set_write_timeout(Some(patience))?;
        let mut session = Self { socket, deadline, input: Vec::new(), xid: 0, id: SessionId::NONE };
        let mut ticket = Ticket::new(SESSION_TIMEOUT_MS);
        let mut out = Vec::new();
        ticket.encode(&mut out);
        session.socket.write_all(&out)?;
        let frame = session.frame()?;
        ticket.accept(&frame)?.ok_or(SessionError::NoSession)?;
        session.id = ticket.session;
        Ok(session)
    }

    /// The id that the server gave.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The text of the ensemble's configuration.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn config(&mut self) -> Result<String, SessionError> {
        let body = self.call("getData of /zookeeper/config", &Request::Get(CONFIG_PATH, false))?;
        let answer = GetDataResponse::decode(&mut Reader::new(&body))?;
        Ok(String::from_utf8_lossy(answer.data.as_deref().unwrap_or_default()).into_owned())
    }

    /// Waits until this server has all that the ensemble had committed, then reads something.
    ///
    /// # Errors
    /// When one of the two fails.
    pub fn sync_and_read(&mut self) -> Result<(), SessionError> {
        self.call("sync", &Request::Sync("/"))?;
        self.call("getChildren of /", &Request::Children("/")).map(drop)
    }

    /// The authentication schemes in the ACLs of the root and of its children, as far as they may be read.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn acl_schemes(&mut self) -> Result<BTreeSet<String>, SessionError> {
        let mut schemes = BTreeSet::new();
        self.add_schemes("/", &mut schemes)?;
        let body = match self.call("getChildren of /", &Request::Children("/")) {
            Err(SessionError::Refused { .. }) => return Ok(schemes),
            body => body?,
        };
        let children = GetChildrenResponse::decode(&mut Reader::new(&body))?.children.unwrap_or_default();
        for child in children.iter().flatten().take(CHILDREN_MAX) {
            self.add_schemes(&format!("/{child}"), &mut schemes)?;
        }
        Ok(schemes)
    }

    fn add_schemes(&mut self, path: &str, schemes: &mut BTreeSet<String>) -> Result<(), SessionError> {
        let body = match self.call("getACL", &Request::Acl(path)) {
            Err(SessionError::Refused { .. }) => return Ok(()),
            body => body?,
        };
        let entries = GetAclResponse::decode(&mut Reader::new(&body))?.acl.unwrap_or_default();
        schemes.extend(entries.into_iter().filter_map(|entry| entry.id.scheme).map(String::from));
        Ok(())
    }

    /// Ends the session, which is a write that the quorum has to commit.
    ///
    /// # Errors
    /// When it is not answered.
    pub fn close(mut self) -> Result<(), SessionError> {
        self.call("the end of a session", &Request::CloseSession).map(drop)
    }

    fn call(&mut self, what: &'static str, request: &Request<'_>) -> Result<Vec<u8>, SessionError> {
        self.xid += 1;
        let mut out = Vec::new();
        request.encode(self.xid, &mut out);
        self.socket.write_all(&out)?;
        loop {
            let frame = self.frame()?;
            let reply = Reply::parse(&frame).ok_or(SessionError::Garbage)?;
            match (reply.xid, reply.err) {
                (PING_XID | NOTIFICATION_XID, _) => {}
                (xid, _) if xid != self.xid => return Err(SessionError::Garbage),
                (_, ErrorCode::OK) => return Ok(reply.body.to_vec()),
                (_, code) => return Err(SessionError::Refused { what, code }),
            }
        }
    }

    fn frame(&mut self) -> Result<Vec<u8>, SessionError> {
        loop {
            if let Some(frame) = frames::cut(&self.input).map_err(|_| SessionError::Garbage)? {
                let frame = frame.to_vec();
                self.input.drain(..4 + frame.len());
                return Ok(frame);
            }
            if !dial::read_more(&mut self.socket, &mut self.input, FRAME_BYTES_MAX, self.deadline)? {
                return Err(SessionError::Connection(io::Error::other("it closed the connection")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What a session comes to on a server that takes the handshake and then sends `bytes`.
    fn against(bytes: Vec<u8>) -> SessionError {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::scope(|scope| {
            scope.spawn(move || {
                let (mut socket, _) = listener.accept().expect("a connection");
                let mut handshake = [0; 49];
                socket.read_exact(&mut handshake).expect("a handshake");
                // The other side may have seen enough.
                let _ = socket.write_all(&bytes);
            });
            Session::open(&[address], Duration::from_secs(5)).expect_err("no session")
        })
    }

    #[test]
    fn what_is_no_server_gives_no_session() {
        assert!(matches!(against(Vec::new()), SessionError::Connection(_)));
        assert!(matches!(against(vec![0x7f; 64]), SessionError::Garbage));
        assert!(matches!(against(b"\0\0\0\x01\0".to_vec()), SessionError::Garbage));
        assert!(matches!(against([vec![0, 0, 0, 37], vec![0; 37]].concat()), SessionError::NoSession));
        let endless = [vec![0x0f, 0, 0, 0], vec![0; FRAME_BYTES_MAX + 1]].concat();
        assert!(against(endless).to_string().contains("it sent more than"), "bounded");
    }
}
