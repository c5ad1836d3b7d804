use std::path::{Path, PathBuf};

use super::{Lock, Trajectory};
use crate::error::Result;
use crate::record::{Ending, SCHEMA};

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunState {
    /// It has no log yet.
    #[default]
    Empty,
    /// A process writes its log.
    Running,
    /// The monitor finished: the log says so.
    Ended,
    /// Nobody writes the log, and it does not say that it ended: the process was killed, or it
    /// panicked.
    Died,
}

impl RunState {
    /// `empty`, `running`, `ended` or `died`.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Empty => "empty",
            RunState::Running => "running",
            RunState::Ended => "ended",
            RunState::Died => "died",
        }
    }
}

impl RunDir {
    /// The run in this folder, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }

    /// The table of layers.
    pub fn table(&self) -> PathBuf {
        self.path.join("layers.csv")
    }

    /// The folder of eigenvalues.
    pub fn spectra(&self) -> PathBuf {
        self.path.join("spectra")
    }

    /// The page.
    pub fn page(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// The folder of weights that wait for their full analysis.
    pub(crate) fn pending(&self) -> PathBuf {
        self.path.join("pending")
    }

    /// Everything that the log tells.
    ///
    /// # Errors
    ///
    /// As [`Trajectory::read_jsonl`].
    pub fn read(&self) -> Result<Trajectory> {
        Trajectory::read_jsonl(self.log())
    }

    /// What the run is doing. A file lock tells whether a process writes the log; on a network disk
    /// without locks a running one counts as died.
    ///
    /// # Errors
    ///
    /// As [`RunDir::read`].
    pub fn state(&self) -> Result<RunState> {
        if !self.log().exists() {
            return Ok(RunState::Empty);
        }
        // In this order: a run that ends meanwhile is seen to have ended.
        let held = Lock::is_held(&self.log());
        let run = self.read()?;
        Ok(if held { RunState::Running } else { said(&run) })
    }

    /// The same, if the log was read already.
    pub fn state_of(&self, run: &Trajectory) -> RunState {
        if Lock::is_held(&self.log()) {
            return RunState::Running;
        }
        match said(run) {
            // It may have ended since it was read.
            RunState::Died => self.read().map_or(RunState::Died, |run| said(&run)),
            state => state,
        }
    }
}

/// What the log of a run says that nobody writes.
fn said(run: &Trajectory) -> RunState {
    // Earlier formats have no end, and nobody writes them any more.
    let schema = run.header().map(|h| h.schema);
    match run.end() {
        Some(end) if end.how == Ending::Panicked => RunState::Died,
        Some(_) => RunState::Ended,
        None if schema.is_some_and(|s| s < SCHEMA) => RunState::Ended,
        None => RunState::Died,
    }
}
