//! What servers say to each other on the election port: votes, and their bytes (quorum-protocol.md §1.4).

use bytes::Bytes;
use thiserror::Error;

use crate::ids::{Epoch, ServerId, Zxid};

/// The version that 3.5 and later put behind a vote.
pub const NOTIFICATION_VERSION: i32 = 2;
/// A configuration text longer than this is not believed, bytes. The frame of the election port allows no more.
pub const CONFIG_BYTES_MAX: usize = 512 << 10;

/// Ends after the election epoch: servers before 3.4.6.
const SHORT_BYTES: usize = 28;
/// Ends after the version: 3.4.6 to 3.4.14.
const MIDDLE_BYTES: usize = 40;
const FULL_BYTES: usize = 44;

/// What a server is doing (`QuorumPeer.ServerState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// In an election.
    Looking,
    /// A participant that follows a leader.
    Following,
    /// The leader.
    Leading,
    /// An observer that follows a leader.
    Observing,
}

impl ServerState {
    fn code(self) -> i32 {
        match self {
            Self::Looking => 0,
            Self::Following => 1,
            Self::Leading => 2,
            Self::Observing => 3,
        }
    }

    fn from_code(code: i32) -> Option<Self> {
        [Self::Looking, Self::Following, Self::Leading, Self::Observing].into_iter().find(|state| state.code() == code)
    }
}

/// What a server backs: a leader, and what that leader's history looked like when it was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The proposed leader.
    pub leader: ServerId,
    /// The last zxid of the proposed leader.
    pub zxid: Zxid,
    /// The current epoch of the proposed leader.
    pub peer_epoch: Epoch,
}

impl Vote {
    /// What a server without a vote says: everything is the smallest number there is.
    pub const NONE: Self = Self { leader: ServerId(i64::MIN), zxid: Zxid(i64::MIN), peer_epoch: Epoch(i64::MIN) };
}

/// A vote under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What the sender is doing.
    pub state: ServerState,
    /// Its vote.
    pub vote: Vote,
    /// The round of elections in which it is, or was when it voted.
    pub election_epoch: i64,
    /// The version of the form: 0 where the sender does not say.
    pub version: i32,
    /// The text of the sender's committed configuration. `None` before 3.5.
    pub config: Option<Bytes>,
}

/// Why a frame is no notification. The frame is skipped, the connection kept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotificationError {
    /// Not even the shortest form.
    #[error("a notification of {size} bytes, at least {SHORT_BYTES} needed")]
    TooShort {
        /// The size in bytes.
        size: usize,
    },
    /// A state that no server has.
    #[error("server state {code} is not known")]
    UnknownState {
        /// The state as read.
        code: i32,
    },
    /// A length of the configuration that does not fit the frame.
    #[error("a configuration of {size} bytes in a notification of {frame}")]
    ConfigLength {
        /// The length as read.
        size: i32,
        /// The size of the frame in bytes.
        frame: usize,
    },
}

impl Notification {
    /// Reads one of the three forms.
    ///
    /// # Errors
    /// When the frame has none of them.
    pub fn decode(frame: &Bytes) -> Result<Self, NotificationError> {
        let size = frame.len();
        if size < SHORT_BYTES {
            return Err(NotificationError::TooShort { size });
        }
        let code = int_at(frame, 0);
        let state = ServerState::from_code(code).ok_or(NotificationError::UnknownState { code })?;
        let zxid = Zxid(long_at(frame, 12));
        // The oldest form does not tell the epoch of the leader: it is the one of its last txn.
        let peer_epoch = if size < MIDDLE_BYTES - 4 { zxid.epoch() } else { Epoch(long_at(frame, 28)) };
        let version = if size < FULL_BYTES { 0 } else { int_at(frame, 36) };
        let config = if size < FULL_BYTES { None } else { Some(Self::config(frame)?) };
        let vote = Vote { leader: ServerId(long_at(frame, 4)), zxid, peer_epoch };
        Ok(Self { state, vote, election_epoch: long_at(frame, 20), version, config })
    }

