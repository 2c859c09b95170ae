//! What a learner and its leader say to each other: typed packets, and their bytes (quorum-protocol.md §2.2).
//!
//! On the wire each is a `QuorumPacket` without a frame around it; only the bytes of a snapshot stand between packets, behind a SNAP.
//! A packet of an unknown type is kept as it came. `data` is never null where Java would fail on a null.

use std::borrow::Cow;

use bytes::Bytes;
use jute::{Decode, DecodeError, Encode, Reader};
use thiserror::Error;

use crate::ids::{Epoch, ServerId, Zxid};
use crate::proto::records::data::Id;
use crate::proto::records::quorum::{LearnerInfo, QuorumPacket};

/// The version of the quorum protocol, the same in both directions since 3.4.
pub const PROTOCOL_VERSION: i32 = 0x1_0000;

/// Stands behind the fixed part of LEARNERINFO and LEADERINFO data, where Java reads nothing: the sender is a Paddock server, which takes
/// one ACK or COMMIT for all before it, and truncates exactly.
const PADDOCK_MARK: &[u8; 8] = b"PADDOCK1";

/// Stands behind that in LEARNERINFO of a follower that serves observers.
const SERVES_OBSERVERS_MARK: &[u8; 8] = b"OBSERVED";

/// Bytes of a packet before its data: type, zxid, length of the data.
const HEAD_BYTES: usize = 16;
/// Bytes of the sid, the protocol version and the configuration version in LearnerInfo.
const LEARNER_INFO_BYTES: usize = 20;
/// More authentication ids than this on one forwarded request are an attack.
const AUTHINFO_COUNT_MAX: usize = 1024;
/// Longer authentication ids than this, in bytes, are an attack.
const AUTHINFO_TEXT_BYTES_MAX: usize = 64 << 10;

mod code {
    pub(super) const REQUEST: i32 = 1;
    pub(super) const PROPOSAL: i32 = 2;
    pub(super) const ACK: i32 = 3;
    pub(super) const COMMIT: i32 = 4;
    pub(super) const PING: i32 = 5;
    pub(super) const REVALIDATE: i32 = 6;
    pub(super) const SYNC: i32 = 7;
    pub(super) const INFORM: i32 = 8;
    pub(super) const COMMITANDACTIVATE: i32 = 9;
    pub(super) const NEWLEADER: i32 = 10;
    pub(super) const FOLLOWERINFO: i32 = 11;
    pub(super) const UPTODATE: i32 = 12;
    pub(super) const DIFF: i32 = 13;
    pub(super) const TRUNC: i32 = 14;
    pub(super) const SNAP: i32 = 15;
    pub(super) const OBSERVERINFO: i32 = 16;
    pub(super) const LEADERINFO: i32 = 17;
    pub(super) const ACKEPOCH: i32 = 18;
    pub(super) const INFORMANDACTIVATE: i32 = 19;
}

/// How a learner introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its promise to an earlier leader.
    pub accepted_epoch: Epoch,
    /// Who it is; `None` from a server that does not say.
    pub sid: Option<ServerId>,
    /// The version of its configuration; 0 before 3.5.
    pub config_version: i64,
    /// Whether it is a Paddock server.
    pub is_paddock: bool,
    /// Of a Paddock follower: observers come to it, and those may be Java's.
    pub serves_observers: bool,
}

/// Traffic of sessions that rides on the quorum port. This room does not look inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rider {
    /// REQUEST, PING, REVALIDATE or SYNC.
    pub kind: RiderKind,
    /// The zxid field: −1 for REQUEST and REVALIDATE, 0 for SYNC, echoed for PING.
    pub zxid: Zxid,
    /// The content. `None` is null.
    pub data: Option<Bytes>,
    /// The client's scheme and id pairs. `None` is null.
    pub authinfo: Option<Vec<(String, String)>>,
}

