//! What rides on the quorum port for sessions: the content of REQUEST, PING, REVALIDATE and SYNC (quorum-protocol.md §2.2).

use bytes::Bytes;
use jute::{Encode, writer};

use crate::ids::{SessionId, Zxid};
use crate::proto::op_code::OpCode;
use crate::tree::acl::Identity;
use crate::zab::{Rider, RiderKind};

/// Bytes of a request before its body: session, cxid, op code.
const REQUEST_HEAD_BYTES: usize = 16;
/// Bytes of one session in a PING, and of a REVALIDATE: session and timeout.
const TOUCH_BYTES: usize = 12;

/// A request that a learner forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Forwarded {
    pub(super) session: SessionId,
    /// The client's number for it; 0 for a new session.
    pub(super) cxid: i32,
    pub(super) op: OpCode,
    /// The client's bytes behind the header.
    pub(super) body: Bytes,
}

impl Forwarded {
    /// The REQUEST. `identities` are the client's; without any the list is null, as it is with a new session.
    pub(super) fn rider(&self, identities: &[Identity]) -> Rider {
        let mut data = Vec::with_capacity(REQUEST_HEAD_BYTES + self.body.len());
        self.session.0.encode(&mut data);
        self.cxid.encode(&mut data);
        self.op.0.encode(&mut data);
        data.extend_from_slice(&self.body);
        let authinfo = identities.iter().map(|identity| (identity.scheme.clone(), identity.id.clone())).collect::<Vec<_>>();
        Rider {
            kind: RiderKind::Request,
            zxid: Zxid(-1),
            data: Some(data.into()),
            authinfo: (self.op != OpCode::CREATE_SESSION).then_some(authinfo),
        }
    }

    /// The request in a REQUEST; `None` when its head is cut off.
    pub(super) fn read(rider: &Rider) -> Option<Self> {
        let data = rider.data.as_ref()?;
        let (session, rest) = data.split_first_chunk::<8>()?;
        let (cxid, rest) = rest.split_first_chunk::<4>()?;
        let (op, _) = rest.split_first_chunk::<4>()?;
        Some(Self {
            session: SessionId(i64::from_be_bytes(*session)),
            cxid: i32::from_be_bytes(*cxid),
            op: OpCode(i32::from_be_bytes(*op)),
            body: data.slice(REQUEST_HEAD_BYTES..),
        })
    }
}

/// The identities of the client whose request was forwarded.
pub(super) fn identities(rider: &Rider) -> Vec<Identity> {
    rider.authinfo.iter().flatten().map(|(scheme, id)| Identity::new(scheme, id)).collect()
}

/// The sessions that a learner heard of, for its answer to a PING. Never null.
pub(super) fn touches(sessions: impl Iterator<Item = (SessionId, i32)>) -> Bytes {
    let mut data = Vec::new();
    for (session, timeout_ms) in sessions {
        session.0.encode(&mut data);
        timeout_ms.encode(&mut data);
    }
    data.into()
}

/// The sessions in a PING or in a learner's REVALIDATE, each with its timeout in ms. What is cut off at the end is none.
pub(super) fn read_touches(rider: &Rider) -> impl Iterator<Item = (SessionId, i32)> {
    let data = rider.data.as_deref().unwrap_or_default();
    data.chunks_exact(TOUCH_BYTES).filter_map(|chunk| {
        let (session, timeout_ms) = chunk.split_first_chunk::<8>()?;
        Some((SessionId(i64::from_be_bytes(*session)), i32::from_be_bytes(*timeout_ms.first_chunk()?)))
    })
}

/// Asks the leader whether a session lives.
pub(super) fn revalidate(session: SessionId, timeout_ms: i32) -> Rider {
    Rider { kind: RiderKind::Revalidate, zxid: Zxid(-1), data: Some(touches([(session, timeout_ms)].into_iter())), authinfo: None }
}

/// The leader's answer to [`revalidate`].
pub(super) fn validity(session: SessionId, is_valid: bool) -> Rider {
    let mut data = Vec::with_capacity(9);
    session.0.encode(&mut data);
    writer::write_bool(&mut data, is_valid);
    Rider { kind: RiderKind::Revalidate, zxid: Zxid(-1), data: Some(data.into()), authinfo: None }
}

/// The session in the leader's answer, and whether it lives.
pub(super) fn read_validity(rider: &Rider) -> Option<(SessionId, bool)> {
    let (session, rest) = rider.data.as_ref()?.split_first_chunk::<8>()?;
    Some((SessionId(i64::from_be_bytes(*session)), *rest.first()? != 0))
}

/// The leader has caught up with the oldest `sync` of a learner.
pub(super) fn synced() -> Rider {
    Rider { kind: RiderKind::Sync, zxid: Zxid::ZERO, data: None, authinfo: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_out_as_it_went_in() {
        let request = Forwarded { session: SessionId(7), cxid: -3, op: OpCode::CREATE, body: Bytes::from_static(b"body") };
        let rider = request.rider(&[Identity::new("ip", "::1")]);
        assert_eq!((rider.zxid, rider.data.as_ref().map(Bytes::len)), (Zxid(-1), Some(20)));
        assert_eq!(Forwarded::read(&rider), Some(request));
        assert_eq!(identities(&rider), [Identity::new("ip", "::1")]);
        let cut = Rider { data: Some(Bytes::from_static(&[0; 15])), ..rider };
        assert_eq!(Forwarded::read(&cut), None);
    }

    /// The REQUEST of a new session has no list of identities (quorum-protocol.md §2.2).
    #[test]
    fn a_new_session_is_forwarded_without_identities() {
        let request = Forwarded { session: SessionId(7), cxid: 0, op: OpCode::CREATE_SESSION, body: Bytes::from_static(&[0, 0, 39, 16]) };
        assert_eq!(request.rider(&[]).authinfo, None);
    }

    #[test]
    fn touches_and_validity_have_the_sizes_of_the_wire() {
        let both = [(SessionId(1), 4000), (SessionId(-2), 5000)];
        let ping = Rider { kind: RiderKind::Ping, zxid: Zxid(9), data: Some(touches(both.into_iter())), authinfo: None };
        assert_eq!(ping.data.as_ref().map(Bytes::len), Some(24));
        assert_eq!(read_touches(&ping).collect::<Vec<_>>(), both);
        let valid = validity(SessionId(5), true);
        assert_eq!((valid.data.as_ref().map(Bytes::len), read_validity(&valid)), (Some(9), Some((SessionId(5), true))));
        assert_eq!(read_validity(&Rider { data: Some(Bytes::from_static(&[0; 8])), ..valid }), None);
    }
}
