//! The records of a run, line by line. A log is a sequence of [`Line`]s. Sinks write the lines, and
//! [`Trajectory`](crate::Trajectory) collects them.
//!
//! A record holds two normalisations and never mixes them. Fields with WeightWatcher's names are of
//! WᵀW and use log₁₀. Fields with the suffix `_x` are of the papers' X = WᵀW/N and use natural
//! logarithms.

mod alarm;
pub mod field;
mod layer;
mod notice;
mod phrase;
mod sentences;
mod summary;
pub(crate) mod trust;

use serde::{Deserialize, Serialize};

pub use alarm::{Alarm, AlarmEvidence, AlarmRule};
pub use layer::{Carried, CutRecord, LayerOutcome, Record, Values};
pub use notice::{Event, Notice};
pub use phrase::{Format, Phrase, Piece};
pub use summary::Summary;
pub use trust::{AgainstNoise, Doubt, DoubtSubject, Warning};

use crate::analysis::FullAnalysis;
use crate::config::Config;
use crate::matrix::SkipReason;

/// Version of the log format.
pub const SCHEMA: u32 = 3;

/// The time of an observation: epoch and optimiser step.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Stamp {
    /// Number of finished epochs. 0 for the initial weights.
    pub epoch: usize,
    /// Number of finished optimiser steps. 0 if a hand-written training loop does not report it.
    pub step: u64,
}

impl Stamp {
    /// The stamp after `epoch` epochs, with an unknown step.
    pub fn from_epoch(epoch: usize) -> Self {
        Self { epoch, step: 0 }
    }
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line {
    /// The program that wrote the run, and its conventions.
    Header(Header),
    /// The layers that are analysed, and the reasons why others are not.
    Model(ModelLine),
    /// One layer at one observation.
    Layer(Box<Record>),
    /// Results that a full analysis of a layer added after the layer's record was written.
    Full(Box<FullLine>),
    /// The whole model at one observation.
    Summary(Box<Summary>),
    /// A number that the training reported, such as the loss.
    Scalar(Scalar),
    /// An event that the reader of the log should know.
    Notice(Notice),
    /// A rule of the user began to hold.
    Alarm(Alarm),
    /// Another process continues the run.
    Resumed(Resumed),
    /// The monitor ended.
    End(End),
}

/// The fields that identify a line in a log: run, kind, epoch, step and name.
pub type Key = (String, &'static str, Option<usize>, u64, String);

impl Line {
    /// The key of the line. A line whose key is already in the log is a duplicate.
    pub fn key(&self) -> Key {
        // The JSON text identifies lines without a name. Serialising these types cannot fail.
        fn json(of: &impl Serialize) -> String {
            serde_json::to_string(of).unwrap_or_default()
        }
        let at = |stamp: Stamp| (Some(stamp.epoch), stamp.step);
        let (run, kind, (epoch, step), name) = match self {
            Line::Header(l) => (&l.run, "header", (None, 0), String::new()),
            Line::Model(l) => (&l.run, "model", (None, 0), json(&(&l.layers, &l.skipped))),
            Line::Layer(l) => (&l.run, "layer", at(l.stamp), l.layer.clone()),
            Line::Full(l) => (&l.run, "full", at(l.stamp), l.layer.clone()),
            Line::Summary(l) => (&l.run, "summary", at(l.stamp), String::new()),
            Line::Scalar(l) => (&l.run, "scalar", (Some(l.epoch), 0), l.name.clone()),
            Line::Notice(l) => (&l.run, "notice", (l.epoch, 0), json(&l.event)),
            Line::Alarm(l) => {
                let name = format!("{} {}", l.layer, json(&l.rule));
                (&l.run, "alarm", at(l.stamp), name)
            }
            Line::Resumed(l) => (&l.run, "resumed", (None, 0), l.unix_time.to_string()),
            Line::End(l) => (&l.run, "end", (None, 0), l.unix_time.to_string()),
        };
        (run.clone(), kind, epoch, step, name)
    }

    /// Whether a line with a known key may still be new. This holds for a model line, since a model
    /// may return to an earlier form.
    pub(crate) fn may_repeat(&self) -> bool {
        matches!(self, Line::Model(_))
    }
}

/// Results that a full analysis of a layer added after the layer's record was written. A full
/// analysis runs at a transition or at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FullLine {
    /// Name of the run.
    pub run: String,
    /// The observation that was analysed.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Name of the layer.
    pub layer: String,
    /// The results.
    pub full: FullAnalysis,
}

/// The program that wrote a run, and its conventions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// Name of the run.
    pub run: String,
    /// Version of the log format, [`SCHEMA`].
    pub schema: u32,
    /// Version of heavytail.
    pub heavytail: String,
    /// Start of the run, in seconds since 1970.
    pub unix_time: u64,
    /// Configuration of the analysis.
    pub config: Config,
    /// The conventions of the columns, as text.
    pub conventions: Vec<String>,
}

