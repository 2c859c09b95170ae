//! What can be wrong with a schema, and where.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// A place in a schema file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Why a schema is refused.
#[derive(Debug, Error)]
pub enum Error {
    /// A schema file cannot be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An included file cannot be read.
    #[error("{place}: include of {}: {source}", file.display())]
    Include {
        /// Where the include stands.
        place: Place,
        /// The file included.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not in the language.
    #[error("{place}: expected {expected}, found {found}")]
    Syntax {
        /// Where the unexpected text begins.
        place: Place,
        /// What could have stood there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A module, class or field without a doc comment.
    #[error("{place}: `{name}` has no doc comment")]
    Undocumented {
        /// Where the name stands.
        place: Place,
        /// The name.
        name: String,
    },
    /// Two things have the same name, perhaps only after it was made a Rust name.
    #[error("{place}: `{name}` is already at {first}")]
    Duplicate {
        /// Where the second stands.
        place: Place,
        /// The name of the second.
        name: String,
        /// Where the first stands.
        first: Place,
    },
    /// A name that the language or the generated code uses itself.
    #[error("{place}: `{name}` is a reserved name")]
    Reserved {
        /// Where the name stands.
        place: Place,
        /// The name.
        name: String,
    },
    /// A type that no visible class has: not in this file nor in an included one.
    #[error("{place}: no class `{name}` in this file or the included ones")]
    UnknownType {
        /// Where the type stands.
        place: Place,
        /// The type.
        name: String,
    },
    /// Files that include, or classes that contain, themselves. Refused inside a vector too: decoding would recurse as deeply as
    /// the bytes say.
    #[error("{place}: cycle {}", path.join(" -> "))]
    Cycle {
        /// Where the cycle closes.
        place: Place,
        /// The names on the cycle, the first one at the end again.
        path: Vec<String>,
    },
    /// A vector of classes without content, whose count no number of bytes would bound.
    #[error("{place}: a vector of `{name}`, which has no fields")]
    EmptyElement {
        /// Where the vector stands.
        place: Place,
        /// The element.
        name: String,
    },
}
