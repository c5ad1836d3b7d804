//! FARMS: α from windows of one fixed aspect ratio.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::all_finite;
use crate::error::{Error, Result};
use crate::fit::hill_alpha;
use crate::matrix::WeightMatrix;
use crate::spectrum::{Solver, Spectrum};

/// How the windows are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Placement {
    /// Contiguous windows, evenly spaced from one corner to the opposite one. This is the paper's
    /// choice.
    #[default]
    Sliding,
    /// Rows and columns drawn without replacement. Neurons that are stored side by side, such as
    /// the channels of one attention head, are then not kept together.
    Random {
        /// Seed of the sample.
        seed: u64,
    },
}

/// Options of [`farms_alpha`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FarmsConfig {
    /// Aspect ratio of every window, longer over shorter side, at least 1. Layers are comparable
    /// only with the same value.
    pub q: f64,
    /// Shorter side of a window. `None` means half of the matrix's shorter side. Windows are
    /// smaller if the longer side would not fit. A fixed number bounds the cost of large layers.
    pub window: Option<usize>,
    /// Maximum number of windows. Windows overlap by half, or less if there would be more of them.
    pub max_windows: usize,
    /// How the windows are chosen.
    pub placement: Placement,
}

impl Default for FarmsConfig {
    fn default() -> Self {
        Self {
            q: 1.0,
            window: None,
            max_windows: 32,
            placement: Placement::Sliding,
        }
    }
}

/// α from windows of one fixed aspect ratio.
///
/// # Formula
///
/// Submatrices of ⌊q·m⌋×m entries are taken from the N×M matrix, with their longer side along N. α
/// is Hill's estimator over the upper half of all their eigenvalues together ([`hill_alpha`]). The
/// contribution of noise to α depends on N/M, so α cannot compare layers of different shape. A
/// fixed q removes this dependence.
///
/// # Source
///
/// Hu, Goel, Killiakov, Yang, *Eigenspectrum Analysis of Neural Networks without Aspect Ratio Bias*
/// (ICML 2025, arXiv:2506.06280). Its code uses q = 1, grids of 5 to 20 windows a side, and for
/// LLaMA-7B windows of 500 to 4096 out of 4096. Hence the defaults here: q = 1, half of the shorter
/// side, and windows that overlap by half while they are at most 32. In the paper q is columns over
/// rows as stored. Here transposition has no effect.
///
/// # Cost
///
/// With the defaults, about the cost of the whole spectrum for a square matrix, and up to seven
/// times that cost for a long matrix, whose spectrum is cheap (measured: 1–2 at 400×400, 5 at
/// 1000×500, 7 at 2048×192).
///
/// # When it misleads
///
/// In an m×m window the ratio of a low-rank signal to the noise falls with √m. So a few spikes
/// fade, while a heavy tail in random directions stays. If the scale drifts along a side,
/// contiguous windows show less of the heaviness than random ones. The windows overlap and their
/// eigenvalues are not independent, so no textbook error of α applies. `alpha_spread` shows how
/// much the parts of the layer differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FarmsFit {
    /// Hill's α of the pooled eigenvalues.
    pub alpha: f64,
    /// Standard deviation of the windows' own Hill α. `None` if fewer than two windows have one.
    pub alpha_spread: Option<f64>,
    /// Longer side of a window.
    pub window_n: usize,
    /// Shorter side of a window.
    pub window_m: usize,
    /// Number of windows.
    pub num_windows: usize,
    /// Number of pooled eigenvalues.
    pub num_evals: usize,
}

/// Fewest eigenvalues of a window. With fewer its upper half has no shape.
const NEEDED: usize = 10;

