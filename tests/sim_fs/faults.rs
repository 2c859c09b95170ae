//! What a simulated file system does wrong, and when.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A kind of operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Opening a file, or locking one.
    Open,
    /// Reading a file, or its length, or a directory.
    Read,
    /// Making a file or a directory.
    Create,
    /// Writing bytes.
    Write,
    /// Reserving room.
    Allocate,
    /// Changing the length.
    SetLen,
    /// Syncing a file.
    Sync,
    /// Giving a file another name.
    Rename,
    /// Giving a file a second name.
    Link,
    /// Removing a name.
    Remove,
    /// Syncing a directory.
    SyncDir,
}

/// Operations that need room on the disk.
const NEED_ROOM: [Kind; 4] = [Kind::Create, Kind::Write, Kind::Allocate, Kind::Link];

/// What happens instead of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing but an error.
    Error,
    /// A write reaches the file with so many bytes at most; then an error.
    Short(u64),
    /// From now on there is no room on the disk; a write still reaches the file with so many bytes.
    Full(u64),
}

/// The faults of a file system.
#[derive(Clone, Default, Debug)]
pub struct Faults {
    /// The change, counted from 0, at which something goes wrong, and what.
    pub at_change: Option<(u64, Fault)>,
    /// Sectors that cannot be read: a file, and an offset in the sector.
    pub unreadable: Option<(PathBuf, u64)>,
    /// A file or directory that may not be used.
    pub forbidden: Option<PathBuf>,
    /// Files cannot have two names.
    pub no_links: bool,
    /// How long each operation of a kind takes.
    pub delays: Vec<(Kind, Duration)>,
}

impl Faults {
    /// What the change with this number comes to: `Ok`, or the error with the number of bytes that are written all the same.
    pub fn change(&self, number: u64, kind: Kind, path: &Path) -> Result<(), (u64, io::Error)> {
        if self.forbids(path) {
            return Err((0, ErrorKind::PermissionDenied.into()));
        }
        let error = || io::Error::other("simulated fault");
        match self.at_change {
            Some((at, Fault::Error)) if at == number => Err((0, error())),
            Some((at, Fault::Short(bytes))) if at == number => Err((bytes, error())),
            Some((at, Fault::Full(bytes))) if at == number && NEED_ROOM.contains(&kind) => Err((bytes, ErrorKind::StorageFull.into())),
            Some((at, Fault::Full(_))) if at <= number && NEED_ROOM.contains(&kind) => Err((0, ErrorKind::StorageFull.into())),
            _ => Ok(()),
        }
    }

    /// Whether a path may not be used.
    pub fn forbids(&self, path: &Path) -> bool {
        self.forbidden.as_deref() == Some(path)
    }

    /// How many of `n` bytes at an offset can be read; an error if not even the first.
    pub fn readable(&self, path: &Path, offset: u64, n: u64) -> io::Result<u64> {
        let Some((_, bad)) = self.unreadable.as_ref().filter(|(file, _)| file == path) else { return Ok(n) };
        let sector = bad / super::disk::SECTOR_BYTES * super::disk::SECTOR_BYTES;
        if offset >= sector + super::disk::SECTOR_BYTES || offset + n <= sector {
            return Ok(n);
        }
        if offset >= sector { Err(io::Error::other("simulated read error")) } else { Ok(sector - offset) }
    }

    /// How long an operation takes.
    pub fn delay(&self, kind: Kind) -> Duration {
        self.delays.iter().filter(|(of, _)| *of == kind).map(|(_, delay)| *delay).sum()
    }
}
