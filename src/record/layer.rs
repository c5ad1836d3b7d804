use serde::{Deserialize, Serialize};

use super::trust::{Doubt, Subject, Warning, value_doubts};
use super::{LayerShape, Stamp};
use crate::analysis::FullAnalysis;
use crate::analysis::{CutReport, LayerReport};
use crate::error::LayerError;
use crate::fit::{NoFit, Outlier, TailFit};
use crate::matrix::{Cut, SkipReason};
use crate::measures::{ln_alpha_norm, stable_rank_log};
use crate::phase::{Annotation, Evidence, Phase, Unclassifiable};

/// One layer at one observation, self-contained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Name of the run.
    pub run: String,
    /// When.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Name of the layer.
    pub layer: String,
    /// Its place among the analysed layers, from 0.
    pub layer_id: usize,
    /// Shape of its tensor.
    pub shape: Vec<usize>,
    /// Wall time of this layer's analysis.
    pub seconds_analysis: f64,
    /// Present if the layer was not analysed again: the numbers are those of an earlier observation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
    /// The numbers, or why there are none.
    #[serde(flatten)]
    pub outcome: LayerOutcome,
}

/// How the analysis of a layer ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum LayerOutcome {
    /// With numbers.
    Success(Box<Values>),
    /// Without a spectrum.
    Failed(LayerError),
    /// It was not to be analysed.
    Skipped(SkipReason),
}

impl LayerOutcome {
    /// `success`, `failed` or `skipped`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Success(_) => "success",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// Why a layer's numbers were repeated: it has hardly moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Carried {
    /// The observation at which it was analysed.
    pub from: Stamp,
    /// ‖W − W₀‖_F/‖W₀‖_F since then.
    pub drift: f64,
    /// α of a new analysis would differ by at most this much, for certain.
    pub alpha_tolerance: f64,
    /// ‖W‖²_F of the weights that were seen.
    pub norm: f64,
}

impl Carried {
    /// Numbers of the observation `from`, repeated after the weights moved by `drift`.
    pub fn new(from: Stamp, drift: f64, alpha_tolerance: f64, norm: f64) -> Self {
        Self {
            from,
            drift,
            alpha_tolerance,
            norm,
        }
    }
}

/// The numbers of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Values {
    /// How the matrix was cut from its tensor.
    pub cut: Cut,
    /// Q = N/M.
    #[serde(rename = "Q")]
    pub q: f64,
    /// Norms, ranks and the tail.
    #[serde(flatten)]
    pub primary: CutRecord,
    /// WeightWatcher's label of an α outside of 2–6.
    pub warning: Option<Warning>,
    /// Hill's α over the upper half of the spectrum.
    pub hill_alpha: Option<f64>,
    /// Vuong's statistic of the power law against the exponential on the tail.
    pub lr_exponential: Option<f64>,
    /// α of pure noise of the same N and M: 5 % point, …
    pub noise_alpha_low: Option<f64>,
    /// … median, …
    pub noise_alpha: Option<f64>,
    /// … 95 % point.
    pub noise_alpha_high: Option<f64>,
    /// Eigenvalues beyond the Tracy–Widom edge of the bulk.
    pub num_spikes: Option<usize>,
    /// Scale σ of the bulk.
    pub sigma_mp: Option<f64>,
    /// λ₊/λmax.
    pub mp_softrank: Option<f64>,
    /// λ₋ of the bulk, X.
    pub bulk_min_x: Option<f64>,
    /// λ₊ of the bulk, X.
    pub bulk_max_x: Option<f64>,
    /// The Tracy–Widom edge, X.
    pub bulk_edge_x: Option<f64>,
    /// Distance of the bulk from Marchenko–Pastur.
    pub bulk_d: Option<f64>,
    /// Its 95 % point for noise.
    pub bulk_d95: Option<f64>,
    /// Its p-value under noise.
    pub bulk_d_p: Option<f64>,
    /// P(λmax of noise > λmax), Tracy–Widom.
    pub lambda_max_p: Option<f64>,
    /// The largest spikes with their p-values, X.
    pub outliers: Vec<Outlier>,
    /// Null directions.
    pub num_null: Option<usize>,
    /// Why there is no bulk.
    pub bulk_reason: Option<NoFit>,
    /// The phase.
    pub phase: Option<Phase>,
    /// Its probability.
    pub phase_confidence: Option<f64>,
    /// The probability of each phase, in the order of [`Phase::ALL`].
    pub phase_probabilities: Option<[f64; 6]>,
    /// Whether the verdict should not be relied on.
    pub indeterminate: Option<bool>,
    /// What decided it.
    pub phase_evidence: Vec<Evidence>,
    /// Remarks beside it.
    pub annotations: Vec<Annotation>,
    /// Why there is no phase.
    pub phase_reason: Option<Unclassifiable>,
    /// What a full analysis adds.
    pub full: Option<FullAnalysis>,
    /// Why which of the numbers are not to be trusted.
    #[serde(default)]
    pub doubts: Vec<Doubt>,
    /// Convolutions: each kernel position.
    pub slices: Vec<CutRecord>,
    /// Convolutions: all slices' eigenvalues together.
    pub pooled: Option<CutRecord>,
}