impl Header {
    /// The header of a run that starts now.
    pub fn new(run: &str, config: &Config) -> Self {
        Self {
            run: run.to_owned(),
            schema: SCHEMA,
            heavytail: env!("CARGO_PKG_VERSION").to_owned(),
            unix_time: unix_time() as u64,
            config: config.clone(),
            conventions: CONVENTIONS.iter().map(|&s| s.to_owned()).collect(),
        }
    }
}

const CONVENTIONS: [&str; 7] = [
    "N >= M are the sides of the matrix, Q = N/M; epoch counts finished epochs, 0 is the initial weights",
    "lambda_max, xmin, xmax, norm, log_*, alpha_weighted: eigenvalues of W'W without 1/N, log10 (as WeightWatcher)",
    "suffix _x, sigma_mp, bulk_*: eigenvalues of X = W'W/N, natural logarithm (as the papers)",
    "num_spikes, sigma_mp, mp_softrank: Marchenko-Pastur bulk with a Tracy-Widom edge, X = W'W/N",
    "phase_probabilities: RandomLike, BleedingOut, BulkPlusSpikes, BulkDecay, HeavyTailed, RankCollapse; indeterminate: confidence below 0.6 or too small a layer",
    "entropy: divided by ln(number of eigenvalues); matrix_rank: singular values above sv_max*(eps_f32/2)*sqrt(N+M+1)",
    "a convolution is one row, its (C_in*k) x C_out unfolding; its kernel positions and their pooled spectrum are nested in it",
];

/// The current time in seconds since 1970.
pub(crate) fn unix_time() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

/// Another process continues a run after an observation in the log. Later observations that precede
/// this line belong to an abandoned branch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resumed {
    /// Name of the run.
    pub run: String,
    /// The last observation that remains valid. It has no meaning if `anew` is true.
    pub from: Stamp,
    /// Whether the run restarts from the beginning. Then no earlier observation remains valid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
    /// Time of the continuation, in seconds since 1970.
    pub unix_time: f64,
}

impl Resumed {
    /// Whether an earlier observation remains valid.
    pub fn keeps(&self, stamp: Stamp) -> bool {
        !self.anew && stamp <= self.from
    }

    /// Whether an earlier line about this epoch remains valid.
    pub fn keeps_epoch(&self, epoch: usize) -> bool {
        !self.anew && epoch <= self.from.epoch
    }

    /// Whether an earlier line with this key remains valid. If it does not, a new line with the
    /// same key is not a duplicate.
    pub(crate) fn keeps_key(&self, (_, kind, epoch, step, _): &Key) -> bool {
        let Some(epoch) = *epoch else {
            return true;
        };
        match *kind {
            "scalar" | "notice" => self.keeps_epoch(epoch),
            "alarm" if *step == 0 => self.keeps_epoch(epoch),
            _ => self.keeps(Stamp { epoch, step: *step }),
        }
    }
}

/// How a monitor ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// [`Monitor::finish`](crate::Monitor::finish) was called.
    Finished,
    /// The monitor was dropped, for example at the end of the program.
    #[default]
    Dropped,
    /// The monitor was dropped because the training panicked.
    Panicked,
}

/// The monitor ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct End {
    /// Name of the run.
    pub run: String,
    /// End of the run, in seconds since 1970.
    pub unix_time: f64,
    /// How the monitor ended.
    pub how: Ending,
    /// Number of observations that this process analysed.
    pub observed: usize,
    /// Number of observations that waited for the previous one.
    pub deferred: usize,
    /// Number of observations that were dropped because the queue was full.
    pub dropped: usize,
    /// Number of observations that were left out to keep within the time budget.
    pub over_budget: usize,
}

/// The layers that a run analyses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelLine {
    /// Name of the run.
    pub run: String,
    /// The layers, in the model's order.
    pub layers: Vec<LayerShape>,
    /// The tensors that are left out, each with its reason.
    #[serde(rename = "left_out")]
    pub skipped: Vec<SkippedLayer>,
}

/// A layer's name and shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerShape {
    /// Dotted path of the parameter.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
}

/// A tensor that is not analysed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkippedLayer {
    /// Dotted path of the parameter.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// The reason.
    #[serde(flatten)]
    pub why: SkipReason,
}

/// A number that the training reported for an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scalar {
    /// Name of the run.
    pub run: String,
    /// Epoch, counted as in [`Stamp`].
    pub epoch: usize,
    /// Name of the number, for example `valid loss`.
    pub name: String,
    /// Value of the number.
    pub value: f64,
}

impl Scalar {
    /// The number `name` of an epoch.
    pub fn new(run: impl Into<String>, epoch: usize, name: impl Into<String>, value: f64) -> Self {
        Self {
            run: run.into(),
            epoch,
            name: name.into(),
            value,
        }
    }
}
