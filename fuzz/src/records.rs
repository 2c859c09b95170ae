//! Every generated record: what decodes encodes, and decodes to the same again.

use jute::{Decode, Encode, Reader};
use paddock::proto::records;

type Check = fn(&[u8]);

macro_rules! again {
    ($record:path, $bytes:expr) => {{
        let bytes: &[u8] = $bytes;
        let mut reader = Reader::new(bytes);
        let decoded = <$record>::decode(&mut reader).expect("what was encoded decodes");
        assert_eq!(reader.remaining(), 0);
        decoded.to_vec()
    }};
}

macro_rules! check {
    ($record:path) => {
        |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            let Ok(value) = <$record>::decode(&mut reader) else { return };
            let used = reader.position();
            assert!(used <= bytes.len());
            // Text beyond U+FFFF does not come back as it was, as in Java, and is what came back from then on.
            let encoded = again!($record, &value.to_vec());
            assert_eq!(again!($record, &encoded), encoded, "{value:?}");
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/checks.rs"));

/// How many records there are.
pub const COUNT: usize = CHECKS.len();

/// The first byte says which record, the rest are its bytes.
pub fn run(data: &[u8]) {
    if let Some((&which, bytes)) = data.split_first() {
        CHECKS[usize::from(which) % CHECKS.len()](bytes);
    }
}
