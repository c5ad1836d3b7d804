//! The fit of the Marchenko–Pastur bulk, and the test of the eigenvalues beyond it.

use serde::{Deserialize, Serialize};

use super::{NoFit, noise};
use crate::law::numeric::kolmogorov;
use crate::law::{Law, MarchenkoPastur, TracyWidom, edge};
use crate::spectrum::{Spectrum, null_directions};

/// The Marchenko–Pastur bulk of a spectrum, and the eigenvalues outside it.
///
/// # Formula
///
/// σ² is the slope of a regression through the origin of the eigenvalues on Marchenko–Pastur
/// quantiles. It uses the middle 60 % of the bulk, so neither spikes nor null directions move it.
/// An eigenvalue is a spike if it lies beyond the 99 % quantile of the Tracy–Widom law for noise of
/// the bulk's own shape, (N−k)×(M−k). The number k of spikes and σ² are found together by
/// iteration. Dead vectors do not count in the shape.
///
/// D = sup|F − F_MP| is the distance of the bulk from the law. Its p-value comes from simulated
/// noise that is fitted in the same way. Kolmogorov's table for independent values would accept
/// almost anything, because eigenvalues repel each other and D falls like ln(M)/M. Trained layers
/// always reject the null. Whether the difference matters is a question of its size: compare `d`
/// with `d95`.
///
/// # Source
///
/// Ke, Ma, Lin, *Estimation of the number of spiked eigenvalues* (BEMA, 2021), with Johnstone's
/// (2001) centring and scaling of the edge. The test of one eigenvalue after the other is the
/// procedure of Kritchman and Nadler (2009). Holm (1979) corrects for the number of tests.
///
/// # When it misleads
///
/// A variance that differs between rows or columns widens the bulk, so some eigenvalues look like
/// spikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BulkFit {
    /// Variance of the bulk's entries, σ².
    pub sigma2: f64,
    /// σ = √σ².
    pub sigma_mp: f64,
    /// Lower edge λ₋ = σ²(√(N−k) − √(M−k))²/N of the bulk, in units of X = WᵀW/N.
    pub lambda_minus: f64,
    /// Upper edge λ₊ = σ²(√(N−k) + √(M−k))²/N of the bulk, the noise of an (N−k)×(M−k) matrix.
    /// Under the roots N is without dead vectors and M without null directions.
    pub lambda_plus: f64,
    /// λ₊ plus the Tracy–Widom fluctuation. λmax of noise exceeds it in one of a hundred matrices.
    pub threshold: f64,
    /// One Tracy–Widom scale at the upper edge, in units of λ.
    pub edge_scale: f64,
    /// Number of eigenvalues beyond `threshold`.
    pub num_spikes: usize,
    /// The largest spikes in descending order, at most [`MAX_LISTED_SPIKES`] of them.
    pub outliers: Vec<Outlier>,
    /// P(λmax of noise > λmax), Tracy–Widom, for noise of the bulk's variance and the shape with k
    /// = 0.
    pub lambda_max_p: f64,
    /// MP soft rank R_mp = λ₊/λmax.
    pub soft_rank: f64,
    /// D = sup|F − F_MP| over the bulk, without spikes and null directions.
    pub d: f64,
    /// 95 % point of D for pure noise of the same shape.
    pub d95: f64,
    /// P(D of noise > D), at most 0.95, where the table begins. Both `d95` and `d_p` are for one
    /// matrix: a pooled spectrum is less rigid.
    pub d_p: f64,
    /// Number of null directions: eigenvalues below 1e-6 of the median of the others (1e-3 in
    /// singular values), with a gap of at least a factor of 10 to them.
    pub num_null: usize,
}

/// How many spikes a fit lists. [`BulkFit::num_spikes`] counts all of them.
pub const MAX_LISTED_SPIKES: usize = 16;

/// An eigenvalue beyond the noise edge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outlier {
    /// The eigenvalue, in units of X = WᵀW/N.
    pub lambda: f64,
    /// P(λmax of noise > λ), Tracy–Widom. The larger eigenvalues count as signals, and the noise
    /// matrix is smaller by their number.
    pub p: f64,
    /// `p` after Holm's correction for the number of spikes.
    pub p_holm: f64,
}

impl BulkFit {
    /// The Marchenko–Pastur law of the bulk.
    pub fn law(&self) -> MarchenkoPastur {
        MarchenkoPastur::from_edges_unchecked(self.lambda_minus, self.lambda_plus)
    }
}

