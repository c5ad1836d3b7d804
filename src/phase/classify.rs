//! The classifier: from a spectrum and its fits to a phase.

use serde::{Deserialize, Serialize};

use super::features::features;
use super::network;
use super::{Annotation, Evidence, Phase, Verdict};
use crate::fit::{BulkFit, LikelihoodRatio, NoFit, TailFit};
use crate::spectrum::Spectrum;

/// The state of a layer before training. Only soft rank collapse needs it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Baseline {
    /// σ² of the bulk of the initial weights, in units of X = WᵀW/N.
    pub sigma2: f64,
}

impl Baseline {
    /// The baseline of a layer whose initial bulk has variance `sigma2`.
    pub fn new(sigma2: f64) -> Self {
        Self { sigma2 }
    }
}

/// Why a layer has no phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum Unclassifiable {
    /// There are fewer than 10 eigenvalues, too few for a shape.
    TooSmall {
        /// Number of eigenvalues.
        m: usize,
    },
    /// There is no bulk to compare with.
    NoBulk {
        /// Why there is no bulk.
        cause: NoFit,
    },
    /// The matrix has null directions by construction, such as the product of a low-rank adapter.
    /// They reveal nothing about training.
    LowRank {
        /// The rank by construction.
        rank: usize,
    },
    /// The numbers are those of all slices of a convolution together. Only a single matrix has a
    /// phase.
    PooledSlices,
}

/// Fewest eigenvalues of a layer with a phase.
const MIN_M: usize = 10;
/// With fewer eigenvalues only noise, collapse and neither of them can be distinguished.
const TINY_M: usize = 30;
/// With fewer eigenvalues neighbouring phases are hard to distinguish.
const SMALL_M: usize = 50;

/// Hard collapse: a larger share of directions is null.
const NULL_SHARE: f64 = 0.05;
/// Width of the transition around [`NULL_SHARE`], as the scale of a logistic function.
const NULL_SOFTNESS: f64 = 0.01;
/// Soft collapse: the bulk's σ² is below this share of its initial value, and the spikes have
/// [`SPIKE_MASS`].
const SHRUNKEN_VARIANCE: f64 = 0.05;
/// Soft collapse: the spikes have more than this share of the squared norm.
const SPIKE_MASS: f64 = 0.9;
/// Soft collapse without initial weights: the spikes have more than this share of the squared norm,
/// and the noise edge is below [`NO_BASELINE_EDGE`].
const NO_BASELINE_MASS: f64 = 0.99;
/// Soft collapse without initial weights: the noise edge is below this share of the spikes' median
/// (3 % in singular values).
const NO_BASELINE_EDGE: f64 = 1e-3;
/// Single entries make the spikes if their fourth powers are at least this share of the spikes'
/// squares.
const ENTRY_SHARE: f64 = 0.5;

/// The phase of a spectrum, from its fits.
///
/// # Rank-collapse
///
/// *Hard*: more than 5 % of the directions are null. A null direction is below 1e-3 of the median
/// of the others in singular values, and a gap separates it from them. *Soft*: the bulk's variance
/// has shrunk to less than 5 % of its value before training (`baseline`), while the spikes have
/// more than 90 % of the squared norm. Without a baseline, the spikes must have more than 99 %, and
/// the bulk's edge must be below 1/1000 of their median. Spikes that single huge entries make are
/// no soft collapse: such an entry hides the other directions, but they still exist
/// ([`Annotation::EntryOutliers`]).
///
/// # The other five
///
/// [`features`](super::features) describes the part of the spectrum that is not null by numbers
/// without scale. Some are the deviations of order statistics from their Marchenko–Pastur
/// quantiles: at the top in units of the Tracy–Widom scale, in the bulk in units of its rigidity.
/// The others are statistics of the fits. A small network turns them into probabilities. It is
/// calibrated by simulation over 10 ≤ M ≤ 900 and 1 ≤ Q ≤ 11. The verdict is the most probable
/// phase, and it is `indeterminate` below a confidence of 0.6. With M < 30 every verdict other than
/// Random-like and Rank-collapse is `indeterminate`.
///
/// # When it misleads
///
/// Independent entries of unequal variance or with a heavy tail also depart from Marchenko–Pastur.
/// The annotations of the full analysis reveal these causes. Beyond M ≈ 900 the network
/// extrapolates, in units in which noise hardly depends on M.
///
/// # Errors
///
/// Returns [`Unclassifiable`] if M < 10 or there is no bulk.
pub fn classify(
    spectrum: &Spectrum,
    bulk: &Result<BulkFit, NoFit>,
    tail: &Result<TailFit, NoFit>,
    ratio: Option<&LikelihoodRatio>,
    baseline: Option<&Baseline>,
) -> Result<Verdict, Unclassifiable> {
    let count = spectrum.len();
    if count < MIN_M {
        return Err(Unclassifiable::TooSmall { m: count });
    }
    let mut verdict = match bulk {
        Ok(bulk) => {
            let tail = tail.as_ref().ok();
            let mut probabilities = network_probabilities(spectrum, bulk, tail, ratio);
            let mut evidence = Vec::new();
            let collapse = collapse(spectrum, bulk, baseline, &mut evidence);
            for p in &mut probabilities {
                *p *= 1.0 - collapse;
            }
            probabilities[Phase::RankCollapse as usize] = collapse;
            if collapse < 0.5 {
                add_evidence(spectrum, bulk, tail, ratio, &mut evidence);
            }
            Verdict::new(probabilities, evidence)
        }
        // Too few eigenvalues are above zero for a bulk.
        Err(NoFit::TooFew { found, .. }) => fully_collapsed(count, *found),
        Err(NoFit::AllZero) => fully_collapsed(count, 0),
        Err(cause) => {
            return Err(Unclassifiable::NoBulk {
                cause: cause.clone(),
            });
        }
    };
    if count < SMALL_M {
        verdict.annotations.push(Annotation::SmallLayer);
    }
    if count < TINY_M && !matches!(verdict.phase, Phase::RandomLike | Phase::RankCollapse) {
        verdict.indeterminate = true;
    }
    if spectrum.effective_n() < spectrum.n() {
        verdict.annotations.push(Annotation::DeadVectors);
    }
    if let Ok(bulk) = bulk {
        let explains = !matches!(verdict.phase, Phase::RandomLike | Phase::RankCollapse);
        if explains && entries_make_spikes(spectrum, bulk) {
            verdict.annotations.push(Annotation::EntryOutliers);
        }
        let live = &spectrum.eigenvalues()[bulk.num_null..];
        if live[live.len() - 1] <= 1.05 * live[0] {
            verdict.annotations.push(Annotation::NearOrthogonal);
        }
    }
    Ok(verdict)
}

