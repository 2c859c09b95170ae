//! Bodies of the replies to writes (client-protocol.md §2.2, §2.7).

use jute::{Encode, writer};

use crate::proto::error_code::ErrorCode;
use crate::proto::op_code::OpCode;
use crate::proto::records::client::{ErrorResponse, MultiHeader};
use crate::tree::apply::Applied;

/// The error code that the reply header carries: a failed multi is a success with bad news in it.
#[must_use]
pub fn header_error(applied: &Applied<'_>) -> ErrorCode {
    match applied {
        Applied::Failed(error) => *error,
        _ => ErrorCode::OK,
    }
}

/// Appends the body of a reply.
pub fn encode_body(applied: &Applied<'_>, out: &mut Vec<u8>) {
    match applied {
        Applied::Created { op, path, stat } => {
            writer::write_ustring(out, Some(path));
            if *op != OpCode::CREATE {
                stat.encode(out);
            }
        }
        Applied::Changed { op: OpCode::SET_DATA | OpCode::SET_ACL, stat } => stat.encode(out),
        Applied::Reconfigured { text, stat } => {
            writer::write_buffer(out, Some(text));
            stat.encode(out);
        }
        Applied::Multi(results) => encode_multi(results, out),
        Applied::Synced(path) => writer::write_ustring(out, *path),
        Applied::Changed { .. } | Applied::Deleted | Applied::Checked | Applied::Session | Applied::Failed(_) => {}
    }
}

fn encode_multi(results: &[Applied<'_>], out: &mut Vec<u8>) {
    for result in results {
        let error = header_error(result);
        MultiHeader { type_: result_type(result).0, done: false, err: error.0 }.encode(out);
        match result {
            Applied::Failed(error) => ErrorResponse { err: error.0 }.encode(out),
            result => encode_body(result, out),
        }
    }
    MultiHeader { type_: -1, done: true, err: -1 }.encode(out);
}

/// The type that a part of a multi is answered with: every create but the plain one is a create2.
fn result_type(result: &Applied<'_>) -> OpCode {
    match result {
        Applied::Created { op: OpCode::CREATE, .. } => OpCode::CREATE,
        Applied::Created { .. } => OpCode::CREATE2,
        Applied::Deleted => OpCode::DELETE,
        Applied::Changed { op, .. } => *op,
        Applied::Reconfigured { .. } => OpCode::RECONFIG,
        Applied::Checked => OpCode::CHECK,
        Applied::Session | Applied::Synced(_) | Applied::Failed(_) | Applied::Multi(_) => OpCode::ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failed multi of client-protocol.md §16.
    #[test]
    fn a_failed_multi_has_javas_bytes() {
        let failed = [0, -101, -2].map(|code| Applied::Failed(ErrorCode(code)));
        let mut out = Vec::new();
        encode_body(&Applied::Multi(failed.to_vec()), &mut out);
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = "ffffffff000000000000000000 ffffffff00ffffff9bffffff9b ffffffff00fffffffefffffffe ffffffff01ffffffff";
        assert_eq!(hex, expected.replace(' ', ""));
    }
}
