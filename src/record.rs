//! What a run leaves behind, line by line. A log is a sequence of [`Line`]s; sinks write them,
//! [`Trajectory`](crate::Trajectory) collects them.
//!
//! Two normalisations stand side by side and are never mixed: columns with WeightWatcher's names
//! are WeightWatcher's numbers (eigenvalues of WᵀW, log₁₀); the suffix `_x` marks the papers'
//! (X = WᵀW/N, natural logarithm).

use serde::{Deserialize, Serialize};

use crate::analysis::{Config, CutReport, LayerReport};
use crate::fit::{Doubt, NoFit, TailFit};
use crate::matrix::LeftOut;
use crate::metrics::{ln_alpha_norm, stable_rank_log};
use crate::phase::{Annotation, Evidence, Phase};

/// Version of the lines' format.
pub const SCHEMA: u32 = 1;

/// When an observation was made.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Stamp {
    /// Finished epochs: 0 for the initial weights.
    pub epoch: usize,
    /// Finished optimiser steps; 0 where a hand-written loop does not tell.
    pub step: u64,
}

impl Stamp {
    /// After so many epochs, steps untold.
    pub fn of_epoch(epoch: usize) -> Self {
        Self { epoch, step: 0 }
    }
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line {
    /// Who wrote the run, and in which conventions.
    Header(Header),
    /// Which layers are analysed, and why the others are not.
    Model(ModelLine),
    /// One layer at one observation.
    Layer(Box<Record>),
    /// The whole model at one observation.
    Summary(Box<Summary>),
    /// A number that the training reported, such as the loss.
    Scalar(Scalar),
    /// Something the reader of the log should know.
    Notice(Notice),
}

/// What makes a line unique in a log: run, kind, epoch, step and name.
pub type Key = (String, &'static str, usize, u64, String);

impl Line {
    /// What makes the line unique; a line with a known key says nothing new.
    pub fn key(&self) -> Key {
        let (run, kind, stamp, name) = match self {
            Line::Header(l) => (&l.run, "header", Stamp::default(), ""),
            Line::Model(l) => (&l.run, "model", Stamp::default(), ""),
            Line::Layer(l) => (&l.run, "layer", l.stamp, l.layer.as_str()),
            Line::Summary(l) => (&l.run, "summary", l.stamp, ""),
            Line::Scalar(l) => (&l.run, "scalar", Stamp::of_epoch(l.epoch), l.name.as_str()),
            Line::Notice(l) => {
                let stamp = Stamp::of_epoch(l.epoch.unwrap_or(0));
                (&l.run, "notice", stamp, l.text.as_str())
            }
        };
        (run.clone(), kind, stamp.epoch, stamp.step, name.to_owned())
    }
}

/// Who wrote a run, and in which conventions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Name of the run.
    pub run: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of heavytail.
    pub heavytail: String,
    /// Seconds since 1970 when the run began.
    pub unix_time: u64,
    /// How it was analysed.
    pub config: Config,
    /// The conventions of the columns, in words.
    pub conventions: Vec<String>,
}

impl Header {
    /// The header of a run that begins now.
    pub fn new(run: &str, config: &Config) -> Self {
        let unix_time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        Self {
            run: run.to_owned(),
            schema: SCHEMA,
            heavytail: env!("CARGO_PKG_VERSION").to_owned(),
            unix_time,
            config: config.clone(),
            conventions: CONVENTIONS.iter().map(|&s| s.to_owned()).collect(),
        }
    }
}

const CONVENTIONS: [&str; 6] = [
    "N >= M are the sides of the matrix, Q = N/M; epoch counts finished epochs, 0 is the initial weights",
    "lambda_max, xmin, xmax, norm, log_*, alpha_weighted: eigenvalues of W'W without 1/N, log10 (as WeightWatcher)",
    "suffix _x, sigma_mp, bulk_*: eigenvalues of X = W'W/N, natural logarithm (as the papers)",
    "num_spikes, sigma_mp, mp_softrank: Marchenko-Pastur bulk with a Tracy-Widom edge, X = W'W/N",
    "entropy: divided by ln(number of eigenvalues); matrix_rank: singular values above sv_max*(eps_f32/2)*sqrt(N+M+1)",
    "a convolution is one row, its (C_in*k) x C_out unfolding; its kernel positions and their pooled spectrum are nested in it",
];

/// Which layers a run analyses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelLine {
    /// Name of the run.
    pub run: String,
    /// The layers, in the model's order.
    pub layers: Vec<LayerShape>,
    /// The tensors that are left out, each with its reason.
    pub left_out: Vec<LeftOutLayer>,
}

