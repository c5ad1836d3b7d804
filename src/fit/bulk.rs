use serde::{Deserialize, Serialize};

use super::NoFit;
use crate::law::{Law, MarchenkoPastur, TracyWidom, noise_edge};
use crate::spectrum::Spectrum;

/// The Marchenko–Pastur bulk of a spectrum, and what lies outside it.
///
/// # Formula
///
/// σ² is the slope through the origin of the eigenvalues on Marchenko–Pastur quantiles over the
/// middle 60 % of the bulk, so that neither spikes nor null directions move it. An eigenvalue is a
/// spike when it lies beyond the 99 % quantile of the Tracy–Widom law for noise of the bulk's own
/// shape (k directions removed on both sides); k and σ² are found together by iteration.
///
/// # Source
///
/// Ke, Ma, Lin, *Estimation of the number of spiked eigenvalues* (BEMA, 2021), with Johnstone's
/// (2001) centring and scaling of the edge.
///
/// # When it misleads
///
/// A variance that differs between rows or columns widens the bulk and looks like spikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BulkFit {
    /// Variance of the bulk's entries, σ², in units of X = WᵀW/N.
    pub sigma2: f64,
    /// σ = √σ².
    pub sigma_mp: f64,
    /// Lower edge λ₋ = σ²(1 − 1/√Q)² of the bulk.
    pub lambda_minus: f64,
    /// Upper edge λ₊ = σ²(1 + 1/√Q)² of the bulk, the noise of an (N−k)×(M−k) matrix.
    pub lambda_plus: f64,
    /// λ₊ plus the Tracy–Widom fluctuation: beyond it, noise lands once in a hundred matrices.
    pub threshold: f64,
    /// One Tracy–Widom scale at this edge, in units of λ.
    pub edge_scale: f64,
    /// Eigenvalues beyond `threshold`.
    pub num_spikes: usize,
    /// MP soft rank R_mp = λ₊/λmax.
    pub soft_rank: f64,
    /// D = sup|F − F_MP| over the bulk (spikes and null directions left out).
    pub d: f64,
    /// 95 % point of D for pure noise with as many eigenvalues.
    pub d95: f64,
    /// Eigenvalues near zero that a gap separates from the rest; see [`BulkFit`].
    pub num_null: usize,
}

impl BulkFit {
    /// The law of the bulk.
    pub fn law(&self) -> MarchenkoPastur {
        MarchenkoPastur::from_edges(self.lambda_minus, self.lambda_plus)
    }
}

/// Below this many eigenvalues a bulk has no shape to speak of.
const NEEDED: usize = 10;
/// Share trimmed at each end before the regression.
const TRIM: f64 = 0.2;
/// A null direction is below this share of the signal's median (a ratio of about 3e-4 in singular
/// values), …
const NULL_LEVEL: f64 = 1e-7;
/// … and the gap above it is at least this wide.
const NULL_GAP: f64 = 10.0;

/// Fit the bulk of a spectrum.
///
/// # Errors
///
/// [`NoFit`], if the spectrum is zero or too small.
pub fn fit_bulk(spectrum: &Spectrum) -> Result<BulkFit, NoFit> {
    let all = spectrum.eigenvalues();
    if spectrum.lambda_max() <= 0.0 {
        return Err(NoFit::AllZero);
    }
    let num_null = null_directions(all);
    let x = &all[num_null..];
    // A pooled spectrum is k bulks of the same law: its shape is the slices'.
    let copies = all.len() / spectrum.m();
    let (n, m) = (spectrum.n(), spectrum.m() - num_null / copies);
    if x.len() < NEEDED {
        return Err(NoFit::TooFew {
            found: x.len(),
            needed: NEEDED,
        });
    }
    let mut seen = Vec::new();
    let mut k = 0;
    let (sigma2, noise) = loop {
        let noise = Noise::new(n, m, k / copies);
        let sigma2 = noise.regress(&x[..x.len() - k]);
        let threshold = sigma2 * noise.threshold;
        let beyond = x.len() - x.partition_point(|&v| v <= threshold);
        // Half of the spectrum stays bulk whatever happens, or the regression has nothing left.
        let next = beyond.min(x.len() / 2);
        seen.push(k);
        if next == k || seen.contains(&next) {
            break (sigma2, noise);
        }
        k = next;
    };
    let threshold = sigma2 * noise.threshold;
    let num_spikes = x.len() - x.partition_point(|&v| v <= threshold);
    let law = noise.law(sigma2);
    let bulk = &x[..x.len() - num_spikes.min(x.len() / 2)];
    let d = kolmogorov(bulk, &law);
    Ok(BulkFit {
        sigma2,
        sigma_mp: sigma2.sqrt(),
        lambda_minus: law.lower(),
        lambda_plus: law.upper(),
        threshold,
        edge_scale: sigma2 * noise.edge_scale,
        num_spikes,
        soft_rank: law.upper() / spectrum.lambda_max(),
        d,
        d95: (0.85 + 0.42 * (bulk.len() as f64).ln()) / bulk.len() as f64,
        num_null,
    })
}

