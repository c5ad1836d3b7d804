//! Notices: events of a run that the reader of its log should know.

use serde::{Deserialize, Serialize};

use crate::error::LayerError;

/// An event that the reader of a log should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notice {
    /// Name of the run.
    pub run: String,
    /// The epoch of the event. None if it belongs to no epoch.
    pub epoch: Option<usize>,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl Notice {
    /// A notice of an event. `epoch` is None if the event belongs to no epoch.
    pub fn new(run: impl Into<String>, epoch: Option<usize>, event: Event) -> Self {
        let run = run.into();
        Self { run, epoch, event }
    }
}

/// An event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// A message of the user, by [`Monitor::notice`](crate::Monitor::notice).
    Message {
        /// The text of the message.
        text: String,
    },
    /// The training reported a number that is not finite. JSON cannot hold such a number.
    NotFinite {
        /// Name of the number, for example `valid loss`.
        name: String,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// The weights could not be copied.
    NotObserved {
        /// The error message.
        message: String,
    },
    /// The learner has no validation batches. An epoch then ends when the learner calls `valid()`.
    NoValidation,
    /// A resumed run has weights that are not in the log. The epochs continue from the last epoch
    /// of the log.
    UnknownWeights,
    /// A checkpoint was loaded, but the log is new. The epochs count from 0.
    LoadedCheckpoint,
    /// A full analysis failed.
    FullFailed {
        /// The layer.
        layer: String,
        /// The error.
        #[serde(flatten)]
        cause: LayerError,
    },
    /// A full analysis was refused, because too many are waiting or the system refused a thread.
    FullRefused {
        /// The layer.
        layer: String,
    },
    /// The last observation has no full analyses, because the system refused a thread.
    NoFullAtEnd,
    /// The analysis was slower than the training.
    LaggedBehind {
        /// Number of observations that waited.
        deferred: usize,
        /// Number of observations that were dropped.
        dropped: usize,
    },
    /// Observations were left out to keep within the time budget.
    OverBudget {
        /// Number of observations.
        count: usize,
    },
    /// A sink failed. The other sinks continued.
    SinkFailed {
        /// Name of the sink, for example its file.
        sink: String,
        /// The error message.
        message: String,
    },
    /// The closure that handles alarms failed.
    ActionFailed {
        /// The error message.
        message: String,
    },
    /// The spectra of an observation cannot be read.
    NoSpectra {
        /// The error message.
        message: String,
    },
    /// The last line of the log is incomplete, as after a crash. It is left out.
    CutOffLine,
    /// A line of the log cannot be read and is left out.
    DamagedLine {
        /// Number of the line, from 1.
        number: usize,
    },
    /// The log was deleted, truncated or replaced during the run. It was rewritten from memory.
    LogLost {
        /// Path of the log.
        path: String,
    },
    /// The layers of the model changed.
    OtherModel {
        /// New layers, and layers with a new shape.
        added: Vec<String>,
        /// Layers that no longer exist.
        removed: Vec<String>,
    },
    /// A process was killed before it finished its full analyses. They cannot be repeated, because
    /// the weights no longer exist.
    FullMissing {
        /// The layers.
        layers: Vec<String>,
    },
}
