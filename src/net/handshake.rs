//! The first bytes of a connection: a four-letter word or a ConnectRequest (client-protocol.md §1.4, §1.7).

use super::connection::{Connection, Phase};
use crate::ids::SessionId;
use crate::proto::connect::ConnectRequest;
use crate::replica::Input;

/// What became of the first bytes.
pub(super) enum First {
    /// More bytes are needed.
    Incomplete,
    /// A four-letter word: the answer is queued and the connection closes.
    Word,
    /// No word: a length follows the rules of frames.
    Frame,
}

/// Bytes of the argument of `stmk`.
const TRACE_MASK_BYTES: usize = 8;

impl Connection {
    /// Looks for a four-letter word at the very beginning of a connection.
    pub(super) fn four_letter_word(&self, bytes: &[u8]) -> First {
        let Some((word, rest)) = bytes.split_first_chunk::<4>() else { return First::Incomplete };
        if !word.iter().all(u8::is_ascii_lowercase) {
            return First::Frame;
        }
        if word == b"stmk" && rest.len() < TRACE_MASK_BYTES {
            return First::Incomplete;
        }
        let Some(answer) = self.context.inbox.four_letter_word(*word, rest) else { return First::Frame };
        let mut state = self.state.lock();
        state.output.queue().extend_from_slice(&answer);
        state.begin_closing();
        First::Word
    }

    /// Checks a ConnectRequest and asks the replica for the session. Gives the input, or closes the connection.
    pub(super) fn connect(&self, frame: &[u8]) -> Option<Input> {
        let request = match ConnectRequest::decode(frame) {
            Ok(request) => request,
            Err(error) => {
                tracing::debug!(address = %self.address(), %error, "undecodable handshake");
                self.close();
                return None;
            }
        };
        let is_new = request.session == SessionId::NONE;
        let applied = self.context.shared.tree.read().last_zxid();
        if request.last_zxid_seen > applied {
            tracing::info!(address = %self.address(), seen = %request.last_zxid_seen, %applied, "client has seen a newer zxid than ours");
            self.close();
            return None;
        }
        if !self.context.admits_session(is_new) {
            self.context.stats.count_rejected();
            self.close();
            return None;
        }
        let settings = &self.context.settings;
        let timeout_ms = request.timeout_ms.clamp(settings.session_timeout_ms_min, settings.session_timeout_ms_max);
        let mut state = self.state.lock();
        state.phase = Phase::Connecting;
        state.read_only_byte = request.read_only.is_some();
        let connection = self.id();
        Some(if is_new {
            Input::OpenSession { connection, timeout_ms }
        } else {
            Input::ResumeSession { connection, session: request.session, password: request.password, timeout_ms }
        })
    }
}