/// Noise of an (n−k)×(m−k) matrix, normalised by n: what is left when k directions are signal.
struct Noise {
    rows: usize,
    cols: usize,
    scale: f64,
    threshold: f64,
    edge_scale: f64,
}

impl Noise {
    fn new(n: usize, m: usize, k: usize) -> Self {
        let cols = m.saturating_sub(k).max(1);
        let rows = (n - m) + cols;
        let scale = rows as f64 / n as f64;
        let (centre, width) = noise_edge(rows, cols);
        Self {
            rows,
            cols,
            scale,
            threshold: scale * (centre + width * TracyWidom.quantile(0.99)),
            edge_scale: scale * width,
        }
    }

    fn law(&self, sigma2: f64) -> MarchenkoPastur {
        MarchenkoPastur::new(sigma2 * self.scale, self.rows, self.cols)
    }

    /// Slope through the origin of eigenvalues on quantiles, over the trimmed range.
    fn regress(&self, bulk: &[f64]) -> f64 {
        let quantiles = self.law(1.0).midpoint_quantiles(bulk.len());
        let trim = (TRIM * bulk.len() as f64) as usize;
        let range = trim..bulk.len() - trim;
        let (mut xy, mut xx) = (0.0, 0.0);
        for i in range {
            xy += bulk[i] * quantiles[i];
            xx += quantiles[i] * quantiles[i];
        }
        xy / xx
    }
}

/// sup|F_emp − F| over sorted values.
fn kolmogorov(sorted: &[f64], law: &dyn Law) -> f64 {
    let m = sorted.len() as f64;
    sorted
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let p = law.cdf(x);
            (p - i as f64 / m).abs().max(((i + 1) as f64 / m - p).abs())
        })
        .fold(0.0, f64::max)
}

/// How many eigenvalues are null directions: those below the widest gap whose lower side is
/// negligible against the median of what lies above it. The scale comes from the upper part, so
/// that a spectrum with 95 % null directions is seen as such.
fn null_directions(sorted: &[f64]) -> usize {
    let floor = sorted[sorted.len() - 1] * 1e-16;
    let at = |i: usize| sorted[i].max(floor);
    let mut best = (0, NULL_GAP);
    for j in 1..sorted.len() {
        let above = at(j + (sorted.len() - j) / 2);
        let gap = at(j) / at(j - 1);
        if at(j - 1) <= NULL_LEVEL * above && gap > best.1 {
            best = (j, gap);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rigid noise: eigenvalues at the quantiles of the law.
    fn noise(n: usize, m: usize, sigma2: f64) -> Vec<f64> {
        MarchenkoPastur::new(sigma2, n, m).midpoint_quantiles(m)
    }

    fn fit(x: Vec<f64>, n: usize, m: usize) -> BulkFit {
        fit_bulk(&Spectrum::from_eigenvalues(x, n, m).unwrap()).unwrap()
    }

    #[test]
    fn pure_noise_has_its_variance_and_no_spikes() {
        for (n, m) in [(300, 300), (1000, 400), (4096, 384), (60, 30)] {
            let f = fit(noise(n, m, 2.0), n, m);
            assert!((f.sigma2 / 2.0 - 1.0).abs() < 1e-3, "{f:?}");
            assert_eq!((f.num_spikes, f.num_null), (0, 0));
            assert!(f.d < f.d95);
        }
    }

    #[test]
    fn a_huge_spike_does_not_move_the_bulk() {
        let mut x = noise(1000, 400, 1.0);
        let top = x[399];
        x[399] = 1000.0 * top;
        x[398] = 3.0 * top;
        let f = fit(x, 1000, 400);
        assert_eq!(f.num_spikes, 2);
        assert!((f.sigma2 - 1.0).abs() < 0.01, "{f:?}");
    }

    #[test]
    fn null_directions_are_counted_at_any_share() {
        for share in [0.1, 0.5, 0.95] {
            let m = 400;
            let zeros = (share * m as f64) as usize;
            let mut x: Vec<f64> = (0..zeros)
                .map(|i| 1e-9 * (1.0 + i as f64 / 400.0))
                .collect();
            x.extend(noise(1000, m - zeros, 1.0));
            assert_eq!(fit(x, 1000, m).num_null, zeros);
        }
    }

    #[test]
    fn the_hard_edge_of_a_square_matrix_is_not_null() {
        assert_eq!(fit(noise(2000, 2000, 1.0), 2000, 2000).num_null, 0);
    }
}
