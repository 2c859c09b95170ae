//! The byte layouts of log and snapshot files, stated once. All numbers are big-endian.
//!
//! ```text
//! log file       header16(MAGIC_LOG, 2, 0)  record*  zeros*
//! record         u64 adler32(payload)  u32 len(payload)  payload  0x42
//! snapshot file  header16(MAGIC_SNAPSHOT, 2, -1)  body  seal  [digest seal]  [last_zxid seal]
//! seal           u64 adler32(all before it)  u32 1  '/'
//! digest         i64 zxid  i32 version  i64 digest
//! last_zxid      i64 zxid
//! synced mark    slot  zeros up to 4096  slot
//! slot           "PDKSYNC2"  i64 name of the log file  u64 offset  i64 last zxid  u32 adler32(all before it)
//! ```
//! The payload of a record begins with a TxnHeader, whose zxid stands at its byte 12.
//! Sources: `FileTxnLog`, `FileSnap`, `SerializeUtils` of ZooKeeper 3.9; the synced mark is our own.

use crate::ids::Zxid;

/// First four bytes of a log file: "ZKLG".
pub const MAGIC_LOG: u32 = 0x5a4b_4c47;
/// First four bytes of a snapshot file: "ZKSN".
pub const MAGIC_SNAPSHOT: u32 = 0x5a4b_534e;
/// The only version of both formats.
pub const VERSION: u32 = 2;
/// Bytes of the header of both kinds of file.
pub const FILE_HEADER_BYTES: usize = 16;
/// Bytes of a record before its payload.
pub const RECORD_HEADER_BYTES: usize = 12;
/// Bytes of a record besides its payload.
pub const RECORD_OVERHEAD_BYTES: usize = RECORD_HEADER_BYTES + 1;
/// The byte after the payload of a record: 'B'.
pub const END_OF_RECORD: u8 = 0x42;
/// The largest payload: the format counts in a signed 32-bit number, and Java needs some room below it.
pub const PAYLOAD_BYTES_MAX: usize = 0x7fff_ff00;
/// Bytes of a TxnHeader (clientId 8, cxid 4, zxid 8, time 8, type 4): no payload is shorter.
pub const TXN_HEADER_BYTES: usize = 32;
/// Bytes of a seal.
pub const SEAL_BYTES: usize = 13;
/// What follows the checksum in a seal, and what ends the body: the string "/".
pub const SLASH: [u8; 5] = [0, 0, 0, 1, b'/'];
/// Bytes of the lastZxid section.
pub const LAST_ZXID_BYTES: usize = 8;
/// Bytes of a slot of the synced mark.
pub const MARK_BYTES: usize = 36;
/// First eight bytes of a slot of the synced mark.
pub const MAGIC_MARK: [u8; 8] = *b"PDKSYNC2";

/// Reads `N` bytes at `at`; `None` if they are not all there.
pub fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Reads an `i64` at `at`; `None` if it is not all there.
pub fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    bytes_at(bytes, at).map(i64::from_be_bytes)
}

/// Reads an `i32` at `at`; `None` if it is not all there.
pub fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes_at(bytes, at).map(i32::from_be_bytes)
}

/// The header of a log file: dbid 0.
#[must_use]
pub fn log_header() -> [u8; FILE_HEADER_BYTES] {
    file_header(MAGIC_LOG, 0)
}

/// The header of a snapshot file: dbid -1.
#[must_use]
pub fn snapshot_header() -> [u8; FILE_HEADER_BYTES] {
    file_header(MAGIC_SNAPSHOT, -1)
}

fn file_header(magic: u32, dbid: i64) -> [u8; FILE_HEADER_BYTES] {
    let mut out = [0; FILE_HEADER_BYTES];
    out[0..4].copy_from_slice(&magic.to_be_bytes());
    out[4..8].copy_from_slice(&VERSION.to_be_bytes());
    out[8..16].copy_from_slice(&dbid.to_be_bytes());
    out
}

/// The magic number of a file header; `None` if there are fewer than 16 bytes.
#[must_use]
pub fn file_magic(header: &[u8]) -> Option<u32> {
    bytes_at::<FILE_HEADER_BYTES>(header, 0)?;
    bytes_at(header, 0).map(u32::from_be_bytes)
}

/// Appends a framed record to `out`. The payload has at most [`PAYLOAD_BYTES_MAX`] bytes.
pub fn put_record(out: &mut Vec<u8>, payload: &[u8]) {
    assert!(payload.len() <= PAYLOAD_BYTES_MAX, "the caller checks the size of a payload");
    let len = u32::try_from(payload.len()).expect("PAYLOAD_BYTES_MAX fits 32 bits");
    out.reserve(payload.len() + RECORD_OVERHEAD_BYTES);
    out.extend_from_slice(&u64::from(adler32(payload)).to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(payload);
    out.push(END_OF_RECORD);
}

/// The header of a record as it stands in the file, not yet believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHeader {
    /// Adler-32 of the payload; the upper half is zero in every sound record.
    pub checksum: u64,
    /// Length of the payload in bytes; positive in every sound record.
    pub len: i32,
}

impl RecordHeader {
    /// Reads the header at the start of `bytes`; `None` if there are fewer than 12.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let checksum = u64::from_be_bytes(bytes_at(bytes, 0)?);
        Some(Self { checksum, len: i32_at(bytes, 8)? })
    }
}

