use serde::{Deserialize, Serialize};

use super::{Doubt, Stamp};
use crate::error::LayerError;
use crate::phase::{Evidence, Phase};

/// What to be alarmed by. Each layer raises an alarm when its condition begins to hold, and again only after it
/// has ceased to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
#[non_exhaustive]
pub enum Rule {
    /// A change to this phase is [confirmed](crate::Trajectory::transitions): it has held for two observations.
    TurnedTo {
        /// The new phase.
        phase: Phase,
    },
    /// α is below a value at so many observations in a row.
    AlphaBelow {
        /// The value; 2 is where the theory's heavy tails end.
        alpha: f64,
        /// How many observations; at least one.
        observations: usize,
    },
    /// The permuted entries reach beyond the noise edge
    /// ([`Annotation::CorrelationTrap`](crate::phase::Annotation::CorrelationTrap)), as full analyses find.
    CorrelationTrap,
    /// Rank-collapse by a bulk that has faded since initialisation, not by null directions.
    SoftCollapse,
    /// A layer has no spectrum any more, since weights are NaN or infinite, or the training reports a number that
    /// is not finite.
    NotFinite,
}

/// A rule whose condition has begun to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alarm {
    /// Name of the run.
    pub run: String,
    /// When.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Name of the layer, or of the number that the training reports.
    pub layer: String,
    /// Which rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// What speaks for it.
    pub evidence: AlarmEvidence,
}

impl Alarm {
    /// A rule that begins to hold for a layer, or for a number that the training reports.
    pub fn new(
        run: impl Into<String>,
        stamp: Stamp,
        layer: impl Into<String>,
        rule: Rule,
        evidence: AlarmEvidence,
    ) -> Self {
        Self {
            run: run.into(),
            stamp,
            layer: layer.into(),
            rule,
            evidence,
        }
    }
}

/// What speaks for an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "because")]
#[non_exhaustive]
pub enum AlarmEvidence {
    /// A change of phase was confirmed.
    Transition {
        /// The phase before.
        from: Phase,
        /// First epoch in the new phase.
        since: usize,
        /// Probability of the new phase.
        confidence: Option<f64>,
        /// What the fits say.
        findings: Vec<Evidence>,
    },
    /// α stayed low.
    LowAlpha {
        /// α.
        alpha: f64,
        /// Its textbook standard error.
        sigma: f64,
        /// Eigenvalues in the tail.
        n_tail: usize,
        /// What to know before trusting α.
        doubts: Vec<Doubt>,
    },
    /// The permuted matrix reaches beyond the noise edge.
    Trap,
    /// The fits' findings on the collapse.
    Collapse {
        /// What the fits say.
        findings: Vec<Evidence>,
    },
    /// The layer has no spectrum.
    Weights {
        /// Why not.
        #[serde(flatten)]
        cause: LayerError,
    },
    /// The training reported a number that is not finite.
    Scalar {
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// What a log of format 2 says, in its words.
    Earlier {
        /// The words.
        text: String,
    },
}