/// Kinds of [`Rider`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiderKind {
    /// A client's write, forwarded.
    Request,
    /// The leader's sign of life, and the learner's answer with the sessions it heard of.
    Ping,
    /// Whether a session is alive.
    Revalidate,
    /// The leader has caught up with a `sync`.
    Sync,
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A learner that votes (or will) introduces itself: the paper's CEPOCH.
    FollowerInfo(Introduction),
    /// An observer introduces itself.
    ObserverInfo(Introduction),
    /// The new epoch: the paper's NEWEPOCH.
    LeaderInfo {
        /// The epoch.
        epoch: Epoch,
        /// The protocol version of the leader.
        version: i32,
        /// Whether it is a Paddock server.
        is_paddock: bool,
    },
    /// The promise to it: the paper's ACK-E.
    AckEpoch {
        /// The last zxid of the learner's durable history.
        last_zxid: Zxid,
        /// The epoch whose history it has; `None` when it had made this promise before, and is not to be counted.
        current_epoch: Option<Epoch>,
    },
    /// The learner's history is a beginning of the leader's: what is missing follows.
    Diff {
        /// Informative only.
        zxid: Zxid,
    },
    /// The learner drops what it has above this zxid.
    Trunc {
        /// The last zxid to keep.
        zxid: Zxid,
    },
    /// The learner drops everything; the bytes of a snapshot follow on the stream.
    Snap {
        /// The zxid of the snapshot.
        zxid: Zxid,
    },
    /// The end of the history of the leader: the paper's NEWLEADER.
    NewLeader {
        /// The epoch.
        epoch: Epoch,
        /// The leader's last-seen configuration. `None` is null.
        config: Option<Bytes>,
    },
    /// The learner may serve: the paper's COMMIT-LD.
    UpToDate,
    /// A proposal.
    Proposal {
        /// Its zxid.
        zxid: Zxid,
        /// The opaque txn.
        payload: Bytes,
    },
    /// Durable at the learner: a proposal, or with counter 0 the history up to NEWLEADER.
    Ack {
        /// Its zxid.
        zxid: Zxid,
    },
    /// A proposal is committed.
    Commit {
        /// Its zxid.
        zxid: Zxid,
    },
    /// A committed proposal, for an observer.
    Inform {
        /// Its zxid.
        zxid: Zxid,
        /// The opaque txn.
        payload: Bytes,
    },
    /// A reconfiguration is committed.
    CommitAndActivate {
        /// Its zxid.
        zxid: Zxid,
        /// Who leads from here on.
        designated_leader: ServerId,
    },
    /// The same, for an observer.
    InformAndActivate {
        /// Its zxid.
        zxid: Zxid,
        /// Who leads from here on.
        designated_leader: ServerId,
        /// The opaque txn.
        payload: Bytes,
    },
    /// Traffic of sessions.
    Rider(Rider),
    /// A packet of a type that is not known here.
    Unknown {
        /// Its type.
        type_code: i32,
        /// Its zxid field.
        zxid: Zxid,
        /// Its content. `None` is null.
        data: Option<Bytes>,
    },
}

