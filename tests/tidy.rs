//! The rules of the house that a compiler does not check: which room may name which, sizes, banned calls.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top of the house to the bottom: arrows point down this list only.
const ROOMS: [&str; 15] = [
    "main", "migrate", "bench", "client", "server", "net", "admin", "storage", "replica", "zab", "request", "session", "tree", "proto",
    "config",
];

/// Rooms without async, clock, random source, file or socket.
const PURE_ROOMS: [&str; 5] = ["replica", "zab", "request", "session", "tree"];

/// What pure rooms may not name, and what they use instead.
const BANNED_IN_PURE_ROOMS: [(&str, &str); 11] = [
    ("tokio", "inputs and effects"),
    ("async fn", "inputs and effects"),
    (".await", "inputs and effects"),
    ("std::fs", "the storage room"),
    ("std::net::Tcp", "the net room"),
    ("std::net::Udp", "the net room"),
    ("Instant::now", "a time given as an argument"),
    ("SystemTime", "a time given as an argument"),
    ("thread_rng", "a seed given as an argument"),
    ("std::collections::HashMap", "BTreeMap, or hashbrown with a seed and without iteration"),
    ("rocksdb", "the storage room"),
];

const FILE_LINES_MAX: usize = 1_000;
const FUNCTION_LINES_MAX: usize = 70;

/// Rooms of the server that clients may not name.
const CLIENT_FORBIDDEN: [&str; 10] = [
    "crate::server",
    "crate::net",
    "crate::admin",
    "crate::storage",
    "crate::replica",
    "crate::zab",
    "crate::request",
    "crate::session",
    "crate::tree",
    "crate::config",
];

/// Single arrows that do not follow the list, each with its reason.
const ALLOWED: [(&str, &str, &str); 0] = [];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The room of a file below `src`; `None` for the crate root and `ids.rs`.
    fn room(&self) -> Option<String> {
        let below = self.path.strip_prefix("src").ok()?;
        let first = below.components().next()?.as_os_str().to_str()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        ROOMS.contains(&name).then(|| name.to_owned())
    }

    /// The text without the tests at its end.
    fn product(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.to_string_lossy().ends_with("_tests.rs") || self.path.ends_with("fake.rs")
    }
}

fn sources(dir: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("source is UTF-8");
            found.push(Source { path, text });
        }
    }
}

fn all_sources(dirs: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for dir in dirs.iter().map(Path::new).filter(|dir| dir.exists()) {
        sources(dir, &mut found);
    }
    assert!(found.len() > 10, "the check sees the sources");
    found
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn arrows_point_down() {
    let mut complaints = Vec::new();
    for source in all_sources(&["src"]) {
        let Some(room) = source.room().filter(|_| !source.is_test()) else { continue };
        let own = ROOMS.iter().position(|&other| other == room).expect("a room is on the list");
        for &above in &ROOMS[..own] {
            let named = source.product().contains(&format!("crate::{above}::")) || source.product().contains(&format!("crate::{{{above}"));
            if named && !ALLOWED.iter().any(|&(from, to, _)| from == room && to == above) {
                complaints.push(format!("{}: {room} may not name {above}", source.path.display()));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn rooms_do_not_name_what_they_must_not_know() {
    let mut complaints = Vec::new();
    for source in all_sources(&["src"]) {
        let forbidden: &[&str] = match source.room().as_deref() {
            // Of the records it may name those that servers exchange.
            Some("zab") => &[
                "crate::tree",
                "crate::request",
                "crate::session",
                "crate::proto::txn",
                "crate::proto::op_code",
                "records::client",
                "records::txn",
            ],
            Some("tree") => &["crate::session", "crate::config"],
            // A client like any other: it must not know how the server does it.
            Some("bench" | "client") => &CLIENT_FORBIDDEN,
            // Of the server it knows what its settings mean, and nothing else.
            Some("migrate") => &CLIENT_FORBIDDEN[..CLIENT_FORBIDDEN.len() - 1],
            _ => &[],
        };
        for name in forbidden.iter().filter(|name| source.product().contains(**name)) {
            complaints.push(format!("{}: may not name {name}", source.path.display()));
        }
    }
    assert_none(&complaints);
}

#[test]
fn pure_rooms_are_pure() {
    let mut complaints = Vec::new();
    for source in all_sources(&["src"]) {
        if !source.room().is_some_and(|room| PURE_ROOMS.contains(&room.as_str())) {
            continue;
        }
        for (banned, instead) in BANNED_IN_PURE_ROOMS {
            for (index, line) in source.product().lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                if line.contains(banned) {
                    complaints.push(format!("{}:{}: {banned} is not for a pure room; use {instead}", source.path.display(), index + 1));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn files_are_short() {
    let long =
        all_sources(&["src", "jute/src", "tests", "benches"]).into_iter().filter(|source| source.text.lines().count() > FILE_LINES_MAX);
    assert_none(&long.map(|source| format!("{} has over {FILE_LINES_MAX} lines", source.path.display())).collect::<Vec<_>>());
}

#[test]
fn functions_are_short() {
    let mut complaints = Vec::new();
    for source in all_sources(&["src", "jute/src", "tests", "benches"]) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
            if !head.starts_with("fn ") && !head.starts_with("async fn ") {
                continue;
            }
            // A method of a trait without a body ends with its signature.
            let signature = lines[start..].iter().find(|line| line.ends_with('{') || line.ends_with(';'));
            if signature.is_none_or(|line| line.ends_with(';')) {
                continue;
            }
            let closing = format!("{}}}", " ".repeat(indent));
            let length = lines[start..].iter().position(|line| *line == closing).unwrap_or(0) + 1;
            if length > FUNCTION_LINES_MAX {
                complaints.push(format!("{}:{}: a function of {length} lines", source.path.display(), start + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = all_sources(&["src", "jute/src", "tests", "benches"]).into_iter().filter(|source| !source.text.starts_with("//!"));
    assert_none(&silent.map(|source| format!("{}: no //! at the top", source.path.display())).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_undone() {
    let reminders =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[ign", "ore")];
    let mut complaints = Vec::new();
    for source in all_sources(&["src", "jute/src", "tests", "benches"]) {
        for reminder in reminders.iter().filter(|reminder| source.text.contains(**reminder)) {
            complaints.push(format!("{}: {reminder}", source.path.display()));
        }
    }
    assert_none(&complaints);
}

/// A mistake that cannot be made any more would be noticed only by the long run that makes them.
#[test]
fn every_deliberate_mistake_can_be_made() {
    let list = fs::read_to_string("tests/mistakes/mistakes.toml").expect("the list of mistakes");
    let field = |mistake: &str, begin: &str, end: &str| {
        let (_, rest) = mistake.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {mistake}"));
        rest.split_once(end).expect("a field ends").0.to_owned()
    };
    let mut complaints = Vec::new();
    for mistake in list.split("[[mistake]]").skip(1) {
        let (name, file) = (field(mistake, "name = \"", "\"\n"), field(mistake, "file = \"", "\"\n"));
        let text = fs::read_to_string(&file).unwrap_or_default();
        let count = text.matches(&field(mistake, "old = '''", "'''\n")).count();
        if count != 1 {
            complaints.push(format!("{name}: its old text stands {count} times in {file}"));
        }
    }
    assert!(list.contains("[[mistake]]"), "the check sees the mistakes");
    assert_none(&complaints);
}
