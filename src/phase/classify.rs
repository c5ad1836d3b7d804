use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Annotation, Evidence, Phase, Verdict};
use crate::fit::{BulkFit, LikelihoodRatio, NoFit, TailFit};
use crate::spectrum::Spectrum;

/// What a layer looked like before training; only soft rank collapse needs it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// σ² of the bulk of the initial weights.
    pub sigma2: f64,
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
}

impl fmt::Display for Unclassifiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unclassifiable::TooSmall { m } => write!(f, "M = {m} < 10: no phase"),
            Unclassifiable::NoBulk { cause } => write!(f, "no bulk: {cause}"),
        }
    }
}

/// Below this many eigenvalues there is no phase.
const MIN_M: usize = 10;
/// Below this many, neighbouring phases blur.
const SMALL_M: usize = 50;

/// The phase of a spectrum, from its fits.
///
/// The questions, in their order, with k spikes beyond the edge, r = λmax/λ₊, D the distance of the
/// bulk from Marchenko–Pastur and d₀ its 95 % point for noise:
///
/// 1. more than 5 % null directions, or the bulk has faded to 5 % of its initial variance while
///    spikes hold 90 % of the mass → Rank-collapse;
/// 2. k = 0: D ≤ max(2 d₀, 0.02) → Random-like, else Bulk-decay;
/// 3. not MP (D ≥ max(0.045, 2 d₀)) or k/M ≥ 0.15, a power law that fits (D_PL) and beats the
///    exponential, and r ≥ 2.5 → Heavy-tailed; so too not MP, k/M ≥ 0.15 and r ≥ 5;
/// 4. a misfitting bulk, or many eigenvalues (k/M ≥ 0.04) without a gap → Bulk-decay;
/// 5. r ≥ 1.25 and a gap of ten Tracy–Widom scales → Bulk+Spikes;
/// 6. r ≥ 1.3: k > 2 → Bulk-decay, else Bulk+Spikes; else Bleeding-out.
///
/// The thresholds come from simulations of synthetic families made before this code; they carry no
/// calibrated probabilities, and their errors are mostly between neighbouring phases and at small M.
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
    let x = spectrum.eigenvalues();
    let count = x.len();
    if count < MIN_M {
        return Err(Unclassifiable::TooSmall { m: count });
    }
    let bulk = match bulk {
        Ok(bulk) => bulk,
        Err(NoFit::TooFew { found, .. }) => return Ok(collapsed(count, *found)),
        Err(NoFit::AllZero) => return Ok(collapsed(count, 0)),
        Err(cause) => {
            return Err(Unclassifiable::NoBulk {
                cause: cause.clone(),
            });
        }
    };
    let mut trail = Trail::default();
    if count < SMALL_M {
        trail.annotations.push(Annotation::SmallLayer);
    }
    let live = &x[bulk.num_null..];
    if live[live.len() - 1] <= 1.05 * live[0] {
        trail.annotations.push(Annotation::NearOrthogonal);
    }
    let phase = decide(
        spectrum,
        bulk,
        tail.as_ref().ok(),
        ratio,
        baseline,
        &mut trail,
    );
    Ok(Verdict {
        phase,
        evidence: trail.evidence,
        annotations: trail.annotations,
    })
}

/// Almost nothing is left: fewer live eigenvalues than a bulk needs.
fn collapsed(count: usize, live: usize) -> Verdict {
    let mut trail = Trail::default();
    trail.note(
        "null_share",
        1.0 - live as f64 / count as f64,
        "too few directions carry anything: rank collapse (hard)",
    );
    Verdict {
        phase: Phase::RankCollapse,
        evidence: trail.evidence,
        annotations: Vec::new(),
    }
}

#[derive(Default)]
struct Trail {
    evidence: Vec<Evidence>,
    annotations: Vec<Annotation>,
}

impl Trail {
    fn note(&mut self, name: &str, value: f64, says: impl Into<String>) {
        self.evidence.push(Evidence {
            name: name.into(),
            value,
            says: says.into(),
        });
    }
}

