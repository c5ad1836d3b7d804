//! The table of layers as CSV. Its columns are the fields of `record/field`.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Sink;
use crate::error::{Error, Result};
use crate::files::{append_pending, is_linked, open_for_append, refers_to, write_atomically};
use crate::record::field::{Cell, FIELDS};
use crate::record::{Line, Record};
use crate::run::Trajectory;

/// Writes the layers' records to a CSV table, one row for each layer and observation. Nested data
/// (slices, evidence) is in the JSONL log only. The table is rewritten at the end of the run if
/// full analyses changed rows.
#[derive(Debug)]
pub struct CsvSink {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    /// Number of rows in `pending`.
    rows: usize,
    /// Whether full analyses arrived after their rows were written.
    outdated: bool,
}

impl CsvSink {
    /// Creates the table. An existing table is replaced.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = open_for_append(&path)?;
        file.set_len(0).map_err(|e| Error::io(&path, e))?;
        let mut sink = Self {
            path,
            file,
            pending: Vec::new(),
            rows: 0,
            outdated: false,
        };
        sink.row(&header())?;
        Ok(sink)
    }

    fn row(&mut self, fields: &[String]) -> Result<()> {
        append(&mut self.pending, fields).map_err(|e| Error::malformed(&self.path, None, e))
    }
}

impl Sink for CsvSink {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        self.outdated |= matches!(line, Line::Full(_));
        if let Line::Layer(record) = line {
            self.row(&fields(record))?;
            self.rows += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        // A file that was moved is still written at its new place.
        if !refers_to(&self.path, &self.file) && !is_linked(&self.file) {
            return Err(Error::FileReplaced {
                path: self.path.clone(),
            });
        }
        append_pending(&self.path, &mut self.file, &mut self.pending)?;
        self.rows = 0;
        Ok(())
    }

    fn unwritten_lines(&self) -> usize {
        self.rows
    }

    fn rewrite(&mut self, run: &Trajectory) -> Result<()> {
        self.pending.clear();
        if self.path.exists() && !refers_to(&self.path, &self.file) {
            // The file at this path belongs to another process. Leave it alone, and stop collecting
            // rows in memory.
            return Err(Error::FileReplaced {
                path: self.path.clone(),
            });
        }
        write(run.records(), &self.path)?;
        self.rows = 0;
        self.outdated = false;
        self.file = open_for_append(&self.path)?;
        Ok(())
    }

    /// Rewrites the table if full analyses changed rows.
    fn finish(&mut self, run: &Trajectory) -> Result<()> {
        match self.outdated {
            true => self.rewrite(run),
            false => Ok(()),
        }
    }
}

impl Drop for CsvSink {
    fn drop(&mut self) {
        // An error cannot be reported here.
        let _ = self.flush();
    }
}

/// Writes records to a CSV table in one go. The column `run` distinguishes several runs.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    path: impl AsRef<Path>,
) -> Result<()> {
    let path = path.as_ref();
    let bad = |e: csv::Error| Error::malformed(path, None, e);
    let mut bytes = Vec::new();
    append(&mut bytes, &header()).map_err(bad)?;
    for record in records {
        append(&mut bytes, &fields(record)).map_err(bad)?;
    }
    write_atomically(path, &bytes)
}

fn header() -> Vec<String> {
    FIELDS.iter().map(|f| f.name.to_owned()).collect()
}

fn fields(record: &Record) -> Vec<String> {
    FIELDS.iter().map(|f| text(f.cell(record))).collect()
}

/// The text of a CSV cell. Reading a number back gives the same bits. Null and numbers that are not
/// finite are empty.
pub fn text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        // Remove line breaks, so that each line is a row and a truncated table can be continued.
        Cell::Text(text) => text.replace(['\n', '\r'], " "),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) if !value.is_finite() => String::new(),
        Cell::Real(value) => serde_json::Value::from(value).to_string(),
        Cell::Flag(value) => value.to_string(),
    }
}

fn append(bytes: &mut Vec<u8>, fields: &[String]) -> csv::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(bytes);
    writer.write_record(fields)?;
    Ok(writer.flush()?)
}