/// Fewest eigenvalues of a bulk. With fewer it has no shape.
const MIN_EIGENVALUES: usize = 10;
/// Share of the bulk that the regression leaves out at each end.
const TRIM: f64 = 0.2;
/// Fit the bulk of a spectrum.
///
/// # Errors
///
/// Returns [`NoFit`] if the spectrum is zero or too small.
pub fn fit_bulk(spectrum: &Spectrum) -> Result<BulkFit, NoFit> {
    let all = spectrum.eigenvalues();
    if spectrum.lambda_max() <= 0.0 {
        return Err(NoFit::AllZero);
    }
    let num_null = null_directions(all);
    let x = &all[num_null..];
    // A pooled spectrum consists of `copies` bulks of the same law, each with the shape of a slice.
    let copies = all.len() / spectrum.m();
    let shape = Shape {
        norm: spectrum.n(),
        n: spectrum.effective_n(),
        m: spectrum.m() - num_null / copies,
    };
    if x.len() < MIN_EIGENVALUES {
        return Err(NoFit::TooFew {
            found: x.len(),
            needed: MIN_EIGENVALUES,
        });
    }
    let mut seen = Vec::new();
    let mut k = 0;
    let (sigma2, noise) = loop {
        let noise = Noise::new(shape, k / copies);
        let sigma2 = noise.regress(&x[..x.len() - k]);
        let threshold = sigma2 * noise.threshold;
        let beyond = x.len() - x.partition_point(|&v| v <= threshold);
        // At least half of the spectrum stays bulk, because the regression needs values.
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
    let d = kolmogorov(bulk, |x| law.cdf(x));
    let null = noise::bulk_distance(shape.n, bulk.len());
    Ok(BulkFit {
        sigma2,
        sigma_mp: sigma2.sqrt(),
        lambda_minus: law.lower(),
        lambda_plus: law.upper(),
        threshold,
        edge_scale: sigma2 * noise.edge_scale,
        num_spikes,
        outliers: outliers(&x[x.len() - num_spikes..], shape, copies, sigma2),
        lambda_max_p: Noise::new(shape, 0).survival(spectrum.lambda_max() / sigma2),
        soft_rank: law.upper() / spectrum.lambda_max(),
        d,
        d95: null.quantile(0.95),
        d_p: null.survival(d),
        num_null,
    })
}

/// The p-values of ascending spikes, the largest spike first.
fn outliers(spikes: &[f64], shape: Shape, copies: usize, sigma2: f64) -> Vec<Outlier> {
    // p grows from the largest eigenvalue down, so this is Holm's order.
    let mut floor = 0f64;
    spikes
        .iter()
        .rev()
        .take(MAX_LISTED_SPIKES)
        .enumerate()
        .map(|(i, &lambda)| {
            let p = Noise::new(shape, i / copies).survival(lambda / sigma2);
            floor = floor.max((p * (spikes.len() - i) as f64).min(1.0));
            Outlier {
                lambda,
                p,
                p_holm: floor,
            }
        })
        .collect()
}

/// The shape of the noise: n×m entries, normalised by `norm`.
#[derive(Debug, Clone, Copy)]
struct Shape {
    norm: usize,
    n: usize,
    m: usize,
}

/// The noise that remains if k directions are signal: an (n−k)×(m−k) matrix.
struct Noise {
    rows: usize,
    cols: usize,
    scale: f64,
    centre: f64,
    threshold: f64,
    edge_scale: f64,
}

impl Noise {
    fn new(shape: Shape, k: usize) -> Self {
        let Shape { norm, n, m } = shape;
        let cols = m.saturating_sub(k).max(1);
        let rows = n.saturating_sub(m) + cols;
        let scale = rows as f64 / norm as f64;
        let (centre, width) = edge(rows, cols);
        Self {
            rows,
            cols,
            scale,
            centre: scale * centre,
            threshold: scale * (centre + width * TracyWidom.quantile(0.99)),
            edge_scale: scale * width,
        }
    }

    /// P(λmax > x) for unit variance.
    fn survival(&self, x: f64) -> f64 {
        TracyWidom.survival((x - self.centre) / self.edge_scale)
    }

    fn law(&self, sigma2: f64) -> MarchenkoPastur {
        MarchenkoPastur::unchecked(sigma2 * self.scale, self.rows, self.cols)
    }

    /// The slope through the origin of the eigenvalues on the quantiles, over the trimmed range.
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

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::matrix::WeightMatrix;
    use crate::spectrum::Solver;

    /// Perfectly rigid noise: eigenvalues at the quantiles of the law.
    fn noise(n: usize, m: usize, sigma2: f64) -> Vec<f64> {
        MarchenkoPastur::new(sigma2, n, m)
            .unwrap()
            .midpoint_quantiles(m)
    }

    fn fit(x: Vec<f64>, n: usize, m: usize) -> BulkFit {
        fit_bulk(&Spectrum::from_eigenvalues(x, n, m).unwrap()).unwrap()
    }

    /// A matrix of independent uniform entries of variance `sigma2(column)`.
    fn random(n: usize, m: usize, sigma2: impl Fn(usize) -> f64) -> BulkFit {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(4);
        let mut entry = |i: usize| (12.0 * sigma2(i % m)).sqrt() * (rng.random::<f64>() - 0.5);
        let values: Vec<f64> = (0..n * m).map(&mut entry).collect();
        let matrix = WeightMatrix::new("w", n, m, values).unwrap();
        fit_bulk(&Spectrum::from_matrix(&matrix, Solver::Gram).unwrap()).unwrap()
    }

    #[test]
    fn random_entries_have_their_variance_and_no_spikes() {
        for (n, m) in [(500, 300), (1000, 400), (60, 30)] {
            let f = random(n, m, |_| 2.0);
            // The variance of nm uniform entries has the standard error 2·√(0.8/nm); an error of
            // order 1/m comes from the finite size.
            let tolerance = 4.0 * (0.8 / (n * m) as f64).sqrt() + 1.0 / m as f64;
            assert!((f.sigma2 / 2.0 - 1.0).abs() < tolerance, "{f:?}");
            assert_eq!((f.num_spikes, f.num_null), (0, 0), "{f:?}");
            assert!(f.d < f.d95, "{f:?}");
        }
    }

    #[test]
    fn columns_of_unequal_variance_are_no_marchenko_pastur_bulk() {
        let f = random(600, 200, |column| if column % 2 == 0 { 0.7 } else { 1.3 });
        assert!(f.d > f.d95 && f.d_p < 0.01, "{f:?}");
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
}
