//! Malformed text against what Java makes of it, and text above U+FFFF against what Java writes.

use proptest::prelude::*;

use super::{cesu8_length, decode_lenient, decode_written, has_supplementary, write_cesu8};

/// Bytes, and what `new String(bytes, UTF_8)` of JDK 17 makes of them; `?` stands for U+FFFD.
const JAVA: [(&[u8], &str); 34] = [
    (b"", ""),
    (b"A\x80", "A?"),
    (b"A\xffB", "A?B"),
    (b"\xc0\xaf", "??"),
    (b"\xc3A", "?A"),
    (b"\xc3", "?"),
    (b"\xe0\x80\x80", "???"),
    (b"\xe0\xa0", "?"),
    (b"\xe0\xa0A", "?A"),
    (b"\xe2A", "?A"),
    (b"\xe2\x82A", "?A"),
    (b"\xe2\x82", "?"),
    (b"\xed\xa0\x80B", "?B"),
    (b"\xed\xbf\xbfB", "?B"),
    (b"\xed\xa0B", "?B"),
    (b"\xed\xa0", "?"),
    (b"\xed\x9f\xbf", "\u{d7ff}"),
    (b"\xedA", "?A"),
    (b"\xed\xa0\xbd\xed\xb8\x80", "??"),
    (b"\xf0\x80\x80", "???"),
    (b"\xf0\x90\x80A", "?A"),
    (b"\xf0\x90A", "?A"),
    (b"\xf0\x90", "?"),
    (b"\xf0\x90\x80", "?"),
    (b"\xf0\x90\x80\x80", "\u{10000}"),
    (b"\xf4\x8f\xbf\xbf", "\u{10ffff}"),
    (b"\xf4\x90\x80\x80", "????"),
    (b"\xf5\x80\x80\x80", "????"),
    (b"\xf8\x88\x80\x80", "????"),
    (b"\xf0\xed\xa0\x80", "??"),
    (b"\xef\xbf\xbd", "?"),
    (b"\xfe\xff", "??"),
    (b"\x80\xbf", "??"),
    (b"ok \xc3\xa9", "ok \u{e9}"),
];

fn written(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_cesu8(&mut out, text);
    out
}

#[test]
fn malformed_text_reads_as_in_java() {
    for (bytes, expected) in JAVA {
        assert_eq!(decode_lenient(bytes), expected.replace('?', "\u{fffd}"), "{bytes:02x?}");
    }
}

#[test]
fn text_of_a_server_has_its_surrogates_joined() {
    for text in ["\u{1f600}", "a\u{10000}\u{10ffff}\u{e9}", "\u{fffd}"] {
        assert_eq!(decode_written(&written(text)), text);
    }
    for (bytes, expected) in JAVA.iter().filter(|(bytes, _)| *bytes != b"\xed\xa0\xbd\xed\xb8\x80") {
        assert_eq!(decode_written(bytes), expected.replace('?', "\u{fffd}"), "{bytes:02x?}");
    }
    assert_eq!(decode_written(b"\xed\xb8\x80\xed\xa0\xbdA"), "\u{fffd}\u{fffd}A");
}

#[test]
fn what_is_above_u_ffff_leaves_as_two_surrogates_and_comes_back_as_two_replacements() {
    let bytes = written("a\u{1f600}\u{e9}");
    assert_eq!(bytes, b"a\xed\xa0\xbd\xed\xb8\x80\xc3\xa9");
    assert_eq!(decode_lenient(&bytes), "a\u{fffd}\u{fffd}\u{e9}");
    let mut field = Vec::new();
    crate::writer::write_ustring(&mut field, Some("a\u{1f600}\u{e9}"));
    assert_eq!(field, [&[0, 0, 0, 9][..], &bytes].concat());
}

proptest! {
    #[test]
    fn the_wire_form_is_the_utf8_of_each_code_point_below_and_six_bytes_above(text in any::<String>()) {
        let bytes = written(&text);
        prop_assert_eq!(bytes.len(), cesu8_length(&text));
        prop_assert_eq!(bytes.len(), text.chars().map(|c| if c.len_utf8() == 4 { 6 } else { c.len_utf8() }).sum::<usize>());
        prop_assert_eq!(has_supplementary(&text), text.chars().any(|c| c > '\u{ffff}'));
        let read: String = text.chars().map(|c| if c > '\u{ffff}' { "\u{fffd}\u{fffd}".to_owned() } else { c.to_string() }).collect();
        prop_assert_eq!(decode_lenient(&bytes), read);
    }

    #[test]
    fn any_bytes_are_some_text_of_at_most_three_times_their_length(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(decode_lenient(&bytes).len() <= 3 * bytes.len());
    }
}
