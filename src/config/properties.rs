//! The text form of `java.util.Properties`: bytes in, entries with their line numbers out.
//!
//! ISO-8859-1 with `\uXXXX`; `#` and `!` comments; `=`, `:` or a blank between key and value; a backslash at the end of a line joins the next
//! one to it without its leading blanks. Rules and corner cases are those of the JDK's `Properties.load(InputStream)`.

/// One `key=value` of the file, in file order; a key may come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line on which the entry begins, counted from 1.
    pub line: usize,
    /// The key, unescaped, not trimmed.
    pub key: String,
    /// The value, unescaped, not trimmed.
    pub value: String,
}

/// A `\u` that is not followed by four hexadecimal digits; Java refuses the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: \\u must be followed by four hexadecimal digits")]
pub struct BadUnicodeEscape {
    /// The line on which the entry begins, counted from 1.
    pub line: usize,
}

/// Reads all entries.
///
/// # Errors
/// The first malformed `\u` escape.
pub fn parse(text: &[u8]) -> Result<Vec<Entry>, BadUnicodeEscape> {
    logical_lines(text).into_iter().map(|(line, content)| entry(line, &content).ok_or(BadUnicodeEscape { line })).collect()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Lines with continuations joined, without comments, empty lines and leading blanks; escapes are still in.
fn logical_lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines = Vec::new();
    let mut current: Vec<u8> = Vec::new();
    let mut start = 0;
    for (index, natural) in natural_lines(text).enumerate() {
        let content = &natural[natural.iter().take_while(|byte| is_blank(**byte)).count()..];
        if current.is_empty() {
            // A line that was only a backslash leaves nothing behind, so what follows may be a comment again, as in the JDK.
            if content.first().is_none_or(|first| matches!(first, b'#' | b'!')) {
                continue;
            }
            start = index + 1;
        }
        let backslashes = content.iter().rev().take_while(|byte| **byte == b'\\').count();
        let continued = backslashes % 2 == 1;
        current.extend_from_slice(&content[..content.len() - usize::from(continued)]);
        if !continued && !current.is_empty() {
            lines.push((start, std::mem::take(&mut current)));
        }
    }
    if !current.is_empty() {
        lines.push((start, current));
    }
    lines
}

/// Lines as the file has them, without their ends: `\n`, `\r` or both.
fn natural_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = rest.iter().position(|byte| is_line_end(*byte)).unwrap_or(rest.len());
        let line = &rest[..length];
        let end = if rest[length..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = rest.get(length + end..).unwrap_or_default();
        Some(line)
    })
}

/// Splits one logical line. `None` if an escape is malformed.
fn entry(line: usize, content: &[u8]) -> Option<Entry> {
    let mut escaped = false;
    let key_length = content
        .iter()
        .position(|byte| {
            let ends = !escaped && (is_blank(*byte) || matches!(byte, b'=' | b':'));
            escaped = *byte == b'\\' && !escaped;
            ends
        })
        .unwrap_or(content.len());
    let (key, rest) = content.split_at(key_length);
    let mut rest = skip_blanks(rest);
    if matches!(rest.first(), Some(b'=' | b':')) {
        rest = skip_blanks(&rest[1..]);
    }
    Some(Entry { line, key: unescape(key)?, value: unescape(rest)? })
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| is_blank(**byte)).count()..]
}

/// Resolves backslashes. Collected as UTF-16, since a character beyond U+FFFF is written as two `\u` escapes.
fn unescape(text: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            units.push(byte.into());
            continue;
        }
        match bytes.next() {
            Some(b'u') => units.push(hex_unit(&mut bytes)?),
            Some(b't') => units.push(b'\t'.into()),
            Some(b'r') => units.push(b'\r'.into()),
            Some(b'n') => units.push(b'\n'.into()),
            Some(b'f') => units.push(0x0c),
            Some(other) => units.push(other.into()),
            None => {}
        }
    }
    Some(String::from_utf16_lossy(&units))
}

fn hex_unit(bytes: &mut impl Iterator<Item = u8>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = char::from(bytes.next()?).to_digit(16)?;
        unit = unit << 4 | u16::try_from(digit).ok()?;
    }
    Some(unit)
}
