//! What a disk holds for certain and what only perhaps, and the images that a power cut makes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a disk writes at once.
pub const SECTOR_BYTES: u64 = 512;

/// A file, whatever its names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct FileId(pub u64);

/// A change of the file system.
#[derive(Clone, Debug)]
pub enum Op {
    /// A directory is made in its parent.
    MakeDir(PathBuf),
    /// A name now leads to a file; `None`: to nothing any more.
    Link(PathBuf, Option<FileId>),
    /// A file moves from one name to another.
    Rename(PathBuf, PathBuf, FileId),
    /// Bytes are written.
    Write(FileId, u64, Arc<[u8]>),
    /// The file is cut, or grows with zeros.
    SetLen(FileId, u64),
    /// The content is durable.
    Sync(FileId),
    /// Syncing failed: the kernel dropped what it could not write and believes that it is clean.
    SyncFailed(FileId),
    /// The names in a directory are durable.
    SyncDir(PathBuf),
}

/// Content that is durable, and the writes and cuts behind it that may or may not have reached the disk, in their order.
#[derive(Clone, Default, Debug)]
struct Content {
    durable: Arc<Vec<u8>>,
    pending: Vec<Pending>,
}

/// A change that is not part of the durable content yet.
#[derive(Clone, Debug)]
struct Pending {
    change: Change,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// The next sync makes it durable.
    Open,
    /// A failed sync dropped it: no later one makes it durable, and yet it may have reached the disk.
    Doubtful,
    /// Durable, but behind something doubtful.
    Sure,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Arc<[u8]>),
    SetLen(u64),
}

/// A name in a directory: what it surely leads to, and what it led to since.
#[derive(Clone, Debug)]
struct Entry {
    durable: Option<FileId>,
    pending: Vec<Option<FileId>>,
}

/// A disk under a file system without any order of its own: whatever is not synced survives a power cut by chance.
#[derive(Clone, Default, Debug)]
pub struct Disk {
    files: BTreeMap<FileId, Content>,
    entries: BTreeMap<PathBuf, Entry>,
    /// Directories, and whether their name is durable.
    dirs: BTreeMap<PathBuf, bool>,
}

/// A decision about what survives.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// One of so many possibilities; the first is what was sure, the last what was written last.
    OneOf(u64),
    /// So many bytes of a sector, from its beginning, at most all.
    BytesOf(u64),
}

impl Choice {
    /// The largest answer.
    fn most(self) -> u64 {
        match self {
            Self::OneOf(count) => count - 1,
            Self::BytesOf(most) => most,
        }
    }

    /// An answer by chance: mostly one of the two ends.
    pub fn at_random(self, random: &mut impl FnMut(u64) -> u64) -> u64 {
        let most = self.most();
        match random(5) {
            0 | 1 => 0,
            2 | 3 => most,
            _ => random(most + 1),
        }
    }
}

/// Decides what survives.
pub type Choose<'a> = &'a mut dyn FnMut(Choice) -> u64;

/// What a power cut left.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Each file by its path.
    pub files: BTreeMap<PathBuf, Arc<Vec<u8>>>,
    /// The directories.
    pub dirs: Vec<PathBuf>,
}

impl Disk {
    /// A disk on which all of an image is durable.
    pub fn from_image(image: &Image) -> Self {
        let mut disk = Self::default();
        for (index, (path, bytes)) in image.files.iter().enumerate() {
            let id = FileId(index as u64);
            disk.files.insert(id, Content { durable: Arc::clone(bytes), ..Content::default() });
            disk.entries.insert(path.clone(), Entry { durable: Some(id), pending: Vec::new() });
        }
        disk.dirs = image.dirs.iter().map(|dir| (dir.clone(), true)).collect();
        disk
    }

    /// Takes in a change.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::MakeDir(path) => {
                self.dirs.insert(path.clone(), path.parent().is_none());
            }
            Op::Link(path, file) => self.link(path, *file),
            Op::Rename(from, to, file) => {
                self.link(to, Some(*file));
                self.link(from, None);
            }
            Op::Write(file, offset, bytes) => self.change(*file, Change::Write(*offset, Arc::clone(bytes))),
            Op::SetLen(file, len) => self.change(*file, Change::SetLen(*len)),
            Op::Sync(file) => self.files.entry(*file).or_default().sync(),
            Op::SyncFailed(file) => self.files.entry(*file).or_default().settle(Fate::Doubtful),
            Op::SyncDir(dir) => self.sync_dir(dir),
        }
    }

    fn link(&mut self, path: &Path, file: Option<FileId>) {
        self.entries.entry(path.to_path_buf()).or_insert(Entry { durable: None, pending: Vec::new() }).pending.push(file);
    }

    fn change(&mut self, file: FileId, change: Change) {
        self.files.entry(file).or_default().pending.push(Pending { change, fate: Fate::Open });
    }

    fn sync_dir(&mut self, dir: &Path) {
        for (path, entry) in &mut self.entries {
            if path.parent() == Some(dir)
                && let Some(last) = entry.pending.pop()
            {
                entry.durable = last;
                entry.pending.clear();
            }
        }
        self.entries.retain(|_, entry| entry.durable.is_some() || !entry.pending.is_empty());
        for (path, is_durable) in &mut self.dirs {
            *is_durable |= path.parent() == Some(dir);
        }
    }

    /// An image of the disk. Each directory, each name, each sector of each write and each change of a length is chosen on its own.
    pub fn image(&self, choose: Choose<'_>) -> Image {
        let mut image = Image::default();
        for (dir, is_durable) in &self.dirs {
            let parent_survives = dir.parent().is_none_or(|parent| image.dirs.iter().any(|dir| dir == parent));
            if parent_survives && (*is_durable || choose(Choice::OneOf(2)) == 1) {
                image.dirs.push(dir.clone());
            }
        }
        // A file without a name is gone, so nothing of its content is chosen.
        let mut contents: BTreeMap<FileId, Arc<Vec<u8>>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            let choice = if entry.pending.is_empty() { 0 } else { choose(Choice::OneOf(entry.pending.len() as u64 + 1)) };
            let file = if choice == 0 { entry.durable } else { entry.pending[choice as usize - 1] };
            let Some(file) = file.filter(|_| image.dirs.iter().any(|dir| Some(dir.as_path()) == path.parent())) else { continue };
            let bytes = contents.entry(file).or_insert_with(|| self.files.get(&file).cloned().unwrap_or_default().survive(choose));
            image.files.insert(path.clone(), Arc::clone(bytes));
        }
        image
    }

    /// All that was written, as a program sees it that starts after the last one was killed.
    pub fn everything(&self) -> Image {
        self.image(&mut |choice| choice.most())
    }
}