/// Why bytes are not a packet: the connection is to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// A negative length or a boundary that does not fit.
    #[error("not a quorum packet: {0}")]
    Malformed(#[from] DecodeError),
    /// The content is larger than allowed.
    #[error("content of {size} bytes in a packet of type {type_code}, limit {limit}")]
    TooLarge {
        /// The type of the packet.
        type_code: i32,
        /// The size in bytes.
        size: i64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The content is shorter than its type demands.
    #[error("content of {size} bytes in a packet of type {type_code}, at least {needed} needed")]
    TooShort {
        /// The type of the packet.
        type_code: i32,
        /// The size in bytes.
        size: usize,
        /// The bytes needed.
        needed: usize,
    },
    /// More authentication ids, or longer ones, than allowed.
    #[error("authentication info of a size not allowed: {size}")]
    AuthInfo {
        /// The count or the length.
        size: i64,
    },
}

/// The length of the packet at the front of `buffer`; `None` when more bytes are needed. Nothing is allocated.
///
/// # Errors
/// When the packet is malformed, or larger than `data_bytes_max` allows.
pub fn packet_length(buffer: &[u8], data_bytes_max: usize) -> Result<Option<usize>, PacketError> {
    let Some(type_code) = int_at(buffer, 0) else { return Ok(None) };
    let Some(size) = int_at(buffer, HEAD_BYTES - 4) else { return Ok(None) };
    if size < -1 || i64::from(size) > data_bytes_max as i64 {
        return Err(PacketError::TooLarge { type_code, size: i64::from(size), limit: data_bytes_max });
    }
    let mut position = HEAD_BYTES + size.max(0) as usize;
    let Some(count) = int_at(buffer, position) else { return Ok(None) };
    position += 4;
    if count < -1 || i64::from(count) > AUTHINFO_COUNT_MAX as i64 {
        return Err(PacketError::AuthInfo { size: i64::from(count) });
    }
    for _ in 0..2 * count.max(0) {
        let Some(length) = int_at(buffer, position) else { return Ok(None) };
        if length < -1 || i64::from(length) > AUTHINFO_TEXT_BYTES_MAX as i64 {
            return Err(PacketError::AuthInfo { size: i64::from(length) });
        }
        position += 4 + length.max(0) as usize;
    }
    Ok((position <= buffer.len()).then_some(position))
}

fn int_at(buffer: &[u8], position: usize) -> Option<i32> {
    let bytes = buffer.get(position..)?.first_chunk::<4>()?;
    Some(i32::from_be_bytes(*bytes))
}

impl Packet {
    /// Reads one whole packet; payloads share the frame's memory.
    ///
    /// # Errors
    /// When the bytes are not one packet of a known layout.
    pub fn decode(frame: &Bytes) -> Result<Self, PacketError> {
        let mut reader = Reader::new(frame);
        let QuorumPacket { type_, zxid, data, authinfo } = QuorumPacket::decode(&mut reader)?;
        let fields = Fields { type_code: type_, zxid: Zxid(zxid), data: data.map(|data| share(frame, &data)) };
        match type_ {
            code::REQUEST => Ok(fields.rider(RiderKind::Request, authinfo)),
            code::PING => Ok(fields.rider(RiderKind::Ping, authinfo)),
            code::REVALIDATE => Ok(fields.rider(RiderKind::Revalidate, authinfo)),
            code::SYNC => Ok(fields.rider(RiderKind::Sync, authinfo)),
            _ => fields.packet(),
        }
    }

    /// Appends the bytes of the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (type_, zxid, data) = self.fields();
        let authinfo = match self {
            Self::Rider(rider) => rider.authinfo.as_ref().map(|ids| ids.iter().map(|(scheme, id)| id_record(scheme, id)).collect()),
            _ => None,
        };
        QuorumPacket { type_, zxid: zxid.0, data, authinfo }.encode(out);
    }

    /// Bytes of its content, without the few that every packet has.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        match self {
            Self::Proposal { payload, .. } | Self::Inform { payload, .. } | Self::InformAndActivate { payload, .. } => payload.len(),
            Self::NewLeader { config: data, .. } | Self::Unknown { data, .. } => data.as_ref().map_or(0, Bytes::len),
            Self::Rider(rider) => {
                let ids = rider.authinfo.iter().flatten().map(|(scheme, id)| scheme.len() + id.len());
                rider.data.as_ref().map_or(0, Bytes::len) + ids.sum::<usize>()
            }
            _ => 0,
        }
    }

    fn fields(&self) -> (i32, Zxid, Option<Cow<'_, [u8]>>) {
        let bare = |type_code, zxid: &Zxid| (type_code, *zxid, None);
        let with = |type_code, zxid: &Zxid, data: &'_ Bytes| (type_code, *zxid, Some(Cow::Owned(data.to_vec())));
        match self {
            Self::FollowerInfo(info) => (code::FOLLOWERINFO, info.accepted_epoch.zxid(), Some(info.data())),
            Self::ObserverInfo(info) => (code::OBSERVERINFO, info.accepted_epoch.zxid(), Some(info.data())),
            Self::LeaderInfo { epoch, version, is_paddock } => (code::LEADERINFO, epoch.zxid(), Some(leader_info(*version, *is_paddock))),
            Self::AckEpoch { last_zxid, current_epoch } => {
                // The epoch has 32 bits here; that is the format's limit.
                let epoch = current_epoch.map_or(-1, |epoch| epoch.0 as i32);
                (code::ACKEPOCH, *last_zxid, Some(Cow::Owned(epoch.to_be_bytes().to_vec())))
            }
            Self::Diff { zxid } => bare(code::DIFF, zxid),
            Self::Trunc { zxid } => bare(code::TRUNC, zxid),
            Self::Snap { zxid } => bare(code::SNAP, zxid),
            Self::NewLeader { epoch, config } => (code::NEWLEADER, epoch.zxid(), config.as_deref().map(Cow::Borrowed)),
            Self::UpToDate => (code::UPTODATE, Zxid(-1), None),
            Self::Proposal { zxid, payload } => (code::PROPOSAL, *zxid, Some(Cow::Borrowed(payload))),
            Self::Ack { zxid } => bare(code::ACK, zxid),
            Self::Commit { zxid } => bare(code::COMMIT, zxid),
            Self::Inform { zxid, payload } => (code::INFORM, *zxid, Some(Cow::Borrowed(payload))),
            Self::CommitAndActivate { zxid, designated_leader } => {
                with(code::COMMITANDACTIVATE, zxid, &Bytes::copy_from_slice(&designated_leader.0.to_be_bytes()))
            }
            Self::InformAndActivate { zxid, designated_leader, payload } => {
                with(code::INFORMANDACTIVATE, zxid, &[&designated_leader.0.to_be_bytes()[..], payload].concat().into())
            }
            Self::Rider(rider) => (rider.kind.code(), rider.zxid, rider.data.as_deref().map(Cow::Borrowed)),
            Self::Unknown { type_code, zxid, data } => (*type_code, *zxid, data.as_deref().map(Cow::Borrowed)),
        }
    }
}

