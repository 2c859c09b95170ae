//! The compressed forms of snapshots: gzip, and the xerial container of snappy (disk-formats.md §4.3).

use std::io::{self, Read, Write};

use flate2::Compression as Level;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// How a snapshot file is compressed (`snapshot.compression.method`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy blocks in the xerial container.
    Snappy,
}

impl Compression {
    /// What the file name ends with.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Snappy => ".snappy",
        }
    }

    /// The first bytes of every such file, for a quick check.
    #[must_use]
    pub fn magic(self) -> &'static [u8] {
        match self {
            Self::None => b"ZKSN",
            Self::Gzip => &[0x1f, 0x8b],
            Self::Snappy => &XERIAL_MAGIC,
        }
    }
}

const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version 1, oldest compatible version 1.
const XERIAL_HEADER_BYTES: usize = 16;
/// Uncompressed bytes of a block (`SnappyOutputStream`).
const BLOCK_BYTES: usize = 32 << 10;
/// A block larger than this is damage, not data.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// Writes the compressed form of what it is given.
pub(super) enum Encoder<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Snappy { inner: W, block: Vec<u8> },
}

impl<W: Write> Encoder<W> {
    pub(super) fn new(compression: Compression, mut inner: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(inner),
            Compression::Gzip => Self::Gzip(GzEncoder::new(inner, Level::default())),
            Compression::Snappy => {
                inner.write_all(&XERIAL_MAGIC)?;
                inner.write_all(&[0, 0, 0, 1, 0, 0, 0, 1])?;
                Self::Snappy { inner, block: Vec::with_capacity(BLOCK_BYTES) }
            }
        })
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.write_all(bytes),
            Self::Gzip(inner) => inner.write_all(bytes),
            Self::Snappy { inner, block } => {
                while !bytes.is_empty() {
                    let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - block.len()));
                    block.extend_from_slice(now);
                    bytes = later;
                    if block.len() == BLOCK_BYTES {
                        write_block(inner, block)?;
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Gzip(inner) => inner.finish(),
            Self::Snappy { mut inner, mut block } => {
                write_block(&mut inner, &mut block)?;
                Ok(inner)
            }
        }
    }
}

fn write_block(inner: &mut impl Write, block: &mut Vec<u8>) -> io::Result<()> {
    if block.is_empty() {
        return Ok(());
    }
    let compressed = snap::raw::Encoder::new().compress_vec(block).map_err(io::Error::other)?;
    inner.write_all(&(compressed.len() as u32).to_be_bytes())?;
    inner.write_all(&compressed)?;
    block.clear();
    Ok(())
}

/// Reads the uncompressed form of a file.
pub(super) fn decoder<R: Read + Send + 'static>(compression: Compression, mut inner: R) -> io::Result<Box<dyn Read + Send>> {
    Ok(match compression {
        Compression::None => Box::new(inner),
        Compression::Gzip => Box::new(GzDecoder::new(inner)),
        Compression::Snappy => {
            let mut header = [0; XERIAL_HEADER_BYTES];
            inner.read_exact(&mut header)?;
            if !header.starts_with(&XERIAL_MAGIC) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no snappy container"));
            }
            Box::new(SnappyReader { inner, block: Vec::new(), position: 0 })
        }
    })
}

struct SnappyReader<R> {
    inner: R,
    block: Vec<u8>,
    position: usize,
}

impl<R: Read> SnappyReader<R> {
    /// Loads the next block; false at the end of the file.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut length = [0; 4];
        if self.inner.read(&mut length[..1])? == 0 {
            return Ok(false);
        }
        self.inner.read_exact(&mut length[1..])?;
        let length = u32::from_be_bytes(length) as usize;
        if length > BLOCK_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("snappy block of {length} bytes")));
        }
        let mut compressed = Vec::new();
        (&mut self.inner).take(length as u64).read_to_end(&mut compressed)?;
        let bytes = snap::raw::decompress_len(&compressed).map_err(io::Error::other)?;
        if compressed.len() < length || bytes > BLOCK_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.block = snap::raw::Decoder::new().decompress_vec(&compressed).map_err(io::Error::other)?;
        self.position = 0;
        Ok(true)
    }
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.position == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let n = buf.len().min(self.block.len() - self.position);
        buf[..n].copy_from_slice(&self.block[self.position..self.position + n]);
        self.position += n;
        Ok(n)
    }
}
