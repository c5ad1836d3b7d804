use std::fmt;

use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::phase::Phase;

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

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::TurnedTo { phase } => write!(f, "turned to {phase}"),
            Rule::AlphaBelow {
                alpha,
                observations,
            } => write!(f, "α below {alpha} at {observations} observations"),
            Rule::CorrelationTrap => f.write_str("correlation trap"),
            Rule::SoftCollapse => f.write_str("soft rank collapse"),
            Rule::NotFinite => f.write_str("not finite"),
        }
    }
}

/// A rule whose condition has begun to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The numbers that speak for it, with their doubt, in words.
    pub evidence: String,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} at epoch {}: {}",
            self.layer, self.rule, self.stamp.epoch, self.evidence
        )
    }
}
