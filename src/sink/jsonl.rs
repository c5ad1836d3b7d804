//! The append-only log of a run as JSON Lines.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::Sink;
use crate::error::{Error, Result};
use crate::files::{
    append_pending, create_for_append, is_linked, open_for_append, refers_to, write_atomically,
};
use crate::record::{Key, Line, SCHEMA};
use crate::run::{Lock, LogEntry, LogReader, Trajectory};

/// Writes the append-only log, one JSON object a line.
///
/// Opening an existing log continues it. An incomplete last line is removed, and lines that are in
/// the log are not written again. Only one sink in any process can write a log at a time.
#[derive(Debug)]
pub struct JsonlSink {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    /// Number of lines in `pending`.
    lines: usize,
    written: HashSet<Key>,
    /// Length of the file in bytes.
    length: u64,
    lock: Lock,
    /// Whether the file was moved and this was reported.
    moved: bool,
    /// Whether an incomplete last line was removed.
    torn: bool,
}

impl JsonlSink {
    /// Creates a log, or continues an existing one.
    ///
    /// # Errors
    ///
    /// If another sink writes the log ([`Error::Locked`]), if the file cannot be opened, or if it
    /// has another format. Such a log can be read but not continued.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = open_for_append(&path)?;
        Self::with(path, file)
    }

    /// Creates a log. An existing log is refused.
    ///
    /// # Errors
    ///
    /// As [`JsonlSink::open`], and if the file exists.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = create_for_append(&path)?;
        Self::with(path, file)
    }

    fn with(path: PathBuf, mut file: File) -> Result<Self> {
        let lock = Lock::acquire(&path)?;
        let mut written = HashSet::new();
        let mut reader = LogReader::new(&path);
        reader.read_new_lines(|entry| {
            if let LogEntry::Line(line) = entry {
                if let Line::Resumed(resumed) = line.as_ref() {
                    written.retain(|key| resumed.keeps_key(key));
                }
                written.insert(line.key());
            }
        })?;
        if let Some(schema) = reader.schema().filter(|&s| s != SCHEMA) {
            let cause = format!(
                "a log of format {schema} is read, but not continued by this version, which writes format {SCHEMA}: choose another folder"
            );
            return Err(Error::format(&path, None, cause));
        }
        let torn = cut(&path, &mut file, reader.end())?;
        Ok(Self {
            path,
            file,
            pending: Vec::new(),
            lines: 0,
            written,
            length: reader.end(),
            lock,
            moved: false,
            torn,
        })
    }

    /// Whether opening the log removed an incomplete last line.
    pub fn removed_incomplete_line(&self) -> bool {
        self.torn
    }

    fn add(&mut self, line: &Line) -> Result<()> {
        if let Line::Resumed(resumed) = line {
            self.written.retain(|key| resumed.keeps_key(key));
        }
        if !self.written.insert(line.key()) && !line.may_repeat() {
            return Ok(());
        }
        serde_json::to_writer(&mut self.pending, line)
            .map_err(|e| Error::malformed(&self.path, None, e))?;
        self.pending.push(b'\n');
        self.lines += 1;
        Ok(())
    }

    /// Whether the path still leads to the opened file, and the file still has all that was
    /// written.
    fn is_there(&self) -> bool {
        let length = self.file.metadata().map_or(0, |m| m.len());
        refers_to(&self.path, &self.file) && length >= self.length
    }

    /// Takes the right to write the log again, at the same path. If another run has taken the path,
    /// the log gets a new path beside it.
    fn claim(&mut self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        if !self.lock.locks(&self.path) {
            self.lock = match Lock::acquire(&self.path) {
                Ok(lock) => lock,
                Err(Error::Locked { .. }) => {
                    let mut beside = self.path.as_os_str().to_owned();
                    beside.push(format!(".lost-{}", std::process::id()));
                    self.path = beside.into();
                    Lock::acquire(&self.path)?
                }
                Err(error) => return Err(error),
            };
        }
        // Keep a file that another process put there.
        if self.path.exists() && !refers_to(&self.path, &self.file) {
            let aside = (1..).map(|i| {
                let mut name = self.path.as_os_str().to_owned();
                name.push(format!(".replaced-{i}"));
                PathBuf::from(name)
            });
            if let Some(aside) = aside.into_iter().find(|path| !path.exists()) {
                std::fs::rename(&self.path, &aside).map_err(|e| Error::io(&aside, e))?;
            }
        }
        Ok(())
    }
}

/// Removes the bytes after the last complete line. Returns whether there were any.
fn cut(path: &Path, file: &mut File, end: u64) -> Result<bool> {
    let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
    if length > end {
        file.set_len(end).map_err(|e| Error::io(path, e))?;
    }
    Ok(length > end)
}

impl Sink for JsonlSink {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        self.add(line)
    }

    fn flush(&mut self) -> Result<()> {
        let moved = !refers_to(&self.path, &self.file) && is_linked(&self.file);
        if !moved && !self.is_there() {
            return Err(Error::FileReplaced {
                path: self.path.clone(),
            });
        }
        // A failed write may have left an incomplete line.
        cut(&self.path, &mut self.file, self.length)?;
        let more = self.pending.len() as u64;
        append_pending(&self.path, &mut self.file, &mut self.pending)?;
        self.lines = 0;
        self.length += more;
        if moved && !std::mem::replace(&mut self.moved, true) {
            // The file is written at its new place. Report this once.
            return Err(Error::FileMoved {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    fn unwritten_lines(&self) -> usize {
        self.lines
    }

    /// Rewrites the log from memory if the file was lost.
    fn rewrite(&mut self, run: &Trajectory) -> Result<()> {
        if self.is_there() || is_linked(&self.file) && !refers_to(&self.path, &self.file) {
            return Ok(());
        }
        self.claim()?;
        self.pending.clear();
        self.lines = 0;
        self.written.clear();
        for line in run.lines() {
            self.add(&line)?;
        }
        write_atomically(&self.path, &self.pending)?;
        self.length = self.pending.len() as u64;
        self.pending.clear();
        self.lines = 0;
        self.file = open_for_append(&self.path)?;
        Ok(())
    }
}

impl Drop for JsonlSink {
    fn drop(&mut self) {
        // An error cannot be reported here.
        let _ = self.flush();
    }
}
