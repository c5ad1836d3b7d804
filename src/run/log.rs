//! Reads a log line by line, also while it grows.

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::earlier;
use crate::error::{Error, Result};
use crate::files::device_and_inode;
use crate::record::{Line, SCHEMA};

/// Longest line in bytes. A longer line counts as damaged, so that memory stays bounded.
const MAX_LINE_BYTES: u64 = 256 << 20;

/// Number of bytes at the file's start that identify the log. The header there contains a time, so
/// another log differs.
const FINGERPRINT_LENGTH: usize = 512;

/// One line of a log, as read.
#[derive(Debug)]
pub enum LogEntry {
    /// A line that was parsed.
    Line(Box<Line>),
    /// A complete line that cannot be parsed. It is damaged, or a later version wrote it.
    Damaged {
        /// Number of the line, from 1.
        number: usize,
        /// Whether the line is valid JSON.
        is_json: bool,
    },
}

/// What a read found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The file does not exist.
    pub missing: bool,
    /// The file was replaced or truncated. Reading started again at its first line, and lines read
    /// before are invalid.
    pub restarted: bool,
    /// At least one complete line was read.
    pub grown: bool,
    /// The file ends within a line. A process is writing the line, or a crash cut it off.
    pub torn: bool,
}

/// Reads a log line by line, and continues while the log grows.
///
/// All readers of logs use this type. It reads regular files only and keeps no line in memory. It
/// checks the format that the header states, and converts logs of format 2.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    /// Byte offset after the last complete line.
    end: u64,
    /// Number of complete lines read.
    lines: usize,
    head: Vec<u8>,
    /// Length and modification time of the file at the last read.
    seen: Option<(u64, Option<SystemTime>)>,
    /// Identifies the file on systems that support it.
    device_and_inode: Option<(u64, u64)>,
    schema: Option<u32>,
}

impl LogReader {
    /// A reader of this file. The file need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            end: 0,
            lines: 0,
            head: Vec::new(),
            seen: None,
            device_and_inode: None,
            schema: None,
        }
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Byte offset after the last complete line.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The log format according to the header. None until the header was read.
    pub fn schema(&self) -> Option<u32> {
        self.schema
    }

    /// Modification time of the file at the last read. None if there is no file.
    pub fn changed(&self) -> Option<SystemTime> {
        self.seen?.1
    }

    /// Calls `visit` for each line that was completed since the last call. If the file was
    /// replaced, it starts at the first line and sets [`Progress::restarted`].
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a regular file, or is a log of an unsupported format.
    pub fn read_new_lines(&mut self, mut visit: impl FnMut(LogEntry)) -> Result<Progress> {
        let mut progress = Progress::default();
        let Some((mut file, metadata)) = self.open()? else {
            progress.missing = true;
            self.seen = None;
            return Ok(progress);
        };
        let state = (metadata.len(), metadata.modified().ok());
        let device_and_inode = device_and_inode(&metadata);
        if self.seen == Some(state) {
            progress.torn = self.end < metadata.len();
            return Ok(progress);
        }
        let continues = self.continues(&mut file, metadata.len());
        let continues = continues.map_err(|e| Error::io(&self.path, e))?;
        let another = self.seen.is_some() && self.device_and_inode != device_and_inode;
        if !continues || another {
            *self = Self::new(std::mem::take(&mut self.path));
            progress.restarted = true;
        }
        self.device_and_inode = device_and_inode;
        let before = self.end;
        progress.torn = self.lines(file, &mut visit)?;
        progress.grown = self.end > before;
        self.seen = Some(state);
        Ok(progress)
    }

    fn open(&self) -> Result<Option<(File, Metadata)>> {
        // Check the type first, because opening a pipe or a device may block forever.
        let metadata = match std::fs::metadata(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(|e| Error::io(&self.path, e))?,
        };
        if !metadata.is_file() {
            return Err(Error::format(&self.path, None, "not a regular file"));
        }
        match File::open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&self.path, e)),
            Ok(file) => Ok(Some((file, metadata))),
        }
    }

    /// Whether the file still starts with the bytes that were read and is not shorter.
    fn continues(&self, file: &mut File, length: u64) -> std::io::Result<bool> {
        let mut head = Vec::new();
        file.take(self.head.len() as u64).read_to_end(&mut head)?;
        Ok(head == self.head && length >= self.end)
    }

    /// Reads to the end of the file. Returns whether the last line is incomplete.
    fn lines(&mut self, mut file: File, visit: &mut impl FnMut(LogEntry)) -> Result<bool> {
        let io = |path: &Path, e| Error::io(path, e);
        file.seek(SeekFrom::Start(self.end))
            .map_err(|e| io(&self.path, e))?;
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut length = (&mut reader)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut bytes)
                .map_err(|e| io(&self.path, e))? as u64;
            let mut whole = bytes.ends_with(b"\n");
            let too_long = !whole && length == MAX_LINE_BYTES;
            if too_long {
                (length, whole) = skip_line(&mut reader, length).map_err(|e| io(&self.path, e))?;
            }
            if !whole {
                return Ok(length > 0);
            }
            self.end += length;
            self.lines += 1;
            // Keep bytes of complete lines only. An incomplete line may be removed again.
            let room = FINGERPRINT_LENGTH - self.head.len();
            self.head.extend(bytes.iter().take(room));
            let line = if too_long { None } else { self.line(&bytes)? };
            visit(match line {
                Some(line) => LogEntry::Line(Box::new(line)),
                None => LogEntry::Damaged {
                    number: self.lines,
                    is_json: serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok(),
                },
            });
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Result<Option<Line>> {
        let line = match self.schema {
            Some(earlier::SCHEMA) => earlier::line(bytes),
            Some(_) => serde_json::from_slice(bytes).ok(),
            // Without a header the format is unknown, so try both.
            None => serde_json::from_slice(bytes)
                .ok()
                .or_else(|| earlier::line(bytes)),
        };
        if let Some(Line::Header(header)) = &line {
            if ![SCHEMA, earlier::SCHEMA].contains(&header.schema) {
                let cause = format!(
                    "format {} of the log, this version reads {} and {SCHEMA}",
                    header.schema,
                    earlier::SCHEMA
                );
                return Err(Error::format(&self.path, Some(self.lines), cause));
            }
            self.schema = Some(header.schema);
        }
        Ok(line)
    }
}

/// Skips the rest of a line. Returns the line's length in bytes and whether it has an end.
fn skip_line(reader: &mut impl BufRead, mut length: u64) -> std::io::Result<(u64, bool)> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((length, false));
        }
        let end = buffer.iter().position(|&b| b == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        length += used as u64;
        if end.is_some() {
            return Ok((length, true));
        }
    }
}
