//! Every key of zoo.cfg, each with what happens to it: taken, without effect here (with the reason), or refused by its own check.
//!
//! Source: `QuorumPeerConfig` for the keys that the parser knows by name ([`own`]); the classes that read `zookeeper.<key>` for those that
//! work through the property rule ([`property`]); keys of parts that this version does not have ([`unserved`]).

mod own;
mod property;
mod unserved;

use super::draft::Draft;
use super::notice::Level;
use super::values::Outcome;

/// How a key can be given as a JVM flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// Not at all: the parser reads it from the file only.
    FileOnly,
    /// `-Dzookeeper.<key>`.
    Prefixed,
    /// `-D<key>`; ZooKeeper does not see it in zoo.cfg.
    Raw,
    /// Both `-Dzookeeper.<key>` and `-D<key>`.
    Both,
}

/// Checks a value, and puts it in its place.
pub(super) type Setter = fn(&mut Draft, &str) -> Outcome;

/// One key.
pub(super) struct Key {
    /// Its name in zoo.cfg.
    pub(super) name: &'static str,
    /// Names from the documentation that ZooKeeper itself does not read.
    pub(super) documented_as: &'static [&'static str],
    /// How it can be given as a JVM flag.
    pub(super) flag: Flag,
    /// Its check.
    pub(super) set: Setter,
    /// For keys that change nothing here: how loud that is said, and why.
    pub(super) no_effect: Option<(Level, &'static str)>,
}

impl Key {
    const fn new(name: &'static str, flag: Flag, set: Setter) -> Self {
        Self { name, documented_as: &[], flag, set, no_effect: None }
    }

    /// A key of the parser's own.
    const fn own(name: &'static str, set: Setter) -> Self {
        Self::new(name, Flag::FileOnly, set)
    }

    /// A key that becomes `zookeeper.<key>`.
    const fn property(name: &'static str, set: Setter) -> Self {
        Self::new(name, Flag::Prefixed, set)
    }

    const fn also(mut self, documented_as: &'static [&'static str]) -> Self {
        self.documented_as = documented_as;
        self
    }

    const fn flagged(mut self, flag: Flag) -> Self {
        self.flag = flag;
        self
    }

    const fn without_effect(mut self, level: Level, reason: &'static str) -> Self {
        self.no_effect = Some((level, reason));
        self
    }
}

/// Accepts every value: for keys whose value nobody here reads.
fn any(_: &mut Draft, _: &str) -> Outcome {
    Ok(())
}

/// A family of keys that share a beginning and none of which has an effect here.
pub(super) struct Family {
    /// The beginning, with its dot.
    pub(super) prefix: &'static str,
    /// Whether `-Dzookeeper.<prefix>…` sets it too.
    pub(super) flag: Flag,
    /// How loud that is said, and why.
    pub(super) no_effect: (Level, &'static str),
}

/// All keys, in the order in which they are applied.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    own::KEYS.iter().chain(property::KEYS).chain(unserved::KEYS)
}

/// The key of this name, or the one that the documentation calls so.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name).or_else(|| all().find(|key| key.documented_as.contains(&name)))
}

/// The family that `name` belongs to.
pub(super) fn family(name: &str) -> Option<&'static Family> {
    unserved::FAMILIES.iter().find(|family| name.len() > family.prefix.len() && name.starts_with(family.prefix))
}
