//! The generator: from schema files in the jute language to Rust records. For build scripts only.
//!
//! The language has modules, classes and fields, with includes and three kinds of comments:
//!
//! ```text
//! include "data.jute"              // path from the folder of this file
//! /// What the module is for.      // a doc comment: every module, class and field needs one
//! module paddock.example {
//!     /// What the class is.
//!     class Example {
//!         /// What the field says.
//!         vector<paddock.data.ACL> acl;
//!     }
//! }
//! ```
//!
//! Types are `boolean byte int long float double ustring buffer`, `vector<T>`, a class of the same module by its name, and a class
//! of another module by module and name. `map<K,V>` is refused: no record of ZooKeeper has one.

mod error;
mod model;
mod names;
mod parser;
mod resolve;
mod round_trip;
mod rust;
mod source;
mod syntax;

use std::path::{Path, PathBuf};

pub use error::{Error, Place};

/// What the generator makes of a set of schema files.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Rust source with one module for each schema file, named as the file.
    pub records: String,
    /// Rust source of a test: a proptest strategy for each record, and a call `check_record!(name, path, strategy)` for each.
    /// It expects that macro and a module `records` in scope.
    pub round_trip: String,
    /// Every schema file that was read, the included ones too.
    pub files: Vec<PathBuf>,
}

/// Generates the records of schema files and of all they include.
///
/// # Errors
/// When a file cannot be read or is not a valid schema; the error says where, by file, line and column.
pub fn generate<P: AsRef<Path>>(files: &[P]) -> Result<Generated, Error> {
    let sources = source::load(files)?;
    let model = resolve::resolve(&sources)?;
    Ok(Generated {
        records: rust::generate(&model),
        round_trip: round_trip::generate(&model),
        files: sources.into_iter().map(|source| source.path).collect(),
    })
}

#[cfg(test)]
mod tests;
