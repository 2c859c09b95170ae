//! The file system as programs see it, over files in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use paddock::storage::{File, FileSystem};
use parking_lot::Mutex;

use super::disk::{FileId, Image, Op, write};
use super::faults::{Faults, Kind};

#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, FileId>,
    dirs: BTreeSet<PathBuf>,
    contents: BTreeMap<FileId, Arc<Vec<u8>>>,
    locks: BTreeSet<FileId>,
    next_id: u64,
    journal: Vec<Op>,
    change_count: u64,
    faults: Faults,
    elapsed: Duration,
}

/// A file system in memory. Clones share it.
#[derive(Clone, Default)]
pub struct SimFileSystem(Arc<Mutex<State>>);

struct SimFile {
    state: Arc<Mutex<State>>,
    id: FileId,
    path: PathBuf,
    is_writable: bool,
    is_lock: bool,
}

impl SimFileSystem {
    /// The file system of a machine that found this image on its disk. Files get the ids that `Disk::from_image` gives them.
    pub fn from_image(image: &Image) -> Self {
        let mut state = State { dirs: image.dirs.iter().cloned().collect(), ..State::default() };
        for (path, bytes) in &image.files {
            let id = state.new_file();
            state.names.insert(path.clone(), id);
            state.contents.insert(id, Arc::clone(bytes));
        }
        Self(Arc::new(Mutex::new(state)))
    }

    /// A disk with nothing but its root.
    pub fn empty_image() -> Image {
        Image { dirs: vec![PathBuf::from("/")], ..Image::default() }
    }

    /// An empty file system with its root.
    pub fn new() -> Self {
        Self::from_image(&Self::empty_image())
    }

    /// The process that used it is killed: its locks are free.
    pub fn kill(&self) {
        self.0.lock().locks.clear();
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// The changes since the last call.
    pub fn take_journal(&self) -> Vec<Op> {
        std::mem::take(&mut self.0.lock().journal)
    }

    /// How many changes were tried, failed ones included.
    pub fn change_count(&self) -> u64 {
        self.0.lock().change_count
    }

    /// How long all operations took.
    pub fn elapsed(&self) -> Duration {
        self.0.lock().elapsed
    }

    /// Changes bits of a byte behind everybody's back.
    pub fn rot(&self, path: &Path, offset: u64, mask: u8) {
        let mut state = self.0.lock();
        let id = state.names[path];
        Arc::make_mut(state.contents.get_mut(&id).expect("a named file has content"))[offset as usize] ^= mask;
    }

    /// All files as they are now.
    pub fn files(&self) -> BTreeMap<PathBuf, Arc<Vec<u8>>> {
        let state = self.0.lock();
        state.names.iter().map(|(path, id)| (path.clone(), Arc::clone(&state.contents[id]))).collect()
    }

    fn open_as(&self, path: &Path, is_writable: bool) -> io::Result<Box<dyn File>> {
        let mut state = self.0.lock();
        state.look(Kind::Open, path)?;
        let id = *state.names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(self.file(id, path, is_writable, false))
    }

    fn file(&self, id: FileId, path: &Path, is_writable: bool, is_lock: bool) -> Box<dyn File> {
        Box::new(SimFile { state: Arc::clone(&self.0), id, path: path.to_path_buf(), is_writable, is_lock })
    }
}

impl State {
    fn new_file(&mut self) -> FileId {
        self.next_id += 1;
        FileId(self.next_id - 1)
    }