/// FARMS α of a matrix.
///
/// # Errors
///
/// Fails if an option is invalid, the matrix is too small for a window of 10 eigenvalues, an entry
/// is not finite, half of the pooled eigenvalues are zero, the larger half are equal, or the solver
/// fails.
pub fn farms_alpha(
    matrix: &WeightMatrix,
    config: &FarmsConfig,
    solver: Solver,
) -> Result<FarmsFit> {
    let (window_n, window_m) = window(matrix, config)?;
    all_finite(matrix)?;
    let mut pooled = Vec::new();
    let mut alphas = Vec::new();
    let windows = windows(matrix, config, window_n, window_m);
    for (long, short) in &windows {
        let values = submatrix(matrix, long, short);
        let part = matrix.with_values(window_n, window_m, values)?;
        let spectrum = Spectrum::from_matrix(&part, solver)?;
        alphas.extend(hill_alpha(spectrum.eigenvalues()));
        pooled.extend_from_slice(spectrum.eigenvalues());
    }
    pooled.sort_unstable_by(f64::total_cmp);
    let alpha = hill_alpha(&pooled).ok_or_else(|| {
        Error::layer(
            matrix.name(),
            "α cannot be fitted: half of the windows' eigenvalues are zero, or the larger half are equal",
        )
    })?;
    Ok(FarmsFit {
        alpha,
        alpha_spread: sample_sd(&alphas),
        window_n,
        window_m,
        num_windows: windows.len(),
        num_evals: pooled.len(),
    })
}

/// The longer and the shorter side of the windows.
fn window(matrix: &WeightMatrix, config: &FarmsConfig) -> Result<(usize, usize)> {
    let refuse = |option, cause: String| Err(Error::Config { option, cause });
    let q = config.q;
    if !(q.is_finite() && q >= 1.0) {
        return refuse("q", format!("an aspect ratio is at least 1, got {q}"));
    }
    if config.max_windows == 0 {
        return refuse("max_windows", "must be at least 1".into());
    }
    if let Some(size @ 0..NEEDED) = config.window {
        return refuse(
            "window",
            format!("{size} eigenvalues in a window, {NEEDED} are needed"),
        );
    }
    let m = config.window.unwrap_or((matrix.m() / 2).max(NEEDED));
    let m = m.min(matrix.m()).min((matrix.n() as f64 / q) as usize);
    if m < NEEDED {
        return Err(Error::layer(
            matrix.name(),
            format!(
                "a {}×{} matrix holds no window of aspect ratio {q} with {NEEDED} eigenvalues",
                matrix.n(),
                matrix.m()
            ),
        ));
    }
    Ok((((m as f64 * q) as usize).clamp(m, matrix.n()), m))
}

/// The indices along N and along M of every window.
fn windows(
    matrix: &WeightMatrix,
    config: &FarmsConfig,
    window_n: usize,
    window_m: usize,
) -> Vec<(Vec<usize>, Vec<usize>)> {
    let (n, m) = (matrix.n(), matrix.m());
    // Windows overlap by at least half, with at most √`max_windows` of them across M.
    let half_steps = |len: usize, window: usize| (len - window).div_ceil((window / 2).max(1)) + 1;
    let across = half_steps(m, window_m).min(config.max_windows.isqrt());
    let along = half_steps(n, window_n).min(config.max_windows / across);
    let mut rng = match config.placement {
        Placement::Sliding => None,
        Placement::Random { seed } => Some(Pcg64::seed_from_u64(seed)),
    };
    let mut list = Vec::with_capacity(along * across);
    for i in 0..along {
        for j in 0..across {
            list.push(match &mut rng {
                None => (
                    run(start(i, along, n - window_n), window_n),
                    run(start(j, across, m - window_m), window_m),
                ),
                Some(rng) => (
                    sample_indices(rng, n, window_n),
                    sample_indices(rng, m, window_m),
                ),
            });
        }
    }
    list
}

/// Start of window i of `count` windows, from 0 to `last`. A single window lies in the middle.
fn start(i: usize, count: usize, last: usize) -> usize {
    if count < 2 {
        last / 2
    } else {
        i * last / (count - 1)
    }
}

fn run(start: usize, len: usize) -> Vec<usize> {
    (start..start + len).collect()
}

/// `len` of the numbers 0..`of` without replacement, ascending (Fisher and Yates).
fn sample_indices(rng: &mut Pcg64, of: usize, len: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..of).collect();
    for i in 0..len {
        all.swap(i, rng.random_range(i..of));
    }
    all.truncate(len);
    all.sort_unstable();
    all
}

fn submatrix(matrix: &WeightMatrix, long: &[usize], short: &[usize]) -> Vec<f64> {
    let (values, cols) = (matrix.values(), matrix.cols());
    let tall = matrix.rows() >= cols;
    let at = |i: usize, j: usize| if tall { i * cols + j } else { j * cols + i };
    long.iter()
        .flat_map(|&i| short.iter().map(move |&j| values[at(i, j)]))
        .collect()
}

