use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;

use serde_json::Value;

use super::Sink;
use super::jsonl::{open_for_append, truncate, write_pending};
use crate::error::{Error, Result};
use crate::record::{Line, scan_lines};

/// The columns of the table, in order: names as WeightWatcher has them where it has one. Each is
/// the field of [`Record`](crate::Record) of that name (`name` and `longname` are `layer`, `spectral_norm` is `lambda_max`).
pub const COLUMNS: &[&str] = &[
    "run",
    "epoch",
    "step",
    "layer_id",
    "name",
    "longname",
    "cut",
    "N",
    "M",
    "Q",
    "num_evals",
    "alpha",
    "noise_alpha_low",
    "noise_alpha",
    "noise_alpha_high",
    "sigma",
    "D",
    "xmin",
    "xmax",
    "num_pl_spikes",
    "alpha_weighted",
    "log_alpha_norm",
    "log_norm",
    "log_spectral_norm",
    "norm",
    "lambda_max",
    "spectral_norm",
    "stable_rank",
    "matrix_rank",
    "rank_loss",
    "entropy",
    "num_spikes",
    "sigma_mp",
    "mp_softrank",
    "bulk_min_x",
    "bulk_max_x",
    "bulk_edge_x",
    "bulk_d",
    "bulk_d95",
    "bulk_d_p",
    "lambda_max_p",
    "num_null",
    "hill_alpha",
    "lr_exponential",
    "alpha_weighted_x",
    "log_alpha_norm_x",
    "log_norm_x",
    "log_spectral_norm_x",
    "stable_rank_log",
    "stable_rank_log_x",
    "phase",
    "phase_confidence",
    "indeterminate",
    "warning",
    "status",
    "reason",
    "seconds_analysis",
];

/// The layers' records as a table, one row a layer and observation. What is nested (slices,
/// evidence) stays in the JSONL log. Continues an existing table without duplicates.
#[derive(Debug)]
pub struct CsvSink {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    written: HashSet<[String; 4]>,
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
                .filter(|r| r.len() == COLUMNS.len() && (number > 1 || r == COLUMNS))
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
        };
        if whole == 0 {
            sink.row(COLUMNS.iter().map(|&c| c.to_owned()).collect())?;
        }
        Ok(sink)
    }

    fn row(&mut self, fields: Vec<String>) -> Result<()> {
        let mut writer = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(&mut self.pending);
        writer
            .write_record(fields.iter().map(|f| f.replace(['\n', '\r'], " ")))
            .and_then(|()| Ok(writer.flush()?))
            .map_err(|e| Error::format(&self.path, None, e))
    }
}

impl Sink for CsvSink {
    fn line(&mut self, line: &Line) -> Result<()> {
        let Line::Layer(record) = line else {
            return Ok(());
        };
        let object =
            serde_json::to_value(record).map_err(|e| Error::format(&self.path, None, e))?;
        let fields: Vec<String> = COLUMNS
            .iter()
            .map(|&column| {
                let field = match column {
                    "name" | "longname" => "layer",
                    "spectral_norm" => "lambda_max",
                    same => same,
                };
                match &object[field] {
                    Value::Null => String::new(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                }
            })
            .collect();
        if self.written.insert([0, 1, 2, 4].map(|i| fields[i].clone())) {
            self.row(fields)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        write_pending(&self.path, &mut self.file, &mut self.pending)
    }
}

impl Drop for CsvSink {
    fn drop(&mut self) {
        // The last chance; an error has nowhere to go.
        let _ = self.flush();
    }
}
