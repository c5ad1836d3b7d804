//! The record of one layer at one observation, with all its numbers.

use serde::{Deserialize, Serialize};

use super::trust::{Doubt, DoubtSubject, Warning, value_doubts};
use super::{LayerShape, Stamp};
use crate::analysis::FullAnalysis;
use crate::analysis::{CutReport, LayerReport};
use crate::error::LayerError;
use crate::fit::{NoFit, Outlier, TailFit};
use crate::matrix::{Cut, SkipReason};
use crate::measures::{ln_alpha_norm, stable_rank_log};
use crate::phase::{Annotation, Evidence, Phase, Unclassifiable};

/// One layer at one observation. A record is self-contained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Name of the run.
    pub run: String,
    /// The observation.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Name of the layer.
    pub layer: String,
    /// Index among the analysed layers, from 0.
    pub layer_id: usize,
    /// Shape of the weight tensor.
    pub shape: Vec<usize>,
    /// Wall time of the layer's analysis, in seconds.
    pub seconds_analysis: f64,
    /// Present if the layer was not analysed again. The numbers are then those of an earlier
    /// observation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
    /// The numbers, or the reason why there are none.
    #[serde(flatten)]
    pub outcome: LayerOutcome,
}

/// Result of a layer's analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum LayerOutcome {
    /// The analysis succeeded.
    Success(Box<Values>),
    /// The analysis failed, so the layer has no spectrum.
    Failed(LayerError),
    /// The layer was not analysed.
    Skipped(SkipReason),
}

impl LayerOutcome {
    /// Name of the result: `success`, `failed` or `skipped`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Success(_) => "success",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// Marks a record whose numbers repeat an earlier analysis, because the weights have hardly changed
/// since.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Carried {
    /// The observation at which the layer was analysed.
    pub from: Stamp,
    /// Relative change ‖W − W₀‖_F/‖W₀‖_F since then. W₀ are the weights that were analysed.
    pub drift: f64,
    /// Upper bound on the difference between this α and that of a new analysis.
    pub alpha_tolerance: f64,
    /// ‖W‖²_F of the current weights.
    pub norm: f64,
}

impl Carried {
    /// Marks numbers that repeat the observation `from`. `drift` is the relative change of the
    /// weights since then.
    pub fn new(from: Stamp, drift: f64, alpha_tolerance: f64, norm: f64) -> Self {
        Self {
            from,
            drift,
            alpha_tolerance,
            norm,
        }
    }
}

/// The numbers of one layer. The field descriptions are in
/// [`FIELDS`](crate::record::field::FIELDS), with units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Values {
    /// How the matrix was made from the tensor.
    pub cut: Cut,
    /// Q = N/M.
    #[serde(rename = "Q")]
    pub q: f64,
    /// Norms, ranks and the tail of the layer's matrix.
    #[serde(flatten)]
    pub primary: CutRecord,
    /// WeightWatcher's label of an α outside 2–6. None for other values of α.
    pub warning: Option<Warning>,
    /// Hill's estimate of α over the upper half of the spectrum.
    pub hill_alpha: Option<f64>,
    /// Vuong's statistic of the power law against the exponential, on the tail. A positive value
    /// favours the power law.
    pub lr_exponential: Option<f64>,
    /// 5 % point of α for pure noise of the same N and M.
    pub noise_alpha_low: Option<f64>,
    /// Median of α for pure noise of the same N and M.
    pub noise_alpha: Option<f64>,
    /// 95 % point of α for pure noise of the same N and M.
    pub noise_alpha_high: Option<f64>,
    /// Number of eigenvalues beyond the Tracy–Widom edge of the bulk.
    pub num_spikes: Option<usize>,
    /// Scale σ of the Marchenko–Pastur bulk.
    pub sigma_mp: Option<f64>,
    /// Soft rank λ₊/λmax.
    pub mp_softrank: Option<f64>,
    /// Lower edge λ₋ of the bulk, of X.
    pub bulk_min_x: Option<f64>,
    /// Upper edge λ₊ of the bulk, of X.
    pub bulk_max_x: Option<f64>,
    /// Tracy–Widom edge of the bulk, of X.
    pub bulk_edge_x: Option<f64>,
    /// Distance D of the bulk from Marchenko–Pastur.
    pub bulk_d: Option<f64>,
    /// 95 % point of D for noise.
    pub bulk_d95: Option<f64>,
    /// p-value of D under noise.
    pub bulk_d_p: Option<f64>,
    /// p-value of λmax under noise, by Tracy–Widom: P(λmax of noise > λmax).
    pub lambda_max_p: Option<f64>,
    /// The largest spikes with their p-values, of X.
    pub outliers: Vec<Outlier>,
    /// Number of null directions.
    pub num_null: Option<usize>,
    /// Why there is no bulk. None if there is one.
    pub bulk_reason: Option<NoFit>,
    /// The most probable phase. None if the layer cannot be classified.
    pub phase: Option<Phase>,
    /// Probability of `phase`.
    pub phase_confidence: Option<f64>,
    /// The probability of each phase, in the order of [`Phase::ALL`].
    pub phase_probabilities: Option<[f64; 6]>,
    /// Whether the phase is unreliable.
    pub indeterminate: Option<bool>,
    /// The findings that decided the phase.
    pub phase_evidence: Vec<Evidence>,
    /// Annotations of the phase.
    pub annotations: Vec<Annotation>,
    /// Why there is no phase. None if there is one.
    pub phase_reason: Option<Unclassifiable>,
    /// Results of a full analysis. None until there is one.
    pub full: Option<FullAnalysis>,
    /// The numbers that are in doubt, with the reasons.
    #[serde(default)]
    pub doubts: Vec<Doubt>,
    /// The spectrum of each kernel position. Empty unless the layer is a convolution.
    pub slices: Vec<CutRecord>,
    /// The eigenvalues of all kernel positions together. None unless the layer is a convolution.
    pub pooled: Option<CutRecord>,
}

