//! The numbers of a figure as a table.

use std::path::Path;

use crate::error::{Error, Result};

/// A table that is written as CSV.
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

    /// Adds a row with one field for each column.
    pub(super) fn row<const N: usize>(&mut self, fields: [String; N]) {
        self.rows.push(fields.into());
    }

    /// Writes the table as CSV.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            writer
                .write_record(row)
                .map_err(|e| Error::encoding(path, e))?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|e| Error::encoding(path, e.into_error()))?;
        std::fs::write(path, bytes).map_err(|e| Error::io(path, e))
    }
}

/// A number as text. Empty for None.
pub(super) fn field(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}
