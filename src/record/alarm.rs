//! Alarm rules, and the alarms that a run raises when a rule begins to hold.

use serde::{Deserialize, Serialize};

use super::{Doubt, Stamp};
use crate::error::LayerError;
use crate::phase::{Evidence, Phase};

/// A condition that raises an alarm. A layer raises the alarm when the condition begins to hold. It
/// raises the alarm again only after the condition has stopped holding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
#[non_exhaustive]
pub enum AlarmRule {
    /// The layer changed to this phase. The change must be
    /// [confirmed](crate::Trajectory::transitions) by two determinate observations in a row.
    TurnedTo {
        /// The new phase.
        phase: Phase,
    },
    /// α stays below a threshold for several observations in a row.
    AlphaBelow {
        /// Threshold of α. The theory's heavy tails end at 2.
        alpha: f64,
        /// Number of observations in a row, at least 1.
        observations: usize,
    },
    /// A full analysis found eigenvalues of the permuted entries beyond the noise edge
    /// ([`Annotation::CorrelationTrap`](crate::phase::Annotation::CorrelationTrap)).
    CorrelationTrap,
    /// Rank-collapse because the bulk has faded since initialisation, not because of null
    /// directions.
    SoftCollapse,
    /// The weights of a layer are NaN or infinite, so the layer has no spectrum. Or the training
    /// reported a number that is not finite.
    NotFinite,
}

/// An alarm: a rule whose condition began to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alarm {
    /// Name of the run.
    pub run: String,
    /// The observation at which the rule began to hold.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Name of the layer, or of the number that the training reported.
    pub layer: String,
    /// The rule.
    #[serde(flatten)]
    pub rule: AlarmRule,
    /// The numbers that support the alarm.
    pub evidence: AlarmEvidence,
}

impl Alarm {
    /// An alarm for a layer, or for a number that the training reported.
    pub fn new(
        run: impl Into<String>,
        stamp: Stamp,
        layer: impl Into<String>,
        rule: AlarmRule,
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

/// The numbers that support an alarm.
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
        /// Findings of the phase classification.
        findings: Vec<Evidence>,
    },
    /// α stayed below the threshold.
    LowAlpha {
        /// Exponent α of the tail.
        alpha: f64,
        /// Textbook standard error of α.
        sigma: f64,
        /// Number of eigenvalues in the tail.
        n_tail: usize,
        /// Doubts about α.
        doubts: Vec<Doubt>,
    },
    /// The permuted matrix has eigenvalues beyond the noise edge.
    Trap,
    /// The findings of a rank collapse.
    Collapse {
        /// Findings of the phase classification.
        findings: Vec<Evidence>,
    },
    /// The layer has no spectrum.
    Weights {
        /// The reason.
        #[serde(flatten)]
        cause: LayerError,
    },
    /// The training reported a number that is not finite.
    Scalar {
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// The evidence of an alarm in a log of format 2, which holds text only.
    Earlier {
        /// The text.
        text: String,
    },
}
