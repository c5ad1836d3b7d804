//! Generates matrices outside of the six families. Some resemble matrices of
//! [`Breadth::Relatives`](super::Breadth), on which the classifier was calibrated. The generators
//! themselves were not used for calibration.

use heavytail::Phase;
use rand_distr::{Distribution, Gamma};

use super::{
    Entries, Rng, add_spikes, edge, noise, normal, pick, rotate_columns, scale_columns, scale_rows,
    uniform,
};

/// A generator and the verdict that is expected for its matrices.
pub struct OutOfFamily {
    pub name: &'static str,
    pub expected: Expected,
    pub draw: fn(usize, usize, &mut Rng) -> Vec<f64>,
}

/// The expected verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expected {
    /// The verdict is this phase.
    Phase(Phase),
    /// The verdict is Random-like, or it has an annotation that explains the outliers.
    NoiseOrExplained,
    /// No phase counts as right or wrong. The verdict is only shown.
    Open,
}

use Expected::{NoiseOrExplained, Open};

const fn is(phase: Phase) -> Expected {
    Expected::Phase(phase)
}

/// All generators outside of the families.
pub const OUT_OF_FAMILY: &[OutOfFamily] = &[
    OutOfFamily {
        name: "t(5) entries",
        expected: NoiseOrExplained,
        draw: |n, m, r| Entries::Student(5.0).fill(n * m, r),
    },
    OutOfFamily {
        name: "t(4) entries",
        expected: NoiseOrExplained,
        draw: |n, m, r| Entries::Student(4.0).fill(n * m, r),
    },
    OutOfFamily {
        name: "t(3) entries",
        expected: NoiseOrExplained,
        draw: |n, m, r| Entries::Student(3.0).fill(n * m, r),
    },
    OutOfFamily {
        name: "lognormal columns, sd .1",
        expected: NoiseOrExplained,
        draw: |n, m, r| columns(n, m, 0.1, r),
    },
    OutOfFamily {
        name: "lognormal columns, sd .2",
        expected: NoiseOrExplained,
        draw: |n, m, r| columns(n, m, 0.2, r),
    },
    OutOfFamily {
        name: "lognormal columns, sd .4",
        expected: NoiseOrExplained,
        draw: |n, m, r| columns(n, m, 0.4, r),
    },
    OutOfFamily {
        name: "lognormal rows, sd .1",
        expected: NoiseOrExplained,
        draw: |n, m, r| rows(n, m, 0.1, r),
    },
    OutOfFamily {
        name: "lognormal rows, sd .2",
        expected: NoiseOrExplained,
        draw: |n, m, r| rows(n, m, 0.2, r),
    },
    OutOfFamily {
        name: "lognormal rows, sd .3",
        expected: NoiseOrExplained,
        draw: |n, m, r| rows(n, m, 0.3, r),
    },
    OutOfFamily {
        name: "half of the entries pruned",
        expected: is(Phase::RandomLike),
        draw: |n, m, r| sparse(n, m, 0.5, r),
    },
    OutOfFamily {
        name: "90 % of the entries pruned",
        expected: NoiseOrExplained,
        draw: |n, m, r| sparse(n, m, 0.1, r),
    },
    OutOfFamily {
        name: "normal entries in 4 bits",
        expected: is(Phase::RandomLike),
        draw: |n, m, r| {
            Entries::Normal
                .fill(n * m, r)
                .into_iter()
                .map(|x| (x * 2.5).round().clamp(-7.0, 7.0))
                .collect()
        },
    },
    OutOfFamily {
        name: "30 % of the longer side dead",
        expected: is(Phase::RandomLike),
        draw: |n, m, r| {
            let mut w = noise(n, m, r);
            let live: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 10 > 2))).collect();
            scale_rows(&mut w, &live);
            w
        },
    },
    OutOfFamily {
        name: "mean shift, r = 1.15",
        expected: is(Phase::BleedingOut),
        draw: |n, m, r| mean_shift(n, m, 1.15, r),
    },
    OutOfFamily {
        name: "mean shift, r = 5",
        expected: is(Phase::BulkPlusSpikes),
        draw: |n, m, r| mean_shift(n, m, 5.0, r),
    },
    OutOfFamily {
        name: "three equal spikes, r = 3",
        expected: is(Phase::BulkPlusSpikes),
        draw: |n, m, r| {
            let mut w = noise(n, m, r);
            add_spikes(&mut w, n, m, &[3.0 * edge(n, m); 3], r);
            w
        },
    },
    OutOfFamily {
        name: "spikes of 10 weights each",
        expected: is(Phase::BulkPlusSpikes),
        draw: |n, m, r| {
            let mut w = noise(n, m, r);
            for _ in 0..4 {
                let strength =
                    uniform(r, 1.6, 3.0) * ((n as f64).sqrt() + (m as f64).sqrt()) / 10.0;
                let column: Vec<usize> = (0..10).map(|_| pick(r, m)).collect();
                for _ in 0..10 {
                    let i = pick(r, n);
                    column.iter().for_each(|j| w[i * m + j] += strength);
                }
            }
            w
        },
    },
    OutOfFamily {
        name: "spikes of a trained layer, r = 1.03 to 2.3",
        expected: is(Phase::BulkPlusSpikes),
        draw: |n, m, r| {
            let mut w = noise(n, m, r);
            let count = m / 32;
            let at: Vec<f64> = (0..count)
                .map(|i| 1.03 + 1.27 * (i as f64 / (count - 1) as f64).powf(1.2))
                .map(|ratio| ratio * edge(n, m))
                .collect();
            add_spikes(&mut w, n, m, &at, r);
            w
        },
    },
    OutOfFamily {
        name: "a spike 1000 times the edge",
        expected: is(Phase::BulkPlusSpikes),
        draw: |n, m, r| {
            let mut w = noise(n, m, r);
            add_spikes(&mut w, n, m, &[1000.0 * edge(n, m), 2.0 * edge(n, m)], r);
            w
        },
    },
    OutOfFamily {
        name: "gradient noise: 20 weak directions and 3 spikes",
        expected: is(Phase::BulkDecay),
        draw: |n, m, r| {
            let mut w = noise(n, m, r);
            let count = m / 12;
            let mut at: Vec<f64> = (0..count)
                .map(|i| edge(n, m) * (1.02 + 1.2 * (i as f64 / count as f64).powi(2)))
                .collect();
            at.extend([2.5, 3.3, 4.5].map(|s| s * edge(n, m)));
            add_spikes(&mut w, n, m, &at, r);
            w
        },
    },
    OutOfFamily {
        name: "gamma population, 12 % raised",
        expected: is(Phase::BulkDecay),
        draw: |n, m, r| {
            let mut w = Entries::Normal.fill(n * m, r);
            let law: Gamma<f64> = Gamma::new(2.0, 0.7).expect("positive");
            let factors: Vec<f64> = (0..m)
                .map(|i| {
                    if i * 8 < m {
                        (1.3 + law.sample(r)).sqrt()
                    } else {
                        1.0
                    }
                })
                .collect();
            scale_columns(&mut w, &factors);
            rotate_columns(&mut w, m, r);
            w
        },
    },
    OutOfFamily {
        name: "columns smoothed over three neighbours",
        expected: is(Phase::BulkDecay),
        draw: |n, m, r| {
            let w = Entries::Normal.fill(n * m, r);
            let mut smooth = w.clone();
            for (row, smooth) in w.chunks_exact(m).zip(smooth.chunks_exact_mut(m)) {
                for j in 1..m - 1 {
                    smooth[j] = row[j] + 0.25 * (row[j - 1] + row[j + 1]);
                }
            }
            smooth
        },
    },
    OutOfFamily {
        name: "two-level population, half at 2.5",
        expected: Open,
        draw: |n, m, r| {
            let mut w = Entries::Normal.fill(n * m, r);
            let factors: Vec<f64> = (0..m)
                .map(|j| if j % 2 == 0 { 2.5f64.sqrt() } else { 1.0 })
                .collect();
            scale_columns(&mut w, &factors);
            rotate_columns(&mut w, m, r);
            w
        },
    },
    OutOfFamily {
        name: "inverse-gamma population",
        expected: is(Phase::HeavyTailed),
        draw: |n, m, r| {
            let mut w = Entries::Normal.fill(n * m, r);
            let law: Gamma<f64> = Gamma::new(1.2, 1.0).expect("positive");
            let factors: Vec<f64> = (0..m).map(|_| (1.0 / law.sample(r)).sqrt()).collect();
            scale_columns(&mut w, &factors);
            rotate_columns(&mut w, m, r);
            w
        },
    },
    OutOfFamily {
        name: "stable entries, μ = 1.5 (Cauchy-like)",
        expected: is(Phase::HeavyTailed),
        draw: |n, m, r| stable(n * m, 1.5, r),
    },
    OutOfFamily {
        name: "exact power-law spectrum, α = 2.2",
        expected: is(Phase::HeavyTailed),
        draw: |n, m, r| {
            let mut w = vec![0.0; n * m];
            for i in 0..m {
                let p = (i as f64 + uniform(r, 0.1, 0.9)) / m as f64;
                w[i * m + i] = p.powf(0.5 / (1.0 - 2.2)) * (n as f64).sqrt();
            }
            rotate_columns(&mut w, m, r);
            w
        },
    },
    OutOfFamily {
        name: "product of two square Gaussians",
        expected: Open,
        draw: |n, m, r| {
            let a = Entries::Normal.fill(n * m, r);
            let b = Entries::Normal.fill(m * m, r);
            let mut w = vec![0.0; n * m];
            for (row, a) in w.chunks_exact_mut(m).zip(a.chunks_exact(m)) {
                for (a, b) in a.iter().zip(b.chunks_exact(m)) {
                    for (x, b) in row.iter_mut().zip(b) {
                        *x += a * b;
                    }
                }
            }
            w
        },
    },
    OutOfFamily {
        name: "duplicated columns",
        expected: is(Phase::RankCollapse),
        draw: |n, m, r| {
            let mut w = noise(n, m, r);
            for row in w.chunks_exact_mut(m) {
                for j in 0..m / 3 {
                    row[m - 1 - j] = row[j];
                }
            }
            w
        },
    },
    OutOfFamily {
        name: "low rank in 16-bit floats",
        expected: is(Phase::RankCollapse),
        draw: |n, m, r| {
            let rank = (m / 4).max(2);
            let (a, b) = (
                Entries::Normal.fill(n * rank, r),
                Entries::Normal.fill(rank * m, r),
            );
            let mut w = vec![0.0; n * m];
            for (row, a) in w.chunks_exact_mut(m).zip(a.chunks_exact(rank)) {
                for (a, b) in a.iter().zip(b.chunks_exact(m)) {
                    for (x, b) in row.iter_mut().zip(b) {
                        *x += a * b;
                    }
                }
            }
            // 16-bit floats have eleven significant bits.
            w.iter_mut().for_each(|x| {
                let unit = 2f64.powf(x.abs().max(1e-300).log2().floor() - 10.0);
                *x = (*x / unit).round() * unit;
            });
            w
        },
    },
];

