//! The handshake: ConnectRequest and ConnectResponse, with the read-only byte that old clients leave out (client-protocol.md §1.3).

use jute::{DecodeError, Reader};

use crate::ids::{SessionId, Zxid};
use crate::proto::password::PASSWORD_BYTES;

/// What a client asks for in its first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The newest zxid the client has seen; a server that is behind it refuses.
    pub last_zxid_seen: Zxid,
    /// The session timeout asked for, in ms; any value, clamped by the server.
    pub timeout_ms: i32,
    /// The session to resume, or none for a new one.
    pub session: SessionId,
    /// The password of the session to resume.
    pub password: Vec<u8>,
    /// Whether a read-only server will do; `None` when the client did not send the byte.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// Decodes the first frame of a connection.
    ///
    /// # Errors
    /// When the frame ends early or a length is negative: the connection is closed without an answer.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame);
        let _protocol_version = reader.read_int()?;
        Ok(Self {
            last_zxid_seen: Zxid(reader.read_long()?),
            timeout_ms: reader.read_int()?,
            session: SessionId(reader.read_long()?),
            password: reader.read_buffer()?.unwrap_or_default().to_vec(),
            read_only: if reader.remaining() > 0 { Some(reader.read_bool()?) } else { None },
        })
    }
}

/// The server's answer; a timeout of zero means that the session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// The negotiated timeout in ms, or 0.
    pub timeout_ms: i32,
    /// The session, or none.
    pub session: SessionId,
    /// The password to resume it with.
    pub password: [u8; PASSWORD_BYTES],
}

impl ConnectResponse {
    /// The answer to a client whose session cannot be resumed.
    pub const EXPIRED: Self = Self { timeout_ms: 0, session: SessionId::NONE, password: [0; PASSWORD_BYTES] };

    /// Appends the frame, length first. `read_only` says whether the server only reads; `None` when the request had no such byte.
    pub fn encode_frame(&self, read_only: Option<bool>, out: &mut Vec<u8>) {
        let length = 4 + 4 + 8 + 4 + PASSWORD_BYTES + usize::from(read_only.is_some());
        out.extend_from_slice(&(length as u32).to_be_bytes());
        out.extend_from_slice(&0_i32.to_be_bytes());
        out.extend_from_slice(&self.timeout_ms.to_be_bytes());
        out.extend_from_slice(&self.session.0.to_be_bytes());
        out.extend_from_slice(&(PASSWORD_BYTES as u32).to_be_bytes());
        out.extend_from_slice(&self.password);
        out.extend(read_only.map(u8::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_has_36_or_37_bytes() {
        for (flag, length) in [(false, 36), (true, 37)] {
            let mut out = Vec::new();
            ConnectResponse::EXPIRED.encode_frame(flag.then_some(false), &mut out);
            assert_eq!(out.len(), 4 + length);
            assert_eq!(out[3] as usize, length);
        }
    }

    #[test]
    fn request_without_the_read_only_byte_is_accepted() {
        let mut frame = vec![0; 4 + 8 + 4 + 8];
        frame.extend_from_slice(&16_u32.to_be_bytes());
        frame.extend_from_slice(&[7; 16]);
        let request = ConnectRequest::decode(&frame).expect("44 bytes are a whole request");
        assert_eq!((request.read_only, request.password.len()), (None, 16));
        frame.push(1);
        assert_eq!(ConnectRequest::decode(&frame).expect("45 bytes too").read_only, Some(true));
        assert!(ConnectRequest::decode(&frame[..40]).is_err());
    }
}
