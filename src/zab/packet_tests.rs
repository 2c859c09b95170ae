//! Packets against golden bytes of real servers, and against hostile ones.

use super::*;

const LIMIT: usize = 1 << 20;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits")).collect()
}

fn introduction(is_paddock: bool) -> Introduction {
    Introduction { accepted_epoch: Epoch(3), sid: Some(ServerId(1)), config_version: 0, is_paddock, serves_observers: false }
}

fn every_packet() -> Vec<Packet> {
    let (zxid, payload) = (Zxid(0x3_0000_0007), Bytes::from_static(b"txn"));
    let rider = |kind, data: Option<&'static [u8]>| {
        let authinfo = Some(vec![("ip".to_owned(), "127.0.0.1".to_owned()), ("digest".to_owned(), "bob".to_owned())]);
        Packet::Rider(Rider { kind, zxid, data: data.map(Bytes::from_static), authinfo })
    };
    vec![
        Packet::FollowerInfo(introduction(false)),
        Packet::ObserverInfo(introduction(true)),
        Packet::LeaderInfo { epoch: Epoch(4), version: PROTOCOL_VERSION, is_paddock: false },
        Packet::LeaderInfo { epoch: Epoch(4), version: PROTOCOL_VERSION, is_paddock: true },
        Packet::AckEpoch { last_zxid: zxid, current_epoch: Some(Epoch(3)) },
        Packet::AckEpoch { last_zxid: zxid, current_epoch: None },
        Packet::Diff { zxid },
        Packet::Trunc { zxid },
        Packet::Snap { zxid },
        Packet::NewLeader { epoch: Epoch(4), config: Some(Bytes::from_static(b"version=0")) },
        Packet::NewLeader { epoch: Epoch(4), config: None },
        Packet::UpToDate,
        Packet::Proposal { zxid, payload: payload.clone() },
        Packet::Ack { zxid },
        Packet::Commit { zxid },
        Packet::Inform { zxid, payload: payload.clone() },
        Packet::CommitAndActivate { zxid, designated_leader: ServerId(2) },
        Packet::InformAndActivate { zxid, designated_leader: ServerId(2), payload },
        rider(RiderKind::Request, Some(b"request")),
        rider(RiderKind::Ping, Some(b"")),
        rider(RiderKind::Revalidate, Some(b"12345678\x01")),
        Packet::Rider(Rider { kind: RiderKind::Sync, zxid: Zxid::ZERO, data: None, authinfo: None }),
        Packet::Unknown { type_code: 77, zxid, data: Some(Bytes::from_static(b"later")) },
    ]
}

#[test]
fn every_packet_comes_back_as_it_was() {
    for packet in every_packet() {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        assert_eq!(packet_length(&bytes, LIMIT), Ok(Some(bytes.len())), "{packet:?}");
        for length in 0..bytes.len() {
            assert_eq!(packet_length(&bytes[..length], LIMIT), Ok(None), "{packet:?} cut at {length}");
        }
        assert_eq!(Packet::decode(&Bytes::from(bytes)), Ok(packet));
    }
}

/// The bytes that a Java 3.9.5 server sends (quorum-protocol.md §7).
#[test]
fn follower_info_is_the_golden_bytes() {
    let golden = hex("0000000b 0000000000000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff");
    assert_eq!(golden.len(), 40);
    let info = Introduction { accepted_epoch: Epoch(0), ..introduction(false) };
    let mut bytes = Vec::new();
    Packet::FollowerInfo(info).encode(&mut bytes);
    assert_eq!(bytes, golden);
    assert_eq!(Packet::decode(&golden), Ok(Packet::FollowerInfo(info)));
}

/// What Java reads of it stays what it is; an older Paddock leader takes it for a Paddock follower.
#[test]
fn a_follower_that_serves_observers_says_so_behind_all_else() {
    let info = Introduction { serves_observers: true, ..introduction(true) };
    let mut bytes = Vec::new();
    Packet::FollowerInfo(info).encode(&mut bytes);
    assert_eq!(bytes[36..52], *b"PADDOCK1OBSERVED");
    assert_eq!(Packet::decode(&bytes.into()), Ok(Packet::FollowerInfo(info)));
    let mut bytes = Vec::new();
    Packet::FollowerInfo(Introduction { is_paddock: false, ..info }).encode(&mut bytes);
    assert_eq!(bytes.len(), 40, "a mark behind no mark is none");
}

#[test]
fn leader_info_and_ack_epoch_hold_four_bytes_for_java() {
    let mut bytes = Vec::new();
    Packet::LeaderInfo { epoch: Epoch(1), version: PROTOCOL_VERSION, is_paddock: false }.encode(&mut bytes);
    assert_eq!(bytes, hex("00000011 0000000100000000 00000004 00010000 ffffffff"));
    bytes.clear();
    Packet::AckEpoch { last_zxid: Zxid(5), current_epoch: None }.encode(&mut bytes);
    assert_eq!(bytes, hex("00000012 0000000000000005 00000004 ffffffff ffffffff"));
}

/// Releases differ in how much of LearnerInfo they send; all of them are read (quorum-protocol.md §2.3).
#[test]
fn a_short_introduction_is_read_as_far_as_it_goes() {
    let sid_only = hex("0000000b 0000000200000000 00000008 0000000000000009 ffffffff");
    let expected =
        Introduction { accepted_epoch: Epoch(2), sid: Some(ServerId(9)), config_version: 0, is_paddock: false, serves_observers: false };
    assert_eq!(Packet::decode(&sid_only), Ok(Packet::FollowerInfo(expected)));
    let nothing = hex("0000000b 0000000200000000 ffffffff ffffffff");
    assert_eq!(Packet::decode(&nothing), Ok(Packet::FollowerInfo(Introduction { sid: None, ..expected })));
}

#[test]
fn content_too_short_or_too_large_is_refused_before_anything_is_allocated() {
    let ackepoch_without_data = hex("00000012 0000000000000005 ffffffff ffffffff");
    assert_eq!(Packet::decode(&ackepoch_without_data), Err(PacketError::TooShort { type_code: 18, size: 0, needed: 4 }));
    let huge = hex("00000002 0000000000000005 7fffffff");
    assert!(matches!(packet_length(&huge, LIMIT), Err(PacketError::TooLarge { type_code: 2, size: 0x7fff_ffff, .. })));
    let negative = hex("00000002 0000000000000005 fffffffe");
    assert!(packet_length(&negative, LIMIT).is_err());
    let ids = hex("00000001 ffffffffffffffff 00000000 00000401");
    assert_eq!(packet_length(&ids, LIMIT), Err(PacketError::AuthInfo { size: 1025 }));
    let long_id = hex("00000001 ffffffffffffffff 00000000 00000001 00010001");
    assert_eq!(packet_length(&long_id, LIMIT), Err(PacketError::AuthInfo { size: 65537 }));
    let proposal_without_txn = hex("00000002 0000000000000005 00000000 ffffffff");
    assert!(Packet::decode(&proposal_without_txn).is_err());
}
