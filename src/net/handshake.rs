//! The first bytes of a connection: a four-letter word or a ConnectRequest (client-protocol.md §1.4, §1.7).

use super::connection::{Connection, Phase};
use crate::admin::recognise;
use crate::ids::SessionId;
use crate::proto::connect::ConnectRequest;
use crate::replica::Input;

/// What became of the first bytes.
pub(super) enum First {
    /// More bytes are needed.
    Incomplete,
    /// A four-letter word: the answer is queued and the connection closes.
    Word,
    /// A word whose answer may take long, while others do what takes long.
    Later,
    /// No word: a length follows the rules of frames.
    Frame,
}

impl Connection {
    /// Looks for a four-letter word at the very beginning of a connection.
    pub(super) fn four_letter_word(&self, bytes: &[u8]) -> First {
        let Some((first, rest)) = bytes.split_first_chunk::<4>() else { return First::Incomplete };
        let Some(word) = recognise(*first) else { return First::Frame };
        let inbox = &self.context.inbox;
        let argument = rest.first_chunk::<8>().copied();
        if inbox.allows_word(word) && rest.len() < word.argument_bytes() {
            return First::Incomplete;
        }
        let permit = word.may_take_long().then(|| self.context.long_work.try_lock());
        if matches!(permit, Some(None)) {
            return First::Later;
        }
        self.context.stats.add_received(1, first.len() as u64);
        self.state.lock().stats.received += 1;
        let answer = inbox.four_letter_word(word, argument.filter(|_| word.argument_bytes() > 0));
        self.context.stats.add_sent(1);
        let mut state = self.state.lock();
        // These are the first bytes of a connection: nothing waits before them.
        *state.output.queue() = answer;
        self.count_holdings(&mut state);
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
        self.context.stats.metrics.counters.connection_request_count.inc();
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
        let takes_read_only = request.read_only == Some(true);
        let connection = self.id();
        Some(if is_new {
            Input::OpenSession { connection, timeout_ms, takes_read_only }
        } else {
            Input::ResumeSession { connection, session: request.session, password: request.password, timeout_ms, takes_read_only }
        })
    }
}
