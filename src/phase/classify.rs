use serde::{Deserialize, Serialize};

use super::features::features;
use super::network;
use super::{Annotation, Evidence, Phase, Verdict};
use crate::fit::{BulkFit, LikelihoodRatio, NoFit, TailFit};
use crate::spectrum::Spectrum;

/// What a layer looked like before training; only soft rank collapse needs it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Baseline {
    /// σ² of the bulk of the initial weights.
    pub sigma2: f64,
}

impl Baseline {
    /// The baseline of a layer whose initial bulk has this variance.
    pub fn new(sigma2: f64) -> Self {
        Self { sigma2 }
    }
}

/// Why there is no phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum Unclassifiable {
    /// Fewer than 10 eigenvalues have no shape.
    TooSmall {
        /// M.
        m: usize,
    },
    /// There is no bulk to compare with.
    NoBulk {
        /// Why not.
        cause: NoFit,
    },
    /// Null directions are there by construction, as in a low-rank adapter's product: they say
    /// nothing.
    LowRank {
        /// The rank.
        rank: usize,
    },
    /// The numbers are those of a convolution's slices together, and a phase is one of a matrix.
    PooledSlices,
}

/// Below this many eigenvalues there is no phase.
const MIN_M: usize = 10;
/// Below this many, only noise, collapse and "neither" can be told apart.
const TINY_M: usize = 30;
/// Below this many, neighbouring phases blur.
const SMALL_M: usize = 50;

/// Hard collapse: more null directions than this share, …
const NULL_SHARE: f64 = 0.05;
/// … which is a matter of course this far above it.
const NULL_SOFTNESS: f64 = 0.01;
/// Soft collapse: the bulk has faded to this share of its initial variance, …
const FADED: f64 = 0.05;
/// … and spikes hold this share of the squared norm.
const SPIKE_MASS: f64 = 0.9;
/// The same without initial weights: spikes hold this share, …
const ALONE_MASS: f64 = 0.99;
/// … and the noise edge lies this far below the spikes' median (3 % in singular values).
const ALONE_EDGE: f64 = 1e-3;
/// Single entries make the spikes if their fourth powers are this share of the spikes' squares.
const ENTRY_SHARE: f64 = 0.5;

/// The phase of a spectrum, from its fits.
///
/// # Rank-collapse
///
/// *Hard*: more than 5 % of the directions are null, that is, separated by a gap from the rest and below
/// 1e-3 of its median in singular values. *Soft*: the bulk's variance has faded to 5 % of what it was
/// before training (`baseline`), while spikes hold 90 % of the squared norm; without a baseline, spikes
/// hold 99 % and the bulk's edge lies below 1/1000 of their median. Spikes that single huge entries
/// make are no soft collapse: such an entry hides the other directions, but they are there
/// ([`Annotation::EntryOutliers`]).
///
/// # The other five
///
/// The part of the spectrum that is not null is described by numbers without scale
/// ([`features`](super::features)): by how much order statistics depart from their Marchenko–Pastur
/// quantiles, at the top in units of the Tracy–Widom scale and in the bulk in units of its rigidity, and
/// the fits' own statistics. A small network, calibrated by simulation over 10 ≤ M ≤ 900 and
/// 1 ≤ Q ≤ 11, turns them into probabilities. The verdict is the most probable phase; below a confidence
/// of 0.6 it is `indeterminate`. With M < 30 every verdict but Random-like and Rank-collapse is.
///
/// # When it misleads
///
/// Independent entries of unequal variance, or with a heavy tail, leave Marchenko–Pastur with no
/// correlation being present: the annotations of the full analysis tell. Beyond M ≈ 900 the network is
/// extrapolated, in units in which noise hardly depends on M any more.
///
/// # Errors
///
/// [`Unclassifiable`], if M < 10 or there is no bulk.
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
            let mut probabilities = living(spectrum, bulk, tail, ratio);
            let mut evidence = Vec::new();
            let collapse = collapse(spectrum, bulk, baseline, &mut evidence);
            for p in &mut probabilities {
                *p *= 1.0 - collapse;
            }
            probabilities[Phase::RankCollapse as usize] = collapse;
            if collapse < 0.5 {
                describe(spectrum, bulk, tail, ratio, &mut evidence);
            }
            Verdict::new(probabilities, evidence)
        }
        // Fewer live eigenvalues than a bulk needs.
        Err(NoFit::TooFew { found, .. }) => wholly_collapsed(count, *found),
        Err(NoFit::AllZero) => wholly_collapsed(count, 0),
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
    if spectrum.live_n() < spectrum.n() {
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

/// The network's probabilities, Rank-collapse left at 0.
fn living(
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

fn wholly_collapsed(count: usize, live: usize) -> Verdict {
    let mut probabilities = [0.0; 6];
    probabilities[Phase::RankCollapse as usize] = 1.0;
    let share = 1.0 - live as f64 / count as f64;
    Verdict::new(probabilities, vec![Evidence::HardlyAny { share }])
}

/// The probability of Rank-collapse.
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
            let collapsed = share < FADED && mass > SPIKE_MASS;
            (Evidence::FadedBulk { share }, collapsed)
        }
        (None, _) => {
            let ratio = bulk.lambda_plus / spikes[spikes.len() / 2];
            let collapsed = ratio < ALONE_EDGE && mass > ALONE_MASS;
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
/// powers is s⁴·Σuᵢ⁴·Σvⱼ⁴: all of s⁴ if it is one entry, next to nothing if its directions are
/// spread.
fn entries_make_spikes(spectrum: &Spectrum, bulk: &BulkFit) -> bool {
    let x = spectrum.eigenvalues();
    let share = |v: &f64| v / spectrum.total();
    let spikes: f64 = x[x.len() - bulk.num_spikes..]
        .iter()
        .map(|v| share(v).powi(2))
        .sum();
    // In units of the squared norm, as the spikes.
    let entries = spectrum.entry_kurtosis() / (spectrum.live_n() * spectrum.m()) as f64;
    spikes > 0.0 && entries >= ENTRY_SHARE * spikes
}

/// What the fits say.
fn describe(
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
