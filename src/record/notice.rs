use serde::{Deserialize, Serialize};

use crate::error::LayerError;

/// Something the reader of a log should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notice {
    /// Name of the run.
    pub run: String,
    /// Where it happened, if at an epoch.
    pub epoch: Option<usize>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Notice {
    /// What happened in a run, at an epoch where that is known.
    pub fn new(run: impl Into<String>, epoch: Option<usize>, event: Event) -> Self {
        let run = run.into();
        Self { run, epoch, event }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// What the user said, by [`Monitor::notice`](crate::Monitor::notice).
    Message {
        /// The words.
        text: String,
    },
    /// The training reported a number that is not finite. JSON has no such numbers.
    NotFinite {
        /// Its name, for example `valid loss`.
        name: String,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// The weights could not be copied.
    NotObserved {
        /// Why.
        message: String,
    },
    /// The learner has no validation batches, so an epoch ends where it takes `valid()`.
    NoValidation,
    /// A resumed run has weights that the log does not know: epochs count on from its last.
    UnknownWeights,
    /// A checkpoint was loaded into a new log: epochs count from 0.
    LoadedCheckpoint,
    /// A full analysis failed.
    FullFailed {
        /// The layer.
        layer: String,
        /// Why.
        #[serde(flatten)]
        cause: LayerError,
    },
    /// Too many full analyses wait, or the system refused a thread.
    FullRefused {
        /// The layer.
        layer: String,
    },
    /// The last observation has no full analyses, since the system refused a thread.
    NoFullAtEnd,
    /// The analysis could not keep up.
    LaggedBehind {
        /// Observations that waited.
        deferred: usize,
        /// Observations that were dropped.
        dropped: usize,
    },
    /// Observations were left out to keep within the budget.
    OverBudget {
        /// How many.
        count: usize,
    },
    /// A sink failed; the others went on.
    SinkFailed {
        /// Which one: its file, say.
        sink: String,
        /// What it said.
        message: String,
    },
    /// The closure that acts on an alarm failed.
    ActionFailed {
        /// What it said.
        message: String,
    },
    /// The spectra of an observation cannot be read.
    NoSpectra {
        /// Why.
        message: String,
    },
    /// The last line was cut off, as by a crash, and is left out.
    CutOffLine,
    /// A line of the log cannot be read and is left out.
    DamagedLine {
        /// Its number, counted from 1.
        number: usize,
    },
    /// The log was deleted, cut back or replaced while the run went on, and was written anew from
    /// memory.
    LogLost {
        /// The file.
        path: String,
    },
    /// From here on the run has other layers.
    OtherModel {
        /// Layers that were not there before, or had another shape.
        added: Vec<String>,
        /// Layers that are gone.
        removed: Vec<String>,
    },
    /// Full analyses that a killed process had promised cannot be made up for: the weights are
    /// gone.
    FullMissing {
        /// The layers.
        layers: Vec<String>,
    },
}
