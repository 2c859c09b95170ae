//! The table of `docs/java-defects.md` has a row for every entry, and every test that it names is there.

use std::fs;

const TABLE: &str = "docs/java-defects.md";

/// The numbers of ZOOKEEPER-NNNN, and our own findings.
const ENTRIES: &str = "335 1081 1082 1154 1156 1549 2832 4837 U1 5094 2355 2678 3911 4646 3023 4643 4685 4785 4394 4925 3642 3104 3306 4689 \
     4846 U11 5010 2418 2846 U4 4352 3526 U8 2845 4712 4502 4541 4409 3701 4882 4203 1277 4883 2789 U6 2623 4026 U7 3127 3144 3145 3249 3125 \
     4743 4306 1653 2307 2354 4269 U3 1732 1805 1818 2164 3769 3756 3320 3188 3720 3829 2959 4787 4886 2836 3240 261 U2 U5 U9 U10 U12 U13 U14 U15 \
     U16 U17 U18";

/// The columns of each row.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| entry"));
    lines.map(|line| line.trim_end()[1..].strip_suffix('|').unwrap_or_default().split('|').map(str::trim).collect()).collect()
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_there(test: &str) -> bool {
    let (file, name) = test.split_once("::").unwrap_or((test, ""));
    let Ok(text) = fs::read_to_string(file) else { return false };
    name.is_empty() || text.contains(&format!("fn {name}(")) || text.contains(&format!("def {name}("))
}

#[test]
fn every_entry_has_a_row_and_every_test_of_the_table_exists() {
    let text = fs::read_to_string(TABLE).expect("the table is there");
    let rows = rows(&text);
    let mut complaints = Vec::new();
    for entry in ENTRIES.split_whitespace() {
        let has_entry = |row: &&Vec<&str>| row[0].split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == entry);
        if rows.iter().filter(has_entry).count() != 1 {
            complaints.push(format!("{entry}: there is not one row for it"));
        }
    }
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        let tests: Vec<&str> = quoted(row[3]).collect();
        if tests.is_empty() && !row[3].starts_with("not served") {
            complaints.push(format!("{}: no test", row[0]));
        }
        complaints.extend(tests.into_iter().filter(|test| !is_there(test)).map(|test| format!("{}: there is no {test}", row[0])));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
