//! Snapshot files: written under another name until they are whole, and read with every seal checked (disk-formats.md §4).

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jute::text::decode_written;

use super::error::{IoContext, StorageError};
use super::fs::{File, FileSystem};
use super::install::ReceivedSnapshot;
use super::layout::{
    FILE_HEADER_BYTES, LAST_ZXID_BYTES, MAGIC_SNAPSHOT, SEAL_BYTES, SLASH, digest_section, file_magic, i32_at, i64_at, seal,
    snapshot_header,
};
use super::names::{received_snapshot_name, snapshot_name, temporary_snapshot_name};
use super::recovery::Restore;
use super::snapshot_codec::{Compression, Encoder, decoder};
use crate::ids::Zxid;

/// A file written from front to back through a buffer, and synced as it grows: one sync of a whole snapshot would keep the disk from the
/// log's for as long as it takes.
struct Appender {
    file: Box<dyn File>,
    buffer: Vec<u8>,
    position: u64,
    synced: u64,
}

const APPEND_BYTES: usize = 1 << 20;
/// So many bytes are left unsynced at most.
const UNSYNCED_BYTES_MAX: u64 = 1 << 20;

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= APPEND_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.position)?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        if self.position - self.synced >= UNSYNCED_BYTES_MAX {
            self.file.sync_data()?;
            self.synced = self.position;
        }
        Ok(())
    }
}

/// The sections behind the body. Both are written unless the operator's Java servers cannot read them (disk-formats.md §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sections {
    /// Zxid, digest version and digest of the tree; `None` leaves the section out.
    pub digest: Option<(Zxid, i32, i64)>,
    /// The last zxid applied; `None` leaves the section out.
    pub last_zxid: Option<Zxid>,
}

/// A snapshot being written. Dropped before `finish`, it leaves nothing behind.
pub struct SnapshotWriter {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    temporary: PathBuf,
    target: PathBuf,
    is_finished: bool,
    encoder: Option<Encoder<Appender>>,
    adler: simd_adler32::Adler32,
}

impl SnapshotWriter {
    /// Begins a snapshot of `zxid` in `dir`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(fs: Arc<dyn FileSystem>, dir: &Path, zxid: Zxid, compression: Compression) -> Result<Self, StorageError> {
        let target = dir.join(snapshot_name(zxid, compression));
        Self::create(fs, dir, dir.join(temporary_snapshot_name(zxid)), target, compression)
    }

    /// Begins a snapshot that comes from a leader; the number tells it from others of this process. It gets its name when it is installed.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn received(
        fs: Arc<dyn FileSystem>,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
        number: u64,
    ) -> Result<Self, StorageError> {
        let target = dir.join(snapshot_name(zxid, compression));
        Self::create(fs, dir, dir.join(received_snapshot_name(number)), target, compression)
    }

    fn create(
        fs: Arc<dyn FileSystem>,
        dir: &Path,
        temporary: PathBuf,
        target: PathBuf,
        compression: Compression,
    ) -> Result<Self, StorageError> {
        let file = fs.create(&temporary).context("create", &temporary)?;
        let appender = Appender { file, buffer: Vec::new(), position: 0, synced: 0 };
        let encoder = Encoder::new(compression, appender).context("write", &temporary)?;
        let (dir, encoder, adler) = (dir.to_path_buf(), Some(encoder), simd_adler32::Adler32::new());
        let mut writer = Self { fs, dir, temporary, target, is_finished: false, encoder, adler };
        writer.write(&snapshot_header())?;
        Ok(writer)
    }

    /// Writes a part of the body, or of what follows it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.adler.write(bytes);
        let encoder = self.encoder.as_mut().expect("a writer is not used after finish");
        encoder.write(bytes).context("write", &self.temporary)
    }

    fn write_seal(&mut self) -> Result<(), StorageError> {
        let bytes = seal(self.adler.finish());
        self.write(&bytes)
    }

    /// Seals the body, adds the sections, makes the file durable and gives it its name. Returns the path.
    ///
    /// # Errors
    /// When the disk refuses; the snapshot does not exist then.
    pub fn finish(mut self, sections: Sections) -> Result<PathBuf, StorageError> {
        self.complete(sections)?;
        self.fs.rename(&self.temporary, &self.target).context("rename", &self.temporary)?;
        self.is_finished = true;
        self.fs.sync_dir(&self.dir).context("sync", &self.dir)?;
        Ok(self.target.clone())
    }

    /// As [`Self::finish`], but the file keeps its temporary name.
    ///
    /// # Errors
    /// When the disk refuses; the file does not exist then.
    pub(super) fn finish_received(
        mut self,
        zxid: Zxid,
        compression: Compression,
        sections: Sections,
    ) -> Result<ReceivedSnapshot, StorageError> {
        self.complete(sections)?;
        self.is_finished = true;
        let (fs, path) = (Arc::clone(&self.fs), self.temporary.clone());
        Ok(ReceivedSnapshot { fs, path, zxid, compression, is_installed: false })
    }

    /// Seals the body, adds the sections, and makes the content durable.
    fn complete(&mut self, sections: Sections) -> Result<(), StorageError> {
        self.write_seal()?;
        if let Some((zxid, version, digest)) = sections.digest {
            self.write(&digest_section(zxid, version, digest))?;
            self.write_seal()?;
        }
        if let Some(zxid) = sections.last_zxid {
            self.write(&zxid.0.to_be_bytes())?;
            self.write_seal()?;
        }
        let encoder = self.encoder.take().expect("a writer is finished once");
        let mut appender = encoder.finish().context("write", &self.temporary)?;
        appender.flush().context("write", &self.temporary)?;
        appender.file.sync_data().context("sync", &self.temporary)
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // On a full disk the room matters more than what became of the name: the next start removes it too.
            let _ = self.fs.remove(&self.temporary);
        }
    }
}

