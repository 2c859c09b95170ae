//! Finds the end of a snapshot in a stream of packets: the bytes carry no length.
//!
//! ```text
//! stream     int sessions  (long id, int timeout)*  int acls  acl*  znode*  ustring "/"  ustring "BenWasHere"
//! acl        long id  int entries  (int perms, ustring scheme, ustring id)*
//! znode      ustring path  buffer data  long acl  stat of 60 bytes
//! ```
//! Sources: `LearnerHandler.run`, `Learner.syncWithLeader`, `SerializeUtils`; disk-formats.md §4.1. Nothing is kept of what passes by, so a
//! hostile stream costs no memory; whether it makes a tree is found out when it is loaded.

/// What ends a stream, as a ustring.
pub(super) const SIGNATURE: [u8; 14] = *b"\0\0\0\x0aBenWasHere";
const SESSION_BYTES: u64 = 12;
const ACL_ID_BYTES: u64 = 8;
const PERMS_BYTES: u64 = 4;
/// ACL id and stat of a znode.
const ZNODE_TAIL_BYTES: u64 = 8 + 60;

/// The number that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    SessionCount,
    AclCount,
    EntryCount,
    SchemeLength,
    IdLength,
    PathLength,
    DataLength,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A number of four bytes, of which some are there.
    Number {
        next: Next,
        value: u32,
        bytes: u8,
    },
    /// The one byte of a path that may be the last.
    ShortPath,
    /// The signature, of which some bytes are there.
    Signature {
        bytes: u8,
    },
    Done,
}

/// The parser of one stream.
#[derive(Debug)]
pub(super) struct StreamParser {
    field_bytes_max: u32,
    /// Bytes that pass by before the stage goes on.
    skip: u64,
    stage: Stage,
    acls_left: u32,
    entries_left: u32,
}

/// What a part of the stream holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Bytes that belong to the stream.
    pub(super) consumed: usize,
    /// Bytes of these that belong into a file: all before the signature.
    pub(super) body: usize,
}

impl StreamParser {
    /// No field has more bytes than this.
    pub(super) fn new(field_bytes_max: u32) -> Self {
        Self { field_bytes_max, skip: 0, stage: number(Next::SessionCount), acls_left: 0, entries_left: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Takes bytes up to the end of the stream.
    ///
    /// # Errors
    /// A reason why this is no snapshot.
    pub(super) fn parse(&mut self, bytes: &[u8]) -> Result<Parsed, String> {
        let mut parsed = Parsed::default();
        while parsed.consumed < bytes.len() && self.stage != Stage::Done {
            let rest = &bytes[parsed.consumed..];
            let is_body = !matches!(self.stage, Stage::Signature { .. });
            let taken = if self.skip > 0 {
                let taken = self.skip.min(rest.len() as u64);
                self.skip -= taken;
                taken as usize
            } else {
                self.take(rest)?
            };
            parsed.consumed += taken;
            parsed.body += if is_body { taken } else { 0 };
        }
        Ok(parsed)
    }

    fn take(&mut self, rest: &[u8]) -> Result<usize, String> {
        match &mut self.stage {
            Stage::Number { next, value, bytes } => {
                let taken = rest.len().min(4 - usize::from(*bytes));
                rest[..taken].iter().for_each(|&byte| *value = *value << 8 | u32::from(byte));
                *bytes += taken as u8;
                if *bytes == 4 {
                    let (next, value) = (*next, *value as i32);
                    self.number(next, value)?;
                }
                Ok(taken)
            }
            Stage::ShortPath => {
                self.stage = if rest[0] == b'/' { Stage::Signature { bytes: 0 } } else { number(Next::DataLength) };
                Ok(1)
            }
            Stage::Signature { bytes } => {
                if rest[0] != SIGNATURE[usize::from(*bytes)] {
                    return Err("it does not end with BenWasHere".to_owned());
                }
                *bytes += 1;
                if usize::from(*bytes) == SIGNATURE.len() {
                    self.stage = Stage::Done;
                }
                Ok(1)
            }
            Stage::Done => Ok(0),
        }
    }

    fn number(&mut self, next: Next, value: i32) -> Result<(), String> {
        // Java counts a negative number of elements as none.
        let count = value.max(0) as u32;
        match next {
            Next::SessionCount => self.go(SESSION_BYTES * u64::from(count), Next::AclCount),
            Next::AclCount => {
                self.acls_left = count;
                self.next_acl();
            }
            Next::EntryCount => {
                self.entries_left = count;
                self.next_entry();
            }
            Next::SchemeLength => {
                let length = self.length(value, "a scheme")?;
                self.go(length, Next::IdLength);
            }
            Next::IdLength => {
                let length = self.length(value, "an identity")?;
                self.entries_left -= 1;
                self.next_entry();
                self.skip += length;
            }
            Next::PathLength if value == 1 => self.stage = Stage::ShortPath,
            Next::PathLength => {
                if value < 0 {
                    return Err(format!("a path of {value} bytes"));
                }
                let length = self.length(value, "a path")?;
                self.go(length, Next::DataLength);
            }
            Next::DataLength => {
                let length = self.length(value, "data")?;
                self.go(length + ZNODE_TAIL_BYTES, Next::PathLength);
            }
        }
        Ok(())
    }

    fn go(&mut self, skip: u64, next: Next) {
        self.skip = skip;
        self.stage = number(next);
    }

    fn next_acl(&mut self) {
        if self.acls_left == 0 {
            return self.go(0, Next::PathLength);
        }
        self.acls_left -= 1;
        self.go(ACL_ID_BYTES, Next::EntryCount);
    }

    fn next_entry(&mut self) {
        if self.entries_left == 0 { self.next_acl() } else { self.go(PERMS_BYTES, Next::SchemeLength) }
    }

    /// The bytes of a field; -1 stands for null.
    fn length(&self, value: i32, what: &str) -> Result<u64, String> {
        match u32::try_from(value) {
            Ok(length) if length <= self.field_bytes_max => Ok(u64::from(length)),
            Err(_) if value == -1 => Ok(0),
            _ => Err(format!("{what} of {value} bytes; at most {} are allowed", self.field_bytes_max)),
        }
    }
}

fn number(next: Next) -> Stage {
    Stage::Number { next, value: 0, bytes: 0 }
}
