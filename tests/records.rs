//! Every generated record: it comes back as it was written, cut short it is an error, and no bytes make it panic.

use jute::{Decode, Encode, Reader};
use paddock::proto::records;
use proptest::prelude::*;

/// Longest random input, in bytes: above any record without long text.
const NOISE_LENGTH_MAX: usize = 160;

/// Random bytes, small numbers among them so that lengths and counts are met now and then.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0_u8), 1 => Just(0xff_u8), 2 => 0_u8..9, 2 => any::<u8>()];
    proptest::collection::vec(byte, 0..NOISE_LENGTH_MAX)
}

/// Four tests of one record; the strategy makes values of it.
macro_rules! check_record {
    ($name:ident, $record:path, $strategy:expr) => {
        mod $name {
            use super::*;

            proptest! {
                #[test]
                fn comes_back_as_written(value in $strategy) {
                    let bytes = value.to_vec();
                    let mut reader = Reader::new(&bytes);
                    let decoded = <$record>::decode(&mut reader).expect("decodes what was encoded");
                    prop_assert_eq!(&decoded, &value);
                    prop_assert_eq!(reader.remaining(), 0);
                }

                #[test]
                fn leaves_what_follows_alone(value in $strategy, tail in proptest::collection::vec(any::<u8>(), 0..9)) {
                    let mut bytes = value.to_vec();
                    bytes.extend_from_slice(&tail);
                    let mut reader = Reader::new(&bytes);
                    let decoded = <$record>::decode(&mut reader);
                    prop_assert_eq!(decoded.as_ref(), Ok(&value));
                    prop_assert_eq!(reader.rest(), tail.as_slice());
                }

                #[test]
                fn every_prefix_is_an_error(value in $strategy) {
                    let bytes = value.to_vec();
                    for length in 0..bytes.len() {
                        prop_assert!(<$record>::decode(&mut Reader::new(&bytes[..length])).is_err(), "{} bytes", length);
                    }
                }

                #[test]
                fn noise_decodes_to_what_encodes_again(noise in noise()) {
                    let mut reader = Reader::new(&noise);
                    if let Ok(value) = <$record>::decode(&mut reader) {
                        let bytes = value.to_vec();
                        let again = <$record>::decode(&mut Reader::new(&bytes)).expect("what was encoded");
                        prop_assert_eq!(again, value);
                    }
                    prop_assert!(reader.position() <= noise.len());
                }
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/records_roundtrip.rs"));