/// The numbers of one matrix or pooled spectrum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CutRecord {
    /// Longer side.
    #[serde(rename = "N")]
    pub n: usize,
    /// Shorter side.
    #[serde(rename = "M")]
    pub m: usize,
    /// Number of eigenvalues.
    pub num_evals: usize,
    /// λmax of WᵀW.
    pub lambda_max: f64,
    /// Σλ of WᵀW = ‖W‖²_F.
    pub norm: f64,
    /// log₁₀ of `norm`.
    pub log_norm: Option<f64>,
    /// log₁₀ of `lambda_max`.
    pub log_spectral_norm: Option<f64>,
    /// Exponent of the tail.
    pub alpha: Option<f64>,
    /// Why there is no α.
    pub alpha_reason: Option<NoFit>,
    /// Kolmogorov–Smirnov distance of the tail.
    #[serde(rename = "D")]
    pub d: Option<f64>,
    /// Textbook standard error of `alpha`.
    pub sigma: Option<f64>,
    /// Start of the tail, WᵀW.
    pub xmin: Option<f64>,
    /// End of the tail, WᵀW.
    pub xmax: Option<f64>,
    /// Eigenvalues in the tail.
    pub num_pl_spikes: Option<usize>,
    /// Eigenvalues that took part in the tail's fit.
    pub num_fitted: Option<usize>,
    /// α·log₁₀ λmax, WᵀW.
    pub alpha_weighted: Option<f64>,
    /// log₁₀ Σλ^α, WᵀW.
    pub log_alpha_norm: Option<f64>,
    /// Σλ/λmax.
    pub stable_rank: f64,
    /// ln‖W‖²_F/ln λmax, WᵀW.
    pub stable_rank_log: Option<f64>,
    /// Singular values above the f32 tolerance.
    pub matrix_rank: usize,
    /// Singular values below it.
    pub rank_loss: usize,
    /// Spectral entropy in [0, 1].
    pub entropy: f64,
    /// λmax of X.
    pub lambda_max_x: f64,
    /// Σλ of X.
    pub norm_x: f64,
    /// ln of `norm_x`.
    pub log_norm_x: Option<f64>,
    /// ln of `lambda_max_x`.
    pub log_spectral_norm_x: Option<f64>,
    /// Start of the tail, X.
    pub xmin_x: Option<f64>,
    /// α·ln λmax, X.
    pub alpha_weighted_x: Option<f64>,
    /// ln Σλ^α, X.
    pub log_alpha_norm_x: Option<f64>,
    /// ln(‖W‖²_F/N)/ln λmax, X.
    pub stable_rank_log_x: Option<f64>,
}

pub(super) fn positive(x: f64, log: fn(f64) -> f64) -> Option<f64> {
    (x > 0.0).then(|| log(x))
}

impl CutRecord {
    /// The numbers of one report.
    pub fn new(report: &CutReport) -> Self {
        let (s, m) = (&report.spectrum, &report.metrics);
        // λ of WᵀW is N times λ of X.
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
        values.assess();
        values
    }
}

impl Values {
    /// Decide anew which of the numbers are in doubt, after one of them has changed.
    pub fn assess(&mut self) {
        self.doubts = value_doubts(self);
    }

    /// The doubts about one subject.
    pub fn doubts_about(&self, subject: Subject) -> impl Iterator<Item = &Doubt> {
        let about = move |d: &&Doubt| d.subject() == subject;
        self.doubts.iter().filter(about)
    }

    /// Whether a `?` belongs beside this subject.
    pub fn is_marked(&self, subject: Subject) -> bool {
        self.doubts_about(subject).any(Doubt::marks)
    }
}

impl Record {
    /// A layer that was analysed.
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

    /// A layer that could not be analysed.
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

    /// A layer that was not to be analysed.
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

    /// The numbers, if there are any.
    pub fn values(&self) -> Option<&Values> {
        match &self.outcome {
            LayerOutcome::Success(values) => Some(values),
            _ => None,
        }
    }

    /// The numbers, to be changed; [`Values::judge`] belongs after it.
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

    /// Whether its analysis failed.
    pub fn is_failed(&self) -> bool {
        matches!(self.outcome, LayerOutcome::Failed(_))
    }

    /// The exponent of the tail, if there is one.
    pub fn alpha(&self) -> Option<f64> {
        self.values()?.primary.alpha
    }

    /// Why which of its numbers are not to be trusted.
    pub fn doubts(&self) -> &[Doubt] {
        self.values().map_or(&[], |v| &v.doubts)
    }

    /// Whether a `?` belongs beside this subject.
    pub fn is_marked(&self, subject: Subject) -> bool {
        self.values().is_some_and(|v| v.is_marked(subject))
    }

    /// Add what a full analysis found later.
    pub(crate) fn deepen(&mut self, full: &FullAnalysis) {
        if let Some(values) = self.values_mut() {
            for &annotation in &full.annotations {
                if !values.annotations.contains(&annotation) {
                    values.annotations.push(annotation);
                }
            }
            values.full = Some(full.clone());
            values.assess();
        }
    }

    /// Whether the verdict can be relied on.
    pub fn is_determinate(&self) -> bool {
        self.phase().is_some() && !self.is_marked(Subject::Phase)
    }

    /// The phase, if there is one.
    pub fn phase(&self) -> Option<Phase> {
        self.values()?.phase
    }
}
