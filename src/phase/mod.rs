//! The 5+1 phases of training.
//!
//! | phase | spectrum |
//! |---|---|
//! | [`RandomLike`](Phase::RandomLike) | Marchenko–Pastur, as of freshly initialised weights |
//! | [`BleedingOut`](Phase::BleedingOut) | Marchenko–Pastur with eigenvalues just beyond the edge |
//! | [`BulkPlusSpikes`](Phase::BulkPlusSpikes) | a random bulk, a few eigenvalues well outside it |
//! | [`BulkDecay`](Phase::BulkDecay) | the bulk's edge dissolves into a shoulder |
//! | [`HeavyTailed`](Phase::HeavyTailed) | no bulk edge; a power law describes it better |
//! | [`RankCollapse`](Phase::RankCollapse) | many eigenvalues at zero |
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
    /// Many directions are null.
    RankCollapse,
}

impl Phase {
    /// All phases, in the order in which training passes through them.
    pub const ALL: [Phase; 6] = [
        Phase::RandomLike,
        Phase::BleedingOut,
        Phase::BulkPlusSpikes,
        Phase::BulkDecay,
        Phase::HeavyTailed,
        Phase::RankCollapse,
    ];

    /// Name in records: `RandomLike`, `BleedingOut`, ….
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

    /// Name in the papers: `Random-like`, `Bleeding-out`, ….
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

    /// One letter for tables: R, B, S, D, H, C.
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

/// A verdict whose best phase has a lower probability is `indeterminate`.
pub const MIN_CONFIDENCE: f64 = 0.6;

/// A phase with its probability, evidence and annotations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The most probable phase.
    pub phase: Phase,
    /// Its probability, from 0 to 1. Simulation calibrates it, except for Rank-collapse, whose
    /// probability follows from rules: see [`classify`].
    pub confidence: f64,
    /// Whether the verdict is unreliable: the confidence is below [`MIN_CONFIDENCE`], or the layer
    /// is too small for this phase.
    pub indeterminate: bool,
    /// The probability of each phase, in the order of [`Phase::ALL`].
    pub probabilities: [f64; 6],
    /// The findings of the fits.
    pub evidence: Vec<Evidence>,
    /// Remarks that do not change the phase.
    pub annotations: Vec<Annotation>,
}

impl Verdict {
    fn new(probabilities: [f64; 6], evidence: Vec<Evidence>) -> Self {
        // A probability that is not finite counts as 0.
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
            indeterminate: confidence < MIN_CONFIDENCE,
            probabilities,
            evidence,
            annotations: Vec::new(),
        }
    }
}

impl Verdict {
    /// Add the remarks that the verdict does not have yet.
    pub(crate) fn annotate(&mut self, annotations: &[Annotation]) {
        for &annotation in annotations {
            if !self.annotations.contains(&annotation) {
                self.annotations.push(annotation);
            }
        }
    }
}