fn decide(
    spectrum: &Spectrum,
    bulk: &BulkFit,
    tail: Option<&TailFit>,
    ratio: Option<&LikelihoodRatio>,
    baseline: Option<&Baseline>,
    trail: &mut Trail,
) -> Phase {
    let x = spectrum.eigenvalues();
    let count = x.len() as f64;
    let k = bulk.num_spikes;

    let null = bulk.num_null as f64 / count;
    if null > 0.05 {
        let says = "of the directions carry nothing: rank collapse (hard)";
        trail.note("null_share", null, says);
        return Phase::RankCollapse;
    }
    let spike_mass = x[x.len() - k..].iter().sum::<f64>() / spectrum.total();
    if let Some(initial) = baseline {
        let faded = bulk.sigma2 / initial.sigma2;
        if faded < 0.05 && spike_mass > 0.9 {
            trail.note(
                "sigma2_share",
                faded,
                "of the bulk's initial variance is left",
            );
            let says = "of the squared norm lies in spikes: rank collapse (soft)";
            trail.note("spike_mass", spike_mass, says);
            return Phase::RankCollapse;
        }
    }

    let share = k as f64 / count;
    let r = spectrum.lambda_max() / bulk.lambda_plus;
    trail.note(
        "num_spikes",
        k as f64,
        "eigenvalues beyond the noise edge (99 %)",
    );
    if k == 0 {
        let limit = (2.0 * bulk.d95).max(0.02);
        let fits = bulk.d <= limit;
        let verb = if fits { "fits" } else { "does not fit" };
        trail.note(
            "bulk_d",
            bulk.d,
            format!("the whole spectrum {verb} Marchenko–Pastur (limit {limit:.4})"),
        );
        return if fits {
            Phase::RandomLike
        } else {
            Phase::BulkDecay
        };
    }

    trail.note("lambda_max_ratio", r, "λmax in units of the bulk edge λ₊");
    let limit = (2.0 * bulk.d95).max(0.045);
    let non_mp = bulk.d >= limit;
    trail.note(
        "bulk_d",
        bulk.d,
        format!(
            "the bulk {} Marchenko–Pastur (limit {limit:.4})",
            if non_mp { "is not" } else { "resembles" }
        ),
    );

    if let (Some(tail), Some(ratio)) = (tail, ratio) {
        let limit = 0.06f64.max(0.8 / (tail.n_tail as f64).sqrt());
        let supported = tail.d <= limit && ratio.ratio > 0.0;
        if (non_mp || share >= 0.15) && supported && r >= 2.5 {
            trail.note(
                "tail_d",
                tail.d,
                format!("a power law fits the tail (limit {limit:.3})"),
            );
            trail.note(
                "likelihood_ratio",
                ratio.normalised,
                "the power law beats the exponential: heavy tail supported",
            );
            return Phase::HeavyTailed;
        }
    }
    if non_mp && share >= 0.15 && r >= 5.0 {
        let says =
            "of the eigenvalues lie beyond the edge: heavy-tailed, power law not established";
        trail.note("spike_share", share, says);
        return Phase::HeavyTailed;
    }

    let outliers = &x[x.len() - k..];
    // Gaps between outliers, and of the lowest one from the edge, in Tracy–Widom scales.
    let first_gap = (outliers[0] - bulk.lambda_plus) / bulk.edge_scale;
    let widest = outliers
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / bulk.edge_scale)
        .fold(first_gap, f64::max);

    if bulk.d > (1.8 * bulk.d95).max(0.02) && (r > 1.3 || non_mp) {
        trail.note(
            "bulk_d",
            bulk.d,
            "and eigenmass above the edge: the bulk decays",
        );
        return Phase::BulkDecay;
    }
    if share >= 0.04 && first_gap < 10.0 {
        trail.note(
            "spike_share",
            share,
            "of the eigenvalues lie beyond the edge",
        );
        trail.note(
            "first_gap",
            first_gap,
            "Tracy–Widom scales from the edge: no gap, the bulk decays",
        );
        return Phase::BulkDecay;
    }
    if r >= 1.25 && widest >= 10.0 {
        let says = "Tracy–Widom scales: the widest gap sets spikes apart";
        trail.note("widest_gap", widest, says);
        return Phase::BulkPlusSpikes;
    }
    let says = "Tracy–Widom scales: the widest gap, none sets spikes apart";
    trail.note("widest_gap", widest, says);
    match (r >= 1.3, k > 2) {
        (true, true) => Phase::BulkDecay,
        (true, false) => Phase::BulkPlusSpikes,
        (false, _) => Phase::BleedingOut,
    }
}