/// The network's probabilities, with 0 for Rank-collapse.
fn network_probabilities(
    spectrum: &Spectrum,
    bulk: &BulkFit,
    tail: Option<&TailFit>,
    ratio: Option<&LikelihoodRatio>,
) -> [f64; 6] {
    let p = network::probabilities(&features(spectrum, bulk, tail, ratio));
    let mut all = [0.0; 6];
    all[..p.len()].copy_from_slice(&p);
    all
}

fn fully_collapsed(count: usize, live: usize) -> Verdict {
    let mut probabilities = [0.0; 6];
    probabilities[Phase::RankCollapse as usize] = 1.0;
    let share = 1.0 - live as f64 / count as f64;
    Verdict::new(probabilities, vec![Evidence::HardlyAny { share }])
}

/// The probability of Rank-collapse. Its findings are added to `evidence`.
fn collapse(
    spectrum: &Spectrum,
    bulk: &BulkFit,
    baseline: Option<&Baseline>,
    evidence: &mut Vec<Evidence>,
) -> f64 {
    let x = spectrum.eigenvalues();
    let null = bulk.num_null as f64 / x.len() as f64;
    let hard = if null > 0.0 {
        1.0 / (1.0 + ((NULL_SHARE - null) / NULL_SOFTNESS).exp())
    } else {
        0.0
    };
    if null > NULL_SHARE {
        evidence.push(Evidence::NullShare { share: null });
        return hard;
    }
    let spikes = &x[x.len() - bulk.num_spikes..];
    let mass = spikes.iter().sum::<f64>() / spectrum.total();
    let (finding, collapsed) = match (baseline, spikes.is_empty()) {
        (_, true) => return hard,
        (Some(initial), _) => {
            let share = bulk.sigma2 / initial.sigma2;
            let collapsed = share < SHRUNKEN_VARIANCE && mass > SPIKE_MASS;
            (Evidence::FadedBulk { share }, collapsed)
        }
        (None, _) => {
            let ratio = bulk.lambda_plus / spikes[spikes.len() / 2];
            let collapsed = ratio < NO_BASELINE_EDGE && mass > NO_BASELINE_MASS;
            (Evidence::FaintBulk { ratio }, collapsed)
        }
    };
    if !collapsed || entries_make_spikes(spectrum, bulk) {
        return hard;
    }
    evidence.push(finding);
    evidence.push(Evidence::SpikeMass { share: mass });
    0.9
}

/// Whether single entries make the spikes.
///
/// A spike of singular value s and vectors u, v has the entries s·uᵢvⱼ. The sum of their fourth
/// powers is s⁴·Σuᵢ⁴·Σvⱼ⁴. This is s⁴ if the spike is one entry, and much less if its vectors have
/// many entries.
fn entries_make_spikes(spectrum: &Spectrum, bulk: &BulkFit) -> bool {
    let x = spectrum.eigenvalues();
    let share = |v: &f64| v / spectrum.total();
    let spikes: f64 = x[x.len() - bulk.num_spikes..]
        .iter()
        .map(|v| share(v).powi(2))
        .sum();
    // In units of the squared norm, like the sum over the spikes.
    let entries = spectrum.entry_kurtosis() / (spectrum.effective_n() * spectrum.m()) as f64;
    spikes > 0.0 && entries >= ENTRY_SHARE * spikes
}

/// Add the findings of the fits to `evidence`.
fn add_evidence(
    spectrum: &Spectrum,
    bulk: &BulkFit,
    tail: Option<&TailFit>,
    ratio: Option<&LikelihoodRatio>,
    evidence: &mut Vec<Evidence>,
) {
    let x = spectrum.eigenvalues();
    let k = bulk.num_spikes;
    evidence.extend([
        Evidence::Spikes {
            count: k,
            lambda_max_p: bulk.lambda_max_p,
        },
        Evidence::LambdaMax {
            ratio: spectrum.lambda_max() / bulk.lambda_plus,
        },
        Evidence::BulkDistance {
            d: bulk.d,
            d95: bulk.d95,
            p: bulk.d_p,
        },
    ]);
    if k == 0 {
        return;
    }
    let share = k as f64 / x.len() as f64;
    evidence.push(Evidence::SpikeShare { share });
    let spikes = &x[x.len() - k..];
    let first = (spikes[0] - bulk.lambda_plus) / bulk.edge_scale;
    let scales = spikes
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / bulk.edge_scale)
        .fold(first, f64::max);
    evidence.push(Evidence::WidestGap { scales });
    if let (Some(tail), Some(ratio)) = (tail, ratio) {
        evidence.push(Evidence::PowerLaw {
            alpha: tail.alpha,
            n_tail: tail.n_tail,
            d: tail.d,
            vuong: ratio.normalised,
        });
    }
}
