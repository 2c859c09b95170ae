//! Frames of the election port: `int length`, then a notification (quorum-protocol.md §1.3).

use bytes::{Buf, Bytes, BytesMut};

use super::limits::ELECTION_FRAME_BYTES_MAX;
use crate::zab::{Notification, NotificationError};

/// What stood at the front of a buffer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notifications {
    /// The last notification of it: those before are out of date.
    pub newest: Option<Notification>,
    /// Why the last frame that was skipped is no notification.
    pub skipped: Option<NotificationError>,
    /// A length that no frame may have: the connection is to be closed.
    pub bad_length: Option<i32>,
}

/// Takes the whole frames off `buffer`.
pub fn take_notifications(buffer: &mut BytesMut) -> Notifications {
    let mut taken = Notifications::default();
    while let Some(&first) = buffer.first_chunk::<4>() {
        let length = i32::from_be_bytes(first);
        let Some(size) = usize::try_from(length).ok().filter(|size| (1..=ELECTION_FRAME_BYTES_MAX).contains(size)) else {
            taken.bad_length = Some(length);
            return taken;
        };
        if buffer.len() < 4 + size {
            return taken;
        }
        buffer.advance(4);
        match Notification::decode(&buffer.split_to(size).freeze()) {
            Ok(notification) => taken.newest = Some(notification),
            Err(error) => taken.skipped = Some(error),
        }
    }
    taken
}

/// The frame of a notification.
#[must_use]
pub fn notification_frame(notification: &Notification) -> Bytes {
    let mut frame = vec![0; 4];
    notification.encode(&mut frame);
    let length = (frame.len() - 4) as i32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Epoch, ServerId, Zxid};
    use crate::zab::{NOTIFICATION_VERSION, ServerState, Vote};

    fn notification(round: i64) -> Notification {
        Notification {
            state: ServerState::Looking,
            vote: Vote { leader: ServerId(3), zxid: Zxid(5), peer_epoch: Epoch(0) },
            election_epoch: round,
            version: NOTIFICATION_VERSION,
            config: Some(Bytes::from_static(b"version=0")),
        }
    }

    #[test]
    fn only_the_newest_counts_and_half_a_frame_stays() {
        let whole = [notification_frame(&notification(1)), notification_frame(&notification(2))].concat();
        let mut buffer = BytesMut::from(&whole[..]);
        buffer.extend_from_slice(&[0, 0, 0, 40, 1]);
        let taken = take_notifications(&mut buffer);
        assert_eq!(taken, Notifications { newest: Some(notification(2)), ..Notifications::default() });
        assert_eq!(&buffer[..], [0, 0, 0, 40, 1]);
    }

    #[test]
    fn what_is_no_notification_is_skipped() {
        let mut buffer = BytesMut::from(&[0, 0, 0, 2, 7, 7][..]);
        buffer.extend_from_slice(&notification_frame(&notification(1)));
        let taken = take_notifications(&mut buffer);
        assert_eq!(taken.skipped, Some(NotificationError::TooShort { size: 2 }));
        assert_eq!((taken.newest, buffer.len()), (Some(notification(1)), 0));
    }

    #[test]
    fn a_length_out_of_bounds_ends_the_connection() {
        for length in [0, -1, i32::MIN, i32::MAX, ELECTION_FRAME_BYTES_MAX as i32 + 1] {
            let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
            assert_eq!(take_notifications(&mut buffer).bad_length, Some(length));
        }
        let mut longest = BytesMut::from(&(ELECTION_FRAME_BYTES_MAX as i32).to_be_bytes()[..]);
        assert_eq!(take_notifications(&mut longest), Notifications::default());
    }
}
