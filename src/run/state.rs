//! The state of a run: empty, running, ended or died.

use super::{Lock, RunDir, Trajectory};
use crate::error::Result;
use crate::record::{Ending, SCHEMA};

/// State of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunState {
    /// The run has no log yet.
    #[default]
    Empty,
    /// A process is writing the log.
    Running,
    /// The log has an end line, so the monitor finished or was dropped.
    Ended,
    /// No process writes the log, and the log has no end line or its end line reports a panic.
    Died,
}

impl RunState {
    /// Name of the state: `empty`, `running`, `ended` or `died`.
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
    /// The state of the run. A file lock shows whether a process writes the log. On a network disk
    /// without locks a running process is not detected, and its run counts as died.
    ///
    /// # Errors
    ///
    /// As [`RunDir::read`].
    pub fn state(&self) -> Result<RunState> {
        if !self.log().exists() {
            return Ok(RunState::Empty);
        }
        // Check the lock before reading. A run that ends in between is then reported as ended.
        let held = Lock::is_held(&self.log());
        let run = self.read()?;
        Ok(if held {
            RunState::Running
        } else {
            state_from_log(&run)
        })
    }

    /// The state of the run whose log was read as `run`.
    pub fn state_of(&self, run: &Trajectory) -> RunState {
        if Lock::is_held(&self.log()) {
            return RunState::Running;
        }
        match state_from_log(run) {
            // The run may have ended after the log was read.
            RunState::Died => self
                .read()
                .map_or(RunState::Died, |run| state_from_log(&run)),
            state => state,
        }
    }
}

/// The state according to the log of a run that no process writes.
fn state_from_log(run: &Trajectory) -> RunState {
    // Earlier formats have no end line. No process writes them any more, so they count as ended.
    let schema = run.header().map(|h| h.schema);
    match run.end() {
        Some(end) if end.how == Ending::Panicked => RunState::Died,
        Some(_) => RunState::Ended,
        None if schema.is_some_and(|s| s < SCHEMA) => RunState::Ended,
        None => RunState::Died,
    }
}
