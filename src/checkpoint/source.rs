//! A file of known length. Every length is compared with the length of the file before memory is
//! allocated for it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};

/// The longest line of a text pickle in bytes. Lines hold names and digits.
const MAX_LINE_LENGTH: u64 = 1 << 16;

/// The longest cause in characters. Causes quote names from files, and such a name may have any
/// length.
const MAX_CAUSE_LENGTH: usize = 400;

/// An error about the file `path`. Its cause can be printed safely.
pub(super) fn format_error(path: &Path, cause: &str) -> Error {
    Error::format(path, None, printable(cause))
}

/// A text that quotes a file, made safe to print: control characters are escaped, and a long text
/// is cut off.
pub(super) fn printable(cause: &str) -> String {
    let mut shown = String::new();
    for (index, c) in cause.chars().enumerate() {
        match c {
            _ if index == MAX_CAUSE_LENGTH => {
                shown.push('…');
                break;
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// An open file with its length in bytes.
#[derive(Debug)]
pub(super) struct Source {
    path: Arc<Path>,
    file: File,
    len: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let io = |e| Error::io(path, e);
        // This check comes before the opening, because opening a named pipe would wait for its
        // writer.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::format(path, None, "not a regular file"));
        }
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        Ok(Self {
            path: path.into(),
            file,
            len,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn shared_path(&self) -> Arc<Path> {
        Arc::clone(&self.path)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn format_error(&self, cause: impl ToString) -> Error {
        format_error(&self.path, &cause.to_string())
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::io(&self.path, source)
    }

    /// Returns an error if the file ends before byte `at + count`.
    fn check(&self, at: u64, count: u64) -> Result<()> {
        match at.checked_add(count) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(self.format_error(format!(
                "{count} bytes at byte {at} lie beyond the end, {}: cut off or damaged",
                self.len
            ))),
        }
    }

    /// Reads `count` bytes from byte `at`. The range is compared with the file's length before
    /// memory is allocated.
    pub(super) fn bytes(&self, at: u64, count: u64) -> Result<Vec<u8>> {
        self.check(at, count)?;
        let mut bytes = Vec::new();
        let size = usize::try_from(count).map_err(|e| self.format_error(e))?;
        bytes
            .try_reserve_exact(size)
            .map_err(|e| self.format_error(e))?;
        bytes.resize(size, 0);
        self.read_into(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills a buffer with the bytes from byte `at` on.
    pub(super) fn read_into(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at)).map_err(|e| self.io(e))?;
        file.read_exact(buffer).map_err(|e| self.io(e))
    }

    /// Reads sequentially from byte `at`, at most `count` bytes. Use one stream at a time: streams
    /// and [`bytes`](Self::bytes) share the position in the file.
    pub(super) fn stream(&self, at: u64, count: u64) -> Result<Stream<'_>> {
        self.check(at, count)?;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at)).map_err(|e| self.io(e))?;
        Ok(Stream {
            source: self,
            reader: BufReader::new(file),
            at,
            end: at + count,
        })
    }
}

/// Reads a part of a file sequentially.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    source: &'a Source,
    reader: BufReader<&'a File>,
    at: u64,
    /// The byte after the last that may be read.
    end: u64,
}

impl Stream<'_> {
    /// The byte of the file that is read next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// An error that names the current byte.
    pub(super) fn format_error(&self, cause: impl std::fmt::Display) -> Error {
        self.source
            .format_error(format!("byte {}: {cause}", self.at))
    }

    /// Reads the next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reserve(N as u64)?;
        let read = self.reader.read_exact(&mut bytes);
        read.map_err(|e| self.source.io(e))?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// Reads the next `count` bytes.
    pub(super) fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        self.reserve(count)?;
        let size = usize::try_from(count).map_err(|e| self.format_error(e))?;
        let mut bytes = vec![0; size];
        let read = self.reader.read_exact(&mut bytes);
        read.map_err(|e| self.source.io(e))?;
        self.at += count;
        Ok(bytes)
    }

    /// Skips the next `count` bytes.
    pub(super) fn skip(&mut self, count: u64) -> Result<()> {
        self.reserve(count)?;
        let ahead = i64::try_from(count).map_err(|e| self.format_error(e))?;
        let moved = self.reader.seek_relative(ahead);
        moved.map_err(|e| self.source.io(e))?;
        self.at += count;
        Ok(())
    }

    /// Reads a line and returns it without its line break.
    pub(super) fn line(&mut self) -> Result<Vec<u8>> {
        let limit = MAX_LINE_LENGTH.min(self.end - self.at);
        let mut line = Vec::new();
        let read = self
            .reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line);
        read.map_err(|e| self.source.io(e))?;
        self.at += line.len() as u64;
        if line.pop() != Some(b'\n') {
            return Err(self.format_error("unterminated line"));
        }
        Ok(line)
    }

    /// Returns an error if fewer than `count` bytes are left.
    fn reserve(&self, count: u64) -> Result<()> {
        if count > self.end - self.at {
            return Err(self.format_error(format!(
                "{count} bytes are announced, {} are left: cut off or damaged",
                self.end - self.at
            )));
        }
        Ok(())
    }
}
