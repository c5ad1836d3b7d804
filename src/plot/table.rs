//! The numbers of a figure.

use std::path::Path;

use crate::error::{Error, Result};

/// A table that is written as CSV beside its figure.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(super) fn new(columns: &[&str]) -> Self {
        Self {
            rows: vec![columns.iter().map(|&c| c.to_owned()).collect()],
        }
    }

    /// Add a row, one field a column.
    pub(super) fn row<const N: usize>(&mut self, fields: [String; N]) {
        self.rows.push(fields.into());
    }

    /// Write it.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            writer
                .write_record(row)
                .map_err(|e| Error::format(path, None, e))?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|e| Error::format(path, None, e))?;
        std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
    }
}

/// A number that may be absent.
pub(super) fn field(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}
