//! Reads schema files and, through their includes, all the files they need.

use std::path::{Path, PathBuf};

use super::error::{Error, Place};
use super::parser;
use super::syntax::{File, Mark, Name};

/// How much of an unexpected text an error shows, in characters.
const FOUND_LENGTH_MAX: usize = 24;

/// A schema file that was read and parsed.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) syntax: File,
    /// Where the included files are in the list of sources.
    pub(super) includes: Vec<usize>,
}

impl Source {
    /// The place of a mark in this file.
    pub(super) fn place(&self, mark: Mark) -> Place {
        place(&self.path, &self.text, mark)
    }
}

/// Reads the files and all they include, each one once, included ones before those that include them.
pub(super) fn load<P: AsRef<Path>>(files: &[P]) -> Result<Vec<Source>, Error> {
    let mut loader = Loader::default();
    for file in files {
        let path = file.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read { file: path.to_owned(), source })?;
        loader.add(path, text)?;
    }
    Ok(loader.sources)
}

#[derive(Default)]
struct Loader {
    sources: Vec<Source>,
    /// The files being read now, each included by the one before it.
    open: Vec<PathBuf>,
}

impl Loader {
    fn add(&mut self, path: &Path, text: String) -> Result<usize, Error> {
        if let Some(index) = self.sources.iter().position(|source| same_file(&source.path, path)) {
            return Ok(index);
        }
        let syntax = parser::parse(&text).map_err(|unexpected| Error::Syntax {
            place: place(path, &text, unexpected.mark),
            expected: unexpected.expected,
            found: found(&text, unexpected.mark),
        })?;
        self.open.push(path.to_owned());
        let includes = syntax.includes.iter().map(|include| self.include(path, &text, include)).collect::<Result<_, _>>()?;
        self.open.pop();
        self.sources.push(Source { path: path.to_owned(), text, syntax, includes });
        Ok(self.sources.len() - 1)
    }

    fn include(&mut self, from: &Path, from_text: &str, include: &Name) -> Result<usize, Error> {
        let place = place(from, from_text, include.mark);
        let file = from.parent().unwrap_or(Path::new("")).join(&include.text);
        if let Some(start) = self.open.iter().position(|open| same_file(open, &file)) {
            let cycle = self.open[start..].iter().chain([&self.open[start]]);
            return Err(Error::Cycle { place, path: cycle.map(|open| open.display().to_string()).collect() });
        }
        match std::fs::read_to_string(&file) {
            Ok(text) => self.add(&file, text),
            Err(source) => Err(Error::Include { place, file, source }),
        }
    }
}

/// Whether two paths lead to one file. Paths that cannot be resolved are compared as written.
fn same_file(left: &Path, right: &Path) -> bool {
    match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

fn place(file: &Path, text: &str, mark: Mark) -> Place {
    let before = &text[..text.len() - mark.0];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place { file: file.to_owned(), line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

fn found(text: &str, mark: Mark) -> String {
    let rest = &text[text.len() - mark.0..];
    match rest.split_whitespace().next() {
        Some(word) => format!("`{}`", word.chars().take(FOUND_LENGTH_MAX).collect::<String>()),
        None => "the end of the file".to_owned(),
    }
}
