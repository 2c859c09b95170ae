//! What was found: one fact per line, the verdict, and what to do next.

use std::fmt;

use serde_json::{Value, json};

use super::facts::clean;

/// What a finding means for the migration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Something to know.
    Fact,
    /// As it must be.
    Good,
    /// Not in the way, but the operator should think about it.
    Caution,
    /// In the way.
    Stop,
}

impl Level {
    /// The word at the beginning of the line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Good => "ok",
            Self::Caution => "care",
            Self::Stop => "stop",
        }
    }
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it means.
    pub level: Level,
    /// What it is about: a member, or a part of the ensemble.
    pub about: String,
    /// The sentence.
    pub text: String,
}

/// All that an action has to say.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Report {
    /// The findings, in the order in which they were made.
    pub findings: Vec<Finding>,
    /// What to do next, one line each.
    pub next: Vec<String>,
    /// How to undo the step that was verified.
    pub back: Vec<String>,
}

impl Report {
    /// Adds a finding; what servers said is cleaned here.
    pub fn add(&mut self, level: Level, about: &str, text: impl AsRef<str>) {
        self.findings.push(Finding { level, about: clean(about), text: clean(text.as_ref()) });
    }

    /// Adds `Good` when something holds, else a finding of `level`.
    pub fn expect(&mut self, holds: bool, level: Level, about: &str, text: impl AsRef<str>) {
        self.add(if holds { Level::Good } else { level }, about, text);
    }

    /// Whether nothing is in the way.
    #[must_use]
    pub fn is_go(&self) -> bool {
        self.count(Level::Stop) == 0
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    fn verdict(&self) -> &'static str {
        if self.is_go() { "go" } else { "not now" }
    }

    /// The same for machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let finding = |found: &Finding| json!({ "level": found.level.word(), "about": found.about, "text": found.text });
        let findings: Vec<Value> = self.findings.iter().map(finding).collect();
        json!({ "verdict": self.verdict(), "findings": findings, "next": self.next, "back": self.back })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { level, about, text } in &self.findings {
            writeln!(f, "{:<5} {about}: {text}", level.word())?;
        }
        self.next.iter().try_for_each(|line| writeln!(f, "next  {line}"))?;
        self.back.iter().try_for_each(|line| writeln!(f, "back  {line}"))?;
        match (self.count(Level::Stop), self.count(Level::Caution)) {
            (0, 0) => writeln!(f, "go"),
            (0, cautions) => writeln!(f, "go, with care: {cautions} to think about"),
            (stops, _) => writeln!(f, "not now: {stops} in the way"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_stands_in_the_last_line() {
        let mut report = Report::default();
        report.add(Level::Fact, "zk1:2181", "is there");
        report.expect(true, Level::Stop, "leader", "there is one");
        assert_eq!(report.to_string(), "fact  zk1:2181: is there\nok    leader: there is one\ngo\n");
        report.expect(false, Level::Caution, "version", "is old");
        assert!(report.is_go() && report.to_string().ends_with("care  version: is old\ngo, with care: 1 to think about\n"));
        report.expect(false, Level::Stop, "leader", "there are two");
        report.back.push("start Java".to_owned());
        assert!(!report.is_go());
        assert!(report.to_string().ends_with("stop  leader: there are two\nback  start Java\nnot now: 1 in the way\n"));
        assert_eq!(report.to_json()["verdict"], "not now");
        assert_eq!(report.to_json()["findings"][3]["level"], "stop");
    }

    #[test]
    fn what_servers_say_cannot_write_lines() {
        let mut report = Report::default();
        report.add(Level::Fact, "a\u{1b}[2J", "b\nok    leader: mine");
        assert_eq!(report.to_string().lines().count(), 2);
        assert!(!report.to_string().contains('\u{1b}'));
    }
}