/// The numbers of one matrix or pooled spectrum. Eigenvalues are of WᵀW. The suffix `_x` marks
/// eigenvalues of X = WᵀW/N.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CutRecord {
    /// Longer side N of the matrix.
    #[serde(rename = "N")]
    pub n: usize,
    /// Shorter side M of the matrix.
    #[serde(rename = "M")]
    pub m: usize,
    /// Number of eigenvalues.
    pub num_evals: usize,
    /// Largest eigenvalue λmax of WᵀW.
    pub lambda_max: f64,
    /// Sum of the eigenvalues of WᵀW, equal to ‖W‖²_F.
    pub norm: f64,
    /// log₁₀ of `norm`.
    pub log_norm: Option<f64>,
    /// log₁₀ of `lambda_max`.
    pub log_spectral_norm: Option<f64>,
    /// Exponent α of the power-law tail.
    pub alpha: Option<f64>,
    /// Why there is no α. None if there is one.
    pub alpha_reason: Option<NoFit>,
    /// Kolmogorov–Smirnov distance of the tail from its power law.
    #[serde(rename = "D")]
    pub d: Option<f64>,
    /// Textbook standard error of `alpha`.
    pub sigma: Option<f64>,
    /// Start of the tail, of WᵀW.
    pub xmin: Option<f64>,
    /// End of the tail, of WᵀW.
    pub xmax: Option<f64>,
    /// Number of eigenvalues in the tail.
    pub num_pl_spikes: Option<usize>,
    /// Number of eigenvalues that the tail's fit used.
    pub num_fitted: Option<usize>,
    /// α·log₁₀ λmax, of WᵀW.
    pub alpha_weighted: Option<f64>,
    /// log₁₀ Σλ^α, of WᵀW.
    pub log_alpha_norm: Option<f64>,
    /// Stable rank Σλ/λmax.
    pub stable_rank: f64,
    /// ln‖W‖²_F/ln λmax, of WᵀW. None where |ln λmax| < 0.1.
    pub stable_rank_log: Option<f64>,
    /// Number of singular values above the f32 tolerance.
    pub matrix_rank: usize,
    /// Number of singular values below the f32 tolerance.
    pub rank_loss: usize,
    /// Spectral entropy divided by ln M, in [0, 1].
    pub entropy: f64,
    /// Largest eigenvalue λmax of X.
    pub lambda_max_x: f64,
    /// Sum of the eigenvalues of X.
    pub norm_x: f64,
    /// ln of `norm_x`.
    pub log_norm_x: Option<f64>,
    /// ln of `lambda_max_x`.
    pub log_spectral_norm_x: Option<f64>,
    /// Start of the tail, of X.
    pub xmin_x: Option<f64>,
    /// α·ln λmax, of X.
    pub alpha_weighted_x: Option<f64>,
    /// ln Σλ^α, of X.
    pub log_alpha_norm_x: Option<f64>,
    /// ln(‖W‖²_F/N)/ln λmax, of X. None where |ln λmax| < 0.1.
    pub stable_rank_log_x: Option<f64>,
}