/// The zxid in the TxnHeader at the start of a payload; `None` if the payload is too short to be one.
#[must_use]
pub fn payload_zxid(payload: &[u8]) -> Option<Zxid> {
    bytes_at::<TXN_HEADER_BYTES>(payload, 0)?;
    i64_at(payload, 12).map(Zxid)
}

/// A seal over a checksum.
#[must_use]
pub fn seal(checksum: u32) -> [u8; SEAL_BYTES] {
    let mut out = [0; SEAL_BYTES];
    out[0..8].copy_from_slice(&u64::from(checksum).to_be_bytes());
    out[8..].copy_from_slice(&SLASH);
    out
}

/// A digest section.
#[must_use]
pub fn digest_section(zxid: Zxid, version: i32, digest: i64) -> [u8; 20] {
    let mut out = [0; 20];
    out[0..8].copy_from_slice(&zxid.0.to_be_bytes());
    out[8..12].copy_from_slice(&version.to_be_bytes());
    out[12..20].copy_from_slice(&digest.to_be_bytes());
    out
}

/// What a slot of the synced mark states. The greater one reaches farther.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark {
    /// The name of the newest log file.
    pub log: Zxid,
    /// All bytes of it below this are durable.
    pub offset: u64,
    /// The last txn that is durable, in this file or, if the offset is 0, before it.
    pub last: Zxid,
}

/// A slot of the synced mark.
#[must_use]
pub fn mark_bytes(mark: Mark) -> [u8; MARK_BYTES] {
    let mut out = [0; MARK_BYTES];
    out[0..8].copy_from_slice(&MAGIC_MARK);
    out[8..16].copy_from_slice(&mark.log.0.to_be_bytes());
    out[16..24].copy_from_slice(&mark.offset.to_be_bytes());
    out[24..32].copy_from_slice(&mark.last.0.to_be_bytes());
    let checksum = adler32(&out[..32]);
    out[32..36].copy_from_slice(&checksum.to_be_bytes());
    out
}

/// Reads a slot of the synced mark; `None` if it is not one.
#[must_use]
pub fn parse_mark(bytes: &[u8]) -> Option<Mark> {
    let bytes: [u8; MARK_BYTES] = bytes.try_into().ok()?;
    let checksum = u32::from_be_bytes(bytes_at(&bytes, 32)?);
    if bytes[..8] != MAGIC_MARK || checksum != adler32(&bytes[..32]) {
        return None;
    }
    let offset = u64::from_be_bytes(bytes_at(&bytes, 16)?);
    Some(Mark { log: Zxid(i64_at(&bytes, 8)?), offset, last: Zxid(i64_at(&bytes, 24)?) })
}

/// Adler-32 of a run of bytes, as `java.util.zip.Adler32`.
#[must_use]
pub fn adler32(bytes: &[u8]) -> u32 {
    let mut adler = simd_adler32::Adler32::new();
    adler.write(bytes);
    adler.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_the_golden_bytes() {
        assert_eq!(log_header(), *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0");
        assert_eq!(snapshot_header(), *b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(file_magic(&log_header()), Some(MAGIC_LOG));
        assert_eq!(file_magic(&log_header()[..15]), None);
    }

    #[test]
    fn record_is_the_golden_bytes() {
        let mut out = Vec::new();
        put_record(&mut out, b"Wikipedia");
        assert_eq!(out, b"\0\0\0\0\x11\xe6\x03\x98\0\0\0\x09WikipediaB");
        assert_eq!(RecordHeader::parse(&out), Some(RecordHeader { checksum: 0x11e6_0398, len: 9 }));
        assert_eq!(RecordHeader::parse(&out[..11]), None);
    }

    #[test]
    fn seal_and_sections_are_the_golden_bytes() {
        assert_eq!(seal(0x11e6_0398), *b"\0\0\0\0\x11\xe6\x03\x98\0\0\0\x01/");
        let section = digest_section(Zxid(0x1_0000_0002), 2, 0x51c6_d660);
        assert_eq!(section, *b"\0\0\0\x01\0\0\0\x02\0\0\0\x02\0\0\0\0\x51\xc6\xd6\x60");
        assert_eq!(SLASH, seal(0)[8..]);
    }

    #[test]
    fn mark_is_the_golden_bytes_and_reads_back() {
        let mark = Mark { log: Zxid(5), offset: 16, last: Zxid(4) };
        let bytes = mark_bytes(mark);
        assert_eq!(bytes, *b"PDKSYNC2\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x04\x43\x1c\x02\x68");
        assert_eq!(parse_mark(&bytes), Some(mark));
        for at in 0..MARK_BYTES {
            let mut flipped = bytes;
            flipped[at] ^= 1;
            assert_eq!(parse_mark(&flipped), None, "byte {at}");
        }
        assert_eq!(parse_mark(&bytes[..35]), None);
    }

    #[test]
    fn zxid_stands_at_byte_12_of_a_payload() {
        let mut payload = [0; TXN_HEADER_BYTES];
        payload[19] = 7;
        assert_eq!(payload_zxid(&payload), Some(Zxid(7)));
        assert_eq!(payload_zxid(&payload[..31]), None);
    }
}