    fn look(&mut self, kind: Kind, path: &Path) -> io::Result<()> {
        self.elapsed += self.faults.delay(kind);
        if self.faults.forbids(path) { Err(ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }

    /// Counts a change and asks for its fault.
    fn change(&mut self, kind: Kind, path: &Path) -> Result<(), (u64, io::Error)> {
        self.elapsed += self.faults.delay(kind);
        self.change_count += 1;
        self.faults.change(self.change_count - 1, kind, path)
    }

    fn parent_exists(&self, path: &Path) -> io::Result<()> {
        if path.parent().is_some_and(|parent| self.dirs.contains(parent)) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    fn create(&mut self, path: &Path) -> io::Result<FileId> {
        self.change(Kind::Create, path).map_err(|(_, error)| error)?;
        self.parent_exists(path)?;
        if self.dirs.contains(path) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let id = self.new_file();
        self.names.insert(path.to_path_buf(), id);
        self.contents.insert(id, Arc::default());
        self.journal.push(Op::Link(path.to_path_buf(), Some(id)));
        Ok(id)
    }

    fn content(&mut self, id: FileId) -> &mut Vec<u8> {
        Arc::make_mut(self.contents.entry(id).or_default())
    }

    fn set_len(&mut self, id: FileId, len: u64) {
        self.content(id).resize(len as usize, 0);
        self.journal.push(Op::SetLen(id, len));
    }

    fn write(&mut self, id: FileId, offset: u64, bytes: &[u8]) {
        write(self.content(id), offset, bytes);
        self.journal.push(Op::Write(id, offset, bytes.into()));
    }
}

impl FileSystem for SimFileSystem {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open_as(path, false)
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.open_as(path, true)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.0.lock();
        let id = match state.names.get(path).copied() {
            Some(id) => {
                state.change(Kind::Create, path).map_err(|(_, error)| error)?;
                state.set_len(id, 0);
                id
            }
            None => state.create(path)?,
        };
        Ok(self.file(id, path, true, false))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.0.lock();
        state.look(Kind::Read, dir)?;
        if !state.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change(Kind::Rename, from).map_err(|(_, error)| error)?;
        state.parent_exists(to)?;
        let id = state.names.remove(from).ok_or(ErrorKind::NotFound)?;
        state.names.insert(to.to_path_buf(), id);
        state.journal.push(Op::Rename(from.to_path_buf(), to.to_path_buf(), id));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change(Kind::Link, from).map_err(|(_, error)| error)?;
        if state.faults.no_links {
            return Err(ErrorKind::Unsupported.into());
        }
        state.parent_exists(to)?;
        let id = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
        if state.names.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.names.insert(to.to_path_buf(), id);
        state.journal.push(Op::Link(to.to_path_buf(), Some(id)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change(Kind::Remove, path).map_err(|(_, error)| error)?;
        state.names.remove(path).ok_or(ErrorKind::NotFound)?;
        state.journal.push(Op::Link(path.to_path_buf(), None));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change(Kind::SyncDir, dir).map_err(|(_, error)| error)?;
        if !state.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        state.journal.push(Op::SyncDir(dir.to_path_buf()));
        Ok(())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change(Kind::Create, dir).map_err(|(_, error)| error)?;
        let missing: Vec<PathBuf> = dir.ancestors().filter(|dir| !state.dirs.contains(*dir)).map(Path::to_path_buf).collect();
        for dir in missing.into_iter().rev() {
            if state.names.contains_key(&dir) {
                return Err(ErrorKind::NotADirectory.into());
            }
            state.dirs.insert(dir.clone());
            state.journal.push(Op::MakeDir(dir));
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.0.lock();
        Ok(state.names.contains_key(path) || state.dirs.contains(path))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let mut state = self.0.lock();
        state.look(Kind::Read, path)?;
        let id = state.names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(state.contents[id].len() as u64)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        let mut state = self.0.lock();
        state.look(Kind::Open, path)?;
        let id = match state.names.get(path).copied() {
            Some(id) => id,
            None => state.create(path)?,
        };
        Ok(state.locks.insert(id).then(|| self.file(id, path, true, true)))
    }
}

impl SimFile {
    /// Counts a change of this file; an error if it was opened for reading, or if a fault says so.
    fn change(&self, state: &mut State, kind: Kind) -> Result<(), (u64, io::Error)> {
        if !self.is_writable {
            return Err((0, ErrorKind::PermissionDenied.into()));
        }
        state.change(kind, &self.path)
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.look(Kind::Read, &self.path)?;
        let bytes = &state.contents[&self.id];
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        let n = if n == 0 { 0 } else { state.faults.readable(&self.path, offset, n as u64)? as usize };
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        match self.change(&mut state, Kind::Write) {
            Ok(()) => {
                state.write(self.id, offset, buf);
                Ok(())
            }
            Err((written, error)) => {
                state.write(self.id, offset, &buf[..buf.len().min(written as usize)]);
                Err(error)
            }
        }
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        self.change(&mut state, Kind::Allocate).map_err(|(_, error)| error)?;
        if state.contents[&self.id].len() as u64 >= len {
            return Ok(());
        }
        state.set_len(self.id, len);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.state.lock();
        match self.change(&mut state, Kind::Sync) {
            Ok(()) => {
                state.journal.push(Op::Sync(self.id));
                Ok(())
            }
            Err((_, error)) => {
                state.journal.push(Op::SyncFailed(self.id));
                Err(error)
            }
        }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        self.change(&mut state, Kind::SetLen).map_err(|(_, error)| error)?;
        state.set_len(self.id, len);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().contents[&self.id].len() as u64)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if self.is_lock {
            self.state.lock().locks.remove(&self.id);
        }
    }
}