/// Normal entries whose columns have lognormal scales with this standard deviation of the
/// logarithm.
fn columns(n: usize, m: usize, sd: f64, rng: &mut Rng) -> Vec<f64> {
    let mut w = Entries::Normal.fill(n * m, rng);
    let factors: Vec<f64> = (0..m).map(|_| (sd * normal(rng)).exp()).collect();
    scale_columns(&mut w, &factors);
    w
}

/// Normal entries whose rows have lognormal scales with this standard deviation of the logarithm.
fn rows(n: usize, m: usize, sd: f64, rng: &mut Rng) -> Vec<f64> {
    let mut w = Entries::Normal.fill(n * m, rng);
    let factors: Vec<f64> = (0..n).map(|_| (sd * normal(rng)).exp()).collect();
    scale_rows(&mut w, &factors);
    w
}

/// Normal entries of which a share `density` is kept and the rest is zero.
fn sparse(n: usize, m: usize, density: f64, rng: &mut Rng) -> Vec<f64> {
    let mut w = Entries::Normal.fill(n * m, rng);
    w.iter_mut().for_each(|x| {
        if uniform(rng, 0.0, 1.0) > density {
            *x = 0.0;
        }
    });
    w
}

/// Noise plus a constant mean, with the largest eigenvalue near `ratio` times the edge. A mean m
/// makes a rank-one signal of strength θ² = N·M·m² in W, that is t = M·m².
fn mean_shift(n: usize, m: usize, ratio: f64, rng: &mut Rng) -> Vec<f64> {
    let mut w = noise(n, m, rng);
    let c = m as f64 / n as f64;
    let b = ratio * edge(n, m) - 1.0 - c;
    let t = (b + (b * b - 4.0 * c).max(0.0).sqrt()) / 2.0;
    let mean = (t / m as f64).sqrt();
    w.iter_mut().for_each(|x| *x += mean);
    w
}

/// Symmetric stable entries by the method of Chambers, Mallows and Stuck (1976).
fn stable(count: usize, mu: f64, rng: &mut Rng) -> Vec<f64> {
    (0..count)
        .map(|_| {
            let u = std::f64::consts::PI * (uniform(rng, 0.0, 1.0) - 0.5);
            let e = -(1.0 - uniform(rng, 0.0, 1.0)).ln();
            (mu * u).sin() / u.cos().powf(1.0 / mu) * ((u - mu * u).cos() / e).powf((1.0 - mu) / mu)
        })
        .collect()
}