/// A finding of the fits for or against a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
#[non_exhaustive]
pub enum Evidence {
    /// Many directions are null: hard rank collapse.
    NullShare {
        /// Share of null directions among all.
        share: f64,
    },
    /// There are too few directions other than null for a bulk: hard rank collapse.
    HardlyAny {
        /// Share of null directions among all.
        share: f64,
    },
    /// The variance of the bulk has shrunk during training: soft rank collapse.
    FadedBulk {
        /// σ² of the bulk divided by its value before training.
        share: f64,
    },
    /// The noise edge lies far below the spikes: soft rank collapse, judged without initial
    /// weights.
    FaintBulk {
        /// λ₊ divided by the median of the spikes.
        ratio: f64,
    },
    /// The spikes have nearly all of the norm: soft rank collapse.
    SpikeMass {
        /// Share of the spikes in ‖W‖²_F.
        share: f64,
    },
    /// Number and significance of the eigenvalues beyond the noise edge.
    Spikes {
        /// Number of spikes.
        count: usize,
        /// P(λmax of noise > λmax), Tracy–Widom.
        lambda_max_p: f64,
    },
    /// λmax compared with the bulk's edge.
    LambdaMax {
        /// λmax/λ₊.
        ratio: f64,
    },
    /// Distance of the bulk from Marchenko–Pastur.
    BulkDistance {
        /// The distance D.
        d: f64,
        /// 95 % point of D for noise.
        d95: f64,
        /// P(D of noise > D).
        p: f64,
    },
    /// Share of the eigenvalues beyond the edge.
    SpikeShare {
        /// Number of spikes divided by M.
        share: f64,
    },
    /// The widest gap beyond the edge: between the edge and the first spike, or between two spikes.
    WidestGap {
        /// Width of the gap in Tracy–Widom scales.
        scales: f64,
    },
    /// The fitted power law of the tail.
    PowerLaw {
        /// Exponent α.
        alpha: f64,
        /// Number of eigenvalues in the tail.
        n_tail: usize,
        /// Kolmogorov–Smirnov distance.
        d: f64,
        /// Vuong's statistic against the exponential. Above 0 the power law is better.
        vuong: f64,
    },
}

impl Evidence {
    /// Name of the statistic that [`value`](Self::value) returns.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NullShare { .. } | Self::HardlyAny { .. } => "null_share",
            Self::FadedBulk { .. } => "sigma2_share",
            Self::FaintBulk { .. } => "edge_share",
            Self::SpikeMass { .. } => "spike_mass",
            Self::Spikes { .. } => "num_spikes",
            Self::LambdaMax { .. } => "lambda_max_ratio",
            Self::BulkDistance { .. } => "bulk_d",
            Self::SpikeShare { .. } => "spike_share",
            Self::WidestGap { .. } => "widest_gap",
            Self::PowerLaw { .. } => "alpha",
        }
    }

    /// The main number of the finding. The variant defines its unit.
    pub fn value(&self) -> f64 {
        match *self {
            Self::NullShare { share }
            | Self::HardlyAny { share }
            | Self::FadedBulk { share }
            | Self::SpikeMass { share }
            | Self::SpikeShare { share } => share,
            Self::FaintBulk { ratio } | Self::LambdaMax { ratio } => ratio,
            Self::Spikes { count, .. } => count as f64,
            Self::BulkDistance { d, .. } => d,
            Self::WidestGap { scales } => scales,
            Self::PowerLaw { alpha, .. } => alpha,
        }
    }

    /// Whether the finding means hard rank collapse.
    pub fn is_hard_collapse(&self) -> bool {
        matches!(self, Self::NullShare { .. } | Self::HardlyAny { .. })
    }
}

/// A remark on a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Annotation {
    /// All singular values are nearly equal.
    NearOrthogonal,
    /// M < 50: neighbouring phases are hard to distinguish. Below 30 only noise, collapse and
    /// neither of them can be distinguished.
    SmallLayer,
    /// Rows or columns along the longer side are dead, and the aspect ratio is that of the others.
    DeadVectors,
    /// Equal scales of rows and columns turn the layer into noise. Unequal variances, not
    /// correlations, explain the eigenvalues outside the bulk. Structure along single rows or
    /// columns vanishes too.
    ScaleHeterogeneity,
    /// In random order the same entries have eigenvalues as far beyond the edge. The distribution
    /// of the entries explains the outliers.
    EntryDistribution,
    /// In random order, and without their mean, the same entries have eigenvalues beyond the noise
    /// edge. Their distribution has a heavy tail or is sparse. Martin and Mahoney call these
    /// correlation traps.
    CorrelationTrap,
    /// The mean of the entries alone makes a spike, a rank-one part that reveals nothing about
    /// directions.
    MeanShift,
    /// A few huge entries make the spikes, each one alone, rather than directions that many weights
    /// share. This needs no control, so a live analysis detects it.
    EntryOutliers,
}
