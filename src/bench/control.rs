//! A blocking session of its own, for making the znodes of a run and for removing them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::args::Plan;
use super::error::BenchError;
use crate::client::frames::{self, AUTH_XID, Reply, Request, Ticket};
use crate::client::servers::Servers;
use crate::proto::error_code::ErrorCode;
use crate::proto::reply::{NOTIFICATION_XID, PING_XID};

/// Requests written at a time by `pipeline`; twice as many are on their way.
const BATCH: u64 = 200;
/// How long one server may take to accept, and then to answer.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
const READ_BYTES: usize = 64 << 10;

/// A session without anything running beside it.
#[derive(Debug)]
pub struct Control {
    socket: TcpStream,
    server: String,
    xid: i32,
    out: Vec<u8>,
    input: Vec<u8>,
}

impl Control {
    /// Opens a session on the first server that gives one.
    ///
    /// # Errors
    /// When none does.
    pub fn connect(servers: &Servers, plan: &Plan) -> Result<Self, BenchError> {
        let mut failure = None;
        for address in &servers.addresses {
            let opened = match TcpStream::connect_timeout(address, CONNECT_PATIENCE) {
                Ok(socket) => Self::shake(socket, address.to_string(), plan),
                Err(source) => Err(BenchError::CannotConnect { servers: servers.address_list(), last: address.to_string(), source }),
            };
            match opened {
                Ok(control) => return Ok(control),
                Err(refused @ BenchError::Refused { .. }) => return Err(refused),
                // A server that accepted and then failed says more than one that is not there.
                Err(error) if failure.is_none() || !matches!(error, BenchError::CannotConnect { .. }) => failure = Some(error),
                Err(_) => {}
            }
        }
        Err(failure.expect("a connection string has at least one address"))
    }

    fn shake(socket: TcpStream, server: String, plan: &Plan) -> Result<Self, BenchError> {
        let mut control = Self { socket, server, xid: 0, out: Vec::new(), input: Vec::new() };
        let mut ticket = Ticket::new(plan.session_timeout_ms);
        ticket.encode(&mut control.out);
        let begun = control.prepare_socket().and_then(|()| control.flush()).and_then(|()| control.fill());
        begun.map_err(|error| control.not_serving(&error))?;
        let frame = control.whole_frame()?;
        match ticket.accept(&frame) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(control.not_serving(&io::Error::other("refused the session"))),
            Err(error) => return Err(BenchError::Protocol { server: control.server, what: error.to_string() }),
        }
        for (scheme, credentials) in &plan.auth {
            Request::Auth(scheme, credentials).encode(AUTH_XID, &mut control.out);
            control.flush().map_err(|source| control.broken(source))?;
            let frame = control.whole_frame()?;
            let code = Reply::parse(&frame).map_or(ErrorCode::MARSHALLING_ERROR, |reply| reply.err);
            if code != ErrorCode::OK {
                return Err(BenchError::Refused { what: format!("authenticate by {scheme}"), code });
            }
        }
        Ok(control)
    }

    fn prepare_socket(&self) -> io::Result<()> {
        self.socket.set_nodelay(true)?;
        self.socket.set_read_timeout(Some(ANSWER_PATIENCE))?;
        self.socket.set_write_timeout(Some(ANSWER_PATIENCE))
    }

    /// One request and the code and body of its reply.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn call(&mut self, request: &Request<'_>) -> Result<(ErrorCode, Vec<u8>), BenchError> {
        let mut answer = (ErrorCode::OK, Vec::new());
        self.pipeline(1, |_, out, xid| request.encode(xid, out), |_, reply| answer = (reply.err, reply.body.to_vec()))?;
        Ok(answer)
    }

    /// Sends `count` requests, many at a time, in order. `encode` appends number i with the given xid, `answered` gets its reply.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn pipeline(
        &mut self,
        count: u64,
        mut encode: impl FnMut(u64, &mut Vec<u8>, i32),
        mut answered: impl FnMut(u64, &Reply<'_>),
    ) -> Result<(), BenchError> {
        let (mut sent, mut done) = (0, 0);
        let mut expected = self.xid;
        while done < count {
            while sent < count && sent - done <= BATCH {
                for number in sent..(sent + BATCH).min(count) {
                    self.xid = next(self.xid);
                    encode(number, &mut self.out, self.xid);
                }
                sent = (sent + BATCH).min(count);
                self.flush().map_err(|source| self.broken(source))?;
            }
            let frame = self.whole_frame()?;
            let reply = Reply::parse(&frame).ok_or_else(|| self.garbage(format!("a frame of {} bytes", frame.len())))?;
            if reply.xid == PING_XID || reply.xid == NOTIFICATION_XID {
                continue;
            }
            expected = next(expected);
            if reply.xid != expected {
                return Err(self.garbage(format!("xid {} where {expected} was due", reply.xid)));
            }
            answered(done, &reply);
            done += 1;
        }
        Ok(())
    }

    /// Ends the session; the server may take its time with the answer.
    pub fn close(mut self) {
        // If it cannot be sent, the session ends by its timeout.
        let _ = self.call(&Request::CloseSession);
    }

    fn flush(&mut self) -> io::Result<()> {
        let sent = self.socket.write_all(&self.out);
        self.out.clear();
        sent
    }

    fn fill(&mut self) -> io::Result<()> {
        let start = self.input.len();
        self.input.resize(start + READ_BYTES, 0);
        let got = self.socket.read(&mut self.input[start..]);
        self.input.truncate(start + *got.as_ref().unwrap_or(&0));
        match got {
            Ok(0) => Err(io::Error::other("closed it")),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::Error::other("did not answer")),
            Err(error) => Err(error),
        }
    }

    fn whole_frame(&mut self) -> Result<Vec<u8>, BenchError> {
        loop {
            let frame = frames::cut(&self.input).map_err(|length| self.garbage(format!("a frame of length {length}")))?;
            if let Some(frame) = frame {
                let frame = frame.to_vec();
                self.input.drain(..4 + frame.len());
                return Ok(frame);
            }
            self.fill().map_err(|source| self.broken(source))?;
        }
    }

    fn not_serving(&self, error: &io::Error) -> BenchError {
        BenchError::NotServing { server: self.server.clone(), what: error.to_string() }
    }

    fn broken(&self, source: io::Error) -> BenchError {
        BenchError::Broken { server: self.server.clone(), source }
    }

    fn garbage(&self, what: String) -> BenchError {
        BenchError::Protocol { server: self.server.clone(), what }
    }
}

/// The xid after this one; they stay positive.
fn next(xid: i32) -> i32 {
    if xid == i32::MAX { 1 } else { xid + 1 }
}