/// A layer's name and shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerShape {
    /// Dotted path.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
}

/// A tensor that is not analysed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOutLayer {
    /// Dotted path.
    pub name: String,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    /// Why.
    #[serde(flatten)]
    pub why: LeftOut,
}

/// A number that the training reported for an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scalar {
    /// Name of the run.
    pub run: String,
    /// Epoch, counted as in [`Stamp`].
    pub epoch: usize,
    /// For example `valid loss`.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// Something the reader of a log should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Name of the run.
    pub run: String,
    /// Where it happened, if at an epoch.
    pub epoch: Option<usize>,
    /// What happened.
    pub text: String,
}

/// One layer at one observation, self-contained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// `success`, or `failed` when there is no spectrum at all.
    pub status: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// Wall time of this layer's analysis.
    pub seconds_analysis: f64,
    /// The numbers.
    #[serde(flatten)]
    pub values: Option<Box<Values>>,
}

/// The numbers of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// How the matrix was cut: `whole` or `unfolding`.
    pub cut: String,
    /// Q = N/M.
    #[serde(rename = "Q")]
    pub q: f64,
    /// Norms, ranks and the tail.
    #[serde(flatten)]
    pub row: CutRecord,
    /// Why there is no α.
    pub alpha_reason: Option<NoFit>,
    /// What to know before trusting α.
    pub alpha_doubts: Vec<Doubt>,
    /// WeightWatcher's label: `over-trained` (α < 2) or `under-trained` (α > 6).
    pub warning: Option<String>,
    /// Hill's α over the upper half of the spectrum.
    pub hill_alpha: Option<f64>,
    /// Vuong's statistic of the power law against the exponential on the tail.
    pub lr_exponential: Option<f64>,
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
    /// Null directions.
    pub num_null: Option<usize>,
    /// Why there is no bulk.
    pub bulk_reason: Option<NoFit>,
    /// The phase.
    pub phase: Option<Phase>,
    /// What decided it.
    pub phase_evidence: Vec<Evidence>,
    /// Remarks beside it.
    pub annotations: Vec<Annotation>,
    /// Why there is no phase.
    pub phase_reason: Option<String>,
    /// Convolutions: each kernel position.
    pub slices: Vec<CutRecord>,
    /// Convolutions: all slices' eigenvalues together.
    pub pooled: Option<CutRecord>,
}

/// The numbers of one matrix or pooled spectrum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

fn positive(x: f64, log: fn(f64) -> f64) -> Option<f64> {
    (x > 0.0).then(|| log(x))
}

