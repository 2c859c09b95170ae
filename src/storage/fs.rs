//! The file-system trait: the only door through which this room touches a disk.
//!
//! [`RealFileSystem`] is the door to the operating system. A simulator implements the same trait with faults and power cuts,
//! so no other file of this room may use `std::fs`. What a caller may count on, and no more:
//! bytes are durable after [`File::sync_data`], a name is durable after [`FileSystem::sync_dir`] of its directory,
//! and without them any subset of 512-byte sectors and of names may survive a power cut.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;

/// A directory tree in which files live. All errors are the operating system's.
pub trait FileSystem: Send + Sync {
    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// `NotFound` if there is none; others as the system reports them.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens an existing file for reading and writing, its content kept.
    ///
    /// # Errors
    /// `NotFound` if there is none; others as the system reports them.
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Creates a file for reading and writing; an existing one is emptied.
    ///
    /// # Errors
    /// As the system reports them.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// The names of the files (not directories) in `dir`, sorted.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory; others as the system reports them.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Renames a file; an existing target is replaced in one step.
    ///
    /// # Errors
    /// As the system reports them.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which is free.
    ///
    /// # Errors
    /// `AlreadyExists` if it is not; others as the system reports them. Not every file system can do this.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound` if there is none; others as the system reports them.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable: needed after each create, rename and remove.
    ///
    /// # Errors
    /// As the system reports them.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Creates a directory and its missing parents.
    ///
    /// # Errors
    /// As the system reports them.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Whether a file or a directory of this name exists.
    ///
    /// # Errors
    /// As the system reports them, except `NotFound`.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// `NotFound` if there is none; others as the system reports them.
    fn len(&self, path: &Path) -> io::Result<u64>;

    /// Takes the exclusive lock of a lock file, creating the file if need be. `None`: another process holds it.
    /// The lock ends when the returned file is dropped, or with the process.
    ///
    /// # Errors
    /// As the system reports them.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn File>>>;
}

/// An open file. Positions are absolute: there is no cursor that two users could disturb.
#[allow(clippy::len_without_is_empty)]
pub trait File: Send + Sync {
    /// Reads into `buf` from `offset`; returns how many bytes, 0 only at the end of the file (or for an empty `buf`).
    ///
    /// # Errors
    /// As the system reports them; interruptions are retried.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf` at `offset`.
    ///
    /// # Errors
    /// As the system reports them; some of the bytes may have been written then.
    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Grows the file to `len` bytes that read as zeros, with blocks reserved if the file system can. Never shrinks.
    ///
    /// # Errors
    /// As the system reports them.
    fn allocate(&mut self, len: u64) -> io::Result<()>;

    /// Makes the content, and the length that is needed to read it, durable.
    ///
    /// # Errors
    /// As the system reports them. After an error nothing is known about what is durable.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts or grows the file to `len` bytes.
    ///
    /// # Errors
    /// As the system reports them.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// As the system reports them.
    fn len(&self) -> io::Result<u64>;
}

/// The file system of the operating system.
#[derive(Clone, Copy, Default, Debug)]
pub struct RealFileSystem;

struct RealFile(fs::File);

impl FileSystem for RealFileSystem {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(RealFile(fs::File::open(path)?)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A name that is not UTF-8 can be none of ours nor ZooKeeper's.
            if let (false, Ok(name)) = (entry.file_type()?.is_dir(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(RealFile(file)))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buf, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let old_len = self.0.metadata()?.len();
        if len <= old_len {
            return Ok(());
        }
        match fallocate(&self.0, FallocateFlags::empty(), old_len, len - old_len) {
            Ok(()) => Ok(()),
            // Reserved blocks are a matter of speed. On a disk too full to reserve them the log still has room for a while,
            // and a write that finds none will say so itself.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOSPC | Errno::INVAL) => self.0.set_len(len),
            Err(errno) => Err(errno.into()),
        }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
