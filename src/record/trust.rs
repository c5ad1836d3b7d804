//! The rules that decide when a number is in doubt. Each rule is here, once for all views.
//!
//! [`Values::update_doubts`](super::Values::update_doubts) applies the rules when a record is made,
//! and again when a full analysis is added. Views show [`Record::doubts`](super::Record::doubts)
//! and decide nothing. If a doubt [marks](Doubt::is_questionable) its subject, a view shows `?`
//! beside the number.

use serde::{Deserialize, Serialize};

use super::Values;
#[cfg(feature = "plot")]
use crate::fit::TailFit;
use crate::phase::{Annotation, Phase};

/// The number that a doubt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DoubtSubject {
    /// The exponent α of the tail.
    Alpha,
    /// The bootstrap interval of α.
    Interval,
    /// The phase.
    Phase,
    /// The Marchenko–Pastur bulk: its scale, its spikes and the soft rank.
    Bulk,
}

/// A reason why a number is in doubt. [`Doubt::phrase`] describes it, and [`Doubt::advice`] says
/// what to do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "doubt")]
#[non_exhaustive]
pub enum Doubt {
    /// The tail holds fewer than 50 eigenvalues. The true spread of α is well above its textbook σ.
    ShortTail {
        /// Number of eigenvalues in the tail.
        n_tail: usize,
    },
    /// The fit used fewer than 20 eigenvalues, and so the small-sample estimator of α.
    SmallSample {
        /// Number of eigenvalues in the fit.
        n: usize,
    },
    /// α < 2: the tail is heavier than the theory expects of a well-trained layer.
    VeryHeavy,
    /// α > 6: the tail is lighter than the theory's range.
    NotHeavy,
    /// α lies between the 5 % and 95 % points of pure noise of the same N and M.
    WithinNoise {
        /// 5 % point of α for noise.
        low: f64,
        /// 95 % point of α for noise.
        high: f64,
    },
    /// The layer's phase has a bulk, so its spectrum is not a power law.
    NoPowerLaw {
        /// The phase.
        phase: Phase,
    },
    /// The goodness-of-fit test rejects the power law: p ≤ 0.1.
    PoorFit {
        /// p-value of the test.
        p: f64,
    },
    /// The fit used fewer than 50 eigenvalues. The interval covers α less often than its level: .72
    /// to .97.
    SmallInterval {
        /// Number of eigenvalues in the fit.
        n: usize,
    },
    /// No phase reaches the probability [`MIN_CONFIDENCE`](crate::phase::MIN_CONFIDENCE), or the
    /// layer is too small for the most probable phase.
    Indeterminate {
        /// Probability of the most probable phase.
        confidence: f64,
    },
    /// M < 100: Bleeding-out and Bulk-decay are hard to tell apart.
    Neighbours {
        /// Number M of eigenvalues.
        m: usize,
    },
    /// An annotation explains the eigenvalues beyond the bulk without correlations.
    Explained {
        /// The annotation.
        by: Annotation,
    },
    /// The bulk's distance from Marchenko–Pastur is above 0.02 and above twice the 95 % point of
    /// noise.
    NotMarchenkoPastur {
        /// Distance D of the bulk from Marchenko–Pastur.
        d: f64,
        /// 95 % point of D for noise.
        d95: f64,
    },
}

/// A tail with fewer eigenvalues is in doubt, and so is an interval from fewer eigenvalues.
const FEW_EIGENVALUES: usize = 50;
/// A fit to fewer eigenvalues uses the small-sample estimator.
const SMALL_SAMPLE: usize = 20;
/// Below this M, Bleeding-out and Bulk-decay are hard to distinguish.
const MIN_M_BLEEDING_DECAY: usize = 100;
/// The goodness-of-fit test rejects a power law at this p-value or below.
const MAX_REJECTING_P: f64 = 0.1;
/// A bulk whose distance from Marchenko–Pastur is smaller counts as Marchenko–Pastur.
const NEGLIGIBLE_DISTANCE: f64 = 0.02;

impl Doubt {
    /// The number that the doubt is about.
    pub fn subject(&self) -> DoubtSubject {
        match self {
            Self::ShortTail { .. }
            | Self::SmallSample { .. }
            | Self::VeryHeavy
            | Self::NotHeavy
            | Self::WithinNoise { .. }
            | Self::NoPowerLaw { .. }
            | Self::PoorFit { .. } => DoubtSubject::Alpha,
            Self::SmallInterval { .. } => DoubtSubject::Interval,
            Self::Indeterminate { .. } | Self::Neighbours { .. } | Self::Explained { .. } => {
                DoubtSubject::Phase
            }
            Self::NotMarchenkoPastur { .. } => DoubtSubject::Bulk,
        }
    }

