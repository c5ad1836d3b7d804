//! The folder of a run and the paths of its files.

use std::path::{Path, PathBuf};

use super::Trajectory;
use crate::error::Result;

/// The folder of a run, with the paths of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The run in this folder. The folder need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the log, `log.jsonl`.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }

    /// Path of the table of layers, `layers.csv`.
    pub fn table(&self) -> PathBuf {
        self.path.join("layers.csv")
    }

    /// Path of the folder of eigenvalues, `spectra`.
    pub fn spectra(&self) -> PathBuf {
        self.path.join("spectra")
    }

    /// Path of the HTML report, `report.html`.
    pub fn page(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Path of the folder of weights whose full analysis is not finished.
    pub(crate) fn pending(&self) -> PathBuf {
        self.path.join("pending")
    }

    /// Reads the log into a trajectory.
    ///
    /// # Errors
    ///
    /// As [`Trajectory::read_jsonl`].
    pub fn read(&self) -> Result<Trajectory> {
        Trajectory::read_jsonl(self.log())
    }
}