pub(super) fn positive(x: f64, log: fn(f64) -> f64) -> Option<f64> {
    (x > 0.0).then(|| log(x))
}

impl CutRecord {
    /// The numbers of one analysed matrix.
    pub fn new(report: &CutReport) -> Self {
        let (s, m) = (&report.spectrum, &report.metrics);
        // An eigenvalue of WᵀW is N times that of X.
        let n = s.n() as f64;
        let tail: Option<&TailFit> = report.tail.as_ref().ok();
        let alpha = tail.map(|t| t.alpha);
        let ln_norm = alpha.and_then(|a| ln_alpha_norm(s, a));
        let log10 = std::f64::consts::LN_10;
        Self {
            n: s.n(),
            m: s.m(),
            num_evals: s.len(),
            lambda_max: n * m.lambda_max,
            norm: n * m.total,
            log_norm: positive(n * m.total, f64::log10),
            log_spectral_norm: positive(n * m.lambda_max, f64::log10),
            alpha,
            alpha_reason: report.tail.as_ref().err().cloned(),
            d: tail.map(|t| t.d),
            sigma: tail.map(|t| t.sigma),
            xmin: tail.map(|t| n * t.xmin),
            xmax: tail.map(|_| n * m.lambda_max),
            num_pl_spikes: tail.map(|t| t.n_tail),
            num_fitted: tail.map(|t| t.n),
            alpha_weighted: alpha.map(|a| a * (n * m.lambda_max).log10()),
            log_alpha_norm: alpha.and_then(|a| Some((ln_norm? + a * n.ln()) / log10)),
            stable_rank: m.stable_rank,
            stable_rank_log: stable_rank_log(m, n),
            matrix_rank: m.hard_rank,
            rank_loss: s.len() - m.hard_rank,
            entropy: m.entropy,
            lambda_max_x: m.lambda_max,
            norm_x: m.total,
            log_norm_x: positive(m.total, f64::ln),
            log_spectral_norm_x: positive(m.lambda_max, f64::ln),
            xmin_x: tail.map(|t| t.xmin),
            alpha_weighted_x: alpha.map(|a| a * m.lambda_max.ln()),
            log_alpha_norm_x: ln_norm,
            stable_rank_log_x: stable_rank_log(m, 1.0),
        }
    }
}

impl From<&LayerReport> for Values {
    fn from(report: &LayerReport) -> Self {
        let primary = CutRecord::new(&report.primary);
        let bulk = report.bulk.as_ref().ok();
        let verdict = report.phase.as_ref().ok();
        let mut values = Self {
            cut: report.primary.cut(),
            q: report.primary.spectrum.q(),
            warning: primary.alpha.and_then(Warning::new),
            hill_alpha: report.hill_alpha,
            lr_exponential: report.likelihood_ratio.map(|r| r.normalised),
            noise_alpha_low: report.noise_alpha.map(|a| a.low),
            noise_alpha: report.noise_alpha.map(|a| a.median),
            noise_alpha_high: report.noise_alpha.map(|a| a.high),
            num_spikes: bulk.map(|b| b.num_spikes),
            sigma_mp: bulk.map(|b| b.sigma_mp),
            mp_softrank: bulk.map(|b| b.soft_rank),
            bulk_min_x: bulk.map(|b| b.lambda_minus),
            bulk_max_x: bulk.map(|b| b.lambda_plus),
            bulk_edge_x: bulk.map(|b| b.threshold),
            bulk_d: bulk.map(|b| b.d),
            bulk_d95: bulk.map(|b| b.d95),
            bulk_d_p: bulk.map(|b| b.d_p),
            lambda_max_p: bulk.map(|b| b.lambda_max_p),
            outliers: bulk.map_or_else(Vec::new, |b| b.outliers.clone()),
            num_null: bulk.map(|b| b.num_null),
            bulk_reason: report.bulk.as_ref().err().cloned(),
            phase: verdict.map(|v| v.phase),
            phase_confidence: verdict.map(|v| v.confidence),
            phase_probabilities: verdict.map(|v| v.probabilities),
            indeterminate: verdict.map(|v| v.indeterminate),
            phase_evidence: verdict.map_or_else(Vec::new, |v| v.evidence.clone()),
            annotations: verdict.map_or_else(Vec::new, |v| v.annotations.clone()),
            phase_reason: report.phase.as_ref().err().cloned(),
            full: report.full.clone(),
            doubts: Vec::new(),
            slices: report.slices.iter().map(CutRecord::new).collect(),
            pooled: report.pooled.as_ref().map(CutRecord::new),
            primary,
        };
        values.update_doubts();
        values
    }
}

