//! The classifier's features: numbers that describe a spectrum relative to noise, whatever its
//! scale.

use crate::fit::{BulkFit, LikelihoodRatio, TailFit};
use crate::law::{MarchenkoPastur, edge};
use crate::spectrum::Spectrum;

/// Number of features.
pub(super) const COUNT: usize = 51;

/// The inputs of the classifier, without unit. [`features`] describes them.
pub type Features = [f64; COUNT];

/// Ranks of eigenvalues, counted from the largest.
const RANKS: [usize; 9] = [0, 1, 2, 3, 4, 5, 7, 10, 14];
/// Positions in the spectrum, as shares counted from the largest eigenvalue.
const SHARES: [f64; 17] = [
    0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97,
];
/// Positions at which deviations are measured in units of the bulk's rigidity.
const RIGIDITY_SHARES: [f64; 6] = [0.1, 0.2, 0.3, 0.5, 0.7, 0.9];

/// The features of a spectrum without its null directions.
///
/// The deviation of an eigenvalue λ is ln(λ/q), where q is its Marchenko–Pastur quantile. The
/// variance of that law comes from the eigenvalues between the 5 % and 60 % quantiles. The features
/// are, in this order:
///
/// 1. deviations of the largest eigenvalues, in units of the Tracy–Widom scale;
/// 2. deviations at fixed shares of the spectrum;
/// 3. deviations at fixed shares, in units of the bulk's rigidity, 1/M;
/// 4. the deviation of the largest eigenvalue;
/// 5. statistics of the fits: spikes, D, gaps, λmax/λ₊, the tail and its likelihood ratio;
/// 6. stable rank, shape of the matrix, the bulk's σ² relative to the variance above, and kurtosis
///    of the entries.
pub fn features(
    spectrum: &Spectrum,
    bulk: &BulkFit,
    tail: Option<&TailFit>,
    ratio: Option<&LikelihoodRatio>,
) -> Features {
    let all = spectrum.eigenvalues();
    let x = &all[bulk.num_null.min(all.len() - 1)..];
    let p = x.len();
    let m = p.min(spectrum.m());
    let n = spectrum.effective_n().max(m);
    let q = MarchenkoPastur::unchecked(1.0, n, m).midpoint_quantiles(p);
    // The scale comes from the part of the spectrum that structure changes last.
    let range = p / 20..(p * 3).div_ceil(5);
    let (mut xy, mut yy) = (0.0, 0.0);
    for i in range {
        xy += x[i] * q[i];
        yy += q[i] * q[i];
    }
    let scale = (xy / yy).max(1e-16 * x[p - 1]).max(f64::MIN_POSITIVE);
    let (centre, width) = edge(n, m);
    let delta = width / centre;
    let deviation = |i: usize| (x[i].max(1e-9 * scale) / (scale * q[i])).ln();
    let at_share = |share: f64| {
        let at = ((1.0 - share) * (p - 1) as f64).clamp(0.0, (p - 1) as f64);
        let (low, part) = (at as usize, at.fract());
        let high = (low + 1).min(p - 1);
        deviation(low) * (1.0 - part) + deviation(high) * part
    };
    let mut out = Vec::with_capacity(COUNT);
    for rank in RANKS {
        out.push((deviation(p - 1 - rank.min(p / 3)) / delta).asinh());
    }
    for share in SHARES {
        out.push((at_share(share) * 8.0).asinh());
    }
    for share in RIGIDITY_SHARES {
        out.push((at_share(share) * p as f64 / 4.0).asinh());
    }
    out.push(deviation(p - 1).clamp(-3.0, 8.0));
    let k = bulk.num_spikes;
    out.push((k as f64).ln_1p());
    out.push((k as f64 / p as f64).sqrt());
    // In units of D of rigid eigenvalues. A formula gives them, so calibration needs no table.
    let rigid = 0.85 + 0.42 * (p as f64).ln();
    out.push((bulk.d.max(1e-6) * p as f64 / rigid).ln());
    out.push((bulk.d.max(1e-6).ln() + 3.0).clamp(-4.0, 4.0));
    let outliers = &x[p - k.min(p - 1)..];
    let mut gaps: Vec<f64> = outliers
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / bulk.edge_scale)
        .collect();
    let first = outliers
        .first()
        .map_or(0.0, |v| (v - bulk.lambda_plus) / bulk.edge_scale);
    gaps.push(first);
    gaps.sort_by(|a, b| b.total_cmp(a));
    out.push(first.asinh());
    out.push(gaps[0].asinh());
    out.push(gaps.get(1).copied().unwrap_or(0.0).asinh());
    out.push(((x[p - 1] / bulk.lambda_plus).max(0.1)).ln().min(8.0));
    match tail {
        Some(t) => {
            out.push(1.0 / (t.alpha - 1.0).max(0.1));
            out.push(t.d * (t.n_tail as f64).sqrt());
            out.push(t.n_tail as f64 / p as f64);
            out.push(ratio.map_or(0.0, |r| r.normalised).clamp(-6.0, 6.0));
        }
        None => out.extend([0.0, 0.0, 0.0, 0.0]),
    }
    let total: f64 = x.iter().sum();
    out.push((total / x[p - 1] / p as f64).ln());
    out.push((p as f64).ln().clamp(10f64.ln(), 1024f64.ln()));
    out.push((m as f64 / n as f64).sqrt());
    out.push(delta.ln());
    out.push((bulk.sigma2 / scale).ln().clamp(-2.0, 2.0));
    out.push(spectrum.entry_kurtosis().ln().clamp(0.0, 2.5));
    for value in &mut out {
        if !value.is_finite() {
            *value = 0.0;
        }
    }
    out.try_into().unwrap_or([0.0; COUNT])
}
