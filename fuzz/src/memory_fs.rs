//! A file system in memory that never fails: what is fuzzed is the content of the files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paddock::storage::{File, FileSystem};
use parking_lot::Mutex;

type Content = Arc<Mutex<Vec<u8>>>;

/// The files by their path. Every directory exists.
#[derive(Default)]
pub struct MemoryFs {
    files: Mutex<BTreeMap<PathBuf, Content>>,
}

struct MemoryFile(Content);

impl MemoryFs {
    /// A file system with one file in it.
    #[must_use]
    pub fn with(path: &Path, content: Vec<u8>) -> Self {
        let fs = Self::default();
        fs.files.lock().insert(path.to_path_buf(), Arc::new(Mutex::new(content)));
        fs
    }

    fn get(&self, path: &Path) -> io::Result<Content> {
        self.files.lock().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl FileSystem for MemoryFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(MemoryFile(self.get(path)?)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let content = Content::default();
        self.files.lock().insert(path.to_path_buf(), Arc::clone(&content));
        Ok(Box::new(MemoryFile(content)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = self.files.lock();
        let here = files.keys().filter(|path| path.parent() == Some(dir));
        Ok(here.filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.get(from)?;
        let mut files = self.files.lock();
        files.remove(from);
        files.insert(to.to_path_buf(), content);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.get(from)?;
        self.files.lock().insert(to.to_path_buf(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.lock().remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.files.lock().contains_key(path))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.get(path)?.lock().len() as u64)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        self.create(path).map(Some)
    }
}

impl File for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.0.lock();
        let rest = content.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut content = self.0.lock();
        let end = offset as usize + buf.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset as usize..end].copy_from_slice(buf);
        Ok(())
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let mut content = self.0.lock();
        if content.len() < len as usize {
            content.resize(len as usize, 0);
        }
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.lock().resize(len as usize, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }
}