impl RiderKind {
    fn code(self) -> i32 {
        match self {
            Self::Request => code::REQUEST,
            Self::Ping => code::PING,
            Self::Revalidate => code::REVALIDATE,
            Self::Sync => code::SYNC,
        }
    }
}

impl Introduction {
    fn data(&self) -> Cow<'static, [u8]> {
        let serverid = self.sid.map_or(-1, |sid| sid.0);
        let mut data = LearnerInfo { serverid, protocol_version: PROTOCOL_VERSION, config_version: self.config_version }.to_vec();
        if self.is_paddock {
            data.extend_from_slice(PADDOCK_MARK);
        }
        if self.is_paddock && self.serves_observers {
            data.extend_from_slice(SERVES_OBSERVERS_MARK);
        }
        Cow::Owned(data)
    }

    /// The leader reads as much as there is: releases differ (quorum-protocol.md §2.3).
    fn parse(zxid: Zxid, data: &[u8]) -> Self {
        let long_at =
            |position: usize| data.get(position..).and_then(|rest| rest.first_chunk::<8>()).map(|bytes| i64::from_be_bytes(*bytes));
        let mark = data.get(LEARNER_INFO_BYTES..).and_then(|rest| rest.strip_prefix(PADDOCK_MARK));
        Self {
            accepted_epoch: zxid.epoch(),
            sid: long_at(0).map(ServerId),
            config_version: long_at(LEARNER_INFO_BYTES - 8).unwrap_or(0),
            is_paddock: mark.is_some(),
            serves_observers: mark.is_some_and(|rest| rest.starts_with(SERVES_OBSERVERS_MARK)),
        }
    }
}

