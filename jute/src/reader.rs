//! The bounded reader: a cursor over one frame that takes jute primitives from the front.

use std::borrow::Cow;

pub use crate::error::DecodeError;
use crate::text;

/// A length that stands for null.
const NULL_LENGTH: i32 = -1;

/// A cursor over one frame. It never reads past the frame and never allocates by a length it has not compared with what is left.
///
/// After an error the position is unspecified (but within the frame); drop the reader.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    frame_length: usize,
    length_max: usize,
    is_written_by_server: bool,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`, whose only limit is the frame itself.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_limit(bytes, usize::MAX)
    }

    /// A reader that refuses a buffer or ustring longer than `length_max` bytes. A vector's count has no such limit.
    #[inline]
    #[must_use]
    pub fn with_limit(bytes: &'a [u8], length_max: usize) -> Self {
        Self { rest: bytes, frame_length: bytes.len(), length_max, is_written_by_server: false }
    }

    /// The same for bytes that a server wrote: a ustring then has its surrogate pairs joined (see [`text::decode_written`]).
    #[must_use]
    pub fn written_by_server(self) -> Self {
        Self { is_written_by_server: true, ..self }
    }

    /// How many bytes have been read.
    #[inline]
    #[must_use]
    pub fn position(&self) -> usize {
        self.frame_length - self.rest.len()
    }

    /// How many bytes are left.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that are left. The position does not change.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// `Truncated` when fewer are left.
    #[inline]
    pub fn read_array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((chunk, rest)) => {
                self.rest = rest;
                Ok(chunk)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// A boolean: one byte, where anything but zero is true.
    ///
    /// # Errors
    /// `Truncated` at the end of the frame.
    #[inline]
    pub fn read_bool(&mut self) -> Result<bool, DecodeError> {
        self.read_array::<1>().map(|bytes| bytes[0] != 0)
    }

    /// A byte.
    ///
    /// # Errors
    /// `Truncated` at the end of the frame.
    #[inline]
    pub fn read_byte(&mut self) -> Result<i8, DecodeError> {
        self.read_array().map(|bytes| i8::from_be_bytes(*bytes))
    }

    /// An int: 4 bytes, big-endian.
    ///
    /// # Errors
    /// `Truncated` when fewer are left.
    #[inline]
    pub fn read_int(&mut self) -> Result<i32, DecodeError> {
        self.read_array().map(|bytes| i32::from_be_bytes(*bytes))
    }

    /// A long: 8 bytes, big-endian.
    ///
    /// # Errors
    /// `Truncated` when fewer are left.
    #[inline]
    pub fn read_long(&mut self) -> Result<i64, DecodeError> {
        self.read_array().map(|bytes| i64::from_be_bytes(*bytes))
    }

    /// A float: the 4 bytes of an IEEE 754 number, big-endian.
    ///
    /// # Errors
    /// `Truncated` when fewer are left.
    #[inline]
    pub fn read_float(&mut self) -> Result<f32, DecodeError> {
        self.read_array().map(|bytes| f32::from_be_bytes(*bytes))
    }

    /// A double: the 8 bytes of an IEEE 754 number, big-endian.
    ///
    /// # Errors
    /// `Truncated` when fewer are left.
    #[inline]
    pub fn read_double(&mut self) -> Result<f64, DecodeError> {
        self.read_array().map(|bytes| f64::from_be_bytes(*bytes))
    }

    /// A buffer, borrowed from the frame. `None` is null (length −1), which is not the empty buffer.
    ///
    /// # Errors
    /// `NegativeLength` for any other negative length, `TooLong` above the reader's limit, `Truncated` when the frame ends first.
    #[inline]
    pub fn read_buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let position = self.position();
        let length = self.read_int()?;
        if length == NULL_LENGTH {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| DecodeError::NegativeLength { length, position })?;
        if length > self.length_max {
            return Err(DecodeError::TooLong { length, limit: self.length_max, position });
        }
        match self.rest.split_at_checked(length) {
            Some((content, rest)) => {
                self.rest = rest;
                Ok(Some(content))
            }
            None => Err(self.truncated(length)),
        }
    }

    /// A ustring. `None` is null. Valid UTF-8 is borrowed; malformed parts become U+FFFD as in Java, so text is never an error.
    ///
    /// # Errors
    /// As for [`Self::read_buffer`].
    #[inline]
    pub fn read_ustring(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        let decode = if self.is_written_by_server { text::decode_written } else { text::decode_lenient };
        self.read_buffer().map(|bytes| bytes.map(decode))
    }

    /// A vector, whose elements `read_element` takes one by one. `None` is null (count −1); any other negative count is an
    /// empty vector, as in Java.
    ///
    /// # Errors
    /// `Truncated` when the count is above the number of bytes left (an element takes at least one); else the element's own error.
    #[inline]
    pub fn read_vector<T>(
        &mut self,
        mut read_element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let count = self.read_int()?;
        if count == NULL_LENGTH {
            return Ok(None);
        }
        let count = usize::try_from(count).unwrap_or(0);
        if count > self.remaining() {
            return Err(self.truncated(count));
        }
        let mut elements = Vec::with_capacity(count.min(self.capacity_max::<T>()));
        for _ in 0..count {
            elements.push(read_element(self)?);
        }
        Ok(Some(elements))
    }

    /// How many elements may be allocated before the first is read: what fits in as many bytes as are left of the frame.
    /// A count that lies then costs no more memory than the frame itself; a true one of tiny elements costs a reallocation.
    #[inline]
    fn capacity_max<T>(&self) -> usize {
        self.remaining() / size_of::<T>().max(1)
    }

    #[cold]
    fn truncated(&self, needed: usize) -> DecodeError {
        DecodeError::Truncated { needed, remaining: self.rest.len(), position: self.position() }
    }
}

#[cfg(test)]
mod tests;