impl CutRecord {
    /// The numbers of one report.
    pub fn of(report: &CutReport) -> Self {
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
            d: tail.map(|t| t.d),
            sigma: tail.map(|t| t.sigma),
            xmin: tail.map(|t| n * t.xmin),
            xmax: tail.map(|_| n * m.lambda_max),
            num_pl_spikes: tail.map(|t| t.n_tail),
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

impl Record {
    /// A layer that was analysed.
    pub fn success(run: &str, stamp: Stamp, layer_id: usize, report: &LayerReport) -> Self {
        let row = CutRecord::of(&report.row);
        let bulk = report.bulk.as_ref().ok();
        let verdict = report.phase.as_ref().ok();
        let warning = match row.alpha {
            Some(a) if a < 2.0 => Some("over-trained".to_owned()),
            Some(a) if a > 6.0 => Some("under-trained".to_owned()),
            _ => None,
        };
        let values = Values {
            cut: report.row.cut().to_string(),
            q: report.row.spectrum.q(),
            alpha_reason: report.row.tail.as_ref().err().cloned(),
            alpha_doubts: report
                .row
                .tail
                .as_ref()
                .map_or_else(|_| Vec::new(), |t| t.doubts.clone()),
            warning,
            hill_alpha: report.hill_alpha,
            lr_exponential: report.likelihood_ratio.map(|r| r.normalised),
            num_spikes: bulk.map(|b| b.num_spikes),
            sigma_mp: bulk.map(|b| b.sigma_mp),
            mp_softrank: bulk.map(|b| b.soft_rank),
            bulk_min_x: bulk.map(|b| b.lambda_minus),
            bulk_max_x: bulk.map(|b| b.lambda_plus),
            bulk_edge_x: bulk.map(|b| b.threshold),
            bulk_d: bulk.map(|b| b.d),
            bulk_d95: bulk.map(|b| b.d95),
            num_null: bulk.map(|b| b.num_null),
            bulk_reason: report.bulk.as_ref().err().cloned(),
            phase: verdict.map(|v| v.phase),
            phase_evidence: verdict.map_or_else(Vec::new, |v| v.evidence.clone()),
            annotations: verdict.map_or_else(Vec::new, |v| v.annotations.clone()),
            phase_reason: report.phase.as_ref().err().map(ToString::to_string),
            slices: report.slices.iter().map(CutRecord::of).collect(),
            pooled: report.pooled.as_ref().map(CutRecord::of),
            row,
        };
        Self {
            run: run.to_owned(),
            stamp,
            layer: report.layer.clone(),
            layer_id,
            shape: report.tensor_shape.clone(),
            status: "success".to_owned(),
            reason: None,
            seconds_analysis: report.seconds,
            values: Some(Box::new(values)),
        }
    }

    /// A layer that could not be analysed.
    pub fn failed(
        run: &str,
        stamp: Stamp,
        layer_id: usize,
        layer: LayerShape,
        why: String,
    ) -> Self {
        Self {
            run: run.to_owned(),
            stamp,
            layer: layer.name,
            layer_id,
            shape: layer.shape,
            status: "failed".to_owned(),
            reason: Some(why),
            seconds_analysis: 0.0,
            values: None,
        }
    }

    /// The exponent of the tail, if there is one.
    pub fn alpha(&self) -> Option<f64> {
        self.values.as_ref()?.row.alpha
    }

    /// The phase, if there is one.
    pub fn phase(&self) -> Option<Phase> {
        self.values.as_ref()?.phase
    }
}

/// The whole model at one observation. Means are over the layers that have the number; how many
/// those are stands beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the run.
    pub run: String,
    /// When.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Layers analysed.
    pub num_layers: usize,
    /// Layers without an α, by name.
    pub without_alpha: Vec<String>,
    /// Mean α of the layers' rows.
    pub alpha: Option<f64>,
    /// WeightWatcher's α̂: mean of α·log₁₀ λmax, WᵀW; a convolution by its pooled slices with that
    /// tool's factor ½.
    pub alpha_weighted: Option<f64>,
    /// The workshop paper's α̂ = (1/N_L) Σ α·ln λmax, X; a convolution is the sum over its slices;
    /// matrices with M < 50 are left out.
    pub alpha_hat_paper: Option<f64>,
    /// The draft's sum, without 1/N_L.
    pub alpha_hat_paper_sum: Option<f64>,
    /// N_L of `alpha_hat_paper`.
    pub alpha_hat_paper_layers: usize,
    /// Layers that `alpha_hat_paper` leaves out, wholly or in part, by name.
    pub alpha_hat_paper_left_out: Vec<String>,
    /// Mean of log₁₀‖W‖²_F.
    pub log_norm: Option<f64>,
    /// Mean of log₁₀ λmax, WᵀW.
    pub log_spectral_norm: Option<f64>,
    /// Mean of log₁₀ Σλ^α, WᵀW.
    pub log_alpha_norm: Option<f64>,
    /// Mean stable rank.
    pub stable_rank: Option<f64>,
    /// Mean λ₊/λmax.
    pub mp_softrank: Option<f64>,
    /// Mean entropy.
    pub entropy: Option<f64>,
    /// Log product norm, eq. 5 of the paper: mean of ln‖W‖₂.
    pub log_product_norm_spectral: Option<f64>,
    /// The same with the Frobenius norm.
    pub log_product_norm_frobenius: Option<f64>,
    /// Wall time to copy the weights, on the thread that trains.
    pub seconds_snapshot: f64,
    /// Wall time of the analysis, on the worker.
    pub seconds_analysis: f64,
}

/// Matrices below this size do not enter the workshop paper's α̂.
const PAPER_MIN_M: usize = 50;

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    (count > 0).then(|| sum / count as f64)
}

