//! Bodies of write requests, decoded (client-protocol.md §2.2, §2.7).

use jute::{Decode, DecodeError, Reader};
use thiserror::Error;

use crate::proto::limits::MULTI_OPS_MAX;
use crate::proto::op_code::OpCode;
use crate::proto::records::client as records;

/// A write, as the client sent it.
#[derive(Clone, Debug, PartialEq)]
pub enum Write<'a> {
    /// One of the four creates; all but createTTL carry a TTL of -1.
    Create(OpCode, records::CreateTtlRequest<'a>),
    /// delete.
    Delete(records::DeleteRequest<'a>),
    /// setData.
    SetData(records::SetDataRequest<'a>),
    /// setACL.
    SetAcl(records::SetAclRequest<'a>),
    /// A version check, inside multi.
    Check(records::CheckVersionRequest<'a>),
    /// Several writes, all or none.
    Multi(Vec<Write<'a>>),
    /// reconfig.
    Reconfig(records::ReconfigRequest<'a>),
    /// closeSession.
    CloseSession,
}

impl Write<'_> {
    /// Whether an ephemeral is to be made, alone or among others: what a session must be known to the ensemble for.
    #[must_use]
    pub fn creates_ephemeral(&self) -> bool {
        match self {
            Self::Create(OpCode::CREATE | OpCode::CREATE2, request) => matches!(request.flags, 1 | 3),
            Self::Multi(ops) => ops.iter().any(Write::creates_ephemeral),
            _ => false,
        }
    }

    /// Whether this is a write of one znode that names none.
    fn lacks_path(&self) -> bool {
        match self {
            Self::Create(_, request) => request.path.is_none(),
            Self::Delete(request) => request.path.is_none(),
            Self::SetData(request) => request.path.is_none(),
            Self::SetAcl(request) => request.path.is_none(),
            Self::Check(request) => request.path.is_none(),
            Self::Multi(_) | Self::Reconfig(_) | Self::CloseSession => false,
        }
    }
}

/// Why a body is not a write.
#[derive(Debug, Error, PartialEq)]
pub enum WriteError {
    /// The bytes end early or a length is wrong.
    #[error("undecodable body: {0}")]
    Decode(#[from] DecodeError),
    /// A multi with an op that cannot be part of it.
    #[error("op code {0} cannot be part of this multi")]
    NotInMulti(i32),
    /// A multi with too many ops.
    #[error("multi with more than {MULTI_OPS_MAX} ops")]
    TooManyOps,
    /// A create in a multi with flags or a TTL that do not fit.
    #[error("create flags {0} do not fit their op code")]
    Flags(i32),
    /// An op of a multi without a path: Java runs into the null before it checks any op.
    #[error("null path in a multi")]
    NullPath,
    /// A create in a multi without an ACL: Java runs into the null before it takes a zxid.
    #[error("null ACL in a multi")]
    NullAcl,
    /// A code that is no write.
    #[error("op code {0} is no write")]
    NoWrite(i32),
}

/// Decodes the body of a write.
///
/// # Errors
/// When the bytes are no such request. What is behind it is ignored, as Java does.
pub fn decode<'a>(op: OpCode, body: &'a [u8]) -> Result<Write<'a>, WriteError> {
    let mut reader = Reader::new(body);
    match op {
        OpCode::MULTI => decode_multi(&mut reader),
        OpCode::CLOSE_SESSION => Ok(Write::CloseSession),
        OpCode::RECONFIG => Ok(Write::Reconfig(Decode::decode(&mut reader)?)),
        OpCode::SET_ACL => Ok(Write::SetAcl(Decode::decode(&mut reader)?)),
        OpCode::CHECK => Err(WriteError::NoWrite(op.0)),
        _ => decode_one(op, &mut reader),
    }
}

fn decode_one<'a>(op: OpCode, reader: &mut Reader<'a>) -> Result<Write<'a>, WriteError> {
    Ok(match op {
        OpCode::CREATE_TTL => Write::Create(op, Decode::decode(reader)?),
        op if op.is_create() => {
            let create = records::CreateRequest::decode(reader)?;
            let records::CreateRequest { path, data, acl, flags } = create;
            Write::Create(op, records::CreateTtlRequest { path, data, acl, flags, ttl: -1 })
        }
        OpCode::DELETE => Write::Delete(Decode::decode(reader)?),
        OpCode::SET_DATA => Write::SetData(Decode::decode(reader)?),
        OpCode::CHECK => Write::Check(Decode::decode(reader)?),
        OpCode(other) => return Err(WriteError::NotInMulti(other)),
    })
}

/// The ops up to the header that says done. Java gathers them first and checks them then; any doubt fails the whole request.
/// A read at the beginning fails it too, but only after what stands behind it was read.
fn decode_multi<'a>(reader: &mut Reader<'a>) -> Result<Write<'a>, WriteError> {
    let mut ops = Vec::new();
    let mut first_read = None;
    loop {
        let header = records::MultiHeader::decode(reader)?;
        if matches!(OpCode(header.type_), OpCode::GET_DATA | OpCode::GET_CHILDREN) && ops.is_empty() && !header.done {
            records::GetDataRequest::decode(reader)?;
            first_read = Some(header.type_);
            continue;
        }
        if let Some(read) = first_read {
            if !header.done {
                normal_create(decode_one(OpCode(header.type_), reader)?)?;
            }
            return Err(WriteError::NotInMulti(read));
        }
        if header.done {
            return if ops.iter().any(Write::lacks_path) { Err(WriteError::NullPath) } else { Ok(Write::Multi(ops)) };
        }
        if ops.len() == MULTI_OPS_MAX {
            return Err(WriteError::TooManyOps);
        }
        ops.push(normal_create(decode_one(OpCode(header.type_), reader)?)?);
    }
}

