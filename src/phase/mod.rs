//! The 5+1 phases of training.
//!
//! | phase | spectrum |
//! |---|---|
//! | [`RandomLike`](Phase::RandomLike) | Marchenko–Pastur, as freshly initialised weights |
//! | [`BleedingOut`](Phase::BleedingOut) | the same, with eigenvalues just beyond the edge |
//! | [`BulkPlusSpikes`](Phase::BulkPlusSpikes) | a random bulk and a few eigenvalues well outside it |
//! | [`BulkDecay`](Phase::BulkDecay) | the bulk's edge dissolves into a shoulder |
//! | [`HeavyTailed`](Phase::HeavyTailed) | no bulk edge; a power law is the better description |
//! | [`RankCollapse`](Phase::RankCollapse) | a large mass at zero |
//!
//! Source: Martin, Mahoney, *Implicit Self-Regularization in Deep Neural Networks*,
//! arXiv:1810.01075 (JMLR 2021).

mod classify;
mod features;
mod network;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use classify::{Baseline, Unclassifiable, classify};
pub use features::{Features, features};

/// One of the six phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Indistinguishable from noise.
    RandomLike,
    /// Eigenvalues begin to leave the bulk.
    BleedingOut,
    /// A random bulk and separate spikes.
    BulkPlusSpikes,
    /// The edge of the bulk dissolves.
    BulkDecay,
    /// A power law over most of the spectrum.
    HeavyTailed,
    /// Many directions carry nothing.
    RankCollapse,
}

impl Phase {
    /// All phases, in the order in which training walks through them.
    pub const ALL: [Phase; 6] = [
        Phase::RandomLike,
        Phase::BleedingOut,
        Phase::BulkPlusSpikes,
        Phase::BulkDecay,
        Phase::HeavyTailed,
        Phase::RankCollapse,
    ];

    /// Name as in records: `RandomLike`, `BleedingOut`, ….
    pub fn name(self) -> &'static str {
        match self {
            Phase::RandomLike => "RandomLike",
            Phase::BleedingOut => "BleedingOut",
            Phase::BulkPlusSpikes => "BulkPlusSpikes",
            Phase::BulkDecay => "BulkDecay",
            Phase::HeavyTailed => "HeavyTailed",
            Phase::RankCollapse => "RankCollapse",
        }
    }

    /// Name as in the papers: `Random-like`, `Bleeding-out`, ….
    pub fn title(self) -> &'static str {
        match self {
            Phase::RandomLike => "Random-like",
            Phase::BleedingOut => "Bleeding-out",
            Phase::BulkPlusSpikes => "Bulk+Spikes",
            Phase::BulkDecay => "Bulk-decay",
            Phase::HeavyTailed => "Heavy-tailed",
            Phase::RankCollapse => "Rank-collapse",
        }
    }

    /// One letter for tiles: R, B, S, D, H, C.
    pub fn letter(self) -> char {
        match self {
            Phase::RandomLike => 'R',
            Phase::BleedingOut => 'B',
            Phase::BulkPlusSpikes => 'S',
            Phase::BulkDecay => 'D',
            Phase::HeavyTailed => 'H',
            Phase::RankCollapse => 'C',
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

/// Below this probability of the best phase a verdict is `indeterminate`.
pub const INDETERMINATE: f64 = 0.6;

/// A phase, how sure it is, and what decided it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The most probable phase.
    pub phase: Phase,
    /// Its probability: calibrated by simulation, but for Rank-collapse, which follows from the share of
    /// null directions by rule; see [`classify`].
    pub confidence: f64,
    /// Whether the verdict should not be relied on: the confidence is below [`INDETERMINATE`], or the
    /// layer is too small for this phase.
    pub indeterminate: bool,
    /// The probability of each phase, in the order of [`Phase::ALL`].
    pub probabilities: [f64; 6],
    /// What the spectrum's fits say.
    pub evidence: Vec<Evidence>,
    /// Remarks that change no verdict.
    pub annotations: Vec<Annotation>,
}

impl Verdict {
    fn new(probabilities: [f64; 6], evidence: Vec<Evidence>) -> Self {
        // What is no number speaks for no phase.
        let probabilities = probabilities.map(|p| if p.is_finite() { p } else { 0.0 });
        let mut phase = Phase::RandomLike;
        for candidate in Phase::ALL {
            if probabilities[candidate as usize] > probabilities[phase as usize] {
                phase = candidate;
            }
        }
        let confidence = probabilities[phase as usize];
        Self {
            phase,
            confidence,
            indeterminate: confidence < INDETERMINATE,
            probabilities,
            evidence,
            annotations: Vec::new(),
        }
    }
}

impl Verdict {
    /// Add remarks that are not there yet.
    pub(crate) fn annotate(&mut self, annotations: &[Annotation]) {
        for &annotation in annotations {
            if !self.annotations.contains(&annotation) {
                self.annotations.push(annotation);
            }
        }
    }
}

/// One number that took part in the decision, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Name of the statistic.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// What it says.
    pub says: String,
}

impl Evidence {
    fn new(name: &str, value: f64, says: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value,
            says: says.into(),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:.4}: {}", self.name, self.value, self.says)
    }
}

/// A remark beside a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Annotation {
    /// All singular values are nearly equal.
    NearOrthogonal,
    /// M < 50: neighbouring phases are hard to tell apart, and below 30 only noise, collapse, and
    /// neither of them.
    SmallLayer,
    /// Rows or columns along the longer side carry nothing; the aspect ratio is that of the others.
    DeadVectors,
    /// Equalising the scales of rows and columns turns the layer into noise: unequal variances, not
    /// correlations, explain what leaves the bulk. (Structure along single rows or columns vanishes too.)
    ScaleHeterogeneity,
    /// The same entries in random order reach as far beyond the edge: their own distribution explains
    /// the outliers.
    EntryDistribution,
    /// The same entries in random order, without their mean, have eigenvalues beyond the noise edge: the
    /// entries' distribution has a heavy tail, or is sparse. Martin and Mahoney call it correlation traps.
    CorrelationTrap,
    /// The mean of the entries alone makes a spike (a rank-one part that says nothing of directions).
    MeanShift,
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Annotation::NearOrthogonal => "all singular values are nearly equal",
            Annotation::SmallLayer => "fewer than 50 eigenvalues: neighbouring phases blur",
            Annotation::DeadVectors => "some rows or columns carry nothing",
            Annotation::ScaleHeterogeneity => {
                "unequal scales of rows or columns explain the outliers: equalised, it is noise"
            }
            Annotation::EntryDistribution => {
                "the entries' own distribution explains the outliers: permuted, they remain"
            }
            Annotation::MeanShift => "the mean of the entries makes a spike of its own",
            Annotation::CorrelationTrap => {
                "the permuted entries reach beyond the edge: heavy or sparse entries (correlation trap)"
            }
        })
    }
}
