//! Frames that leave the server: the length prefix and the reply header in front of a body (client-protocol.md §1.1, §1.2).

use crate::ids::Zxid;
use crate::proto::error_code::ErrorCode;

/// The xid of a watch event.
pub const NOTIFICATION_XID: i32 = -1;
/// The xid of every ping reply, whatever the request said.
pub const PING_XID: i32 = -2;

/// Bytes of a reply header.
pub const HEADER_BYTES: usize = 16;

/// Appends one reply frame: header, then whatever `body` appends. The length is filled in afterwards.
pub fn encode_frame(out: &mut Vec<u8>, xid: i32, zxid: Zxid, err: ErrorCode, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let mut head = [0; 4 + HEADER_BYTES];
    head[4..8].copy_from_slice(&xid.to_be_bytes());
    head[8..16].copy_from_slice(&zxid.0.to_be_bytes());
    head[16..20].copy_from_slice(&err.0.to_be_bytes());
    out.extend_from_slice(&head);
    body(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a reply without a body.
pub fn encode_header(out: &mut Vec<u8>, xid: i32, zxid: Zxid, err: ErrorCode) {
    encode_frame(out, xid, zxid, err, |_| {});
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_covers_header_and_body() {
        let mut out = vec![9];
        encode_frame(&mut out, 5, Zxid(3), ErrorCode::NO_NODE, |out| out.extend_from_slice(b"xy"));
        assert_eq!(out.len(), 1 + 4 + 16 + 2);
        assert_eq!(out[1..5], 18_u32.to_be_bytes());
        assert_eq!(out[17..21], (-101_i32).to_be_bytes());
    }
}
