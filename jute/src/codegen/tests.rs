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