/// The stat of a znode in a snapshot, in the order of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotStat {
    /// Zxid of the creation.
    pub czxid: i64,
    /// Zxid of the last change.
    pub mzxid: i64,
    /// Time of the creation, ms.
    pub ctime: i64,
    /// Time of the last change, ms.
    pub mtime: i64,
    /// Data version.
    pub version: i32,
    /// Count of creations of children.
    pub cversion: i32,
    /// ACL version.
    pub aversion: i32,
    /// Stored owner.
    pub ephemeral_owner: i64,
    /// Zxid of the last change of children.
    pub pzxid: i64,
}

/// One ACL entry of a snapshot: permissions, scheme, id.
pub type SnapshotAclEntry = (i32, Option<String>, Option<String>);

/// Takes in what a snapshot holds, in the order of the file.
pub trait SnapshotVisitor {
    /// A session and its timeout in ms.
    fn session(&mut self, id: i64, timeout_ms: i32);
    /// An ACL.
    ///
    /// # Errors
    /// A reason why it cannot be: the snapshot is damaged.
    fn acl(&mut self, id: i64, entries: Vec<SnapshotAclEntry>) -> Result<(), String>;
    /// A znode; the root has the path "".
    ///
    /// # Errors
    /// A reason why it cannot be: the snapshot is damaged.
    fn znode(&mut self, path: &str, data: Option<&[u8]>, acl: i64, stat: SnapshotStat) -> Result<(), String>;
}

/// Reads a file from front to back.
struct FileReader {
    file: Box<dyn File>,
    position: u64,
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

/// Takes in nothing: what is left of reading is the check that everything is there.
pub(super) struct Nothing;

impl SnapshotVisitor for Nothing {
    fn session(&mut self, _: i64, _: i32) {}

    fn acl(&mut self, _: i64, _: Vec<SnapshotAclEntry>) -> Result<(), String> {
        Ok(())
    }

    fn znode(&mut self, _: &str, _: Option<&[u8]>, _: i64, _: SnapshotStat) -> Result<(), String> {
        Ok(())
    }
}

impl Restore for Nothing {
    fn reset(&mut self, _: bool) {}

    fn snapshot_loaded(&mut self, _: Zxid, _: Sections) {}

