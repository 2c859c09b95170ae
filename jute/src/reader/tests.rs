//! The reader against hostile lengths, and with the writer as its mirror.

use std::borrow::Cow;

use super::{DecodeError, Reader};
use crate::record::{Decode, Encode};

fn frame(length: i32, content: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes(), content].concat()
}

#[test]
fn null_and_empty_are_told_apart() {
    assert_eq!(Reader::new(&frame(-1, b"")).read_buffer(), Ok(None));
    assert_eq!(Reader::new(&frame(0, b"")).read_buffer(), Ok(Some(&[][..])));
    assert_eq!(Reader::new(&frame(-1, b"")).read_ustring(), Ok(None));
    assert_eq!(Reader::new(&frame(0, b"")).read_ustring(), Ok(Some(Cow::Borrowed(""))));
    assert_eq!(Reader::new(&frame(-1, b"")).read_vector(Reader::read_int), Ok(None));
    assert_eq!(Reader::new(&frame(0, b"")).read_vector(Reader::read_int), Ok(Some(vec![])));
}

#[test]
fn other_negative_lengths_are_errors_but_negative_counts_are_empty_vectors() {
    for length in [-2, i32::MIN] {
        let bytes = [&[7][..], &frame(length, b"abc")].concat();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.read_byte(), Ok(7));
        assert_eq!(reader.read_buffer(), Err(DecodeError::NegativeLength { length, position: 1 }));
        let bytes = frame(length, b"abc");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.read_vector(Reader::read_int), Ok(Some(vec![])));
        assert_eq!(reader.rest(), b"abc");
    }
}

#[test]
fn a_frame_that_ends_early_says_what_was_missing() {
    let bytes = frame(4, b"abc");
    let error = DecodeError::Truncated { needed: 4, remaining: 3, position: 4 };
    assert_eq!(Reader::new(&bytes).read_buffer(), Err(error));
    assert_eq!(Reader::new(&bytes).read_ustring(), Err(error));
    assert_eq!(Reader::new(&bytes).read_vector(Reader::read_byte), Err(error));
    assert_eq!(Reader::new(b"1234567").read_long(), Err(DecodeError::Truncated { needed: 8, remaining: 7, position: 0 }));
    assert_eq!(Reader::new(b"").read_bool(), Err(DecodeError::Truncated { needed: 1, remaining: 0, position: 0 }));
}

#[test]
fn the_limit_itself_is_accepted_and_one_more_is_not() {
    let bytes = frame(3, b"abc");
    assert_eq!(Reader::with_limit(&bytes, 3).read_buffer(), Ok(Some(&b"abc"[..])));
    let error = DecodeError::TooLong { length: 3, limit: 2, position: 0 };
    assert_eq!(Reader::with_limit(&bytes, 2).read_buffer(), Err(error));
    assert_eq!(Reader::with_limit(&bytes, 2).read_ustring(), Err(error));
    // Java has no limit on counts.
    assert_eq!(Reader::with_limit(&bytes, 2).read_vector(Reader::read_byte), Ok(Some(vec![97, 98, 99])));
}

#[test]
fn a_count_allocates_no_more_than_is_left_of_the_frame() {
    let bytes = [0; 1000];
    let reader = Reader::new(&bytes);
    assert_eq!(reader.capacity_max::<u8>(), 1000);
    assert_eq!(reader.capacity_max::<[u8; 300]>(), 3);
    assert_eq!(reader.capacity_max::<[u8; 1001]>(), 0);
    assert_eq!(reader.capacity_max::<()>(), 1000);
}

#[test]
fn a_count_above_the_bytes_left_is_refused_before_any_element() {
    let bytes = frame(i32::MAX, b"abc");
    let mut elements = 0;
    let read = Reader::new(&bytes).read_vector(|reader| {
        elements += 1;
        reader.read_byte()
    });
    assert_eq!(read, Err(DecodeError::Truncated { needed: 0x7fff_ffff, remaining: 3, position: 4 }));
    assert_eq!(elements, 0);
}

#[test]
fn any_byte_but_zero_is_true_and_true_is_written_as_one() {
    for byte in 0..=u8::MAX {
        assert_eq!(Reader::new(&[byte]).read_bool(), Ok(byte != 0));
    }
    assert_eq!((true.to_vec(), false.to_vec()), (vec![1], vec![0]));
}

#[test]
fn numbers_are_big_endian() {
    assert_eq!(0x0102_0304_i32.to_vec(), [1, 2, 3, 4]);
    assert_eq!((-2_i64).to_vec(), [255, 255, 255, 255, 255, 255, 255, 254]);
    assert_eq!(1.5_f32.to_vec(), [0x3f, 0xc0, 0, 0]);
    assert_eq!((-2.0_f64).to_vec(), [0xc0, 0, 0, 0, 0, 0, 0, 0]);
    let bytes = [0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x80, 0, 0, 0];
    let mut reader = Reader::new(&bytes);
    assert_eq!((reader.read_float(), reader.read_double()), (Ok(1.5), Ok(-2.0)));
    assert_eq!((reader.read_byte(), reader.read_int()), (Ok(-1), Ok(i32::MIN)));
    assert_eq!((reader.position(), reader.remaining()), (17, 0));
}

#[test]
fn what_is_valid_is_borrowed_from_the_frame() {
    let bytes = frame(5, "zoö!".as_bytes());
    assert!(matches!(Reader::new(&bytes).read_ustring(), Ok(Some(Cow::Borrowed("zoö!")))));
    assert!(matches!(Option::<Cow<'_, [u8]>>::decode(&mut Reader::new(&bytes)), Ok(Some(Cow::Borrowed(_)))));
}

#[test]
fn vectors_of_null_text_come_back() {
    let names: Option<Vec<Option<Cow<'_, str>>>> = Some(vec![None, Some("".into()), Some("a".into())]);
    let bytes = names.to_vec();
    assert_eq!(bytes, [0, 0, 0, 3, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 1, 97]);
    assert_eq!(Decode::decode(&mut Reader::new(&bytes)), Ok(names));
}
