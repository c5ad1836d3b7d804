use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Sink;
use crate::error::{Error, Result};
use crate::record::{Key, Line, scan_lines};

/// An append-only log, one JSON object a line.
///
/// Opening a log that exists continues it: a last line that a crash cut off is removed, and lines
/// that are already there are not written again.
#[derive(Debug)]
pub struct JsonlSink {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    written: HashSet<Key>,
}

impl JsonlSink {
    /// Create a log, or continue one.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or holds something else than such a log.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let mut file = open_for_append(&path)?;
        let mut written = HashSet::new();
        let whole = scan_lines(&path, &file, |number, text| {
            let line: Line =
                serde_json::from_str(text).map_err(|e| Error::format(&path, Some(number), e))?;
            written.insert(line.key());
            Ok(())
        })?;
        truncate(&path, &mut file, whole)?;
        Ok(Self {
            path,
            file,
            pending: Vec::new(),
            written,
        })
    }
}

impl Sink for JsonlSink {
    fn line(&mut self, line: &Line) -> Result<()> {
        if !self.written.insert(line.key()) {
            return Ok(());
        }
        serde_json::to_writer(&mut self.pending, line)
            .map_err(|e| Error::format(&self.path, None, e))?;
        self.pending.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        write_pending(&self.path, &mut self.file, &mut self.pending)
    }
}

impl Drop for JsonlSink {
    fn drop(&mut self) {
        // The last chance; an error has nowhere to go.
        let _ = self.flush();
    }
}

pub(super) fn open_for_append(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    let file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(path)
        .map_err(|e| Error::io(path, e))?;
    // A device or a pipe has no lines to continue, and reading one may never end.
    let is_file = file.metadata().is_ok_and(|m| m.is_file());
    if is_file {
        Ok(file)
    } else {
        Err(Error::format(path, None, "not a regular file"))
    }
}

pub(super) fn truncate(path: &Path, file: &mut File, length: u64) -> Result<()> {
    file.set_len(length).map_err(|e| Error::io(path, e))?;
    file.seek(SeekFrom::Start(length))
        .map_err(|e| Error::io(path, e))?;
    Ok(())
}

/// Append what is pending as one write. If the disk is full, the file is cut back to whole lines
/// and the lines stay pending, to be tried again with the next observation.
pub(super) fn write_pending(path: &Path, file: &mut File, pending: &mut Vec<u8>) -> Result<()> {
    if pending.is_empty() {
        return Ok(());
    }
    let start = file.stream_position().map_err(|e| Error::io(path, e))?;
    let result = file.write_all(pending).and_then(|()| file.sync_data());
    match result {
        Ok(()) => {
            pending.clear();
            Ok(())
        }
        Err(error) => {
            let _ = file.set_len(start);
            let _ = file.seek(SeekFrom::Start(start));
            Err(Error::io(path, error))
        }
    }
}
