//! A file of known length. No length read from it asks for memory before it was held against that.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};

/// Lines of text pickles: names and digits.
const MAX_LINE_LENGTH: u64 = 1 << 16;

/// Causes quote names from files, which may be of any length and hold a terminal's commands.
const MAX_CAUSE_LENGTH: usize = 400;

/// What is wrong with a file, fit to be printed.
pub(super) fn bad(path: &Path, cause: &str) -> Error {
    Error::format(path, None, printable(cause))
}

/// A text that quotes a file, fit to be printed.
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

#[derive(Debug)]
pub(super) struct Source {
    path: Arc<Path>,
    file: File,
    len: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let io = |e| Error::io(path, e);
        // Asked before opening: to open a named pipe would wait for its writer.
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

    pub(super) fn bad(&self, cause: impl ToString) -> Error {
        bad(&self.path, &cause.to_string())
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::io(&self.path, source)
    }

    fn check(&self, at: u64, count: u64) -> Result<()> {
        match at.checked_add(count) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(self.bad(format!(
                "{count} bytes at byte {at} lie beyond the end, {}: cut off or damaged",
                self.len
            ))),
        }
    }

    /// Some bytes, held against the file's length first.
    pub(super) fn bytes(&self, at: u64, count: u64) -> Result<Vec<u8>> {
        self.check(at, count)?;
        let mut bytes = Vec::new();
        let size = usize::try_from(count).map_err(|e| self.bad(e))?;
        bytes.try_reserve_exact(size).map_err(|e| self.bad(e))?;
        bytes.resize(size, 0);
        self.read_into(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Fill a buffer from a place in the file.
    pub(super) fn read_into(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(at)).map_err(|e| self.io(e))?;
        file.read_exact(buffer).map_err(|e| self.io(e))
    }

    /// Read on from a place, byte by byte, up to `count` bytes. One stream at a time: streams and
    /// [`bytes`](Self::bytes) share the file's position.
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

/// Reads on from a place in a file.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    source: &'a Source,
    reader: BufReader<&'a File>,
    at: u64,
    end: u64,
}

impl Stream<'_> {
    /// Where in the file the next byte lies.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// An error that says where.
    pub(super) fn bad(&self, cause: impl std::fmt::Display) -> Error {
        self.source.bad(format!("byte {}: {cause}", self.at))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reserve(N as u64)?;
        let read = self.reader.read_exact(&mut bytes);
        read.map_err(|e| self.source.io(e))?;
        self.at += N as u64;
        Ok(bytes)
    }

    pub(super) fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        self.reserve(count)?;
        let size = usize::try_from(count).map_err(|e| self.bad(e))?;
        let mut bytes = vec![0; size];
        let read = self.reader.read_exact(&mut bytes);
        read.map_err(|e| self.source.io(e))?;
        self.at += count;
        Ok(bytes)
    }

    pub(super) fn skip(&mut self, count: u64) -> Result<()> {
        self.reserve(count)?;
        let ahead = i64::try_from(count).map_err(|e| self.bad(e))?;
        let moved = self.reader.seek_relative(ahead);
        moved.map_err(|e| self.source.io(e))?;
        self.at += count;
        Ok(())
    }

    /// A line without its end.
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
            return Err(self.bad("a line without an end"));
        }
        Ok(line)
    }

    fn reserve(&self, count: u64) -> Result<()> {
        if count > self.end - self.at {
            return Err(self.bad(format!(
                "{count} bytes are announced, {} are left: cut off or damaged",
                self.end - self.at
            )));
        }
        Ok(())
    }
}