impl Summary {
    /// Summarise the records of one observation.
    pub fn of(run: &str, stamp: Stamp, records: &[Record], seconds_snapshot: f64) -> Self {
        let values = || records.iter().filter_map(|r| r.values.as_deref());
        let rows = |get: fn(&CutRecord) -> Option<f64>| mean(values().filter_map(|v| get(&v.row)));

        let mut paper = Vec::new();
        let mut left_out = Vec::new();
        for record in records {
            let Some(v) = record.values.as_deref() else {
                left_out.push(record.layer.clone());
                continue;
            };
            let cuts = if v.slices.is_empty() {
                std::slice::from_ref(&v.row)
            } else {
                &v.slices[..]
            };
            let terms: Vec<f64> = cuts
                .iter()
                .filter(|c| c.m >= PAPER_MIN_M)
                .filter_map(|c| c.alpha_weighted_x)
                .collect();
            if terms.len() < cuts.len() {
                left_out.push(record.layer.clone());
            }
            if !terms.is_empty() {
                paper.push(terms.iter().sum::<f64>());
            }
        }
        let sum: f64 = paper.iter().sum();
        let weighted = |v: &Values| match &v.pooled {
            // WeightWatcher halves pooled eigenvalues.
            Some(pooled) => Some(pooled.alpha? * (pooled.lambda_max / 2.0).log10()),
            None => v.row.alpha_weighted,
        };
        Self {
            run: run.to_owned(),
            stamp,
            num_layers: records.len(),
            without_alpha: records
                .iter()
                .filter(|r| r.alpha().is_none())
                .map(|r| r.layer.clone())
                .collect(),
            alpha: rows(|r| r.alpha),
            alpha_weighted: mean(values().filter_map(weighted)),
            alpha_hat_paper: (!paper.is_empty()).then(|| sum / paper.len() as f64),
            alpha_hat_paper_sum: (!paper.is_empty()).then_some(sum),
            alpha_hat_paper_layers: paper.len(),
            alpha_hat_paper_left_out: left_out,
            log_norm: rows(|r| r.log_norm),
            log_spectral_norm: rows(|r| r.log_spectral_norm),
            log_alpha_norm: rows(|r| r.log_alpha_norm),
            stable_rank: rows(|r| Some(r.stable_rank)),
            mp_softrank: mean(values().filter_map(|v| v.mp_softrank)),
            entropy: rows(|r| Some(r.entropy)),
            log_product_norm_spectral: rows(|r| positive(r.lambda_max, |x| 0.5 * x.ln())),
            log_product_norm_frobenius: rows(|r| positive(r.norm, |x| 0.5 * x.ln())),
            seconds_snapshot,
            seconds_analysis: records.iter().map(|r| r.seconds_analysis).sum(),
        }
    }
}