impl Content {
    fn settle(&mut self, fate: Fate) {
        self.pending.iter_mut().filter(|pending| pending.fate == Fate::Open).for_each(|pending| pending.fate = fate);
    }

    fn sync(&mut self) {
        self.settle(Fate::Sure);
        if self.pending.iter().all(|pending| pending.fate == Fate::Sure) && !self.pending.is_empty() {
            let mut bytes = Arc::unwrap_or_clone(std::mem::take(&mut self.durable));
            self.pending.drain(..).for_each(|pending| pending.change.apply(&mut bytes));
            self.durable = Arc::new(bytes);
        }
    }

    fn survive(&self, choose: Choose<'_>) -> Arc<Vec<u8>> {
        if self.pending.is_empty() {
            return Arc::clone(&self.durable);
        }
        let mut bytes = Vec::clone(&self.durable);
        for Pending { change, fate } in &self.pending {
            match change {
                _ if *fate == Fate::Sure => change.apply(&mut bytes),
                Change::SetLen(_) if choose(Choice::OneOf(2)) == 0 => {}
                Change::SetLen(_) => change.apply(&mut bytes),
                Change::Write(offset, new) => survive_write(&mut bytes, *offset, new, choose),
            }
        }
        Arc::new(bytes)
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, new) => write(bytes, *offset, new),
            Self::SetLen(len) => bytes.resize(*len as usize, 0),
        }
    }
}

/// Each sector is old, or new up to some byte; the file may be longer without the bytes being there.
fn survive_write(bytes: &mut Vec<u8>, offset: u64, new: &[u8], choose: Choose<'_>) {
    let end = offset + new.len() as u64;
    let mut start = offset;
    while start < end {
        let stop = ((start / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
        let part = &new[(start - offset) as usize..(stop - offset) as usize];
        let survivors = choose(Choice::BytesOf(part.len() as u64)) as usize;
        write(bytes, start, &part[..survivors]);
        start = stop;
    }
    if (bytes.len() as u64) < end && choose(Choice::OneOf(2)) == 1 {
        bytes.resize(end as usize, 0);
    }
}

/// Writes as a file takes it: a gap reads as zeros.
pub fn write(bytes: &mut Vec<u8>, offset: u64, new: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + new.len());
    if new.is_empty() {
        return;
    }
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(new);
}

/// The images that a power cut could leave, each at most once: all of them if they are no more than a limit, otherwise the plain ones
/// (nothing and everything that is not sure) and a random choice.
pub fn images(disk: &Disk, limit: u64, random: &mut impl FnMut(u64) -> u64, mut each: impl FnMut(Image)) -> Enumerated {
    for (whole_sectors, found) in [(false, Enumerated::EveryByte), (true, Enumerated::EverySector)] {
        let mut all = Vec::new();
        let mut odometer = Odometer::new(whole_sectors);
        while !odometer.is_at_end && all.len() as u64 <= limit {
            all.push(disk.image(&mut |choice| odometer.choose(choice)));
            odometer.advance();
        }
        if odometer.is_at_end {
            all.into_iter().for_each(each);
            return found;
        }
    }
    each(disk.image(&mut |_| 0));
    each(disk.everything());
    for _ in 2..limit {
        each(disk.image(&mut |choice| choice.at_random(random)));
    }
    Enumerated::Sampled
}

/// The choices of one image, and the way to the next: an odometer whose wheels come and go.
struct Odometer {
    wheels: Vec<(u64, u64)>,
    next: usize,
    whole_sectors: bool,
    is_at_end: bool,
}

impl Odometer {
    fn new(whole_sectors: bool) -> Self {
        Self { wheels: Vec::new(), next: 0, whole_sectors, is_at_end: false }
    }

    fn choose(&mut self, choice: Choice) -> u64 {
        let step = match choice {
            Choice::BytesOf(most) if self.whole_sectors => most,
            _ => 1,
        };
        if self.next == self.wheels.len() {
            self.wheels.push((0, choice.most() / step));
        }
        let (position, _) = self.wheels[self.next];
        self.next += 1;
        position * step
    }

    fn advance(&mut self) {
        self.next = 0;
        while let Some((position, last)) = self.wheels.last_mut() {
            if position < last {
                *position += 1;
                return;
            }
            self.wheels.pop();
        }
        self.is_at_end = true;
    }
}

/// How completely the images of a moment were built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Enumerated {
    /// All of them, torn at every byte.
    EveryByte,
    /// All of them, torn at every sector.
    EverySector,
    /// A random choice.
    Sampled,
}
