//! Text as Java reads and writes it: a lenient UTF-8 decoder and the CESU-8 form of what lies above U+FFFF.
//!
//! Source of both rules: client-visible behaviour of `new String(bytes, UTF_8)` and of the server's own string encoder, which
//! encodes every UTF-16 unit by itself. So a code point above U+FFFF leaves as six bytes, and comes back as two U+FFFD.

use std::borrow::Cow;

/// The first byte of a UTF-8 sequence of four bytes is at least this; no other byte of valid UTF-8 is.
const LEAD_OF_FOUR: u8 = 0xf0;

/// Decodes UTF-8 as Java does: valid text is borrowed, and what is malformed becomes U+FFFD, one for each part that Java replaces.
#[inline]
#[must_use]
pub fn decode_lenient(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replace_malformed(bytes)),
    }
}

#[cold]
fn replace_malformed(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(chunk) = rest.utf8_chunks().next() {
        text.push_str(chunk.valid());
        rest = &rest[chunk.valid().len()..];
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            rest = &rest[malformed_length(rest, chunk.invalid().len())..];
        }
    }
    text
}

/// How many bytes at the front of `rest` Java replaces by a single U+FFFD. It is what the Unicode standard recommends
/// (`recommended`), except that Java takes the three bytes of an encoded surrogate, or what there is of them, as one.
fn malformed_length(rest: &[u8], recommended: usize) -> usize {
    match *rest {
        [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
        [0xed, 0xa0..=0xbf, ..] => 2,
        _ => recommended,
    }
}

/// Whether the text has a code point above U+FFFF, so that its wire form is not its UTF-8 form.
#[inline]
#[must_use]
pub fn has_supplementary(text: &str) -> bool {
    // A maximum, not a search: without an early exit the loop runs on vector registers.
    text.bytes().fold(0, u8::max) >= LEAD_OF_FOUR
}

/// Length of the wire form of `text`, in bytes.
#[must_use]
pub fn cesu8_length(text: &str) -> usize {
    text.len() + 2 * text.bytes().filter(|byte| *byte >= LEAD_OF_FOUR).count()
}

/// Appends the wire form of `text`: UTF-8, but each half of a surrogate pair as three bytes of its own.
pub fn write_cesu8(out: &mut Vec<u8>, text: &str) {
    for unit in text.encode_utf16() {
        match unit {
            0..=0x7f => out.push(unit as u8),
            0x80..=0x7ff => out.extend_from_slice(&[0xc0 | (unit >> 6) as u8, continuation(unit)]),
            _ => out.extend_from_slice(&[0xe0 | (unit >> 12) as u8, continuation(unit >> 6), continuation(unit)]),
        }
    }
}

fn continuation(bits: u16) -> u8 {
    0x80 | (bits & 0x3f) as u8
}

#[cfg(test)]
mod tests;
