//! Packets out of the bytes of a quorum link, as they come. Contents share the memory that the socket was read into.

use bytes::BytesMut;

use super::limits::{PACKET_BYTES_BEYOND_DATA, READ_BYTES};
use crate::zab::{Packet, PacketError, packet_length};

/// The bytes of one link that are not a whole packet yet.
#[derive(Debug)]
pub struct PacketDecoder {
    buffer: BytesMut,
    data_bytes_max: usize,
}

impl PacketDecoder {
    /// Refuses packets with more content than this, in bytes.
    #[must_use]
    pub fn new(data_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), data_bytes_max }
    }

    /// Changes the limit on the content of a packet, in bytes.
    pub fn set_limit(&mut self, data_bytes_max: usize) {
        self.data_bytes_max = data_bytes_max;
    }

    /// Where bytes from the socket are appended; there is room for some.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < READ_BYTES / 16 {
            self.buffer.reserve(READ_BYTES);
        }
        &mut self.buffer
    }

    /// The next whole packet; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When what comes is no packet, or a larger one than allowed: the link is to be closed.
    pub fn packet(&mut self) -> Result<Option<Packet>, PacketError> {
        match packet_length(&self.buffer, self.data_bytes_max)? {
            Some(length) => Packet::decode(&self.buffer.split_to(length).freeze()).map(Some),
            None if self.buffer.len() > self.data_bytes_max + PACKET_BYTES_BEYOND_DATA => {
                Err(PacketError::AuthInfo { size: self.buffer.len() as i64 })
            }
            None => Ok(None),
        }
    }

    /// Takes all bytes that are there: those of a snapshot.
    pub fn take(&mut self) -> BytesMut {
        self.buffer.split()
    }

    /// Gives back what followed the snapshot. Nothing came meanwhile.
    pub fn give_back(&mut self, rest: BytesMut) {
        debug_assert!(self.buffer.is_empty(), "what was taken comes back before anything else");
        self.buffer = rest;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ids::Zxid;

    fn proposal(zxid: i64, payload: &'static [u8]) -> Packet {
        Packet::Proposal { zxid: Zxid(zxid), payload: Bytes::from_static(payload) }
    }

    fn bytes(packets: &[Packet]) -> Vec<u8> {
        let mut bytes = Vec::new();
        packets.iter().for_each(|packet| packet.encode(&mut bytes));
        bytes
    }

    #[test]
    fn many_packets_come_out_of_one_read_and_share_its_memory() {
        let packets = [proposal(1, b"abc"), Packet::Commit { zxid: Zxid(1) }, proposal(2, b"def")];
        let mut decoder = PacketDecoder::new(100);
        decoder.buffer().extend_from_slice(&bytes(&packets));
        let memory = decoder.buffer.as_ptr_range();
        for packet in packets {
            let next = decoder.packet().expect("well formed");
            if let Some(Packet::Proposal { payload, .. }) = &next {
                assert!(memory.contains(&payload.as_ptr()), "no copy");
            }
            assert_eq!(next, Some(packet));
        }
        assert_eq!(decoder.packet(), Ok(None));
    }

    #[test]
    fn a_packet_may_come_byte_by_byte() {
        let packets = [proposal(1, b"abc"), proposal(2, b"")];
        let (mut decoder, mut found) = (PacketDecoder::new(100), Vec::new());
        for byte in bytes(&packets[..1]) {
            decoder.buffer().extend_from_slice(&[byte]);
            found.extend(decoder.packet().expect("well formed"));
        }
        assert_eq!(found, packets[..1]);
    }

    #[test]
    fn more_content_than_allowed_is_an_error_before_it_comes() {
        let mut decoder = PacketDecoder::new(2);
        decoder.buffer().extend_from_slice(&bytes(&[proposal(1, b"abc")])[..16]);
        assert_eq!(decoder.packet(), Err(PacketError::TooLarge { type_code: 2, size: 3, limit: 2 }));
    }

    /// Each text is within its own limit, and so is their number; together they are not.
    #[test]
    fn the_sum_of_authentication_ids_is_bounded() {
        let mut decoder = PacketDecoder::new(100);
        decoder.buffer().extend_from_slice(&bytes(&[Packet::UpToDate])[..16]);
        decoder.buffer().extend_from_slice(&1000_i32.to_be_bytes());
        let text = [&(60_000_i32).to_be_bytes()[..], &[b'x'; 60_000]].concat();
        let result = (0..100).find_map(|_| {
            decoder.buffer().extend_from_slice(&text);
            decoder.packet().err()
        });
        assert!(matches!(result, Some(PacketError::AuthInfo { .. })));
        assert!(decoder.buffer.len() < 2 * PACKET_BYTES_BEYOND_DATA);
    }

    #[test]
    fn what_follows_a_snapshot_is_decoded() {
        let mut decoder = PacketDecoder::new(100);
        decoder.buffer().extend_from_slice(&bytes(&[Packet::Snap { zxid: Zxid(4) }]));
        decoder.buffer().extend_from_slice(b"snapshot");
        decoder.buffer().extend_from_slice(&bytes(&[proposal(5, b"x")]));
        assert_eq!(decoder.packet(), Ok(Some(Packet::Snap { zxid: Zxid(4) })));
        let mut rest = decoder.take();
        assert_eq!(&rest.split_to(8)[..], b"snapshot");
        decoder.give_back(rest);
        assert_eq!(decoder.packet(), Ok(Some(proposal(5, b"x"))));
    }
}
