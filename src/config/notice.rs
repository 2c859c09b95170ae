//! What is worth telling the operator about a configuration that was accepted.

use std::fmt;
use std::path::{Path, PathBuf};

/// How loud a [`Notice`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Of use only to whoever looks for it.
    Debug,
    /// Good to know; nothing to do.
    Info,
    /// The operator probably expects something else.
    Warn,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a configuration file.
    Line {
        /// The file, as it was named to the server.
        file: PathBuf,
        /// The first line of the entry, counted from 1.
        line: usize,
    },
    /// A `-D` flag in an environment variable.
    Flag {
        /// The variable.
        variable: &'static str,
    },
    /// A file as a whole, for what is missing in it.
    File(PathBuf),
    /// The arguments on the command line.
    Arguments,
}

impl Origin {
    /// The place of a line in a file.
    #[must_use]
    pub fn line(file: &Path, line: usize) -> Self {
        Self::Line { file: file.to_owned(), line }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Flag { variable } => write!(f, "environment variable {variable}"),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Arguments => f.write_str("command line"),
        }
    }
}

/// One remark about an accepted configuration. It never contains the value of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How loud.
    pub level: Level,
    /// Which place it is about.
    pub origin: Origin,
    /// Which key, as written there; empty if it is about the whole.
    pub key: String,
    /// The remark.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.origin, self.text),
            key => write!(f, "{}: {key}: {}", self.origin, self.text),
        }
    }
}
