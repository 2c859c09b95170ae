//! Text as Java reads and writes it: a lenient UTF-8 decoder and the CESU-8 form of what lies above U+FFFF.
//!
//! Source of both rules: client-visible behaviour of `new String(bytes, UTF_8)` and of the server's own string encoder, which
//! encodes every UTF-16 unit by itself. So a code point above U+FFFF leaves as six bytes, and comes back as two U+FFFD.

use std::borrow::Cow;

/// The first byte of a UTF-8 sequence of four bytes is at least this; no other byte of valid UTF-8 is.
const LEAD_OF_FOUR: u8 = 0xf0;
/// Length of a code point above U+FFFF as it leaves a server.
const SURROGATE_PAIR_BYTES: usize = 6;

/// Decodes UTF-8 as Java does: valid text is borrowed, and what is malformed becomes U+FFFD, one for each part that Java replaces.
#[inline]
#[must_use]
pub fn decode_lenient(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replace_malformed(bytes, |_| None)),
    }
}

/// Decodes text that a server wrote: as [`decode_lenient`], but a pair of surrogates is the code point that it came from. Java
/// replaces it here too, so that what it read from a client is another text after a restart.
#[inline]
#[must_use]
pub fn decode_written(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replace_malformed(bytes, surrogate_pair)),
    }
}

/// The code point whose two surrogates, three bytes each, are at the front of `rest`.
fn surrogate_pair(rest: &[u8]) -> Option<char> {
    let [0xed, high @ 0xa0..=0xaf, middle @ 0x80..=0xbf, 0xed, low @ 0xb0..=0xbf, last @ 0x80..=0xbf, ..] = *rest else { return None };
    let unit = |second: u8, third: u8| 0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f);
    char::decode_utf16([unit(high, middle), unit(low, last)]).next()?.ok()
}

#[cold]
fn replace_malformed(bytes: &[u8], pair: impl Fn(&[u8]) -> Option<char>) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(chunk) = rest.utf8_chunks().next() {
        text.push_str(chunk.valid());
        rest = &rest[chunk.valid().len()..];
        if let Some(joined) = pair(rest) {
            text.push(joined);
            rest = &rest[SURROGATE_PAIR_BYTES..];
        } else if !chunk.invalid().is_empty() {
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