/// Passes over one write in a multiRead.
///
/// # Errors
/// When it is no op that a multi could hold.
pub(super) fn skip_in_multi(op: OpCode, reader: &mut Reader<'_>) -> Result<(), WriteError> {
    decode_one(op, reader).map(|_| ())
}

/// Inside multi the kind of a create follows its flags (client-protocol.md §2.7). A createTTL with flags that no mode has goes on
/// and fails alone; the other creates fail the whole request with them.
fn normal_create(write: Write<'_>) -> Result<Write<'_>, WriteError> {
    let Write::Create(op, mut create) = write else { return Ok(write) };
    let (flags, is_ttl) = (create.flags, op == OpCode::CREATE_TTL);
    // Java looks at the flags, then at the ACL, then at whether a TTL belongs to the flags.
    let is_mode = (0..=6).contains(&flags);
    if create.acl.is_none() && !is_ttl && is_mode {
        return Err(WriteError::NullAcl);
    }
    let op = match flags {
        0..=3 if is_ttl => OpCode::CREATE,
        4 => OpCode::CREATE_CONTAINER,
        0..=3 => op,
        _ if is_ttl => OpCode::CREATE_TTL,
        _ => return Err(WriteError::Flags(flags)),
    };
    if op != OpCode::CREATE_TTL {
        create.ttl = -1;
    }
    Ok(Write::Create(op, create))
}

#[cfg(test)]
mod tests {
    use jute::Encode;

    use super::*;

    fn multi(kind: i32, body: &impl Encode) -> Vec<u8> {
        let mut out = records::MultiHeader { type_: kind, done: false, err: -1 }.to_vec();
        body.encode(&mut out);
        records::MultiHeader { type_: -1, done: true, err: -1 }.encode(&mut out);
        out
    }

    fn create(flags: i32) -> records::CreateRequest<'static> {
        records::CreateRequest { path: Some("/a".into()), data: None, acl: Some(vec![]), flags }
    }

    #[test]
    fn a_container_flag_makes_a_container_inside_multi() {
        let body = multi(1, &create(4));
        let Ok(Write::Multi(ops)) = decode(OpCode::MULTI, &body) else { panic!("a valid multi") };
        assert!(matches!(ops[0], Write::Create(OpCode::CREATE_CONTAINER, _)));
    }

    #[test]
    fn a_multi_has_a_limit_of_ops() {
        let mut check = records::MultiHeader { type_: OpCode::CHECK.0, done: false, err: -1 }.to_vec();
        records::CheckVersionRequest { path: Some("/".into()), version: -1 }.encode(&mut check);
        let end = records::MultiHeader { type_: -1, done: true, err: -1 }.to_vec();
        let decoded = |count: usize| decode(OpCode::MULTI, &[check.repeat(count), end.clone()].concat()).map(|_| ());
        assert_eq!((decoded(MULTI_OPS_MAX), decoded(MULTI_OPS_MAX + 1)), (Ok(()), Err(WriteError::TooManyOps)));
    }

    #[test]
    fn reads_and_odd_flags_fail_the_whole_multi() {
        let read = records::GetDataRequest { path: Some("/a".into()), watch: false };
        assert_eq!(decode(OpCode::MULTI, &multi(4, &read)), Err(WriteError::NotInMulti(4)));
        for flags in [5, 6, 7, -1] {
            assert_eq!(decode(OpCode::MULTI, &multi(1, &create(flags))), Err(WriteError::Flags(flags)));
        }
    }

    /// Java makes each op before it sees that it does not fit to the first one.
    #[test]
    fn a_null_acl_behind_a_read_comes_before_the_mixture() {
        let read = records::GetDataRequest { path: Some("/a".into()), watch: false };
        let behind_read = |acl| {
            let mut body = records::MultiHeader { type_: 4, done: false, err: -1 }.to_vec();
            read.encode(&mut body);
            body.extend(multi(1, &records::CreateRequest { path: Some("/a".into()), data: None, acl, flags: 1 }));
            decode(OpCode::MULTI, &body).map(|_| ())
        };
        assert_eq!(behind_read(None), Err(WriteError::NullAcl));
        assert_eq!(behind_read(Some(vec![])), Err(WriteError::NotInMulti(4)));
    }

    #[test]
    fn the_kind_of_a_ttl_create_follows_its_flags() {
        for (flags, expected) in [(0, 1), (3, 1), (4, 19), (5, 21), (7, 21), (-1, 21)] {
            let request = records::CreateTtlRequest { path: Some("/a".into()), data: None, acl: Some(vec![]), flags, ttl: 5 };
            let body = multi(21, &request);
            let Ok(Write::Multi(ops)) = decode(OpCode::MULTI, &body) else { panic!("a valid multi") };
            assert!(matches!(&ops[0], Write::Create(OpCode(op), _) if *op == expected), "flags {flags}: {:?}", ops[0]);
        }
    }

    #[test]
    fn flags_of_no_mode_come_before_a_null_acl() {
        let create = |flags| records::CreateRequest { path: Some("/a".into()), data: None, acl: None, flags };
        for flags in [-1, 7] {
            assert_eq!(decode(OpCode::MULTI, &multi(1, &create(flags))), Err(WriteError::Flags(flags)));
        }
        for flags in [0, 4, 6] {
            assert_eq!(decode(OpCode::MULTI, &multi(1, &create(flags))), Err(WriteError::NullAcl));
        }
    }

    #[test]
    fn a_null_path_fails_the_whole_multi() {
        let set = records::SetDataRequest { path: None, data: None, version: -1 };
        assert_eq!(decode(OpCode::MULTI, &multi(5, &set)), Err(WriteError::NullPath));
        assert!(decode(OpCode::SET_DATA, &set.to_vec()).is_ok());
    }

    #[test]
    fn truncated_bodies_are_errors() {
        let body = multi(1, &create(0));
        for end in 0..body.len() {
            assert!(decode(OpCode::MULTI, &body[..end]).is_err());
        }
        assert!(decode(OpCode::CREATE, &[]).is_err());
        assert_eq!(decode(OpCode::CLOSE_SESSION, &[]), Ok(Write::CloseSession));
    }
}
