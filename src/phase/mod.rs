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
#[non_exhaustive]
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

/// A finding of the fits that speaks for or against a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
#[non_exhaustive]
pub enum Evidence {
    /// Null directions: hard rank collapse.
    NullShare {
        /// Their share of all directions.
        share: f64,
    },
    /// Fewer directions carry anything than a bulk needs: hard rank collapse.
    HardlyAny {
        /// Share of the directions that carry nothing.
        share: f64,
    },
    /// The bulk has faded since initialisation: soft rank collapse.
    FadedBulk {
        /// σ² of the bulk over what it was before training.
        share: f64,
    },
    /// The noise edge lies far below the spikes: soft rank collapse, without initial weights.
    FaintBulk {
        /// λ₊ over the spikes' median.
        ratio: f64,
    },
    /// Spikes hold nearly all of the norm: soft rank collapse.
    SpikeMass {
        /// Their share of ‖W‖²_F.
        share: f64,
    },
    /// Eigenvalues beyond the noise edge.
    Spikes {
        /// How many.
        count: usize,
        /// P(λmax of noise > λmax), Tracy–Widom.
        lambda_max_p: f64,
    },
    /// λmax against the bulk's edge.
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
        /// Spikes over M.
        share: f64,
    },
    /// The widest gap beyond the edge.
    WidestGap {
        /// In Tracy–Widom scales.
        scales: f64,
    },
    /// The tail's power law.
    PowerLaw {
        /// Exponent.
        alpha: f64,
        /// Eigenvalues in the tail.
        n_tail: usize,
        /// Kolmogorov–Smirnov distance.
        d: f64,
        /// Vuong's statistic against the exponential; above zero the power law is better.
        vuong: f64,
    },
}

impl Evidence {
    /// Name of the statistic.
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

    /// Its value.
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

    /// Whether it says that null directions decide: hard rank collapse.
    pub fn is_hard_collapse(&self) -> bool {
        matches!(self, Self::NullShare { .. } | Self::HardlyAny { .. })
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
    /// A few huge entries make the spikes, each by itself: no directions that many weights share.
    /// Seen at once, without a control.
    EntryOutliers,
}