fn leader_info(version: i32, is_paddock: bool) -> Cow<'static, [u8]> {
    let mut data = version.to_be_bytes().to_vec();
    if is_paddock {
        data.extend_from_slice(PADDOCK_MARK);
    }
    Cow::Owned(data)
}

fn id_record<'a>(scheme: &'a str, id: &'a str) -> Id<'a> {
    Id { scheme: Some(Cow::Borrowed(scheme)), id: Some(Cow::Borrowed(id)) }
}

fn share(frame: &Bytes, part: &[u8]) -> Bytes {
    // An empty slice may point anywhere; nothing is shared then.
    if part.is_empty() { Bytes::new() } else { frame.slice_ref(part) }
}

/// A packet whose type is not looked at yet.
struct Fields {
    type_code: i32,
    zxid: Zxid,
    data: Option<Bytes>,
}

impl Fields {
    fn rider(self, kind: RiderKind, authinfo: Option<Vec<Id<'_>>>) -> Packet {
        let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).unwrap_or_default();
        let authinfo = authinfo.map(|ids| ids.into_iter().map(|id| (text(id.scheme), text(id.id))).collect());
        Packet::Rider(Rider { kind, zxid: self.zxid, data: self.data, authinfo })
    }

    fn packet(self) -> Result<Packet, PacketError> {
        let zxid = self.zxid;
        Ok(match self.type_code {
            code::FOLLOWERINFO => Packet::FollowerInfo(Introduction::parse(zxid, self.data.as_deref().unwrap_or_default())),
            code::OBSERVERINFO => Packet::ObserverInfo(Introduction::parse(zxid, self.data.as_deref().unwrap_or_default())),
            code::LEADERINFO => {
                let version = i32::from_be_bytes(*self.at_least::<4>()?);
                let is_paddock = self.data.is_some_and(|data| data[4..].starts_with(PADDOCK_MARK));
                Packet::LeaderInfo { epoch: zxid.epoch(), version, is_paddock }
            }
            code::ACKEPOCH => {
                let epoch = i32::from_be_bytes(*self.at_least::<4>()?);
                Packet::AckEpoch { last_zxid: zxid, current_epoch: (epoch != -1).then_some(Epoch(i64::from(epoch))) }
            }
            code::DIFF => Packet::Diff { zxid },
            code::TRUNC => Packet::Trunc { zxid },
            code::SNAP => Packet::Snap { zxid },
            code::NEWLEADER => Packet::NewLeader { epoch: zxid.epoch(), config: self.data },
            code::UPTODATE => Packet::UpToDate,
            code::PROPOSAL => Packet::Proposal { zxid, payload: self.payload()? },
            code::ACK => Packet::Ack { zxid },
            code::COMMIT => Packet::Commit { zxid },
            code::INFORM => Packet::Inform { zxid, payload: self.payload()? },
            code::COMMITANDACTIVATE => Packet::CommitAndActivate { zxid, designated_leader: self.server_id()? },
            code::INFORMANDACTIVATE => {
                let designated_leader = self.server_id()?;
                Packet::InformAndActivate { zxid, designated_leader, payload: self.payload()?.slice(8..) }
            }
            type_code => Packet::Unknown { type_code, zxid, data: self.data },
        })
    }

    fn at_least<const N: usize>(&self) -> Result<&[u8; N], PacketError> {
        let data = self.data.as_deref().unwrap_or_default();
        data.first_chunk().ok_or(PacketError::TooShort { type_code: self.type_code, size: data.len(), needed: N })
    }

    fn server_id(&self) -> Result<ServerId, PacketError> {
        Ok(ServerId(i64::from_be_bytes(*self.at_least::<8>()?)))
    }

    fn payload(&self) -> Result<Bytes, PacketError> {
        self.at_least::<1>()?;
        Ok(self.data.clone().unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
