//! The writer: one function for each jute primitive, appending to a byte vector.

use crate::text;

/// The length that stands for null.
const NULL_LENGTH: i32 = -1;

/// Appends a boolean: exactly 0 or 1, since clients compare with 1.
#[inline]
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Appends a byte.
#[inline]
pub fn write_byte(out: &mut Vec<u8>, value: i8) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends an int: 4 bytes, big-endian.
#[inline]
pub fn write_int(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a long: 8 bytes, big-endian.
#[inline]
pub fn write_long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a float: the 4 bytes of an IEEE 754 number, big-endian.
#[inline]
pub fn write_float(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a double: the 8 bytes of an IEEE 754 number, big-endian.
#[inline]
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends a buffer: its length and its bytes. `None` is null (length −1).
///
/// # Panics
/// When the buffer has 2 GiB or more: the format cannot say so.
#[inline]
pub fn write_buffer(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            out.reserve(size_of::<i32>() + bytes.len());
            write_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
        None => write_int(out, NULL_LENGTH),
    }
}

/// Appends a ustring: the length in bytes and the text, as UTF-8 except that a code point above U+FFFF leaves as the six bytes
/// of its two surrogates, because that is what Java writes. `None` is null (length −1).
///
/// # Panics
/// When the text has 2 GiB or more.
#[inline]
pub fn write_ustring(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(text) if text::has_supplementary(text) => write_supplementary(out, text),
        _ => write_buffer(out, value.map(str::as_bytes)),
    }
}

#[cold]
fn write_supplementary(out: &mut Vec<u8>, text: &str) {
    write_length(out, text::cesu8_length(text));
    text::write_cesu8(out, text);
}

/// Appends a vector: the count, then what `write_element` appends for each. `None` is null (count −1).
///
/// # Panics
/// When there are 2^31 elements or more.
#[inline]
pub fn write_vector<T>(out: &mut Vec<u8>, value: Option<&[T]>, mut write_element: impl FnMut(&mut Vec<u8>, &T)) {
    let Some(elements) = value else {
        return write_int(out, NULL_LENGTH);
    };
    write_length(out, elements.len());
    for element in elements {
        write_element(out, element);
    }
}

#[inline]
fn write_length(out: &mut Vec<u8>, length: usize) {
    write_int(out, i32::try_from(length).expect("a length in a record is below 2^31: frames and files bound it far below"));
}