    /// The code of the doubt in records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ShortTail { .. } => "short_tail",
            Self::SmallSample { .. } => "small_sample",
            Self::VeryHeavy => "very_heavy",
            Self::NotHeavy => "not_heavy",
            Self::WithinNoise { .. } => "within_noise",
            Self::NoPowerLaw { .. } => "no_power_law",
            Self::PoorFit { .. } => "poor_fit",
            Self::SmallInterval { .. } => "small_interval",
            Self::Indeterminate { .. } => "indeterminate",
            Self::Neighbours { .. } => "neighbours",
            Self::Explained { .. } => "explained",
            Self::NotMarchenkoPastur { .. } => "not_marchenko_pastur",
        }
    }

    /// Whether a view shows `?` beside the subject. Other doubts are only cautions.
    pub fn is_questionable(&self) -> bool {
        !matches!(self, Self::Neighbours { .. } | Self::Explained { .. })
    }
}

/// How α compares with what pure noise of the same N and M gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgainstNoise {
    /// Below the 5 % point of noise.
    Heavier,
    /// Between the 5 % and 95 % points of noise.
    Within,
    /// Above the 95 % point of noise.
    Lighter,
}

impl AgainstNoise {
    /// Compares `alpha` with the 5 % point `low` and the 95 % point `high` of noise.
    pub fn new(alpha: f64, low: f64, high: f64) -> Self {
        match alpha {
            a if a < low => Self::Heavier,
            a if a > high => Self::Lighter,
            _ => Self::Within,
        }
    }
}

/// WeightWatcher's label of an α outside 2–6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// α < 2.
    OverTrained,
    /// α > 6.
    UnderTrained,
}

impl Warning {
    /// The label of an α. None for 2 ≤ α ≤ 6.
    pub fn new(alpha: f64) -> Option<Self> {
        match alpha {
            a if a < 2.0 => Some(Self::OverTrained),
            a if a > 6.0 => Some(Self::UnderTrained),
            _ => None,
        }
    }

    /// The label as WeightWatcher writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OverTrained => "over-trained",
            Self::UnderTrained => "under-trained",
        }
    }
}

/// The doubts that follow from a fit alone. `n` is the number of eigenvalues in the fit, and
/// `n_tail` of them are in the tail. A log of format 2 has `n` only if the fit used the
/// small-sample estimator.
fn fit_doubts(alpha: f64, n_tail: usize, n: Option<usize>) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    match n {
        Some(n) if n < SMALL_SAMPLE => doubts.push(Doubt::SmallSample { n }),
        _ if n_tail < FEW_EIGENVALUES => doubts.push(Doubt::ShortTail { n_tail }),
        _ => {}
    }
    doubts.extend(Warning::new(alpha).map(|warning| match warning {
        Warning::OverTrained => Doubt::VeryHeavy,
        Warning::UnderTrained => Doubt::NotHeavy,
    }));
    doubts
}

/// How the distribution of a bulk compares with Marchenko–Pastur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BulkLaw {
    /// The distance is usual for noise: p > 0.05.
    Follows,
    /// The distribution differs a little.
    NearlyFollows,
    /// The distribution is a different one.
    Differs,
}

impl BulkLaw {
    /// Compares the distance `d` with its 95 % point `d95` for noise and its p-value `p`.
    pub fn new(d: f64, d95: f64, p: f64) -> Self {
        if d > (2.0 * d95).max(NEGLIGIBLE_DISTANCE) {
            Self::Differs
        } else if p > 0.05 {
            Self::Follows
        } else {
            Self::NearlyFollows
        }
    }
}

/// The doubts about a tail fit whose layer is unknown.
#[cfg(feature = "plot")]
pub(crate) fn tail_doubts(tail: &TailFit) -> Vec<Doubt> {
    fit_doubts(tail.alpha, tail.n_tail, Some(tail.n))
}

