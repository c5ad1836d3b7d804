use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::Sink;
use crate::error::{Error, Result};
use crate::files::{
    append_pending, create_for_append, has_a_name, leads_to, open_for_append, write_whole,
};
use crate::record::{Key, Line, SCHEMA};
use crate::run::{Lock, LogEntry, LogReader, Trajectory};

/// An append-only log, one JSON object a line.
///
/// Opening a log that exists continues it: a last line that a crash cut off is removed, and lines
/// that are already there are not written again. One sink writes a log at a time, whichever process
/// it belongs to.
#[derive(Debug)]
pub struct JsonlSink {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    /// Lines in `pending`.
    lines: usize,
    written: HashSet<Key>,
    /// Bytes in the file.
    length: u64,
    lock: Lock,
    /// The file was moved, which has been told.
    moved: bool,
    /// A last line that was cut off was removed.
    torn: bool,
}

impl JsonlSink {
    /// Create a log, or continue one.
    ///
    /// # Errors
    ///
    /// If another sink writes it ([`Error::Locked`]), the file cannot be opened, or it is of
    /// another format, which is read but not continued.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = open_for_append(&path)?;
        Self::with(path, file)
    }

    /// Create a log. One that is there already is refused, whoever made it, and however short ago.
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
        reader.read_on(|entry| {
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

    /// Whether opening it has removed a last line that a crash had cut off.
    pub fn was_torn(&self) -> bool {
        self.torn
    }

    fn add(&mut self, line: &Line) -> Result<()> {
        if let Line::Resumed(resumed) = line {
            self.written.retain(|key| resumed.keeps_key(key));
        }
        if !self.written.insert(line.key()) && !line.recurs() {
            return Ok(());
        }
        serde_json::to_writer(&mut self.pending, line)
            .map_err(|e| Error::malformed(&self.path, None, e))?;
        self.pending.push(b'\n');
        self.lines += 1;
        Ok(())
    }

    /// Whether the path still leads to the file that was opened, and the file still has what was
    /// written.
    fn is_there(&self) -> bool {
        let length = self.file.metadata().map_or(0, |m| m.len());
        leads_to(&self.path, &self.file) && length >= self.length
    }

    /// The right to write the log where it was. Where another run has it by now, this one goes
    /// beside it.
    fn claim(&mut self) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        if !self.lock.is_of(&self.path) {
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
        // What somebody else has put there is kept.
        if self.path.exists() && !leads_to(&self.path, &self.file) {
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

/// Take off what is behind the last whole line; whether there was anything.
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
        let moved = !leads_to(&self.path, &self.file) && has_a_name(&self.file);
        if !moved && !self.is_there() {
            return Err(Error::Lost {
                path: self.path.clone(),
            });
        }
        // A write that failed may have left a part of a line.
        cut(&self.path, &mut self.file, self.length)?;
        let more = self.pending.len() as u64;
        append_pending(&self.path, &mut self.file, &mut self.pending)?;
        self.lines = 0;
        self.length += more;
        if moved && !std::mem::replace(&mut self.moved, true) {
            // It goes on where it is now, and that is told once.
            return Err(Error::Moved {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    fn lacking(&self) -> usize {
        self.lines
    }

    /// The log from what is in memory, if the file was lost.
    fn rewrite(&mut self, run: &Trajectory) -> Result<()> {
        if self.is_there() || has_a_name(&self.file) && !leads_to(&self.path, &self.file) {
            return Ok(());
        }
        self.claim()?;
        self.pending.clear();
        self.lines = 0;
        self.written.clear();
        for line in run.lines() {
            self.add(&line)?;
        }
        write_whole(&self.path, &self.pending)?;
        self.length = self.pending.len() as u64;
        self.pending.clear();
        self.lines = 0;
        self.file = open_for_append(&self.path)?;
        Ok(())
    }
}

impl Drop for JsonlSink {
    fn drop(&mut self) {
        // The last chance; an error has nowhere to go.
        let _ = self.flush();
    }
}
