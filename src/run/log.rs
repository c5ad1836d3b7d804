use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::earlier;
use crate::error::{Error, Result};
use crate::files::identity;
use crate::record::{Line, SCHEMA};

/// A longer line is damage: memory stays bounded.
const LONGEST: u64 = 256 << 20;

/// The file's first bytes, by which another log in its place is noticed: the header has a time.
const HEAD: usize = 512;

/// What stands in one line of a log.
#[derive(Debug)]
pub enum LogEntry {
    /// A line.
    Line(Box<Line>),
    /// A whole line that cannot be read: damaged, or of a later version.
    Damaged {
        /// Its number, counted from 1.
        number: usize,
        /// Whether it is JSON all the same.
        is_json: bool,
    },
}

/// What reading on has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// There is no such file.
    pub missing: bool,
    /// Another file stands in its place, or it was cut back: reading began anew, and what was read
    /// before is void.
    pub restarted: bool,
    /// Lines were read.
    pub grown: bool,
    /// The file ends in the middle of a line: it is being written, or a crash has cut it off.
    pub torn: bool,
}

/// Reads a log line by line, and reads on while it grows.
///
/// Every reader of logs goes through this one. It reads regular files only and keeps no line in
/// memory. The format that the header tells is checked: earlier formats back to 2 are converted.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    /// Where the last whole line ends.
    end: u64,
    /// Whole lines so far.
    lines: usize,
    head: Vec<u8>,
    /// Length and time of change when it was last read.
    seen: Option<(u64, Option<SystemTime>)>,
    /// What tells the file from another one, where the system has that.
    identity: Option<(u64, u64)>,
    schema: Option<u32>,
}

impl LogReader {
    /// A reader of this file, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            end: 0,
            lines: 0,
            head: Vec::new(),
            seen: None,
            identity: None,
            schema: None,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the last whole line ends, in bytes.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The format that the header tells, once it was read.
    pub fn schema(&self) -> Option<u32> {
        self.schema
    }

    /// When the file was last changed, as far as it has been read; none while there is no file.
    pub fn changed(&self) -> Option<SystemTime> {
        self.seen?.1
    }

    /// Visit the lines that were completed since the last time. If the file was replaced, its lines
    /// are visited from the first on, and [`Progress::restarted`] tells so.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not a regular file, or is a log of another format.
    pub fn read_on(&mut self, mut visit: impl FnMut(LogEntry)) -> Result<Progress> {
        let mut progress = Progress::default();
        let Some((mut file, metadata)) = self.open()? else {
            progress.missing = true;
            self.seen = None;
            return Ok(progress);
        };
        let state = (metadata.len(), metadata.modified().ok());
        let identity = identity(&metadata);
        if self.seen == Some(state) {
            progress.torn = self.end < metadata.len();
            return Ok(progress);
        }
        let continues = self.continues(&mut file, metadata.len());
        let continues = continues.map_err(|e| Error::io(&self.path, e))?;
        let another = self.seen.is_some() && self.identity != identity;
        if !continues || another {
            *self = Self::new(std::mem::take(&mut self.path));
            progress.restarted = true;
        }
        self.identity = identity;
        let before = self.end;
        progress.torn = self.lines(file, &mut visit)?;
        progress.grown = self.end > before;
        self.seen = Some(state);
        Ok(progress)
    }

    fn open(&self) -> Result<Option<(File, Metadata)>> {
        // A pipe or a device may block for ever, even on opening it.
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

    /// Whether the file still begins with what was read: not cut back, not another one.
    fn continues(&self, file: &mut File, length: u64) -> std::io::Result<bool> {
        let mut head = Vec::new();
        file.take(self.head.len() as u64).read_to_end(&mut head)?;
        Ok(head == self.head && length >= self.end)
    }

    /// Whether a part of a line is left at the end.
    fn lines(&mut self, mut file: File, visit: &mut impl FnMut(LogEntry)) -> Result<bool> {
        let io = |path: &Path, e| Error::io(path, e);
        file.seek(SeekFrom::Start(self.end))
            .map_err(|e| io(&self.path, e))?;
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut length = (&mut reader)
                .take(LONGEST)
                .read_until(b'\n', &mut bytes)
                .map_err(|e| io(&self.path, e))? as u64;
            let mut whole = bytes.ends_with(b"\n");
            let too_long = !whole && length == LONGEST;
            if too_long {
                (length, whole) = skip_line(&mut reader, length).map_err(|e| io(&self.path, e))?;
            }
            if !whole {
                return Ok(length > 0);
            }
            self.end += length;
            self.lines += 1;
            // Only whole lines: a torn one may be cut off again.
            let room = HEAD - self.head.len();
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
            // Without a header nobody knows.
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

/// Skip the rest of a line; its length in all, and whether it has an end.
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