    fn config(frame: &Bytes) -> Result<Bytes, NotificationError> {
        let size = int_at(frame, 40);
        let error = NotificationError::ConfigLength { size, frame: frame.len() };
        let length = usize::try_from(size).map_err(|_| error.clone())?;
        if length > frame.len() - FULL_BYTES || length > CONFIG_BYTES_MAX {
            return Err(error);
        }
        Ok(frame.slice(FULL_BYTES..FULL_BYTES + length))
    }

    /// Appends the full form. Older servers read its beginning.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let config = self.config.as_deref().unwrap_or_default();
        out.extend_from_slice(&self.state.code().to_be_bytes());
        out.extend_from_slice(&self.vote.leader.0.to_be_bytes());
        out.extend_from_slice(&self.vote.zxid.0.to_be_bytes());
        out.extend_from_slice(&self.election_epoch.to_be_bytes());
        out.extend_from_slice(&self.vote.peer_epoch.0.to_be_bytes());
        out.extend_from_slice(&NOTIFICATION_VERSION.to_be_bytes());
        out.extend_from_slice(&(config.len() as i32).to_be_bytes());
        out.extend_from_slice(config);
    }
}

/// The frame is long enough: its size was looked at.
fn int_at(frame: &[u8], position: usize) -> i32 {
    frame[position..].first_chunk().map_or(0, |bytes| i32::from_be_bytes(*bytes))
}

fn long_at(frame: &[u8], position: usize) -> i64 {
    frame[position..].first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification() -> Notification {
        Notification {
            state: ServerState::Leading,
            vote: Vote { leader: ServerId(3), zxid: Zxid(0x2_0000_0005), peer_epoch: Epoch(4) },
            election_epoch: 7,
            version: NOTIFICATION_VERSION,
            config: Some(Bytes::from_static(b"version=0")),
        }
    }

    fn bytes(notification: &Notification) -> Vec<u8> {
        let mut bytes = Vec::new();
        notification.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_full_form_is_the_golden_bytes_and_comes_back() {
        let bytes = bytes(&notification());
        let golden = b"\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\x02\0\0\0\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x04\0\0\0\x02\0\0\0\x09version=0";
        assert_eq!(bytes, golden);
        assert_eq!(Notification::decode(&Bytes::from(bytes)), Ok(notification()));
    }

    /// quorum-protocol.md §1.4: 28 bytes take the epoch from the zxid, 40 bytes have a version that counts as 0.
    #[test]
    fn older_forms_are_read() {
        let bytes = Bytes::from(bytes(&notification()));
        let short = Notification::decode(&bytes.slice(..28)).expect("28 bytes");
        assert_eq!((short.vote.peer_epoch, short.version, short.config), (Epoch(2), 0, None));
        let middle = Notification::decode(&bytes.slice(..40)).expect("40 bytes");
        assert_eq!((middle.vote.peer_epoch, middle.version, middle.config), (Epoch(4), 0, None));
    }

    /// A malformed notification is skipped; it must never end the receiver (ZOOKEEPER-3769).
    #[test]
    fn zookeeper_3769_malformed_frames_are_errors() {
        let good = bytes(&notification());
        for length in 0..good.len() {
            let cut = Notification::decode(&Bytes::from(good[..length].to_vec()));
            assert_eq!(cut.is_ok(), (28..44).contains(&length), "{length} bytes");
        }
        let with = |position: usize, value: i32| {
            let mut bytes = good.clone();
            bytes[position..position + 4].copy_from_slice(&value.to_be_bytes());
            Notification::decode(&Bytes::from(bytes))
        };
        assert_eq!(with(0, 9), Err(NotificationError::UnknownState { code: 9 }));
        for size in [-1, i32::MIN, 10, i32::MAX] {
            assert_eq!(with(40, size), Err(NotificationError::ConfigLength { size, frame: 53 }));
        }
    }
}
