//! What a run does, and the names its parts have on the command line and in the result.

use std::fmt;
use std::str::FromStr;

/// Names of children that one `children` request answers, unless told otherwise.
const CHILDREN_DEFAULT: u32 = 10;
/// Parts of one multi, unless told otherwise.
const MULTI_DEFAULT: u32 = 10;
/// Reads of a hundred operations of a mixed run, unless told otherwise.
const READS_DEFAULT: u32 = 90;
/// Parts of one multi at most: a request of more would pass the frame limit of most servers.
const MULTI_MAX: u32 = 1_000;
/// Children of one listed znode at most: the replies would be megabytes.
const CHILDREN_MAX: u32 = 100_000;

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// getData on the keys.
    Get,
    /// exists on the keys.
    Exists,
    /// getChildren on folders with this many children each.
    Children(u32),
    /// setData on the keys.
    Set,
    /// create, in folders of their own.
    Create,
    /// create and delete in turns.
    Delete,
    /// getData for this share of a hundred, setData for the rest.
    Mixed(u32),
    /// multi of this many setData.
    Multi(u32),
    /// One set, and every other session holds a watch on that znode.
    Watch,
    /// Sessions opened, then closed, as fast as the server can.
    Sessions,
    /// setData, looking at how long none is acknowledged.
    Failover,
}

impl Workload {
    /// Whether it goes on in rounds that have an end each, instead of a steady stream.
    #[must_use]
    pub fn is_in_rounds(self) -> bool {
        matches!(self, Self::Watch | Self::Sessions)
    }

    /// Whether it uses the keys.
    #[must_use]
    pub fn uses_keys(self) -> bool {
        !matches!(self, Self::Create | Self::Delete | Self::Watch | Self::Sessions)
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let parameter = |default: u32, min: u32, max: u32| match number {
            None => Ok(default),
            Some(number) => number
                .parse()
                .ok()
                .filter(|value| (min..=max).contains(value))
                .ok_or_else(|| format!("{name} takes a number from {min} to {max} behind the colon, not {number:?}")),
        };
        let workload = match name {
            "children" => Self::Children(parameter(CHILDREN_DEFAULT, 1, CHILDREN_MAX)?),
            "mixed" => Self::Mixed(parameter(READS_DEFAULT, 0, 100)?),
            "multi" => Self::Multi(parameter(MULTI_DEFAULT, 1, MULTI_MAX)?),
            _ if number.is_some() => return Err(format!("{name:?} takes no number; mixed, multi and children do")),
            "get" => Self::Get,
            "exists" => Self::Exists,
            "set" => Self::Set,
            "create" => Self::Create,
            "delete" => Self::Delete,
            "watch" => Self::Watch,
            "sessions" => Self::Sessions,
            "failover" => Self::Failover,
            _ => {
                return Err("not one of get, exists, children[:N], set, create, delete, mixed[:READS], multi[:N], watch, sessions, \
                            failover"
                    .to_owned());
            }
        };
        Ok(workload)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get => write!(f, "get"),
            Self::Exists => write!(f, "exists"),
            Self::Children(count) => write!(f, "children:{count}"),
            Self::Set => write!(f, "set"),
            Self::Create => write!(f, "create"),
            Self::Delete => write!(f, "delete"),
            Self::Mixed(reads) => write!(f, "mixed:{reads}"),
            Self::Multi(parts) => write!(f, "multi:{parts}"),
            Self::Watch => write!(f, "watch"),
            Self::Sessions => write!(f, "sessions"),
            Self::Failover => write!(f, "failover"),
        }
    }
}

/// A kind of operation: one row of the result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// getData.
    Get,
    /// exists.
    Exists,
    /// getChildren.
    Children,
    /// setData.
    Set,
    /// create.
    Create,
    /// delete.
    Delete,
    /// multi.
    Multi,
    /// From a set to one watcher being told.
    Event,
    /// From a set to the last watcher being told.
    Last,
    /// From the start of the connection to an open session.
    Open,
    /// closeSession.
    Close,
    /// What the run needs besides and does not measure.
    Aside,
}

impl Kind {
    /// The name in tables and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Exists => "exists",
            Self::Children => "children",
            Self::Set => "set",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Multi => "multi",
            Self::Event => "event",
            Self::Last => "last-event",
            Self::Open => "open",
            Self::Close => "close",
            Self::Aside => "other",
        }
    }

    /// Whether a success of it changes the tree.
    #[must_use]
    pub fn is_write(self) -> bool {
        matches!(self, Self::Set | Self::Create | Self::Delete | Self::Multi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for text in
            ["get", "exists", "children:7", "set", "create", "delete", "mixed:0", "mixed:100", "multi:1", "watch", "sessions", "failover"]
        {
            assert_eq!(text.parse::<Workload>().expect(text).to_string(), text);
        }
        assert_eq!("mixed".parse(), Ok(Workload::Mixed(90)));
        assert_eq!("multi".parse(), Ok(Workload::Multi(10)));
    }

    #[test]
    fn numbers_have_limits() {
        for text in ["mixed:101", "mixed:-1", "multi:0", "multi:x", "children:0", "get:5", "nothing", ""] {
            assert!(text.parse::<Workload>().is_err(), "{text}");
        }
    }
}
