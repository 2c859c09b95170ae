//! The codec traits, and their form for the primitives, so that a record is encoded and decoded field by field.

use std::borrow::Cow;

use crate::reader::{DecodeError, Reader};
use crate::writer;

/// What `to_vec` reserves: most records of the client protocol are shorter.
const RECORD_CAPACITY: usize = 128;

/// Something with a jute form.
pub trait Encode {
    /// Appends the jute form to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// The jute form by itself.
    fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORD_CAPACITY);
        self.encode(&mut out);
        out
    }
}

/// Something that can be read from its jute form; text and buffers may borrow from the frame.
pub trait Decode<'a>: Sized {
    /// Takes the value from the front of what is left in `reader`. Bytes behind it are left alone.
    ///
    /// # Errors
    /// When the bytes are not such a value; see [`DecodeError`].
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

macro_rules! primitive {
    ($type:ty, $read:ident, $write:ident) => {
        impl Encode for $type {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                writer::$write(out, *self);
            }
        }

        impl<'a> Decode<'a> for $type {
            #[inline]
            fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
                reader.$read()
            }
        }
    };
}

primitive!(bool, read_bool, write_bool);
primitive!(i8, read_byte, write_byte);
primitive!(i32, read_int, write_int);
primitive!(i64, read_long, write_long);
primitive!(f32, read_float, write_float);
primitive!(f64, read_double, write_double);

impl Encode for Option<Cow<'_, str>> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        writer::write_ustring(out, self.as_deref());
    }
}

impl<'a> Decode<'a> for Option<Cow<'a, str>> {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.read_ustring()
    }
}

impl Encode for Option<Cow<'_, [u8]>> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        writer::write_buffer(out, self.as_deref());
    }
}

impl<'a> Decode<'a> for Option<Cow<'a, [u8]>> {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(reader.read_buffer()?.map(Cow::Borrowed))
    }
}

impl<T: Encode> Encode for Option<Vec<T>> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        writer::write_vector(out, self.as_deref(), |out, element| element.encode(out));
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Option<Vec<T>> {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.read_vector(T::decode)
    }
}
