//! What a run leaves behind, line by line. A log is a sequence of [`Line`]s; sinks write them,
//! [`Trajectory`](crate::Trajectory) collects them.
//!
//! Two normalisations stand side by side and are never mixed: eigenvalues under WeightWatcher's
//! names are of WᵀW, with log₁₀; the suffix `_x` marks the papers' X = WᵀW/N with natural logarithms.

mod alarm;
pub mod field;
mod layer;
mod narrative;
mod notice;
mod phrase;
mod summary;
pub mod trust;

use serde::{Deserialize, Serialize};

pub use alarm::{Alarm, AlarmEvidence, Rule};
pub use layer::{Carried, CutRecord, LayerOutcome, Record, Values};
pub use notice::{Event, Notice};
pub use phrase::{Format, Phrase, Piece};
pub use summary::Summary;
pub use trust::{AgainstNoise, Doubt, Subject, Warning};

use crate::analysis::FullAnalysis;
use crate::config::Config;
use crate::matrix::SkipReason;

/// Version of the lines' format.
pub const SCHEMA: u32 = 3;

/// When an observation was made.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Stamp {
    /// Finished epochs: 0 for the initial weights.
    pub epoch: usize,
    /// Finished optimiser steps; 0 where a hand-written loop does not tell.
    pub step: u64,
}

impl Stamp {
    /// After so many epochs, steps untold.
    pub fn from_epoch(epoch: usize) -> Self {
        Self { epoch, step: 0 }
    }
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line {
    /// Who wrote the run, and in which conventions.
    Header(Header),
    /// Which layers are analysed, and why the others are not.
    Model(ModelLine),
    /// One layer at one observation.
    Layer(Box<Record>),
    /// What a full analysis of a layer added after its record was written.
    Full(Box<FullLine>),
    /// The whole model at one observation.
    Summary(Box<Summary>),
    /// A number that the training reported, such as the loss.
    Scalar(Scalar),
    /// Something the reader of the log should know.
    Notice(Notice),
    /// A rule that the user asked to be alarmed by.
    Alarm(Alarm),
    /// Another process goes on with the run.
    Resumed(Resumed),
    /// The monitor finished.
    End(End),
}

/// What makes a line unique in a log: run, kind, epoch, step and name.
pub type Key = (String, &'static str, Option<usize>, u64, String);

impl Line {
    /// What makes the line unique; a line with a known key says nothing new.
    pub fn key(&self) -> Key {
        // JSON tells what has no name apart, and always works for these.
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

    /// Whether such a line says something new although its key is known: a model may come back.
    pub(crate) fn recurs(&self) -> bool {
        matches!(self, Line::Model(_))
    }
}

/// What a full analysis of a layer added after its record was written: at a transition, or at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FullLine {
    /// Name of the run.
    pub run: String,
    /// When.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Name of the layer.
    pub layer: String,
    /// What was found.
    pub full: FullAnalysis,
}

/// Who wrote a run, and in which conventions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Header {
    /// Name of the run.
    pub run: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of heavytail.
    pub heavytail: String,
    /// Seconds since 1970 when the run began.
    pub unix_time: u64,
    /// How it was analysed.
    pub config: Config,
    /// The conventions of the columns, in words.
    pub conventions: Vec<String>,
}

impl Header {
    /// The header of a run that begins now.
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

/// Seconds since 1970.
pub(crate) fn unix_time() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

/// Another process goes on with a run, from an observation that the log has. Observations after it
/// that stand earlier in the log belong to a branch that was abandoned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resumed {
    /// Name of the run.
    pub run: String,
    /// The last observation that still counts; none if the run begins anew.
    pub from: Stamp,
    /// Whether even that observation is abandoned, since the run begins anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anew: bool,
    /// Seconds since 1970.
    pub unix_time: f64,
}

impl Resumed {
    /// Whether an observation of before still counts.
    pub fn keeps(&self, stamp: Stamp) -> bool {
        !self.anew && stamp <= self.from
    }

    /// Whether what was told of an epoch still counts.
    pub fn keeps_epoch(&self, epoch: usize) -> bool {
        !self.anew && epoch <= self.from.epoch
    }

    /// Whether the line with this key still counts; if not, a line with the same key says something
    /// new.
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

/// How a monitor came to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By [`Monitor::finish`](crate::Monitor::finish).
    Finished,
    /// It was dropped, as at the end of a program.
    #[default]
    Dropped,
    /// It was dropped since the training panicked.
    Panicked,
}

/// The monitor finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct End {
    /// Name of the run.
    pub run: String,
    /// Seconds since 1970.
    pub unix_time: f64,
    /// How.
    pub how: Ending,
    /// Observations that this process analysed.
    pub observed: usize,
    /// Those that had to wait for the one before.
    pub deferred: usize,
    /// Those that were dropped because the queue was full.
    pub dropped: usize,
    /// Those that were left out to keep within the budget.
    pub over_budget: usize,
}

/// Which layers a run analyses.
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
    /// Dotted path.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
}

/// A tensor that is not analysed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkippedLayer {
    /// Dotted path.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Why.
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
    /// For example `valid loss`.
    pub name: String,
    /// Its value.
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
