//! Schemas that are refused, each with the place and the reason, and what is made of one that is not.

use std::fs;

use super::{Error, Generated, generate};

const MODULE: &str = "/// M.\nmodule paddock.m {\n";

fn generated(files: &[(&str, &str)]) -> Result<Generated, Error> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("writable");
    }
    generate(&[dir.path().join(files[0].0)])
}

/// Line and column of the error, and its message without the file.
fn refusal(body: &str) -> (String, Error) {
    let error = generated(&[("m.jute", &format!("{MODULE}{body}"))]).expect_err("refused");
    let text = error.to_string();
    let from = text.find("m.jute:").expect("the file is named") + "m.jute:".len();
    (text[from..].to_owned(), error)
}

#[test]
fn a_class_becomes_a_struct_with_its_comments() {
    let body = "/// C.\nclass Some { /// P.\nustring path; /// T.\nlong type; /// V.\nvector<int> list; }\n}\n";
    let records = generated(&[("m.jute", &format!("{MODULE}{body}"))]).expect("valid").records;
    for expected in ["pub struct Some<'a>", "pub path: Option<Cow<'a, str>>", "pub type_: i64", "pub list: Option<Vec<i32>>", "/// P."] {
        assert!(records.contains(expected), "{expected} in\n{records}");
    }
}

#[test]
fn errors_give_line_and_column() {
    let (text, error) = refusal("/// C.\nclass C {\n  /// F.\n  int 7;\n}\n}\n");
    assert!(matches!(error, Error::Syntax { .. }), "{error}");
    assert!(text.starts_with("6:7: expected "), "{text}");
    let (text, error) = refusal("/// C.\nclass C {\n  /// F.\n  Missing f;\n}\n}\n");
    assert!(matches!(error, Error::UnknownType { .. }), "{error}");
    assert!(text.starts_with("6:3: "), "{text}");
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let undocumented = refusal("class C { /// F.\nint f; }\n}\n").1;
    assert!(matches!(undocumented, Error::Undocumented { .. }), "{undocumented}");
    let twice = refusal("/// C.\nclass C { /// F.\nint f; /// F.\nlong f; }\n}\n").1;
    assert!(matches!(twice, Error::Duplicate { .. }), "{twice}");
    let cycle = refusal("/// A.\nclass A { /// B.\nB b; }\n/// B.\nclass B { /// A.\nvector<A> a; }\n}\n").1;
    assert!(matches!(cycle, Error::Cycle { .. }), "{cycle}");
    let unfinished = refusal("/// C.\nclass C {\n").1;
    assert!(matches!(unfinished, Error::Syntax { .. }), "{unfinished}");
}

#[test]
fn an_include_that_is_missing_is_named_where_it_stands() {
    let error = generated(&[("m.jute", "include \"gone.jute\"\n/// M.\nmodule paddock.m {\n}\n")]).expect_err("refused");
    assert!(matches!(error, Error::Include { .. }), "{error}");
}

#[test]
fn each_refusal_stands_at_the_culprit() {
    let cases = [
        ("/// C.\nclass C { /// F.\nmap<int,int> f; }\n}\n", "5:1: expected a type other than `map`"),
        ("/// C.\nclass C { /// F.\nvector<int f; }\n}\n", "5:12: expected `>`, found `f;`"),
        ("/// C.\nclass C { /// F.\nint f }\n}\n", "5:7: expected `;`, found `}`"),
        ("/// C.\nclass C { int é; }\n}\n", "4:15: expected the name of the field"),
        ("/// C.\nclass C { /// Of nothing.\n}\n}\n", "5:1: expected a field or `}`, found `}`"),
        ("/* open\n", "3:3: expected `*/` behind this"),
        ("/// C.\nclass int { }\n}\n", "4:7: `int` is a reserved name"),
        ("/// C.\nclass Option { }\n}\n", "4:7: `Option` is a reserved name"),
        ("/// C.\nclass C { int f; }\n}\n", "4:15: `f` has no doc comment"),
        ("/// E.\nclass E { }\n/// C.\nclass C { /// F.\nvector<E> f; }\n}\n", "7:1: a vector of `E`"),
        ("/// C.\nclass C { /// F.\nC f; }\n}\n", "5:1: cycle paddock.m.C -> paddock.m.C"),
        ("}\nclass", "4:1: expected `module` or the end of the file, found `class`"),
    ];
    for (body, expected) in cases {
        let (text, _) = refusal(body);
        assert!(text.starts_with(expected), "{text}\nfor {body}");
    }
}

#[test]
fn names_that_meet_in_rust_are_duplicates_of_the_first() {
    let (text, _) = refusal("/// C.\nclass C { /// A.\nint aB; /// B.\nint a_b; }\n}\n");
    assert!(text.starts_with("6:5: `a_b` is already at ") && text.ends_with("m.jute:5:5"), "{text}");
    let (text, _) = refusal("/// C.\nclass AclTxn { }\n/// C.\nclass ACLTxn { }\n}\n");
    assert!(text.starts_with("6:7: ") && text.ends_with("m.jute:4:7"), "{text}");
}

#[test]
fn a_class_is_seen_through_includes_only() {
    let user = "/// U.\nmodule paddock.user { /// C.\nclass C { /// F.\npaddock.m.D f; } }\n";
    let used = "/// M.\nmodule paddock.m { /// D.\nclass D { /// F.\nint f; } }\n";
    let including = format!("include \"m.jute\"\n{user}");
    let generated_both = generated(&[("user.jute", &including), ("m.jute", used)]).expect("valid");
    assert!(generated_both.records.contains("pub f: super::m::D,"), "{}", generated_both.records);
    assert_eq!(generated_both.files.len(), 2);
    let error = generated(&[("user.jute", user), ("m.jute", used)]).expect_err("refused");
    assert!(matches!(error, Error::UnknownType { .. }), "{error}");
}

#[test]
fn files_that_include_each_other_are_refused() {
    let error = generated(&[("a.jute", "include \"b.jute\"\n"), ("b.jute", "\ninclude \"a.jute\"\n")]).expect_err("refused");
    assert!(matches!(&error, Error::Cycle { place, path } if place.line == 2 && path.len() == 3), "{error}");
}