    fn txn(&mut self, _: Zxid, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Whether a snapshot can be read to its end and every seal of it matches.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn is_sound(fs: &dyn FileSystem, path: &Path, compression: Compression) -> Result<bool, StorageError> {
    match read_snapshot(fs, path, compression, &mut Nothing) {
        Ok(_) => Ok(true),
        Err(StorageError::SnapshotDamaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a whole snapshot and checks every seal. Gives the sections behind the body.
///
/// # Errors
/// When anything does not fit; the visitor has seen a part of it then.
pub fn read_snapshot(
    fs: &dyn FileSystem,
    path: &Path,
    compression: Compression,
    visitor: &mut impl SnapshotVisitor,
) -> Result<Sections, StorageError> {
    let file = fs.open(path).context("open", path)?;
    let source = decoder(compression, FileReader { file, position: 0 });
    let damaged = |offset, reason| StorageError::SnapshotDamaged { path: path.to_path_buf(), offset, reason };
    let source = source.map_err(|error| damaged(0, error.to_string()))?;
    let (chunk, buffer, adler) = (vec![0; FILL_BYTES], Vec::new(), simd_adler32::Adler32::new());
    let mut body = Body { source, chunk, buffer, start: 0, hashed: 0, consumed: 0, adler };
    body.read_all(visitor).map_err(|reason| damaged(body.consumed, reason))
}

/// The uncompressed stream with its running checksum.
struct Body {
    source: Box<dyn Read + Send>,
    chunk: Vec<u8>,
    buffer: Vec<u8>,
    start: usize,
    /// Bytes of the buffer that are in the checksum already.
    hashed: usize,
    consumed: u64,
    adler: simd_adler32::Adler32,
}

const FILL_BYTES: usize = 64 << 10;

impl Body {
    /// Takes `n` bytes. Memory grows only with bytes that are really there.
    fn take(&mut self, n: usize) -> Result<&[u8], String> {
        while self.buffer.len() - self.start < n {
            self.fill()?;
        }
        let from = self.start;
        self.start += n;
        self.consumed += n as u64;
        Ok(&self.buffer[from..from + n])
    }

    fn fill(&mut self) -> Result<(), String> {
        self.hash();
        self.buffer.drain(..self.start);
        (self.start, self.hashed) = (0, 0);
        let n = self.source.read(&mut self.chunk).map_err(|error| error.to_string())?;
        self.buffer.extend_from_slice(&self.chunk[..n]);
        if n == 0 { Err("the file ends early".to_owned()) } else { Ok(()) }
    }

    fn hash(&mut self) {
        self.adler.write(&self.buffer[self.hashed..self.start]);
        self.hashed = self.start;
    }

    fn int(&mut self) -> Result<i32, String> {
        Ok(i32_at(self.take(4)?, 0).expect("four bytes were taken"))
    }

    fn long(&mut self) -> Result<i64, String> {
        Ok(i64_at(self.take(8)?, 0).expect("eight bytes were taken"))
    }

    fn length(&mut self) -> Result<Option<usize>, String> {
        match self.int()? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| format!("a length of {length}")),
        }
    }

    fn string(&mut self) -> Result<Option<String>, String> {
        let Some(length) = self.length()? else { return Ok(None) };
        Ok(Some(decode_written(self.take(length)?).into_owned()))
    }

    fn read_all(&mut self, visitor: &mut impl SnapshotVisitor) -> Result<Sections, String> {
        if file_magic(self.take(FILE_HEADER_BYTES)?) != Some(MAGIC_SNAPSHOT) {
            return Err("the file does not begin with ZKSN".to_owned());
        }
        for _ in 0..self.int()?.max(0) {
            let (id, timeout_ms) = (self.long()?, self.int()?);
            visitor.session(id, timeout_ms);
        }
        for _ in 0..self.int()?.max(0) {
            let id = self.long()?;
            let entries = self.acl_entries()?;
            visitor.acl(id, entries)?;
        }
        self.read_nodes(visitor)?;
        self.check_seal()?;
        self.read_sections()
    }

    fn acl_entries(&mut self) -> Result<Vec<SnapshotAclEntry>, String> {
        let mut entries = Vec::new();
        for _ in 0..self.int()?.max(0) {
            entries.push((self.int()?, self.string()?, self.string()?));
        }
        Ok(entries)
    }

    fn read_nodes(&mut self, visitor: &mut impl SnapshotVisitor) -> Result<(), String> {
        let (mut path, mut data) = (String::new(), Vec::new());
        loop {
            let length = self.length()?.ok_or("a znode without a path")?;
            path.clear();
            path.push_str(&decode_written(self.take(length)?));
            if path == "/" {
                return Ok(());
            }
            data.clear();
            let has_data = match self.length()? {
                Some(length) => {
                    data.extend_from_slice(self.take(length)?);
                    true
                }
                None => false,
            };
            let acl = self.long()?;
            let stat = self.stat()?;
            visitor.znode(&path, has_data.then_some(&data[..]), acl, stat)?;
        }
    }

    fn stat(&mut self) -> Result<SnapshotStat, String> {
        let bytes = self.take(60)?;
        let long = |at| i64_at(bytes, at).expect("sixty bytes were taken");
        let int = |at| i32_at(bytes, at).expect("sixty bytes were taken");
        Ok(SnapshotStat {
            czxid: long(0),
            mzxid: long(8),
            ctime: long(16),
            mtime: long(24),
            version: int(32),
            cversion: int(36),
            aversion: int(40),
            ephemeral_owner: long(44),
            pzxid: long(52),
        })
    }

    fn check_seal(&mut self) -> Result<(), String> {
        self.hash();
        let expected = u64::from(self.adler.clone().finish());
        let bytes = self.take(SEAL_BYTES)?;
        let got = i64_at(bytes, 0).expect("a seal was taken") as u64;
        if got == expected && bytes[8..] == SLASH { Ok(()) } else { Err(format!("the seal is {got:#x} instead of {expected:#x}")) }
    }

    /// What follows the first seal, told by how many bytes are left.
    fn read_sections(&mut self) -> Result<Sections, String> {
        const DIGEST: usize = 20 + SEAL_BYTES;
        const LAST: usize = LAST_ZXID_BYTES + SEAL_BYTES;
        let mut sections = Sections { digest: None, last_zxid: None };
        let left = self.left(DIGEST + LAST)?;
        if !matches!(left, 0 | DIGEST | LAST) && left != DIGEST + LAST {
            return Err(format!("{left} bytes behind the first seal"));
        }
        if left >= DIGEST {
            sections.digest = Some((Zxid(self.long()?), self.int()?, self.long()?));
            self.check_seal()?;
        }
        if left == LAST || left == DIGEST + LAST {
            sections.last_zxid = Some(Zxid(self.long()?));
            self.check_seal()?;
        }
        Ok(sections)
    }

    /// How many bytes are left, counted up to one more than `most`.
    fn left(&mut self, most: usize) -> Result<usize, String> {
        while self.buffer.len() - self.start <= most {
            let before = self.buffer.len() - self.start;
            match self.fill() {
                Ok(()) => {}
                Err(_) if self.buffer.len() - self.start == before => break,
                Err(error) => return Err(error),
            }
        }
        Ok((self.buffer.len() - self.start).min(most + 1))
    }
}