/// Standard deviation of the values. `None` for fewer than two.
fn sample_sd(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{gaussian, map, transposed};
    use super::*;

    fn farms(w: &WeightMatrix, config: &FarmsConfig) -> FarmsFit {
        farms_alpha(w, config, Solver::Gram).unwrap()
    }

    fn hill(w: &WeightMatrix) -> f64 {
        hill_alpha(
            Spectrum::from_matrix(w, Solver::Gram)
                .unwrap()
                .eigenvalues(),
        )
        .unwrap()
    }

    #[test]
    fn the_shape_of_noise_drops_out() {
        let random = FarmsConfig {
            placement: Placement::Random { seed: 5 },
            ..Default::default()
        };
        let (square, tall) = (gaussian(400, 400, 1), gaussian(1600, 100, 2));
        let plain = (hill(&square) - hill(&tall)).abs();
        for config in [FarmsConfig::default(), random] {
            let (a, b) = (farms(&square, &config), farms(&tall, &config));
            assert_eq!((a.window_m, b.window_m, b.window_n), (200, 50, 50));
            assert!(
                (a.alpha - b.alpha).abs() < 0.05 * plain,
                "{a:?} {b:?} {plain}"
            );
        }
    }

    #[test]
    fn a_heavy_tail_is_heavier_than_noise() {
        let noise = gaussian(240, 120, 3);
        // The column scales i^(−1) give a power-law population spectrum.
        let heavy = map(&noise, |_, j, v| v / (j + 1) as f64);
        let config = FarmsConfig {
            placement: Placement::Random { seed: 1 },
            ..Default::default()
        };
        let (a, b) = (farms(&noise, &config), farms(&heavy, &config));
        assert!(b.alpha < a.alpha - 0.2, "{a:?} {b:?}");
    }

    #[test]
    fn the_same_seed_the_same_bits_and_no_side_is_preferred() {
        let w = gaussian(90, 40, 4);
        for placement in [Placement::Sliding, Placement::Random { seed: 9 }] {
            let config = FarmsConfig {
                q: 1.5,
                placement,
                ..Default::default()
            };
            let fit = farms(&w, &config);
            assert_eq!(fit, farms(&w, &config));
            assert_eq!((fit.window_n, fit.window_m), (30, 20));
            assert_eq!(fit, farms(&transposed(&w), &config));
            let scaled = farms(&map(&w, |_, _, v| v * 1e-30), &config);
            assert!((scaled.alpha / fit.alpha - 1.0).abs() < 1e-10);
        }
    }

    #[test]
    fn cost_is_bounded_and_every_corner_seen() {
        let w = gaussian(2000, 20, 6);
        let config = FarmsConfig {
            max_windows: 12,
            ..Default::default()
        };
        let list = windows(&w, &config, 10, 10);
        assert!(list.len() <= 12 && list.len() >= 9, "{}", list.len());
        assert_eq!((list[0].0[0], list[0].1[0]), (0, 0));
        let (long, short) = &list[list.len() - 1];
        assert_eq!((long[9], short[9]), (1999, 19));
        // Windows overlap by half if that needs few enough of them.
        assert_eq!(windows(&gaussian(40, 20, 6), &config, 20, 20).len(), 3);
    }

    #[test]
    fn what_cannot_be_cut_says_why() {
        let fails = |w: &WeightMatrix, config: &FarmsConfig| {
            farms_alpha(w, config, Solver::Gram)
                .unwrap_err()
                .to_string()
        };
        let w = gaussian(50, 30, 1);
        let default = FarmsConfig::default();
        for (q, window, max_windows, option) in [
            (0.5, None, 9, "`q`"),
            (f64::NAN, None, 9, "`q`"),
            (1.0, Some(3), 9, "`window`"),
            (1.0, None, 0, "`max_windows`"),
            (9.0, None, 9, "aspect ratio 9"),
        ] {
            let config = FarmsConfig {
                q,
                window,
                max_windows,
                ..default.clone()
            };
            assert!(fails(&w, &config).contains(option), "{option}");
        }
        assert!(fails(&gaussian(50, 8, 1), &default).contains("50×8"));
        let nan = map(&w, |i, _, v| if i == 7 { f64::NAN } else { v });
        assert!(fails(&nan, &default).contains("30 of 1500"));
        let zero = map(&w, |_, _, _| 0.0);
        assert!(fails(&zero, &default).contains("zero"));
    }
}
