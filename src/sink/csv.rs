//! The table of layers as CSV.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::Sink;
use super::jsonl::{open_for_append, truncate, write_pending};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::record::field::{Cell, FIELDS};
use crate::record::{Line, Record, scan_lines};
use crate::trajectory::Trajectory;

/// The layers' records as a table, one row a layer and observation. What is nested (slices,
/// evidence) stays in the JSONL log. Continues an existing table without duplicates. What full analyses add later is in
/// it once the run has ended.
#[derive(Debug)]
pub struct CsvSink {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    written: HashSet<[String; 4]>,
    /// Full analyses came after their rows were written.
    outdated: bool,
}

impl CsvSink {
    /// Create a table, or continue one.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or has other columns.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let mut file = open_for_append(&path)?;
        let mut written = HashSet::new();
        // Names of layers and runs may hold commas but no line breaks, so a line is a row.
        let whole = scan_lines(&path, &file, |number, text| {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(text.as_bytes());
            let row = reader
                .records()
                .next()
                .and_then(|r| r.ok())
                .filter(|r| r.len() == FIELDS.len() && (number > 1 || *r == header()))
                .ok_or_else(|| {
                    Error::format(&path, Some(number), "not a table with heavytail's columns")
                })?;
            written.insert([0, 1, 2, 4].map(|i| row[i].to_owned()));
            Ok(())
        })?;
        truncate(&path, &mut file, whole)?;
        let mut sink = Self {
            path,
            file,
            pending: Vec::new(),
            written,
            outdated: false,
        };
        if whole == 0 {
            sink.row(&header())?;
        }
        Ok(sink)
    }

    fn row(&mut self, fields: &[String]) -> Result<()> {
        append(&mut self.pending, fields).map_err(|e| Error::format(&self.path, None, e))
    }
}

impl Sink for CsvSink {
    fn line(&mut self, line: &Line) -> Result<()> {
        self.outdated |= matches!(line, Line::Full(_));
        let Line::Layer(record) = line else {
            return Ok(());
        };
        let fields = fields(record);
        if self.written.insert([0, 1, 2, 4].map(|i| fields[i].clone())) {
            self.row(&fields)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        write_pending(&self.path, &mut self.file, &mut self.pending)
    }

    /// Rows whose doubts have changed since are written anew.
    fn finish(&mut self, run: &Trajectory) -> Result<()> {
        match self.outdated {
            true => write(&run.records, &self.path),
            false => Ok(()),
        }
    }
}

impl Drop for CsvSink {
    fn drop(&mut self) {
        // The last chance; an error has nowhere to go.
        let _ = self.flush();
    }
}

/// Write records as such a table, whole: several runs differ in the column `run`.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    path: impl AsRef<Path>,
) -> Result<()> {
    let path = path.as_ref();
    let bad = |e: csv::Error| Error::format(path, None, e);
    let mut bytes = Vec::new();
    append(&mut bytes, &header()).map_err(bad)?;
    for record in records {
        append(&mut bytes, &fields(record)).map_err(bad)?;
    }
    write_whole(path, &bytes)
}

fn header() -> Vec<String> {
    FIELDS.iter().map(|f| f.name.to_owned()).collect()
}

fn fields(record: &Record) -> Vec<String> {
    FIELDS.iter().map(|f| text(f.cell(record))).collect()
}

/// A cell as text. Numbers are written so that reading gives the same bits.
pub fn text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        // A line is a row, so that a table that a crash cut off can be continued.
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
