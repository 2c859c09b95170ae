//! The files of a configuration that changes: beside `zoo.cfg` a dynamic file for each committed version, and one for what is proposed
//! (operations.md §3). They are for the next start, and for a Java server that takes this one's place; until then what counts is the
//! log, which holds every reconfiguration. So a directory that cannot be written is an error that is told, not one that ends the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Members, with_dynamic_file};
use crate::ids::ServerId;
use crate::storage::{FileSystem, StorageError, whole_file};
use crate::zab::Configuration;

/// A static file larger than this is none, bytes.
const FILE_BYTES_MAX: usize = 1 << 20;

/// The files of one server.
pub struct ConfigFiles {
    fs: Arc<dyn FileSystem>,
    /// The static file, absolute.
    file: PathBuf,
    server_id: ServerId,
}

impl ConfigFiles {
    /// Those of the server with this static file.
    #[must_use]
    pub fn new(fs: Arc<dyn FileSystem>, file: &Path, server_id: ServerId) -> Self {
        Self { fs, file: std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()), server_id }
    }

    /// A configuration is proposed.
    pub fn propose(&self, next: &Configuration) {
        let written = self.write(&self.beside("dynamic.next"), lines(next, true).as_bytes());
        self.report(written);
    }

    /// A configuration is committed.
    pub fn activate(&self, committed: &Configuration) {
        let written = self.try_activate(committed);
        self.report(written);
    }

    fn try_activate(&self, committed: &Configuration) -> Result<(), StorageError> {
        let dynamic = self.beside(&format!("dynamic.{:x}", committed.version));
        self.write(&dynamic, lines(committed, false).as_bytes())?;
        let text = whole_file::read(self.fs.as_ref(), &self.file, FILE_BYTES_MAX)?;
        let backup = self.beside("bak");
        if !self.fs.exists(&backup).unwrap_or(true) {
            self.write(&backup, &text)?;
        }
        let members = Members::parse(&committed.text).map(|(members, _)| members).unwrap_or_default();
        let erases_client_port = members.servers.get(&self.server_id).is_some_and(|own| own.client_address.is_some());
        self.write(&self.file, &with_dynamic_file(&text, &dynamic.display().to_string(), erases_client_port))?;
        let next = self.beside("dynamic.next");
        if self.fs.exists(&next).unwrap_or(false) {
            // Whatever it proposes is committed now, or was never.
            let _ = self.fs.remove(&next);
        }
        tracing::info!(file = %dynamic.display(), "the configuration's file is written");
        Ok(())
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.file.with_added_extension(extension)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
        whole_file::write(self.fs.as_ref(), path, bytes)
    }

    fn report(&self, written: Result<(), StorageError>) {
        if let Err(error) = written {
            tracing::error!(%error, "the configuration's files cannot be written: this server learns of it again when it starts");
        }
    }
}

/// The lines of a dynamic file, sorted (`QuorumPeerConfig.writeDynamicConfig`).
fn lines(configuration: &Configuration, keeps_version: bool) -> String {
    let text = String::from_utf8_lossy(&configuration.text);
    let mut lines: Vec<&str> = text.lines().filter(|line| keeps_version || !line.starts_with("version=")).collect();
    lines.sort_unstable();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::READER;
    use crate::storage::RealFileSystem;

    fn configuration(text: &str) -> Configuration {
        (READER.parse)(text.as_bytes()).expect("a configuration")
    }

    #[test]
    fn the_files_are_those_of_java() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("zoo.cfg");
        std::fs::write(&file, "# mine\ndataDir=/d\nclientPort=2181\nserver.1=a:1:2\n").expect("writable");
        let files = ConfigFiles::new(Arc::new(RealFileSystem), &file, ServerId(1));
        let next = configuration("server.2=b:1:2:participant;0.0.0.0:3\nserver.1=a:1:2:participant;0.0.0.0:2182\nversion=100000007");
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        files.propose(&next);
        let lines = "server.1=a:1:2:participant;0.0.0.0:2182\nserver.2=b:1:2:participant;0.0.0.0:3\n";
        assert_eq!(read("zoo.cfg.dynamic.next"), Some(format!("{lines}version=100000007\n")));
        files.activate(&next);
        let dynamic = dir.path().join("zoo.cfg.dynamic.100000007");
        assert_eq!(read("zoo.cfg.dynamic.100000007").as_deref(), Some(lines));
        assert_eq!(read("zoo.cfg"), Some(format!("# mine\ndataDir=/d\ndynamicConfigFile={}\n", dynamic.display())));
        assert_eq!(read("zoo.cfg.bak").as_deref(), Some("# mine\ndataDir=/d\nclientPort=2181\nserver.1=a:1:2\n"));
        assert_eq!(read("zoo.cfg.dynamic.next"), None);
        files.activate(&configuration("server.1=a:1:2:participant\nversion=200000001"));
        assert!(read("zoo.cfg.bak").is_some_and(|text| text.contains("server.1")), "the backup is of the operator's own file");
        std::fs::remove_dir_all(dir.path()).expect("removable");
        files.activate(&next);
    }
}
