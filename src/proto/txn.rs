//! Transactions: the payload of a log record and of a proposal (quorum-protocol.md §3): header, body by type, digest.

use jute::{Decode, DecodeError, Encode, Reader};
use thiserror::Error;

use crate::proto::op_code::OpCode;
use crate::proto::records::txn as records;

pub use records::{TxnDigest, TxnHeader};

/// Bytes of a digest behind the body.
const DIGEST_BYTES: usize = 12;

/// Why a payload is not a txn.
#[derive(Debug, Error, PartialEq)]
pub enum TxnError {
    /// The bytes end early or a length is wrong.
    #[error("undecodable txn: {0}")]
    Decode(#[from] DecodeError),
    /// The type in the header is none that a server writes.
    #[error("unknown txn type {0}")]
    UnknownType(i32),
    /// A record lacks a path.
    #[error("txn of type {0} without a path")]
    NoPath(i32),
}

/// The body of a txn, borrowed from its payload.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'a> {
    /// create and create2: parent's cversion after it, -1 for "one more".
    Create(records::CreateTxn<'a>),
    /// createContainer.
    CreateContainer(records::CreateContainerTxn<'a>),
    /// createTTL.
    CreateTtl(records::CreateTtlTxn<'a>),
    /// delete and deleteContainer.
    Delete(records::DeleteTxn<'a>),
    /// setData and reconfig.
    SetData(records::SetDataTxn<'a>),
    /// setACL.
    SetAcl(records::SetAclTxn<'a>),
    /// createSession.
    CreateSession(records::CreateSessionTxn),
    /// closeSession: the ephemerals to delete; `None` in logs of old servers, where each server deletes what it knows of.
    CloseSession(Option<records::CloseSessionTxn<'a>>),
    /// A version check, inside multi.
    Check(records::CheckVersionTxn<'a>),
    /// A failed request.
    Error(records::ErrorTxn),
    /// Several txns with their types.
    Multi(Vec<(OpCode, Body<'a>)>),
}

/// A whole txn.
#[derive(Clone, Debug, PartialEq)]
pub struct Txn<'a> {
    /// Who, when, which zxid.
    pub header: TxnHeader,
    /// What changes.
    pub body: Body<'a>,
    /// The digest of the tree after it, if the leader computed one.
    pub digest: Option<TxnDigest>,
}

impl<'a> Txn<'a> {
    /// Decodes a payload.
    ///
    /// # Errors
    /// When the bytes are not a txn that a ZooKeeper server writes.
    pub fn decode(payload: &'a [u8]) -> Result<Self, TxnError> {
        let mut reader = Reader::new(payload).written_by_server();
        let header = TxnHeader::decode(&mut reader)?;
        let body = Body::decode(OpCode(header.type_), &mut reader)?;
        let digest = if reader.remaining() >= DIGEST_BYTES { Some(TxnDigest::decode(&mut reader)?) } else { None };
        Ok(Self { header, body, digest })
    }
}

impl<'a> Body<'a> {
    fn decode(op: OpCode, reader: &mut Reader<'a>) -> Result<Self, TxnError> {
        Ok(match op {
            OpCode::CREATE | OpCode::CREATE2 => Self::Create(decode_create(reader)?),
            OpCode::CREATE_CONTAINER => Self::CreateContainer(Decode::decode(reader)?),
            OpCode::CREATE_TTL => Self::CreateTtl(Decode::decode(reader)?),
            OpCode::DELETE | OpCode::DELETE_CONTAINER => Self::Delete(Decode::decode(reader)?),
            OpCode::SET_DATA | OpCode::RECONFIG => Self::SetData(Decode::decode(reader)?),
            OpCode::SET_ACL => Self::SetAcl(Decode::decode(reader)?),
            OpCode::CREATE_SESSION => Self::CreateSession(Decode::decode(reader)?),
            OpCode::CLOSE_SESSION => Self::CloseSession(decode_close(reader)?),
            OpCode::CHECK => Self::Check(Decode::decode(reader)?),
            OpCode::ERROR => Self::Error(Decode::decode(reader)?),
            OpCode::MULTI => Self::Multi(decode_multi(reader)?),
            OpCode(unknown) => return Err(TxnError::UnknownType(unknown)),
        })
    }

    /// The type that stands for this body when it is not told apart by the request.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create(txn) => txn.encode(out),
            Self::CreateContainer(txn) => txn.encode(out),
            Self::CreateTtl(txn) => txn.encode(out),
            Self::Delete(txn) => txn.encode(out),
            Self::SetData(txn) => txn.encode(out),
            Self::SetAcl(txn) => txn.encode(out),
            Self::CreateSession(txn) => txn.encode(out),
            Self::CloseSession(Some(txn)) => txn.encode(out),
            Self::CloseSession(None) => {}
            Self::Check(txn) => txn.encode(out),
            Self::Error(txn) => txn.encode(out),
            Self::Multi(ops) => encode_multi(ops, out),
        }
    }
}

/// A create record, or the form of servers before 3.4 that ends before the parent's cversion.
fn decode_create<'a>(reader: &mut Reader<'a>) -> Result<records::CreateTxn<'a>, TxnError> {
    let old = records::CreateTxnV0::decode(reader)?;
    let parent_c_version = if reader.remaining() >= 4 { reader.read_int()? } else { -1 };
    Ok(records::CreateTxn { path: old.path, data: old.data, acl: old.acl, ephemeral: old.ephemeral, parent_c_version })
}

/// A server with `closeSessionTxn.enabled=false` writes no record, yet a digest may follow: 12 bytes that begin with its version.
fn decode_close<'a>(reader: &mut Reader<'a>) -> Result<Option<records::CloseSessionTxn<'a>>, TxnError> {
    let rest = reader.rest();
    let digest_only = rest.len() == DIGEST_BYTES && rest.starts_with(&2_i32.to_be_bytes());
    if rest.is_empty() || digest_only { Ok(None) } else { Ok(Some(Decode::decode(reader)?)) }
}

fn decode_multi<'a>(reader: &mut Reader<'a>) -> Result<Vec<(OpCode, Body<'a>)>, TxnError> {
    let ops = reader.read_vector(|reader| Ok((reader.read_int()?, reader.read_buffer()?)))?;
    let decode = |(kind, data): (i32, Option<&'a [u8]>)| {
        if kind == OpCode::MULTI.0 {
            return Err(TxnError::UnknownType(kind));
        }
        let mut reader = Reader::new(data.unwrap_or_default()).written_by_server();
        Ok((OpCode(kind), Body::decode(OpCode(kind), &mut reader)?))
    };
    ops.unwrap_or_default().into_iter().map(decode).collect()
}

fn encode_multi(ops: &[(OpCode, Body<'_>)], out: &mut Vec<u8>) {
    out.extend_from_slice(&(ops.len() as u32).to_be_bytes());
    for (kind, body) in ops {
        out.extend_from_slice(&kind.0.to_be_bytes());
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        body.encode(out);
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// The payload of a txn.
#[must_use]
pub fn encode(header: &TxnHeader, body: &Body<'_>, digest: Option<TxnDigest>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    encode_into(&mut out, header, body, digest);
    out
}

/// Appends the payload of a txn to `out`.
pub fn encode_into(out: &mut Vec<u8>, header: &TxnHeader, body: &Body<'_>, digest: Option<TxnDigest>) {
    header.encode(out);
    body.encode(out);
    if let Some(digest) = digest {
        digest.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: OpCode) -> TxnHeader {
        TxnHeader { client_id: 0x55, cxid: 3, zxid: 9, time: 1_700, type_: kind.0 }
    }

    fn round_trip(kind: OpCode, body: &Body<'_>, digest: Option<TxnDigest>) {
        let payload = encode(&header(kind), body, digest);
        let txn = Txn::decode(&payload).expect("own bytes decode");
        assert_eq!((&txn.body, txn.digest), (body, digest));
        for end in 0..payload.len() {
            let _ = Txn::decode(&payload[..end]);
        }
    }

    #[test]
    fn bodies_round_trip() {
        let delete = Body::Delete(records::DeleteTxn { path: Some("/a".into()) });
        let error = Body::Error(records::ErrorTxn { err: -101 });
        let digest = Some(TxnDigest { version: 2, tree_digest: 77 });
        round_trip(OpCode::DELETE, &delete, digest);
        round_trip(OpCode::ERROR, &error, None);
        round_trip(OpCode::MULTI, &Body::Multi(vec![(OpCode::DELETE, delete), (OpCode::ERROR, error)]), digest);
        round_trip(OpCode::CLOSE_SESSION, &Body::CloseSession(None), digest);
        let paths = Some(vec![Some("/e".into())]);
        round_trip(OpCode::CLOSE_SESSION, &Body::CloseSession(Some(records::CloseSessionTxn { paths2_delete: paths })), digest);
    }

    /// The createSession payload of quorum-protocol.md §7.
    #[test]
    fn create_session_has_javas_bytes() {
        let header = TxnHeader { client_id: 0x0100_0000_0000_0055, cxid: 0, zxid: 0x1_0000_0001, time: 0x1a2_02fb_ec27, type_: -10 };
        let body = Body::CreateSession(records::CreateSessionTxn { time_out: 10_000 });
        let payload = encode(&header, &body, Some(TxnDigest { version: 2, tree_digest: 0x51c6_d660 }));
        let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "01000000000000550000000000000001000000010000\
            01a202fbec27fffffff600002710000000020000000051c6d660"
                .replace(' ', "")
        );
    }

    #[test]
    fn a_multi_in_a_multi_is_refused() {
        let inner = Body::Multi(vec![]);
        let payload = encode(&header(OpCode::MULTI), &Body::Multi(vec![(OpCode::MULTI, inner)]), None);
        assert_eq!(Txn::decode(&payload), Err(TxnError::UnknownType(14)));
    }
}