/// All doubts about the numbers of a layer.
pub(super) fn value_doubts(values: &Values) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let full = values.full.as_ref();
    let row = &values.primary;
    if let (Some(alpha), Some(n_tail)) = (row.alpha, row.num_pl_spikes) {
        doubts = fit_doubts(alpha, n_tail, row.num_fitted);
        if let (Some(low), Some(high)) = (values.noise_alpha_low, values.noise_alpha_high)
            && AgainstNoise::new(alpha, low, high) == AgainstNoise::Within
        {
            doubts.push(Doubt::WithinNoise { low, high });
        }
        if let Some(phase @ (Phase::RandomLike | Phase::BleedingOut | Phase::BulkPlusSpikes)) =
            values.phase
        {
            doubts.push(Doubt::NoPowerLaw { phase });
        }
        if let Some(fit) = full.and_then(|f| f.goodness_of_fit)
            && fit.p <= MAX_REJECTING_P
        {
            doubts.push(Doubt::PoorFit { p: fit.p });
        }
        if let Some(n) = row.num_fitted
            && n < FEW_EIGENVALUES
            && full.is_some_and(|f| f.alpha_interval.is_some())
        {
            doubts.push(Doubt::SmallInterval { n });
        }
    }
    if let (Some(phase), Some(confidence)) = (values.phase, values.phase_confidence) {
        if values.indeterminate == Some(true) {
            doubts.push(Doubt::Indeterminate { confidence });
        }
        if matches!(phase, Phase::BleedingOut | Phase::BulkDecay) && row.m < MIN_M_BLEEDING_DECAY {
            doubts.push(Doubt::Neighbours { m: row.m });
        }
        let explain = |a: &&Annotation| {
            matches!(
                a,
                Annotation::ScaleHeterogeneity
                    | Annotation::EntryDistribution
                    | Annotation::EntryOutliers
            )
        };
        // One such annotation is enough for a doubt.
        let explained = values.annotations.iter().find(explain);
        doubts.extend(explained.map(|&by| Doubt::Explained { by }));
    }
    if let (Some(d), Some(d95), Some(p)) = (values.bulk_d, values.bulk_d95, values.bulk_d_p)
        && BulkLaw::new(d, d95, p) == BulkLaw::Differs
    {
        doubts.push(Doubt::NotMarchenkoPastur { d, d95 });
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::analyze;
    use crate::config::Config;
    use crate::matrix::WeightMatrix;

    fn values(rows: usize, cols: usize) -> Values {
        let mut state = 1u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        let weights: Vec<f64> = (0..rows * cols).map(|_| next() + next() + next()).collect();
        let matrix = WeightMatrix::new("fc", rows, cols, weights).unwrap();
        Values::from(&analyze(&matrix, &Config::live()).unwrap())
    }

    #[test]
    fn noise_has_no_power_law() {
        let values = values(120, 80);
        assert_eq!(values.phase, Some(Phase::RandomLike));
        let about = |subject| {
            let of = values.doubts.iter().filter(move |d| d.subject() == subject);
            of.copied().collect::<Vec<Doubt>>()
        };
        let alpha = about(DoubtSubject::Alpha);
        assert!(alpha.iter().any(|d| matches!(d, Doubt::WithinNoise { .. })));
        assert!(alpha.contains(&Doubt::NoPowerLaw {
            phase: Phase::RandomLike
        }));
        assert!(about(DoubtSubject::Phase).is_empty() && about(DoubtSubject::Bulk).is_empty());
    }

    #[test]
    fn a_bulk_of_another_law_is_in_doubt() {
        let mut values = values(120, 80);
        values.bulk_d = Some(0.3);
        let doubts = value_doubts(&values);
        assert!(
            doubts
                .iter()
                .any(|d| d.subject() == DoubtSubject::Bulk && d.is_questionable())
        );
        // A distance below 0.02 raises no doubt, even if it is far above the noise's 95 % point.
        (values.bulk_d, values.bulk_d95) = (Some(0.019), Some(0.001));
        assert!(
            value_doubts(&values)
                .iter()
                .all(|d| d.subject() != DoubtSubject::Bulk)
        );
    }

    #[test]
    fn cautions_do_not_mark() {
        let mut values = values(120, 80);
        values.phase = Some(Phase::BulkDecay);
        values.annotations = vec![Annotation::EntryDistribution];
        let doubts = value_doubts(&values);
        let phase = doubts.iter().filter(|d| d.subject() == DoubtSubject::Phase);
        assert_eq!(phase.clone().count(), 2);
        assert!(phase.clone().all(|d| !d.is_questionable()));
        values.indeterminate = Some(true);
        let doubts = value_doubts(&values);
        assert!(
            doubts
                .iter()
                .any(|d| d.subject() == DoubtSubject::Phase && d.is_questionable())
        );
    }
}