impl Values {
    /// Recompute the doubts. Call it after a change of the numbers.
    pub fn update_doubts(&mut self) {
        self.doubts = value_doubts(self);
    }

    /// The doubts about one subject.
    pub fn doubts_about(&self, subject: DoubtSubject) -> impl Iterator<Item = &Doubt> {
        let about = move |d: &&Doubt| d.subject() == subject;
        self.doubts.iter().filter(about)
    }

    /// Whether a view must show `?` beside this subject.
    pub fn is_questionable(&self, subject: DoubtSubject) -> bool {
        self.doubts_about(subject).any(Doubt::is_questionable)
    }
}

impl Record {
    /// The record of a layer that was analysed.
    pub fn success(run: &str, stamp: Stamp, layer_id: usize, report: &LayerReport) -> Self {
        Self {
            run: run.to_owned(),
            stamp,
            layer: report.layer.clone(),
            layer_id,
            shape: report.tensor_shape.clone(),
            seconds_analysis: report.seconds,
            carried: None,
            outcome: LayerOutcome::Success(Box::new(report.into())),
        }
    }

    /// The record of a layer whose analysis failed.
    pub fn failed(
        run: &str,
        stamp: Stamp,
        layer_id: usize,
        layer: LayerShape,
        why: impl Into<LayerError>,
    ) -> Self {
        Self::without(
            run,
            stamp,
            layer_id,
            layer,
            LayerOutcome::Failed(why.into()),
        )
    }

    /// The record of a layer that was excluded from the analysis.
    pub fn skipped(
        run: &str,
        stamp: Stamp,
        layer_id: usize,
        layer: LayerShape,
        why: SkipReason,
    ) -> Self {
        Self::without(run, stamp, layer_id, layer, LayerOutcome::Skipped(why))
    }

    fn without(
        run: &str,
        stamp: Stamp,
        layer_id: usize,
        layer: LayerShape,
        outcome: LayerOutcome,
    ) -> Self {
        Self {
            run: run.to_owned(),
            stamp,
            layer: layer.name,
            layer_id,
            shape: layer.shape,
            seconds_analysis: 0.0,
            carried: None,
            outcome,
        }
    }

    /// The numbers. None if the analysis failed or the layer was skipped.
    pub fn values(&self) -> Option<&Values> {
        match &self.outcome {
            LayerOutcome::Success(values) => Some(values),
            _ => None,
        }
    }

    /// The numbers, mutable. Call [`Values::update_doubts`] after a change.
    pub fn values_mut(&mut self) -> Option<&mut Values> {
        match &mut self.outcome {
            LayerOutcome::Success(values) => Some(values),
            _ => None,
        }
    }

    /// Whether the layer has numbers.
    pub fn is_success(&self) -> bool {
        matches!(self.outcome, LayerOutcome::Success(_))
    }

    /// Whether the layer's analysis failed.
    pub fn is_failed(&self) -> bool {
        matches!(self.outcome, LayerOutcome::Failed(_))
    }

    /// Exponent α of the tail. None if there is no tail.
    pub fn alpha(&self) -> Option<f64> {
        self.values()?.primary.alpha
    }

    /// The doubts about the layer's numbers.
    pub fn doubts(&self) -> &[Doubt] {
        self.values().map_or(&[], |v| &v.doubts)
    }

    /// Whether a view must show `?` beside this subject.
    pub fn is_questionable(&self, subject: DoubtSubject) -> bool {
        self.values().is_some_and(|v| v.is_questionable(subject))
    }

    /// Add the results of a full analysis.
    pub(crate) fn add_full_analysis(&mut self, full: &FullAnalysis) {
        if let Some(values) = self.values_mut() {
            for &annotation in &full.annotations {
                if !values.annotations.contains(&annotation) {
                    values.annotations.push(annotation);
                }
            }
            values.full = Some(full.clone());
            values.update_doubts();
        }
    }

    /// Whether the layer has a phase that is reliable.
    pub fn is_determinate(&self) -> bool {
        self.phase().is_some() && !self.is_questionable(DoubtSubject::Phase)
    }

    /// The phase. None if there is none.
    pub fn phase(&self) -> Option<Phase> {
        self.values()?.phase
    }
}
